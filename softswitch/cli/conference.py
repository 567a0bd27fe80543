"""`softswitch conference`: who is in which conference, and what the operator wants of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softswitch.conference.actions import ACTIONS as ALL

if TYPE_CHECKING:
    from softswitch.conference.vocabulary import MemberView, RoomView

RECORD = tuple(each.removeprefix("record-") for each in ALL if each.startswith("record-"))
ACTIONS = tuple(dict.fromkeys("record" if each.startswith("record-") else each for each in ALL))


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("conference")(conference)


def conference(
    name: Annotated[str, typer.Argument(help="The conference; absent, all are shown.")] = "",
    action: Annotated[
        str,
        typer.Argument(help=f"{', '.join(ACTIONS)}."),
    ] = "list",
    what: Annotated[
        str,
        typer.Argument(
            help="A member's number or id; with dial: the number to call; with record: start, pause, resume, stop."
        ),
    ] = "",
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="With dial: the extension with whose rights, as its dialplan says; absent, the room's 'dial_as'.",
        ),
    ] = "",
    host: Annotated[bool, typer.Option("--host", help="With dial: whoever answers is a host.")] = False,
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Show conferences, or do something in one of them."""
    import msgspec

    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.conference.commands import ConferenceList
    from softswitch.control import ControlError, ask

    args = request_of(name, action, what, by, host)
    try:
        answer = msgspec.convert(ask(control_socket(config), "conference", 10.0, **args), ConferenceList)
    except ControlError as error:
        raise fail(error) from None
    except msgspec.ValidationError as error:
        raise fail(ControlError(f"the switch runs another version: {error}")) from error
    if not answer.conferences:
        over = "conference {} has ended" if action == "end" else "nobody is in conference {}"
        typer.echo("nobody is in a conference" if not name else printable(over.format(name), 200))
    for view in answer.conferences:
        for line in lines_of(view):
            typer.echo(printable(line, 500))


def request_of(name: str, action: str, what: str, by: str, host: bool) -> dict[str, str]:
    """The arguments of the control command. Raises BadParameter."""
    from softswitch.spelling import unknown_word

    if action not in ACTIONS:
        raise typer.BadParameter(unknown_word("action", action, ACTIONS))
    if action != "dial" and (by or host):
        raise typer.BadParameter(f"{'--by' if by else '--host'} goes with 'dial' only")
    if not name and action != "list":
        raise typer.BadParameter(f"expected the name of a conference before {action!r}")
    if not name:
        return {}
    args = {"conference": name, "action": action}
    if action == "record":
        if what not in (*RECORD, ""):
            raise typer.BadParameter(unknown_word("recording action", what, RECORD))
        args["action"] = f"record-{what or 'start'}"
    elif action == "dial":
        args |= {"number": what, "rights": by, "role": "host" if host else "guest"}
    elif what:
        args["member"] = what
    return args


def lines_of(view: RoomView) -> list[str]:
    """One conference as it is shown."""
    marks = [mark for mark, there in (("locked", view.locked), ("guests muted", view.guests_muted)) if there]
    marks += [] if view.recording == "no" else ["recorded" if view.recording == "yes" else "recording paused"]
    head = f"{view.name}: {len(view.members)} there" + "".join(f", {mark}" for mark in marks)
    return [head, *[_line(member) for member in view.members]]


def _line(member: MemberView) -> str:
    marks = (("muted", member.muted), ("deaf", member.deaf), ("on hold", member.holding), ("talking", member.talking))
    shown = [member.role, *([] if member.state == "in" else [member.state]), *[mark for mark, there in marks if there]]
    return f"  {member.number or '-':<16} {', '.join(shown):<24} {member.name}  (id {member.member})"
