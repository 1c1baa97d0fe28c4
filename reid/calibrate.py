"""Fits the probability of the same person on people held out: `python -m reid.calibrate --help`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.optimize import minimize

from reid.data.datasets import HELDOUT_LIST, load_heldout, read_heldout
from reid.data.samples import Sample
from reid.progress import batches, one_line_errors
from reid.scoring.benchmarks import by_person_and_camera, cover
from reid.scoring.embeddings import Embedder
from reid.sets.pair_slopes import Named, fit_pairs, stated_pairs
from reid.sets.tracklets import (
    FEATURES,
    Calibration,
    Comparison,
    CropEmbedding,
    TrackletGallery,
    compare,
    features,
    probability,
    strangers,
)

TRACKLET_CROPS = 5
"""As many as the product keeps of a tracklet (`tracklets.crops`)."""
COVERED = (0.0, 0.0, 0.25, 0.5)
"""Shares of the crops of a tracklet that are covered; drawn for each tracklet."""
STRANGERS = (1, 40)
"""Fewest and most strangers in the gallery of a decision; drawn evenly on a logarithmic scale."""
PRESENT = 0.5
"""Chance that the person was seen before: a camera system meets new people all the time."""
NEAREST = 12
"""Candidates of a decision."""
DRAWS = 2
"""Decisions made for each tracklet, with different galleries."""
PENALTY = 1e-4
BOUNDS = {"cosine": (None, 0), "fpr": (None, 0), "cosine_gap": (None, 0), "fpr_gap": (None, 0)}
"""No distance may make a link more probable by growing."""
BINS = 10
SEED = 0
CAMERAS = 100
"""More than any data set has."""


class WeightsChanged(ValueError):
    """Somebody wrote the checkpoint while it was being calibrated."""


Tracklet = Named
"""One person's crops in one camera."""


@dataclass(frozen=True)
class Decision:
    """A probe and the candidates nearest to it."""

    comparison: Comparison
    same: NDArray[np.bool_]  # (I,) whether a candidate is the probe's person
    present: bool
    """Whether the person is in the gallery at all."""
    known: int
    """Identities in the gallery."""


@dataclass(frozen=True)
class Quality:
    """How good the probabilities are on people they were not fitted on; links are made from 0.5 on."""

    decisions: int
    present: float
    """Share of decisions whose person was in the gallery."""
    precision: float
    """Links that are right."""
    recall: float
    """Of the people who were in the gallery, those linked right."""
    ece: float
    """Expected calibration error of the best candidate's probability, 10 bins of equal count."""
    brier: float
    """Mean squared error of the best candidate's probability."""


def calibrate(tracklets: Sequence[Tracklet]) -> tuple[Calibration, Quality]:
    """Coefficients fitted on everyone, and their quality measured on each half after fitting on the other."""
    halves: list[list[Decision]] = [
        decisions([t for t in tracklets if t.person % 2 == half], np.random.default_rng(SEED + half))
        for half in (0, 1)
    ]
    fits = [fit(half) for half in halves]
    judged = [(made, fits[1 - half]) for half in (0, 1) for made in halves[half]]
    return fit([*halves[0], *halves[1]]), quality(judged)


def decisions(tracklets: Sequence[Tracklet], rng: np.random.Generator) -> list[Decision]:
    """Link decisions as the matcher meets them: the nearest of some dozens, the right one often missing.

    The person's own exemplars come from other cameras; strangers' from all, the probe's camera included.
    """
    found = []
    for source in sorted({tracklet.source for tracklet in tracklets}):
        local = [tracklet for tracklet in tracklets if tracklet.source == source]
        gallery = gallery_of(local)
        found += [decision(probe, gallery, rng) for _ in range(DRAWS) for probe in local]
    return [one for one in found if one is not None]


def gallery_of(tracklets: Sequence[Tracklet]) -> TrackletGallery:
    """Every person as seen by all cameras, and once more for each camera left out (`seen_without`)."""
    gallery = TrackletGallery()
    for tracklet in tracklets:
        gallery.append(seen_without(tracklet.person, 0), tracklet.crops)
        for camera in {other.camera for other in tracklets if other.person == tracklet.person}:
            if camera != tracklet.camera:
                gallery.append(seen_without(tracklet.person, camera), tracklet.crops)
    return gallery


