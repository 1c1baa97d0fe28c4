"""Pictures of what the ruler measured: the calibration plot, and a sheet of crops for every wrong link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from pipeline.evaluate.confidence import Confidence
from pipeline.evaluate.evaluation import Evaluation
from pipeline.queries.pictures.contact_sheets import RenderError, save_picture
from pipeline.queries.pictures.crops import tracklet_portraits
from pipeline.queries.pictures.drawing import Colour, colour_of, contact_sheet
from pipeline.store.audit import audit
from pipeline.store.database import Store

Group = tuple[str, Sequence[int]]
"""A heading and the tracklets under it."""


def draw_evaluation(store: Store, measured: Evaluation, folder: Path) -> list[Path]:
    """Write calibration.png, and split_*.jpg, merge_*.jpg, jump_*.jpg; the files that were written. Audited.

    Raises:
        RenderError: the folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RenderError(f"{folder}: cannot be made: {error.strerror}") from error
    audit(store, "export", str(folder.resolve()), {"format": "evaluate", "version": measured.version})
    paths = [draw_calibration(measured.confidence, folder / "calibration.png")]
    for name, title, colour, groups in wrong_links(measured):
        sheet = [(heading, tracklet_portraits(store, tracklets)) for heading, tracklets in groups]
        paths.append(folder / f"{name}.jpg")
        save_picture(paths[-1], contact_sheet(title, sheet, colour))
    return paths


def wrong_links(measured: Evaluation) -> Iterator[tuple[str, str, Colour, list[Group]]]:
    """File name, title, colour and groups of tracklets of everything that went wrong."""
    for split in measured.splits:
        groups = headed("filed under P{}", split.tracklets)
        yield f"split_{split.person}", f"Person {split.person} was split", colour_of(split.person), groups
    for merge in measured.merges:
        groups = headed("person {}", merge.tracklets)
        yield (
            f"merge_P{merge.identity}",
            f"P{merge.identity} merges people",
            colour_of(merge.identity),
            groups,
        )
    for jump in measured.jumps:
        shown = ", ".join(f"person {person} in {boxes}" for person, boxes in jump.boxes.items())
        title = f"{jump.camera}: one track jumps between people"
        yield (
            f"jump_{jump.camera}_t{jump.tracklets[0]}",
            title,
            colour_of(None),
            [(f"boxes: {shown}", jump.tracklets)],
        )


def headed(heading: str, tracklets: Mapping[int, Sequence[int]]) -> list[Group]:
    """Groups by number under a heading each."""
    return [(heading.format(number), held) for number, held in tracklets.items()]


def draw_calibration(measured: Confidence, path: Path) -> Path:
    """Stated probability against the share that is right, with how many links each point stands for.

    Raises:
        RenderError: it cannot be written.
    """
    figure, axes = plt.subplots(figsize=(5, 5), dpi=120, layout="constrained")
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="honest")
    stated, right = [part.stated for part in measured.bins], [part.right for part in measured.bins]
    axes.plot(stated, right, marker="o", color="tab:blue", label=f"{measured.decisions} links")
    for part in measured.bins:
        axes.annotate(str(part.decisions), (part.stated, part.right), (3, 4), textcoords="offset points")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="stated probability", ylabel="share that is right")
    ece = "no link to judge" if measured.ece is None else f"ECE {measured.ece:.3f}"
    axes.set_title(f"Is the stated confidence honest? {ece}")
    axes.legend(loc="upper left")
    try:
        figure.savefig(path)
    except OSError as error:
        raise RenderError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        plt.close(figure)
    return path
