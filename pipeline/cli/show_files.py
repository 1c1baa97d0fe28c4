"""Exports and pictures: carried out, and told where they are."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import TaskID
from rich.text import Text

from pipeline.cli.filters import ANYTHING, Typed, meant
from pipeline.cli.tables import bars_on
from pipeline.cli.wording import count_text
from pipeline.queries.export import ExportFormat, export, target
from pipeline.queries.pictures.render import Rendered, render
from pipeline.store.open_store import open_store


def show_export(
    database: str,
    place: Path,
    format: ExportFormat,
    out: Console,
    *,
    typed: Typed = ANYTHING,
    version: int | None = None,
    limit: int | None = None,
    overwrite: bool = False,
) -> int:
    """Export what was asked for, print how much was written; how many rows that are.

    Raises:
        UnknownCameraError, UnknownPersonError, TimeSyntaxError: see `filters.meant`.
        ExportExistsError, ExportWriteError, StoreError: see there.
    """
    with open_store(database) as store:
        filters = meant(store, typed)
        rows = export(store, place, format, filters, version=version, limit=limit, overwrite=overwrite)
    out.print(Text(f"{target(place, format)}: {count_text(rows, 'row')}"))
    if not rows:
        out.print(Text("nobody was in view"))
    return rows


def show_render(
    database: str,
    target: Path,
    console: Console,
    *,
    typed: Typed = ANYTHING,
    version: int | None = None,
    limit: int | None = None,
) -> int:
    """Draw videos and sheets, telling how far it is; the exit code: 1 where something could not be drawn.

    Raises:
        UnknownCameraError, UnknownPersonError, TimeSyntaxError, RenderError, StoreError: see there.
    """
    with open_store(database) as store, bars_on(console) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(camera: str, done: int, total: int | None) -> None:
            task = tasks.get(camera)
            if task is None:
                task = tasks[camera] = bars.add_task(camera)
            bars.update(task, completed=done, total=total)

        filters = meant(store, typed)
        drawn = render(store, target, filters, version=version, limit=limit, progress=tell)
    print_drawn(drawn, console)
    return 1 if drawn.problems or not (drawn.videos or drawn.sheets) else 0


def print_drawn(drawn: Rendered, console: Console) -> None:
    """Say what was written, and what could not be."""
    for path in (*drawn.videos, *drawn.sheets):
        console.print(Text(str(path)))
    for person in drawn.unpictured:
        console.print(Text(f"P{person}: no picture was kept"))
    for problem in drawn.problems:
        console.print(Text(problem, style="red"))
    if not (drawn.videos or drawn.sheets or drawn.problems):
        console.print(Text("nobody was in view: nothing was drawn"))
