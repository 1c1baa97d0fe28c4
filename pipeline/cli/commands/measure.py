"""Commands that measure: against labelled truth, truth from an operator's answers, and a made-up scene."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.options import Database, Json, Out, Version, fail, out


def evaluate(
    db: Database,
    truth: Annotated[
        Path, typer.Option("--truth", help="Folder with gt_<camera>.txt (MOT), .csv, .xml or .json.")
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Only some people are labelled: ignore what matches no label.")
    ] = False,
    first_frame: Annotated[
        int, typer.Option(min=0, max=1, help="Number the truth gives the first frame: 1, or 0.")
    ] = 1,
    frames: Annotated[str | None, typer.Option(help="Only these frames of the truth, such as 1-320.")] = None,
    version: Version = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for a calibration plot and pictures of every wrong link.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure tracks and identities against labelled truth: MOTA, IDF1, HOTA, every wrong link."""
    from pipeline.cli.show_evaluation import show_evaluation

    show_evaluation(
        db,
        truth,
        out,
        coverage="partial" if partial else "complete",
        first_frame=first_frame,
        frames=frames,
        version=version,
        plots=plots,
        json=json,
    )


def annotate(
    db: Database,
    out_path: Out,
    trust: Annotated[
        Literal["confirmed", "everything"], typer.Option(help="Which links are taken for true.")
    ] = "confirmed",
    json: Json = False,
) -> None:
    """Write truth files (gt_<camera>.txt) from what an operator confirmed, to measure with `evaluate`."""
    from pipeline.cli.show_corrections import show_annotate

    show_annotate(db, out_path, trust, out, json=json)


def demo(
    out_path: Annotated[Path, typer.Option("--out", help="Folder for the scene and its results.")] = Path(
        "out/demo"
    ),
) -> None:
    """The whole pipeline on a two-camera scene with known truth, made on the spot: truth against found."""
    from pipeline.cli.progress import TerminalListener
    from pipeline.demo.demo import run_demo

    try:
        out_path.mkdir(parents=True, exist_ok=True)
        code = run_demo(out_path, console=out, listener=TerminalListener(out))
    except OSError as error:
        fail(f"{error.filename or out_path}: {error.strerror or error}")
    raise typer.Exit(code)