def seen_without(person: int, camera: int) -> int:
    """The gallery's number of a person as the other cameras saw it; camera 0: as all of them did."""
    return CAMERAS * person + camera


def decision(probe: Tracklet, gallery: TrackletGallery, rng: np.random.Generator) -> Decision | None:
    """One probe against people drawn for it; None where nobody is left."""
    others = [i for i in gallery.rows if i % CAMERAS == 0 and i // CAMERAS != probe.person]
    count = round(float(np.exp(rng.uniform(*np.log(STRANGERS)))))
    drawn = set(rng.permutation(others)[:count].tolist())
    mine = seen_without(probe.person, probe.camera)
    present = mine in gallery.rows and rng.random() < PRESENT
    known = drawn | {mine} if present else drawn
    nearest = gallery.shortlist(probe.crops, NEAREST, known.__contains__)
    if not nearest:
        return None
    comparison = compare(probe.crops, gallery, nearest)
    return Decision(comparison, comparison.identities == mine, present, len(known))


def fit(learnt: Sequence[Decision]) -> Calibration:
    """The logistic model of P(same person | features).

    Fitted on all candidates, then again on the best one of each decision: only that one can be linked, so its
    probability is the one that must be right.

    Raises:
        ValueError: no decision, or none with the right person or none with a wrong one.
    """
    first = fit_candidates(learnt, [np.arange(len(d.same)) for d in learnt])
    best = [np.array([probability(d.comparison, first).argmax()]) for d in learnt]
    return fit_candidates(learnt, best)


def fit_candidates(learnt: Sequence[Decision], chosen: Sequence[NDArray[np.intp]]) -> Calibration:
    """The regularised logistic model of the chosen candidates of each decision.

    Raises:
        ValueError: see `fit`.
    """
    same = np.array([right for d, rows in zip(learnt, chosen, strict=True) for right in d.same[rows]])
    if same.all() or not same.any():
        raise ValueError(f"{same.sum()} right candidates of {same.size}: cannot fit a probability")
    typical = [typical_stranger(learnt, name) for name in ("cosine", "fpr")]
    table = np.concatenate(
        [features(d.comparison, *typical)[rows] for d, rows in zip(learnt, chosen, strict=True)]
    )  # (R, F)
    mean, deviation = table.mean(0), np.maximum(table.std(0), 1e-9)
    scaled = np.column_stack([(table - mean) / deviation, np.ones(len(table))])

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = scaled @ w
        free = np.append(w[:-1], 0)
        slope = scaled.T @ (1 / (1 + np.exp(-logits)) - same) / len(same) + 2 * PENALTY * free
        return float((np.logaddexp(0, logits) - same * logits).mean() + PENALTY * free @ free), slope

    bounds = [*(BOUNDS.get(name, (None, None)) for name in FEATURES), (None, None)]
    w = minimize(loss, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = w[:-1] / deviation
    named = dict(zip(FEATURES, map(float, slopes), strict=True))
    return Calibration(
        **named, intercept=float(w[-1] - mean @ slopes), stranger_cosine=typical[0], stranger_fpr=typical[1]
    )


def typical_stranger(learnt: Sequence[Decision], name: str) -> float:
    """The median distance of the strangers that candidates must beat, where a gallery has many."""
    full = [getattr(d.comparison, name) for d in learnt if len(d.comparison.identities) == NEAREST]
    return float(np.median([strangers(distances, np.nan)[0] for distances in full])) if full else 1.0


def quality(judged: Sequence[tuple[Decision, Calibration]]) -> Quality:
    """What linking the best candidate from probability 0.5 on gives."""
    predicted, right = np.empty(len(judged)), np.empty(len(judged), np.bool_)
    for i, (made, calibration) in enumerate(judged):
        probabilities = probability(made.comparison, calibration)
        best = int(probabilities.argmax())
        predicted[i], right[i] = probabilities[best], made.same[best]
    linked = predicted >= 0.5
    present = np.array([made.present for made, _ in judged])
    return Quality(
        decisions=len(judged),
        present=float(present.mean()),
        precision=float(right[linked].mean()) if linked.any() else 1.0,
        recall=float((right & linked).sum() / max(present.sum(), 1)),
        ece=expected_calibration_error(predicted, right),
        brier=float(((predicted - right) ** 2).mean()),
    )


def expected_calibration_error(predicted: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Mean gap between predicted and true share over bins of equal count."""
    order = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    gaps = [len(b) * abs(predicted[b].mean() - right[b].mean()) for b in order if len(b)]
    return float(sum(gaps) / len(predicted))


def heldout_tracklets(samples: Sequence[Sample], rng: np.random.Generator) -> list[tuple[Sample, int]]:
    """Pictures of the held-out people's tracklets, some covered, each with its tracklet's number."""
    chosen: list[tuple[Sample, int]] = []
    for number, group in enumerate(by_person_and_camera(samples)):
        crops = [group[i] for i in rng.permutation(len(group))[:TRACKLET_CROPS]]
        share = float(rng.choice(COVERED))
        others = [samples[i] for i in rng.integers(len(samples), size=len(crops))]
        chosen += [
            (cover(mine, other, share, rng), number) for mine, other in zip(crops, others, strict=True)
        ]
    return chosen


def embed_tracklets(embedder: Embedder, chosen: Sequence[tuple[Sample, int]]) -> list[Tracklet]:
    """The tracklets with their crops embedded."""
    crops: dict[int, list[CropEmbedding]] = {}
    first: dict[int, Sample] = {}
    for batch in track(batches(chosen, 32), "embedding", console=Console(stderr=True)):
        embeddings = embedder.embed([sample.image for sample, _ in batch])
        for (sample, number), embedding in zip(batch, embeddings, strict=True):
            first.setdefault(number, sample)
            crops.setdefault(number, []).append(embedding)
    return [Tracklet(s.pid, s.camera, s.name.rpartition("/")[0], crops[n]) for n, s in first.items()]


def main(
    weights: Annotated[Path, typer.Option(help="Checkpoint; the calibration is written into it.")],
    root: Annotated[Path, typer.Option(help="Folder with market1501/ and reid_extra/.")],
    backbone: Annotated[
        Path | None, typer.Option(help="Foreign network, for weights that are a head.")
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Slopes of pairs of tracklets instead of fitted ones: COSINE,FPR,INTERCEPT, as "
            "benchmarks/heldout_sites.py compares them."
        ),
    ] = None,
    heldout_list: Annotated[Path, typer.Option(help="People kept out of training.")] = HELDOUT_LIST,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Fits P(same person), of tracklets and of pairs of them, on people held out of training.

    Both are written into the checkpoint; without them no run uses it.
    """
    from reid.embed import load_embedder
    from reid.network.weights import set_calibration

    with one_line_errors():
        embedder = load_embedder(weights, backbone=backbone)
        before = weights.read_bytes()
        samples = load_heldout(root, read_heldout(heldout_list))
        chosen = heldout_tracklets(samples, np.random.default_rng(SEED))
        tracklets = embed_tracklets(embedder, chosen)
        calibration, measured = calibrate(tracklets)
        if weights.read_bytes() != before:
            raise WeightsChanged(
                f"{weights} was replaced meanwhile; its calibration would be another's: run again"
            )
        slopes = stated_pairs(pairs, tracklets) if pairs else fit_pairs(tracklets)
        notes = {**calibration.as_dict(), "pairs": slopes.as_dict(), "measured": asdict(measured)}
        set_calibration(weights, notes)
    if as_json:
        typer.echo(json.dumps(notes))
        return
    table = Table("measure", "value")
    for name, value in {**asdict(measured), **{f"pairs {k}": v for k, v in slopes.as_dict().items()}}.items():
        table.add_row(name, f"{value:.4g}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
