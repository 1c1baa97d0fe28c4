"""The command line: the commands put together, and how an error ends one."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli.commands import ask, correct, export, forget, measure, run
from pipeline.cli.exit_codes import exit_code
from pipeline.cli.options import err
from pipeline.errors import MendableError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Where did this person go across my cameras? Recordings in, one identity per person out.",
    epilog="Exit codes: 0 all done, 1 some source failed or nothing found, 2 wrong usage, 130 interrupted.",
)
query = typer.Typer(no_args_is_help=True, help="Ask the database: people, tracks, journey, versions.")
corrections = typer.Typer(no_args_is_help=True, help="Say who is who: merge, split, undo, history.")
app.add_typer(query, name="query", rich_help_panel="Questions")
app.add_typer(corrections, name="correct", rich_help_panel="Who is who")

Command = Callable[..., None]
COMMANDS: tuple[tuple[typer.Typer, str | None, tuple[Command, ...]], ...] = (
    (app, "Cameras", (run.run, run.check, run.status, run.config)),
    (app, "Questions", (ask.find, export.export, export.render)),
    (app, "Who is who", (correct.review, correct.recluster, forget.forget)),
    (app, "Measures", (measure.demo, measure.evaluate, measure.annotate)),
    (query, None, (ask.people, ask.tracks, ask.journey, ask.versions)),
    (corrections, None, (correct.merge, correct.split, correct.undo, correct.history)),
)
"""Every command, where it is typed and under which heading it is listed."""

for typed_after, heading, commands in COMMANDS:
    for command in commands:
        typed_after.command(rich_help_panel=heading)(command)


def print_version(wanted: bool) -> None:
    """Say which version this is, and end."""
    if wanted:
        typer.echo(__version__)
        raise typer.Exit()


@app.callback()
def options_of_all(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command; each does its work in its own callback."""


def main() -> None:
    """Run a command; an error the user can mend is one line."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app()
    except KeyboardInterrupt:  # before a command could say what that means for it
        sys.exit(130)
    except MendableError as error:
        err.print(str(error), style="bold red", markup=False, highlight=False)
        sys.exit(exit_code(error))
