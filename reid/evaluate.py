"""Scores of a trained network on a re-identification benchmark: `python -m reid.evaluate --help`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from reid.augment import person_patch
from reid.datasets import Sample, load_dataset, load_heldout, read_heldout
from reid.fpr import prepare, weighted_distances
from reid.rank import Interval, Ranking, bootstrap, rank
from reid.tracklets import CropEmbedding

HELDOUT_SHARES = (0.0, 0.25, 0.5, 0.75)
HELDOUT_GALLERY = 4
"""Gallery crops for each held-out person and camera; the query is one more."""
HELDOUT_LIST = Path("configs/reid/heldout.txt")
EMBED_BATCH = 32
QUERY_BATCH = 64
Item = TypeVar("Item")
Image = NDArray[np.uint8]  # (H, W, 3) RGB


class Dataset(StrEnum):
    """What can be scored."""

    MARKET1501 = "market1501"
    PARTIAL_REID = "partial_reid"
    HELDOUT = "heldout"


class Queries(StrEnum):
    """The two query sets of Partial-REID."""

    PARTIAL = "partial"
    OCCLUDED = "occluded"


class Embedder(Protocol):
    """A network as `reid.embed` wraps it."""

    def embed(self, crops: list[Image], /) -> Sequence[CropEmbedding]:
        """One embedding for each crop."""


class Watch(Protocol):
    """Passes items through and shows how far it is."""

    def __call__(self, items: Sequence[Item], name: str, /) -> Iterable[Item]:
        """The items."""


@dataclass(frozen=True)
class Benchmark:
    """Queries and the gallery they are looked up in."""

    name: str
    queries: list[Sample]
    gallery: list[Sample]


@dataclass(frozen=True)
class Score:
    """One way of measuring distance, judged."""

    distance: str
    rank1: Interval
    rank5: float
    rank10: float
    map: Interval
    map_trapezoid: float
    minp: float


@dataclass(frozen=True)
class Evaluation:
    """A benchmark's scores."""

    benchmark: str
    queries: int
    gallery: int
    scores: list[Score]


def evaluate(
    embedder: Embedder, benchmark: Benchmark, gallery: Sequence[CropEmbedding], watch: Watch
) -> Evaluation:
    """Scores of pooled cosine, DSR (uniform weights), FPR and their fusion; every gallery image is scored.

    Args:
        gallery: the benchmark's gallery, embedded.
    """
    queries = embed(embedder, benchmark.queries, watch, "queries")
    query_ids, gallery_ids = (
        np.array([s.pid for s in part]) for part in (benchmark.queries, benchmark.gallery)
    )
    query_cameras, gallery_cameras = (
        np.array([s.camera for s in part]) for part in (benchmark.queries, benchmark.gallery)
    )
    scores = [
        score(name, rank(d, query_ids, gallery_ids, query_cameras, gallery_cameras))
        for name, d in all_distances(queries, gallery, watch).items()
    ]
    return Evaluation(benchmark.name, len(queries), len(gallery), scores)


def all_distances(
    queries: Sequence[CropEmbedding], gallery: Sequence[CropEmbedding], watch: Watch
) -> dict[str, NDArray[np.float32]]:
    """(Q, G) distances by their names: pooled, dsr, fpr, fused."""
    pooled_queries, pooled_gallery = (
        np.stack([e.pooled for e in part]).astype(np.float32) for part in (queries, gallery)
    )
    pooled = 1 - pooled_queries @ pooled_gallery.T
    prepared = prepare([e.cells for e in gallery])
    blocks = []
    for batch in watch(batches(queries, QUERY_BATCH), "distances"):
        weighted = [(e.cells, np.stack([np.ones(len(e.foreground)), e.foreground])) for e in batch]
        blocks.append(weighted_distances(weighted, prepared))
    dsr, fpr = np.concatenate(blocks, axis=1)
    return {"pooled": pooled, "dsr": dsr, "fpr": fpr, "fused": standardized(pooled) + standardized(fpr)}


