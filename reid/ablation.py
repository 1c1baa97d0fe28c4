"""What each idea beyond the paper is worth on people held out: `python -m reid.ablation --help`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from reid.data.augment import degrade
from reid.data.datasets import HELDOUT_LIST, read_heldout
from reid.data.samples import Sample
from reid.evaluate import percent, spread
from reid.fpr.distance import RIDGE, prepare
from reid.progress import one_line_errors, show, watch
from reid.scoring.benchmarks import (
    HELDOUT,
    HELDOUT_SHARES,
    Benchmark,
    Queries,
    benchmarks_of,
    heldout,
    limited,
    ranked,
)
from reid.scoring.embeddings import Embeddings, open_embeddings
from reid.scoring.methods import hidden_shares, pooled_distances, reconstruction_distances
from reid.scoring.rank import Interval, gain
from reid.sets.fusion import fused, standardized
from reid.sets.tracklets import BEST_SHARE, CropEmbedding, as_probe

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Matrix = NDArray[np.floating[Any]]  # (Q, G)
Members = Sequence[Sequence[int]]
"""Places in the gallery, of each person and camera."""
HALF = 0.5
"""Part of a body, from above, in the test of the input's aspect."""


@dataclass(frozen=True)
class Result:
    """One idea on one benchmark; shares, 0..1."""

    idea: str
    against: str
    """What it replaces."""
    covered: float
    mAP: float
    gain: Interval
    """In mAP over what it replaces, paired by query; significant where the interval leaves out 0."""


@dataclass(frozen=True)
class Case:
    """A benchmark with what every idea needs."""

    benchmark: Benchmark
    network: Embeddings
    probes: Sequence[CropEmbedding]
    gallery: Sequence[CropEmbedding]
    pooled: Matrix
    dsr: Matrix
    fpr: Matrix

    def fused(self, fpr: Matrix) -> Matrix:
        """The shipped fusion with another reconstruction distance."""
        return fused(self.pooled, fpr, hidden_shares(self.network, self.benchmark.queries, self.probes))

    def compare(self, idea: str, against: str, mine: Matrix, other: Matrix) -> Result:
        """A distance against the one it replaces."""
        return compared(self.benchmark, idea, against, mine, other)


def open_case(network: Embeddings, benchmark: Benchmark) -> Case:
    """Embed and compare."""
    probes, gallery = network.of(benchmark.queries, "queries"), network.of(benchmark.gallery, "gallery")
    dsr, fpr = reconstruction_distances(probes, prepare([e.cells for e in gallery]), watch)
    return Case(benchmark, network, probes, gallery, pooled_distances(probes, gallery), dsr, fpr)


def compared(benchmark: Benchmark, idea: str, against: str, mine: Matrix, other: Matrix) -> Result:
    """A distance against another on the same queries."""
    new, old = ranked(benchmark, mine), ranked(benchmark, other)
    return Result(idea, against, benchmark.covered, float(new.ap.mean()), gain(new.ap, old.ap))


def fusions(case: Case) -> list[Result]:
    """Ways to add both distances, against pooled cosine."""
    ways: dict[str, Matrix] = {
        "fused, as it ships": case.fused(case.fpr),
        "plain standardised sum": standardized(case.pooled) + standardized(case.fpr),
        "half and half, not standardised": case.pooled + case.fpr,
        "fused with uniform weights": case.fused(case.dsr),
        "fpr alone": case.fpr,
    }
    return [case.compare(way, "pooled", matrix, case.pooled) for way, matrix in ways.items()]


def reconstructions(case: Case) -> list[Result]:
    """Other reconstruction distances, alone and fused, each against the shipped one."""
    back = backward(case)
    ways: dict[str, Matrix] = {
        "gallery gated by its foreground": gated(case),
        "both directions averaged": (case.fpr + back) / 2,
        "gallery explained by the probe": back,
        "flipped probe averaged": (case.fpr + flipped(case)) / 2,
    }
    alone = [case.compare(way, "fpr", matrix, case.fpr) for way, matrix in ways.items()]
    base = case.fused(case.fpr)
    both = [case.compare(f"{way}, fused", "fused", case.fused(d), base) for way, d in ways.items()]
    return alone + both


