"""What a command says beside its result, on stderr: how far it is, what is wrong."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

Item = TypeVar("Item")
PLAIN_WIDTH = 160
"""Characters of a table in a file or a pipe."""
TOLD_S = 20.0
"""Between two lines of progress in a file or a pipe."""


class Watch(Protocol):
    """Passes items through and shows how far it is."""

    def __call__(self, items: Sequence[Item], name: str, /) -> Iterable[Item]:
        """The items."""


def show(table: Table) -> None:
    """Print a table; nothing is cut off where the output is no terminal."""
    console = Console()
    (console if console.is_terminal else Console(width=PLAIN_WIDTH)).print(table)


def watch(items: Sequence[Item], name: str) -> Iterable[Item]:
    """The items, with a progress bar on stderr; where that is no terminal, with a line now and then."""
    console = Console(stderr=True)
    return track(items, name, console=console) if console.is_terminal else told(items, name)


def told(items: Sequence[Item], name: str) -> Iterator[Item]:
    """The items; a line on stderr, at most every TOLD_S, says how many are done."""
    said_s = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - said_s >= TOLD_S:
            said_s = time.monotonic()
            typer.echo(f"{name}: {done} of {len(items)}", err=True)
        yield item


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr; what it gives moves the bar to a share of the work, 0..1."""
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda share: bar.update(task, completed=share)


class AboveBar(logging.Handler):
    """Log lines on what stderr is at that moment: above the bar while there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stderr.write(f"{self.format(record)}\n")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What is wrong with files and arguments ends the command with one line and exit code 2."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:  # all our own errors about input are of these kinds
        typer.echo(f"error: {str(error).splitlines()[0]}", err=True)
        raise typer.Exit(2) from error


def batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """The items in runs of `size`; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]
