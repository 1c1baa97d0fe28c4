"""Commands that write what was found: files for other programs, videos and sheets."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline.cli.options import Database, Out, Overwrite, Version, err, out


def export(
    db: Database,
    out_path: Out,
    format: Annotated[Literal["mot", "csv", "json", "parquet"], typer.Option("--format")] = "csv",
    version: Version = None,
    overwrite: Overwrite = False,
) -> None:
    """Write tracks for other programs. mot: OUT/CAMERA.txt; others: OUT/tracks.csv, or OUT where so named.

    mot, csv and parquet have one row for each person and frame; a box interpolated between two detections has
    confidence 0. json has one entry for each tracklet and no boxes.
    """
    from pipeline.cli.show import show_export

    show_export(db, out_path, format, out, version=version, overwrite=overwrite)


def render(
    db: Database,
    out_path: Out,
    camera: Annotated[list[str] | None, typer.Option(help="Only these cameras; may be repeated.")] = None,
    person: Annotated[list[str] | None, typer.Option(help="Only these people; may be repeated.")] = None,
    version: Version = None,
) -> None:
    """Draw what was found: an annotated video per camera, a contact sheet per person."""
    from pipeline.cli.show import show_render

    raise typer.Exit(show_render(db, out_path, err, cameras=camera, people=person, version=version))