def gated(case: Case) -> Matrix:
    """FPR where a gallery cell explains less, the less it shows its person: columns times sqrt(h)."""
    cells = [e.cells * np.sqrt(as_probe(e)[1])[:, None] for e in case.gallery]
    return reconstruction_distances(case.probes, prepare(cells), watch)[1]


def backward(case: Case) -> Matrix:
    """How badly each probe explains each gallery picture, by the gallery's foreground."""
    return reconstruction_distances(case.gallery, prepare([e.cells for e in case.probes]), watch)[1].T


def flipped(case: Case) -> Matrix:
    """FPR of the mirrored probes."""
    mirrored = [redrawn(sample, lambda image: image[:, ::-1]) for sample in case.benchmark.queries]
    prepared = prepare([e.cells for e in case.gallery])
    return reconstruction_distances(case.network.of(mirrored, "flipped"), prepared, watch)[1]


def aspects(case: Case) -> list[Result]:
    """Upper halves of the queries: fed at their own aspect, against stretched to a whole body's."""
    halves = [redrawn(sample, upper_half) for sample in case.benchmark.queries]
    stretched = [redrawn(half, twice_as_high) for half in halves]
    found = {}
    for name, pictures in (("native", halves), ("stretched", stretched)):
        cut = open_case(case.network, replace(case.benchmark, queries=pictures))
        found[name] = {"pooled": cut.pooled, "fpr": cut.fpr, "fused": cut.fused(cut.fpr)}
    old = found["stretched"]
    return [
        case.compare(f"half bodies at native aspect, {method}", "stretched", matrix, old[method])
        for method, matrix in found["native"].items()
    ]


def upper_half(image: Image) -> Image:
    """The part of a picture above the waist or so."""
    return image[: max(1, round(HALF * len(image)))]


def twice_as_high(image: Image) -> Image:
    """The picture stretched to a whole body's aspect."""
    return np.asarray(cv2.resize(image, (image.shape[1], 2 * image.shape[0])), np.uint8)


