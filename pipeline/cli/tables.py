"""Tables as wide as what stands in them, progress bars, and JSON instead of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from pipeline.queries.as_json import as_json

MAX_COLUMNS = 1000


def bars_on(console: Console) -> Progress:
    """Progress bars that leave nothing behind, and none where there is no terminal."""
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def plain_table(*columns: str) -> Table:
    """A table without frames; `fitted` says how wide it is."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def print_table(out: Console, table: Table, *, empty: str) -> None:
    """Print a table, or what an empty one means."""
    if not table.row_count:
        out.print(Text(empty))
        return
    out.print(fitted(table, out), crop=False, soft_wrap=False)


def fitted(table: Table, out: Console) -> Table:
    """The table as wide as its cells, so that none is cut; on a terminal that is narrower they are folded."""
    wide = out.options.update(max_width=MAX_COLUMNS)
    table.width = Measurement.get(out, wide, table).maximum
    if not out.is_terminal or table.width <= out.width:
        return table
    table.width, table.padding = out.width, (0, 0, 0, 0)
    sizes = [
        [Measurement.get(out, wide, cell) for cell in (column.header, *column.cells)]
        for column in table.columns
    ]
    most = [max(size.maximum for size in column) for column in sizes]
    words = [max(size.minimum for size in column) for column in sizes]
    widths = folded_widths(most, words, room=out.width - len(sizes) + 1)
    for column, width in zip(table.columns, widths, strict=True):
        column.no_wrap, column.overflow, column.width = False, "fold", width
    return table


def folded_widths(most: Sequence[int], words: Sequence[int], *, room: int) -> list[int]:
    """Widths of columns that fill a room: which could fold most gives first, and words are cut last.

    Args:
        most: characters of the longest cell of each column.
        words: characters of the longest word of each.
        room: characters for all of them; less than one for each is not reached.
    """
    widths = list(most)
    for least in (words, [1] * len(widths)):
        while sum(widths) > room:
            spare = [width - floor for width, floor in zip(widths, least, strict=True)]
            if max(spare) <= 0:
                break
            widths[spare.index(max(spare))] -= 1
    return widths


def print_json(out: Console, value: Any) -> None:
    """Print a record as JSON, unstyled and unwrapped, with an ISO time beside every time."""
    out.print(Text(as_json(value).decode()), soft_wrap=True)
