"""Commands that ask the database: who, where, when, and whom a photograph shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.exit_codes import DONE, FAILED
from pipeline.cli.options import (
    After,
    Cameras,
    Database,
    Json,
    Limit,
    People,
    Since,
    Until,
    Version,
    err,
    out,
)


def people(
    db: Database,
    camera: Cameras = None,
    since: Since = None,
    until: Until = None,
    person: People = None,
    limit: Limit = None,
    after: After = None,
    version: Version = None,
    json: Json = False,
) -> None:
    """Who was seen: by which cameras, first and last, for how long, how certain.

    With filters, all of that is of what matches them.

    Example: across-cameras query people --db out.db --camera hall --from "yesterday 18:00"
    """
    from pipeline.cli.filters import Typed
    from pipeline.cli.show import show_people

    typed = Typed(camera, person, since, until)
    found = show_people(db, out, typed=typed, version=version, limit=limit, after=after, json=json)
    raise typer.Exit(DONE if found else FAILED)


def tracks(
    db: Database,
    camera: Cameras = None,
    since: Since = None,
    until: Until = None,
    person: People = None,
    limit: Limit = None,
    after: After = None,
    version: Version = None,
    json: Json = False,
) -> None:
    """Every tracklet in view: where, when, and whom it is said to show.

    A tracklet is one person before one camera without a gap; a long presence is several.

    Example: across-cameras query tracks --db out.db --camera hall --from 14:00 --to 14:10
    """
    from pipeline.cli.filters import Typed
    from pipeline.cli.show import show_tracks

    typed = Typed(camera, person, since, until)
    found = show_tracks(db, out, typed=typed, version=version, limit=limit, after=after, json=json)
    raise typer.Exit(DONE if found else FAILED)


def journey(
    person: Annotated[str, typer.Argument(help="P7 or 7.")],
    db: Database,
    camera: Cameras = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    after: After = None,
    version: Version = None,
    json: Json = False,
) -> None:
    """Where one person went: camera visits in order, gaps between them, how certain each is. Audited.

    Example: across-cameras query journey P7 --db out.db
    """
    from pipeline.cli.filters import Typed
    from pipeline.cli.show import show_journey

    typed = Typed(camera, None, since, until)
    visits = show_journey(db, person, out, typed=typed, version=version, limit=limit, after=after, json=json)
    raise typer.Exit(DONE if visits else FAILED)


def versions(db: Database, json: Json = False) -> None:
    """Every identity version: by whom it was made, and when.

    Each is a complete opinion on who is who; the newest counts, and `--version` asks for an earlier one.

    Example: across-cameras query versions --db out.db
    """
    from pipeline.cli.show import show_versions

    show_versions(db, out, json=json)


def find(
    db: Database,
    image: Annotated[Path, typer.Option("--image", help="A photograph of the person.")],
    camera: Cameras = None,
    since: Since = None,
    until: Until = None,
    person: People = None,
    limit: Annotated[
        int, typer.Option("--limit", "--top", min=1, help="At most so many, the most likely ones.")
    ] = 5,
    config: Annotated[
        Path | None,
        typer.Option(help="A .yaml configuration; its networks count instead of the last run's."),
    ] = None,
    json: Json = False,
) -> None:
    """From a photograph to the people in the database it may show, most likely first. Audited.

    It is compared by the networks that the database's last run used.

    Example: across-cameras find --db out.db --image person.jpg --from yesterday
    """
    from pipeline.cli.filters import Typed
    from pipeline.cli.show_found import show_find
    from pipeline.config import load_config

    settings = load_config(config) if config else None
    typed = Typed(camera, person, since, until)
    found = show_find(db, image, settings, out, err, typed=typed, limit=limit, json=json)
    raise typer.Exit(DONE if found else FAILED)
