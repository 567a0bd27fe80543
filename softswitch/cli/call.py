"""`softswitch call`: what can be done to a call in progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

CallArgument = Annotated[str, typer.Argument(help="The call: its id in `softswitch status`, or an extension in it.")]
SupervisorOption = Annotated[str, typer.Option("--by", help="The supervisor's extension: its telephone rings.")]
ToOption = Annotated[str, typer.Option("--to", help="The extension that is supervised; not needed where CALL is that.")]
ByOption = Annotated[str, typer.Option("--by", help="The extension that does it; not needed where CALL is that.")]
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")]
NumberArgument = Annotated[str, typer.Argument(help="Who is called, as that extension would dial it.")]

CONFIG = Path("config")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    calls = typer.Typer(help="Do something to a call in progress.", no_args_is_help=True)
    for name, command in _COMMANDS.items():
        calls.command(name)(command)
    app.add_typer(calls, name="call")


def transfer(call: CallArgument, number: NumberArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Have an extension send the one it talks to elsewhere (blind transfer): music and ringing are heard meanwhile, and
    where nobody takes the call, the two talk again."""
    _do(config, "transferring", do="transfer", call=call, by=by, number=number)


def consult(call: CallArgument, number: NumberArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Have an extension call somebody while the one it talks to hears music: then `complete`, `return`, `swap` or
    `conference`."""
    _do(config, "consulting", do="consult", call=call, by=by, number=number)


def complete(call: CallArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Have the extension that consults leave the two others to each other (attended transfer)."""
    _do(config, "transferred", do="complete", call=call, by=by)


def back(call: CallArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Have the extension that consults go back to whom it has left waiting."""
    _do(config, "back", do="return", call=call, by=by)


def swap(call: CallArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Have the extension that consults talk to whom it has left waiting, while the other one waits."""
    _do(config, "swapped", do="swap", call=call, by=by)


def conference(call: CallArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Make a conference of a consultation: all talk."""
    _do(config, "conference", do="conference", call=call, by=by)


def drop(
    call: CallArgument,
    party: Annotated[str, typer.Argument(help="Who is to leave: an extension, a trunk, or a number on a trunk.")],
    by: ByOption = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Have one of those in a call leave it; the others talk on."""
    _do(config, "dropped", do="drop", call=call, by=by, party=party)


def hold(call: CallArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Have an extension hold its call: the other one hears music."""
    _do(config, "held", do="hold", call=call, by=by)


def resume(call: CallArgument, by: ByOption = "", config: ConfigOption = CONFIG) -> None:
    """Take up again a call that is held by `hold`."""
    _do(config, "resumed", do="resume", call=call, by=by)


def park(
    call: CallArgument,
    by: ByOption = "",
    lot: Annotated[str, typer.Option("--lot", help="The parking lot, where there are several.")] = "",
    slot: Annotated[str, typer.Option("--slot", help="The slot; else the first that is free.")] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Park the one that an extension talks to: music, until somebody dials the slot."""
    _do(config, "parked", do="park", call=call, by=by, lot=lot, slot=slot)


def listen(call: CallArgument, by: SupervisorOption, to: ToOption = "", config: ConfigOption = CONFIG) -> None:
    """Have a supervisor (`--by`) listen to a call, unheard."""
    _do(config, "listening", do="supervise", call=call, by=by, to=to, mode="listen")


def whisper(call: CallArgument, by: SupervisorOption, to: ToOption = "", config: ConfigOption = CONFIG) -> None:
    """Have a supervisor (`--by`) be heard by the extension `--to` alone."""
    _do(config, "whispering", do="supervise", call=call, by=by, to=to, mode="whisper")


def barge(call: CallArgument, by: SupervisorOption, to: ToOption = "", config: ConfigOption = CONFIG) -> None:
    """Have a supervisor (`--by`) be heard by all of a call."""
    _do(config, "barged in", do="supervise", call=call, by=by, to=to, mode="barge")


def pick_up(call: CallArgument, by: ByOption, config: ConfigOption = CONFIG) -> None:
    """Have an extension (`--by`) take a call that rings elsewhere: its telephone rings."""
    _do(config, "picking up", do="pickup", call=call, by=by)


def hang_up(call: CallArgument, config: ConfigOption = CONFIG) -> None:
    """End a call."""
    _do(config, "ended", do="hangup", call=call)


_COMMANDS: dict[str, Callable[..., None]] = {
    "transfer": transfer,
    "consult": consult,
    "complete": complete,
    "return": back,
    "swap": swap,
    "conference": conference,
    "drop": drop,
    "hold": hold,
    "resume": resume,
    "park": park,
    "listen": listen,
    "whisper": whisper,
    "barge": barge,
    "pickup": pick_up,
    "hangup": hang_up,
}


def _do(config: Path, said: str, **command: Any) -> None:
    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask

    try:
        answer = ask(control_socket(config), "call", **command)
    except ControlError as error:
        raise fail(error) from None
    told = answer if isinstance(answer, dict) else {}
    slot = f" in slot {told['slot']}" if told.get("slot") else ""
    typer.echo(printable(f"{said}{slot}: call {told.get('contact', '')}", 1000))
