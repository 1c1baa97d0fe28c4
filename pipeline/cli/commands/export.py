"""Commands that write what was found: files for other programs, videos and sheets."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline.cli.exit_codes import DONE, FAILED
from pipeline.cli.options import (
    Cameras,
    Database,
    Limit,
    Out,
    Overwrite,
    People,
    Since,
    Until,
    Version,
    err,
    out,
)


def export(
    db: Database,
    out_path: Out,
    format: Annotated[
        Literal["mot", "csv", "json", "parquet"], typer.Option("--format", help="What is written.")
    ] = "csv",
    camera: Cameras = None,
    since: Since = None,
    until: Until = None,
    person: People = None,
    limit: Limit = None,
    version: Version = None,
    overwrite: Overwrite = False,
) -> None:
    """Write tracks for other programs. mot: OUT/CAMERA.txt; others: OUT/tracks.csv, or OUT where so named.

    mot, csv and parquet have one row for each person and frame; a box interpolated between two detections has
    confidence 0. json has one entry for each tracklet and no boxes. --limit counts rows.

    Example: across-cameras export --db out.db --out hall.csv --camera hall --from 2026-01-31
    """
    from pipeline.cli.filters import Typed
    from pipeline.cli.show_files import show_export

    typed = Typed(camera, person, since, until)
    rows = show_export(
        db, out_path, format, out, typed=typed, version=version, limit=limit, overwrite=overwrite
    )
    raise typer.Exit(DONE if rows else FAILED)


def render(
    db: Database,
    out_path: Out,
    camera: Cameras = None,
    since: Since = None,
    until: Until = None,
    person: People = None,
    limit: Limit = None,
    version: Version = None,
) -> None:
    """Draw what was found: an annotated video per camera, a contact sheet per person.

    The recordings must still be where they were read. --limit counts people.

    Example: across-cameras render --db out.db --out pictures --person P7
    """
    from pipeline.cli.filters import Typed
    from pipeline.cli.show_files import show_render

    typed = Typed(camera, person, since, until)
    raise typer.Exit(show_render(db, out_path, err, typed=typed, version=version, limit=limit))
