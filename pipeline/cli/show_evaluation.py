"""What the ruler measured, for people at a terminal and, as JSON, for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipeline.cli.tables import plain_table, print_json, print_table
from pipeline.cli.wording import count_text
from pipeline.evaluate.evaluation import Coverage, Evaluation, evaluate
from pipeline.evaluate.labelled_box import TruthError
from pipeline.evaluate.tracking_score import TrackingScore
from pipeline.evaluate.truth import read_truth
from pipeline.store.cameras import stored_cameras
from pipeline.store.database import Store
from pipeline.store.open_store import open_store


def show_evaluation(
    database: str,
    truth: Path,
    out: Console,
    *,
    coverage: Coverage = "complete",
    first_frame: int = 1,
    frames: str | None = None,
    version: int | None = None,
    plots: Path | None = None,
    json: bool = False,
) -> None:
    """Measure a database against truth and print it; with `plots`, also draw it into that folder.

    Args:
        database: file or URL.
        truth: folder or file, see `evaluate.truth`.
        out: where it is printed.
        coverage: see `evaluation.Coverage`.
        first_frame: number the truth gives a recording's first frame.
        frames: "FIRST-LAST" in the truth's numbers; None for all.
        version: an identity version; None for the newest.
        plots: a folder for pictures.
        json: for programs.

    Raises:
        TruthError, StoreError, RenderError: see there.
    """
    limits = parse_frames(frames, first_frame) if frames else None
    with open_store(database) as store:
        names = [camera.name for camera in stored_cameras(store)]
        labelled = read_truth(truth, names, first_frame=first_frame)
        measured = evaluate(store, labelled, coverage=coverage, frames=limits, version=version)
        drawn = draw(store, measured, plots)
    if json:
        print_json(out, measured)
        return
    print_evaluation(measured, out)
    for path in drawn:
        out.print(Text(str(path)))


def parse_frames(text: str, first_frame: int) -> range:
    """The 0-based frames of "FIRST-LAST".

    Raises:
        TruthError: not two numbers in order.
    """
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if not match or int(match[1]) > int(match[2]):
        raise TruthError(f"--frames {text}: write FIRST-LAST, such as 1-320")
    return range(int(match[1]) - first_frame, int(match[2]) - first_frame + 1)


def draw(store: Store, measured: Evaluation, folder: Path | None) -> list[Path]:
    """The pictures that were written."""
    if folder is None:
        return []
    from pipeline.evaluate.pictures import draw_evaluation

    return draw_evaluation(store, measured, folder)


def print_evaluation(measured: Evaluation, out: Console) -> None:
    """Print all of it, the most important last."""
    cameras = plain_table(
        "camera", "ids are", "recall", "precision", "MOTA", "IDF1", "HOTA", "switches", "ids"
    )
    for camera in measured.cameras:
        cameras.add_row(camera.camera, "tracks", *tracking_row(camera.tracks))
        cameras.add_row("", "identities", *tracking_row(camera.identities))
    print_table(out, cameras, empty="no camera")
    if measured.unlabelled:
        out.print(Text(f"without truth: {', '.join(measured.unlabelled)}", style="dim"))
    for line in (*wrong_lines(measured), "", *link_lines(measured)):
        out.print(Text(line))


def tracking_row(score: TrackingScore) -> Sequence[str]:
    """The figures of one camera."""
    shares = (score.recall, score.precision, score.mota, score.idf1, score.hota)
    ids = f"{score.ids} for {count_text(score.people, 'person', 'people')}"
    return [*map(share, shares), str(score.switches), ids]


def share(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def wrong_lines(measured: Evaluation) -> list[str]:
    """Every split, merge and jump with its tracklets."""
    lines = [""] if measured.splits or measured.merges or measured.jumps else []
    for split in measured.splits:
        parts = (f"P{identity} ({numbers(held)})" for identity, held in split.tracklets.items())
        lines.append(f"split: person {split.person} is {', '.join(parts)}")
    for merge in measured.merges:
        parts = (f"person {person} ({numbers(held)})" for person, held in merge.tracklets.items())
        lines.append(f"merge: P{merge.identity} is {', '.join(parts)}")
    for jump in measured.jumps:
        parts = (f"person {person} ({count_text(n, 'box', 'boxes')})" for person, n in jump.boxes.items())
        lines.append(f"jump: {jump.camera} one track ({numbers(jump.tracklets)}) shows {', '.join(parts)}")
    return lines


def numbers(tracklets: Sequence[int]) -> str:
    """Tracklets as t1 t2."""
    return " ".join(f"t{tracklet}" for tracklet in tracklets)


def link_lines(measured: Evaluation) -> list[str]:
    """Linking across cameras and how honest it is."""
    pairs, who, sure, unsure = measured.pairs, measured.identities, measured.confidence, measured.ambiguous
    across, filed = measured.across, measured.pairs_as_filed
    return [
        f"across cameras: IDF1 {share(across.idf1)}, HOTA {share(across.hota)}, "
        f"reid-hota {share(across.reid_hota)} "
        f"(identity version {measured.version}, {measured.coverage} truth)",
        f"  of these tracks: IDF1 {share(measured.idf1_unlinked)} unlinked, "
        f"{share(measured.idf1_perfect)} linked perfectly",
        f"pairs across cameras: precision {share(pairs.precision)}, recall {share(pairs.recall)} "
        f"({pairs.right} right of {pairs.said} said and {pairs.true} true)",
        f"  with ambiguous links as filed: precision {share(filed.precision)}, recall {share(filed.recall)} "
        f"({filed.right} right of {filed.said} said)",
        f"identities: purity {share(who.purity)}, completeness {share(who.completeness)}, track purity "
        f"{share(who.track_purity)} ({who.identities} identities for {who.people} people)",
        f"ambiguous: {unsure.decisions}, of which {unsure.right} right, "
        f"{unsure.runner_up_right} by the runner-up",
        f"stated probability: ECE {share(sure.ece)} (honest ones by chance: {share(sure.honest_ece)}), "
        f"Brier {share(sure.brier)} "
        f"(base rate {share(sure.base_brier)}) over {count_text(sure.decisions, 'link')}",
    ]