def sets(case: Case) -> list[Result]:
    """A probe against all crops of a person in a camera: ways to make one distance of many."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, sample in enumerate(case.benchmark.gallery):
        groups.setdefault((sample.pid, sample.camera), []).append(place)
    members = list(groups.values())
    people = replace(case.benchmark, gallery=[case.benchmark.gallery[places[0]] for places in members])
    both: Matrix = (case.fpr + backward(case)) / 2
    nearest = by_group(case.fpr, members, nearest_mean)
    ways = {
        "mean of all crops": by_group(case.fpr, members, lambda block: block.mean(1)),
        "the nearest crop": by_group(case.fpr, members, lambda block: block.min(1)),
        "nearest half, both directions": by_group(both, members, nearest_mean),
        "union of the views as one dictionary": union(case, members, RIDGE),
        "union, ridge times the views": union(case, members, RIDGE * 4),
    }
    return [compared(people, f"sets: {way}", "nearest half", matrix, nearest) for way, matrix in ways.items()]


def by_group(distances: Matrix, members: Members, merge: Callable[[Matrix], Matrix]) -> Matrix:
    """(Q, groups) one distance for the columns of each group."""
    return np.stack([merge(distances[:, places]) for places in members], axis=1)


def nearest_mean(block: Matrix) -> Matrix:
    """(Q,) mean of the nearest BEST_SHARE of (Q, K) distances."""
    result: Matrix = np.sort(block, axis=1)[:, : max(1, round(block.shape[1] * BEST_SHARE))].mean(1)
    return result


def union(case: Case, members: Members, ridge: float) -> Matrix:
    """FPR where all crops of a group explain together."""
    cells = [np.concatenate([case.gallery[place].cells for place in places]) for places in members]
    return reconstruction_distances(case.probes, prepare(cells, ridge=ridge), watch)[1]


def trainings(new: Case, old: Case) -> list[Result]:
    """Two trained networks on the same crops: what the first one's recipe is worth over the other's."""
    pairs = {
        "pooled": (new.pooled, old.pooled),
        "fpr": (new.fpr, old.fpr),
        "fused": (new.fused(new.fpr), old.fused(old.fpr)),
    }
    against = old.network.model_id
    return [new.compare(f"other training, {way}", against, mine, its) for way, (mine, its) in pairs.items()]


def spoiled(benchmark: Benchmark) -> Benchmark:
    """The benchmark with its queries as a poor camera or other light would show them."""
    rng = np.random.default_rng(round(100 * benchmark.covered))
    queries = [redrawn(sample, lambda image: degrade(image, rng)) for sample in benchmark.queries]
    return replace(benchmark, name=f"{benchmark.name}, poor cameras", queries=queries)


def redrawn(sample: Sample, draw: Callable[[Image], Image]) -> Sample:
    """The sample with another picture."""
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(draw(sample.image)[..., ::-1]))
    return replace(sample, encoded=encoded.tobytes())


GROUPS: dict[str, Callable[[Case], list[Result]]] = {
    "fusion": fusions,
    "reconstruction": reconstructions,
    "aspect": aspects,
    "sets": sets,
}


def main(
    weights: Annotated[Path, typer.Option(help="Checkpoint (.safetensors).")],
    root: Annotated[Path, typer.Option(help="Folder that holds the data sets.")],
    dataset: Annotated[
        str, typer.Option(help="heldout, or a test set: to report, never to choose.")
    ] = HELDOUT,
    queries: Annotated[Queries, typer.Option(help="Query set of partial_reid.")] = Queries.PARTIAL,
    group: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(GROUPS)}; default: all.")] = None,
    covered: Annotated[
        list[float] | None, typer.Option(help="Shares covered of heldout; default: 0 and 0.5.")
    ] = None,
    backbone: Annotated[Path | None, typer.Option(help="Foreign network of a head's weights.")] = None,
    instead_of: Annotated[
        Path | None, typer.Option(help="Only what --weights gain over this other checkpoint.")
    ] = None,
    poor: Annotated[
        bool, typer.Option("--poor", help="Queries in other light and from poor cameras.")
    ] = False,
    max_queries: Annotated[int | None, typer.Option(min=1, help="So many, evenly spread.")] = None,
    heldout_list: Annotated[Path, typer.Option(help="People kept out of training.")] = HELDOUT_LIST,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Scores ideas beyond the paper on people held out; one that needs training by two checkpoints."""
    chosen = group or list(GROUPS)
    shares = covered or [0.0, 0.5]
    if covered and dataset != HELDOUT:
        raise typer.BadParameter(f"--covered goes with --dataset {HELDOUT}")
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown or not set(shares) <= set(HELDOUT_SHARES):
        raise typer.BadParameter(
            f"groups: {', '.join(GROUPS)}; shares: {', '.join(map(str, HELDOUT_SHARES))}"
        )
    with one_line_errors():
        people = read_heldout(heldout_list)
        whole = (
            [heldout(root, people, share) for share in shares]
            if dataset == HELDOUT
            else benchmarks_of(dataset, root, queries, people)
        )
        benchmarks = [limited(benchmark, max_queries) for benchmark in whole]
        benchmarks = [spoiled(benchmark) if poor else benchmark for benchmark in benchmarks]
        network = open_embeddings(weights, backbone=backbone, folder=cache)
        cases = [open_case(network, benchmark) for benchmark in benchmarks]
        if instead_of is not None:
            other = open_embeddings(instead_of, backbone=backbone, folder=cache)
            results = [r for case in cases for r in trainings(case, open_case(other, case.benchmark))]
        else:
            results = [result for case in cases for name in chosen for result in GROUPS[name](case)]
    if json_output:
        typer.echo(json.dumps({"model": network.model_id, "rows": [as_row(result) for result in results]}))
        return
    table = Table("idea", "instead of", "covered", "mAP", "gain in mAP", title=cases[0].benchmark.name)
    for one in results:
        table.add_row(
            one.idea, one.against, f"{one.covered:.0%}", str(percent(one.mAP)), spread(one.gain, sign="+")
        )
    show(table)


def as_row(result: Result) -> dict[str, str | float]:
    """The result in percent."""
    numbers = {"covered": result.covered, "mAP": result.mAP}
    numbers |= {f"gain_{name}": value for name, value in asdict(result.gain).items()}
    plain = {name: percent(value) for name, value in numbers.items()}
    return {"idea": result.idea, "against": result.against, **plain}


if __name__ == "__main__":
    typer.run(main)