def standardized(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """(Q, G) distances with mean 0 and deviation 1 over each query's gallery."""
    mean, deviation = distances.mean(1, keepdims=True), distances.std(1, keepdims=True)
    result: NDArray[np.float32] = (distances - mean) / np.maximum(deviation, 1e-6)
    return result


def score(name: str, ranking: Ranking) -> Score:
    """A ranking's means, with intervals where a reader compares."""
    return Score(
        distance=name,
        rank1=bootstrap(ranking.ranks == 1),
        rank5=ranking.cmc(5),
        rank10=ranking.cmc(10),
        map=bootstrap(ranking.ap),
        map_trapezoid=float(ranking.ap_trapezoid.mean()),
        minp=float(ranking.inp.mean()),
    )


def embed(embedder: Embedder, samples: Sequence[Sample], watch: Watch, name: str) -> list[CropEmbedding]:
    """The samples' embeddings, in order; pictures are decoded batch by batch."""
    return [
        embedding
        for batch in watch(batches(samples, EMBED_BATCH), name)
        for embedding in embedder.embed([sample.image for sample in batch])
    ]


def batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """The items in runs of `size`; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def market1501(data: Path) -> Benchmark:
    """Market-1501's test protocol."""
    return Benchmark(
        "market1501", load_dataset(data, "market1501/query"), load_dataset(data, "market1501/gallery")
    )


def limited(benchmark: Benchmark, most: int | None) -> Benchmark:
    """The benchmark with its first queries only; its name says so."""
    count = len(benchmark.queries)
    if most is None or most >= count:
        return benchmark
    return replace(
        benchmark,
        name=f"{benchmark.name} (first {most} of {count} queries)",
        queries=benchmark.queries[:most],
    )


def partial_reid(data: Path, queries: Queries) -> Benchmark:
    """Partial-REID: partial or occluded bodies against whole ones."""
    name = f"partial_reid, {queries} queries"
    return Benchmark(
        name, load_dataset(data, f"partial_reid/{queries}"), load_dataset(data, "partial_reid/whole")
    )


def heldout(data: Path, people: frozenset[str], share: float) -> Benchmark:
    """People kept out of every training, one query for each camera; `share` of each query is covered."""
    groups = by_person_and_camera(load_heldout(data, people))
    queries = [group[0] for group in groups if len(group) > 1]
    gallery = [sample for group in groups for sample in group[min(1, len(group) - 1) :][:HELDOUT_GALLERY]]
    rng = np.random.default_rng(round(100 * share))
    others = [queries[(i + 1 + rng.integers(len(queries) - 1)) % len(queries)] for i in range(len(queries))]
    covered = [cover(query, other, share, rng) for query, other in zip(queries, others, strict=True)]
    return Benchmark(f"heldout, {share:.0%} of the query covered", covered, gallery)


def cover(sample: Sample, other: Sample, share: float, rng: np.random.Generator) -> Sample:
    """The sample with a piece of another over `share` of its picture: mostly from below, else from a side."""
    if share == 0:
        return sample
    picture = sample.image
    height, width = picture.shape[:2]
    if rng.random() < 0.6:
        tall, wide, top, left = round(share * height), width, height - round(share * height), 0
    else:
        tall, wide, top = height, round(share * width), 0
        left = 0 if rng.random() < 0.5 else width - wide
    picture[top : top + tall, left : left + wide] = person_patch(other.image, tall, wide, rng)
    _, encoded = cv2.imencode(".png", picture[..., ::-1])
    return replace(sample, encoded=encoded.tobytes())


def by_person_and_camera(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Each person's crops in each camera, in the order of the samples, with `pid` unique over data sets."""
    numbers: dict[str, int] = {}
    groups: dict[tuple[int, int], list[Sample]] = {}
    for sample in samples:
        person = numbers.setdefault(sample.identity, len(numbers))
        groups.setdefault((person, sample.camera), []).append(replace(sample, pid=person))
    return list(groups.values())


def render(evaluation: Evaluation) -> Table:
    """The scores as a table, in percent with 95% intervals."""
    title = f"{evaluation.benchmark}: {evaluation.queries} queries, {evaluation.gallery} in the gallery"
    table = Table("distance", "rank-1", "95%", "mAP", "95%", "trapezoid", "rank-5", "mINP", title=title)
    for result in evaluation.scores:
        intervals = [cell for value in (result.rank1, result.map) for cell in interval_cells(value)]
        means = (result.map_trapezoid, result.rank5, result.minp)
        table.add_row(result.distance, *intervals, *(f"{100 * value:.1f}" for value in means))
    return table


def interval_cells(value: Interval) -> tuple[str, str]:
    """Mean and interval in percent."""
    return f"{100 * value.mean:.1f}", f"{100 * value.low:.1f}-{100 * value.high:.1f}"


def main(
    weights: Annotated[Path, typer.Option(help="Checkpoint (.safetensors).")],
    dataset: Annotated[Dataset, typer.Option(help="What to score on.")],
    root: Annotated[Path, typer.Option(help="Folder with market1501/, partial_reid/, reid_extra/.")],
    queries: Annotated[Queries, typer.Option(help="Query set of partial_reid.")] = Queries.PARTIAL,
    heldout_list: Annotated[Path, typer.Option(help="People kept out of training.")] = HELDOUT_LIST,
    max_queries: Annotated[int | None, typer.Option(min=1, help="Only the first queries.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Scores a checkpoint: rank-1, mAP and mINP by pooled cosine, DSR, FPR and their fusion."""
    from reid.embed import load_embedder  # here: importing this module needs no torch

    embedder = load_embedder(weights)
    progress = Console(stderr=True)

    def watch(items: Sequence[Item], name: str) -> Iterable[Item]:
        return track(items, name, console=progress)

    match dataset:
        case Dataset.MARKET1501:
            benchmarks = [market1501(root)]
        case Dataset.PARTIAL_REID:
            benchmarks = [partial_reid(root, queries)]
        case Dataset.HELDOUT:
            people = read_heldout(heldout_list)
            benchmarks = [heldout(root, people, share) for share in HELDOUT_SHARES]
    gallery = embed(embedder, benchmarks[0].gallery, watch, "gallery")  # the same for all of them
    evaluations = [evaluate(embedder, limited(b, max_queries), gallery, watch) for b in benchmarks]
    if as_json:
        typer.echo(json.dumps({"model": embedder.model_id, "evaluations": [asdict(e) for e in evaluations]}))
        return
    for evaluation in evaluations:
        Console().print(render(evaluation))


if __name__ == "__main__":
    typer.run(main)
