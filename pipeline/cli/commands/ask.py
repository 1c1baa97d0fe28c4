"""Commands that ask the database: who, where, when, and whom a photograph shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Database, Json, Version, err, out
from pipeline.config import Config


def people(db: Database, version: Version = None, json: Json = False) -> None:
    """Everybody in the database: cameras, first and last seen, how certain."""
    from pipeline.cli.show import show_people

    found = show_people(db, out, version=version, json=json)
    raise typer.Exit(0 if found else 1)


def tracks(
    db: Database,
    camera: Annotated[str | None, typer.Option(help="Only this camera.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="2026-01-31T08:00:00Z, 2026-01-31 (0:00 UTC), or seconds.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same.")] = None,
    version: Version = None,
    json: Json = False,
) -> None:
    """Every tracklet in view between two times."""
    from pipeline.cli.show import show_tracks

    found = show_tracks(db, out, camera=camera, since=since, until=until, version=version, json=json)
    raise typer.Exit(0 if found else 1)


def journey(
    person: Annotated[str, typer.Argument(help="P7 or 7.")],
    db: Database,
    version: Version = None,
    json: Json = False,
) -> None:
    """Where one person went: camera visits in order, gaps between them, how certain each is."""
    from pipeline.cli.show import show_journey

    show_journey(db, person, out, version=version, json=json)


def versions(db: Database, json: Json = False) -> None:
    """Every identity version: by whom it was made, and when."""
    from pipeline.cli.show import show_versions

    show_versions(db, out, json=json)


def find(
    db: Database,
    image: Annotated[Path, typer.Option("--image", help="A photograph of the person.")],
    top: Annotated[int, typer.Option(min=1, help="How many people to list.")] = 5,
    json: Json = False,
) -> None:
    """From a photograph to the people in the database it may show, most likely first. Audited."""
    from pipeline.cli.show import show_found
    from pipeline.queries.find import find_people

    found = find_people(db, image, Config(), top=top, say=lambda text: err.print(text, style="yellow"))
    show_found(found, out, json=json)
    raise typer.Exit(0 if found else 1)
