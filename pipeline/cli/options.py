"""Options that several commands share, where commands print, and how they end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from pipeline.cli.exit_codes import WRONG_USAGE

WIDTH = None if sys.stdout.isatty() else 140
"""Of tables and notices; a pipe has no width of its own."""
out = Console(soft_wrap=True, width=WIDTH)
err = Console(stderr=True, soft_wrap=True, width=WIDTH)

Database = Annotated[str, typer.Option("--db", help="SQLite file, or postgresql:// URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
Version = Annotated[
    int | None, typer.Option(help="Identity version (see `query versions`); the newest if left out.")
]
Cameras = Annotated[list[str] | None, typer.Option("--camera", help="Only this camera; may be repeated.")]
People = Annotated[list[str] | None, typer.Option("--person", help="Only this person; may be repeated.")]
Since = Annotated[
    str | None,
    typer.Option("--from", help="From then on: 14:05, yesterday 18:00, -10m, 2026-01-31, an ISO time."),
]
Until = Annotated[str | None, typer.Option("--to", help="Until then, written alike; a day means all of it.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the first ones.")]
After = Annotated[str | None, typer.Option("--after", help="The page behind this one: what `next` said.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def confirmed(question: str) -> bool:
    """Whether somebody at the keyboard says yes; no answer is a no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        err.print()
        return False


def fail(message: str) -> NoReturn:
    """End with one line and the exit code of wrong usage."""
    err.print(message, style="bold red", markup=False, highlight=False)
    raise typer.Exit(WRONG_USAGE)
