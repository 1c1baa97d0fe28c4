"""Commands that say who is who: by a word of an operator, or by comparing everything again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Cameras, Database, Json, Limit, People, Since, Until, err, out
from pipeline.config import Config, load_config

GIVES_WAY = 10
"""Re-clustering takes all of a processor; the cameras of a run that goes on come first (see `nice`)."""


def merge(
    people: Annotated[list[str], typer.Argument(help="P3 P7: all become the first.")], db: Database
) -> None:
    """Say that people are one.

    Example: across-cameras correct merge P3 P7 --db out.db
    """
    from pipeline.cli.show_corrections import show_merge

    show_merge(db, people, out, err)


def split(
    person: Annotated[str, typer.Argument(help="P3")],
    tracklets: Annotated[list[str], typer.Argument(help="t12 t15: they become a new person.")],
    db: Database,
) -> None:
    """Say that some tracklets of a person show somebody else.

    Example: across-cameras correct split P3 t12 t15 --db out.db
    """
    from pipeline.cli.show_corrections import show_split

    show_split(db, person, tracklets, out, err)


def undo(
    db: Database,
    correction: Annotated[int | None, typer.Argument(help="Its number; the last if left out.")] = None,
) -> None:
    """Take back a correction or an answer of a review.

    Example: across-cameras correct undo --db out.db
    """
    from pipeline.cli.show_corrections import show_undo

    show_undo(db, correction, out, err)


def history(db: Database, json: Json = False) -> None:
    """Everything that was corrected, answered and undone.

    Example: across-cameras correct history --db out.db
    """
    from pipeline.cli.show_corrections import show_corrections

    show_corrections(db, out, json=json)


def review(
    db: Database,
    pictures: Annotated[
        Path, typer.Option("--pictures", help="Folder for the side-by-side pictures.")
    ] = Path("out/review"),
    below: Annotated[
        float, typer.Option(min=0, max=1, help="Also ask about links stated to be less probable than this.")
    ] = 0.0,
    camera: Cameras = None,
    since: Since = None,
    until: Until = None,
    person: People = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Ask about every ambiguous link: same, different or not sure. Answers survive re-clustering; audited.

    Example: across-cameras review --db out.db --camera hall --limit 20
    """
    from pipeline.cli.filters import Typed
    from pipeline.cli.show_corrections import show_review

    typed = Typed(camera, person, since, until)
    show_review(db, pictures, out, err, typed=typed, limit=limit, below=below, json=json)


def recluster(
    db: Database,
    config: Annotated[Path | None, typer.Option(help="A .yaml configuration; its `matcher` counts.")] = None,
    json: Json = False,
) -> None:
    """Compare everything with everything: better identities, as a new version, each change explained.

    Example: across-cameras recluster --db out.db
    """
    from pipeline.cli.show_recluster import show_recluster

    settings = load_config(config) if config else Config()
    os.nice(GIVES_WAY)
    show_recluster(db, settings.matcher, out, json=json)
