"""Whom a photograph shows, for people at a terminal and, as JSON, for programs."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipeline.cameras.photographs import read_photograph
from pipeline.cli.filters import ANYTHING, Typed, meant
from pipeline.cli.table_lines import found_row
from pipeline.cli.tables import plain_table, print_json, print_table
from pipeline.config import Config
from pipeline.queries.find import Finder, Likely, Meant
from pipeline.store.open_store import open_store


def show_find(
    database: str,
    image: Path,
    config: Config | None,
    out: Console,
    err: Console,
    *,
    typed: Typed = ANYTHING,
    limit: int,
    json: bool = False,
) -> int:
    """Look for the person in a photograph and print who it may be; how many that are.

    Raises:
        PhotographError, OtherWeightsError, UnusableWeightsError, StoreError: see `find.Finder`.
        UnknownCameraError, UnknownPersonError, TimeSyntaxError: see `filters.meant`.
    """
    picture = read_photograph(image)
    with open_store(database) as store:
        likely = Finder(store, config).find(picture, meant(store, typed), limit=limit)
    if words := meant_text(likely.meant):
        err.print(Text(words, style="yellow"))
    show_found(likely, out, json=json)
    return len(likely.found)


def meant_text(meant: Meant) -> str:
    """Who in the photograph is meant, where that is open; empty where it is not."""
    if meant.bbox is None:
        return "nobody was detected in the picture: all of it is taken for the person"
    if meant.detected == 1:
        return ""
    x1, y1, x2, y2 = meant.bbox
    where = f"x {x1} to {x2}, y {y1} to {y2}"
    return (
        f"{meant.detected} people in the picture: the largest is meant ({where}); cut out whom else you mean"
    )


def show_found(likely: Likely, out: Console, *, json: bool = False) -> None:
    """Print the people a photograph may show, most likely first."""
    if json:
        print_json(out, likely)
        return
    table = plain_table("person", "probability", "distance", "cameras", "first seen (UTC)", "last seen")
    for candidate in likely.found:
        table.add_row(*found_row(candidate))
    print_table(out, table, empty="nobody in the database is like the person in the picture")
