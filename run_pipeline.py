"""Where did this person go across my cameras? The command line: every command is one call."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from pipeline.config import Config, ConfigError, config_for_sources, load_config
from pipeline.database import StoreError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Where did this person go across my cameras? Recordings in, one identity per person out.",
)
out = Console(soft_wrap=True)
err = Console(stderr=True)

Database = Annotated[str, typer.Option("--db", help="SQLite file, or postgresql:// URL.", metavar="DB")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


@app.command()
def run(
    sources: Annotated[
        list[str], typer.Argument(help="Video files, folders of numbered frames, or one .yaml configuration.")
    ],
    db: Annotated[str, typer.Option("--db", help="SQLite file (made if missing) or postgresql:// URL.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the database holds of these cameras.")] = False,
    json: Json = False,
) -> None:
    """Read recordings: detect, track and link everyone in them into a database.

    Example: run_pipeline.py run entrance.mp4 hall.mp4 --db out.db
    """
    from pipeline.run import run as run_recordings
    from pipeline.show import show_run

    config = read_config(sources)
    database = db or config.database
    if not database:
        fail("say where the result goes: --db out.db")
    report = run_recordings(config, database, fresh=fresh, command=shlex.join(sys.argv), console=err)
    show_run(report, database, out, json=json)
    raise typer.Exit(report.exit_code)


def read_config(sources: list[str]) -> Config:
    """The configuration that the arguments of `run` mean."""
    if any(source.endswith((".yaml", ".yml")) for source in sources):
        if len(sources) > 1:
            fail("give either one configuration file or sources, not both")
        return load_config(Path(sources[0]))
    return config_for_sources(sources)


def fail(message: str) -> NoReturn:
    """End with one line and exit code 2."""
    err.print(message, style="bold red", markup=False, highlight=False)
    raise typer.Exit(2)


def main() -> None:
    """Run a command; an error the user can mend is one line."""
    try:
        app()
    except (ConfigError, StoreError) as error:
        err.print(str(error), style="bold red", markup=False, highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
