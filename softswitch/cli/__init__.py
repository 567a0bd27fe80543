"""The command line. Each command is a module with `register(app)`; what it needs is imported when it runs,
so that `softswitch --help` is there at once."""

from __future__ import annotations

import typer

import softswitch.cli.call as call
import softswitch.cli.cdr as cdr
import softswitch.cli.check as check
import softswitch.cli.conference as conference
import softswitch.cli.explain as explain
import softswitch.cli.feature as feature
import softswitch.cli.init as init
import softswitch.cli.load as load
import softswitch.cli.media_worker as media_worker
import softswitch.cli.mwi as mwi
import softswitch.cli.record as record
import softswitch.cli.reload as reload
import softswitch.cli.report as report
import softswitch.cli.schema as schema
import softswitch.cli.serve as serve
import softswitch.cli.simulate as simulate
import softswitch.cli.status as status

# In the order of `--help`.
COMMANDS = (
    serve,
    check,
    init,
    schema,
    reload,
    status,
    record,
    feature,
    mwi,
    call,
    conference,
    simulate,
    load,
    cdr,
    explain,
    report,
    media_worker,
)


def make_app() -> typer.Typer:
    """The application with all its commands."""
    app = typer.Typer(
        name="softswitch",
        help="A SIP/RTP softswitch.",
        no_args_is_help=True,
        add_completion=False,
        # Settings hold passwords: no table of local variables in a traceback.
        pretty_exceptions_show_locals=False,
    )
    for command in COMMANDS:
        command.register(app)
    return app


def main() -> None:
    """The console script."""
    make_app()()
