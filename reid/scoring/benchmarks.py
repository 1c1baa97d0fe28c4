"""Queries and galleries to judge a network by: published protocols, one's own folder, people held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.data.augment import person_patch, texture_patch
from reid.data.datasets import FOREIGN_SITE, check_known, load_dataset, load_folder, load_heldout
from reid.data.samples import DatasetChanged, DatasetMissing, DatasetRefused, Sample
from reid.scoring.rank import Ranking, rank

HELDOUT = "heldout"
HELDOUT_SHARES = (0.0, 0.25, 0.5, 0.75)
HELDOUT_GALLERY = 4
"""Gallery crops for each held-out person and camera; the query is one more."""
FOREIGN = "foreign"
FOLDER = "folder"
Image = NDArray[np.uint8]  # (H, W, 3) RGB
TESTED = ("market1501", "cuhk03_np", "partial_reid", "partial_ilids", "occluded_reid")
ALONE = (HELDOUT, FOREIGN)
"""What choices are made on: a benchmark for each of HELDOUT_SHARES."""
KNOWN = ", ".join((*TESTED, FOLDER, *ALONE))


class Queries(StrEnum):
    """The two query sets of Partial-REID."""

    PARTIAL = "partial"
    OCCLUDED = "occluded"


@dataclass(frozen=True)
class Benchmark:
    """Queries and the gallery they are looked up in."""

    name: str
    queries: list[Sample]
    gallery: list[Sample]
    covered: float = 0.0
    """Share of each query's picture that something was pasted over."""


def benchmarks_of(name: str, root: Path, queries: Queries, people: frozenset[str]) -> list[Benchmark]:
    """What `--dataset NAME` stands for; `heldout` and `foreign` are one for each share covered.

    Args:
        name: one of TESTED, `folder` (root itself), `folder:PATH`, several joined with `+`; or `heldout` or
            `foreign`, alone.
        root: the folder that holds the data sets.
        queries: for partial_reid.
        people: identities kept out of training, for `heldout`.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    if name == HELDOUT:
        return [heldout(root, people, share) for share in HELDOUT_SHARES]
    if name == FOREIGN:
        whole = load_dataset(root, f"{FOREIGN_SITE}/test")
        return [foreign(whole, share) for share in HELDOUT_SHARES]
    parts = [part for part in name.split("+") if part]
    for part in parts:
        check_tested(part)
    return [joined([benchmark_of(part, root, queries) for part in parts])]


def check_tested(name: str) -> None:
    """Refuse, before anything is read, what has no queries and gallery.

    Raises:
        DatasetRefused: withdrawn, unknown, for training only, or one of ALONE joined with something.
    """
    if name in TESTED or name == FOLDER or name.startswith(f"{FOLDER}:"):
        return
    if name in ALONE:
        raise DatasetRefused(f"{name} stands alone: it cannot be joined with another data set")
    check_known(name)
    raise DatasetRefused(f"{name} has no queries and gallery (known: {KNOWN})")


def benchmark_of(name: str, root: Path, queries: Queries) -> Benchmark:
    """One data set's protocol; `check_tested` has let it through."""
    if name == "partial_reid":
        return partial_reid(root, queries)
    if name in TESTED:
        return Benchmark(name, load_dataset(root, f"{name}/query"), load_dataset(root, f"{name}/gallery"))
    return folder_benchmark(Path(name.partition(":")[2]) if ":" in name else root)


def partial_reid(data: Path, queries: Queries) -> Benchmark:
    """Partial-REID: partial or occluded bodies against whole ones."""
    name = f"partial_reid, {queries} queries"
    return Benchmark(
        name, load_dataset(data, f"partial_reid/{queries}"), load_dataset(data, "partial_reid/whole")
    )


def folder_benchmark(folder: Path) -> Benchmark:
    """A folder of `PERSON_CAMERA_*.jpg`: each person's first crop in each camera asks for all other crops.

    Raises:
        DatasetMissing, DatasetChanged: see `reid.data.layouts.load_folder`; nobody seen by two cameras.
    """
    groups = by_person_and_camera(load_folder(folder))
    cameras: dict[int, int] = {}
    for group in groups:
        cameras[group[0].pid] = cameras.get(group[0].pid, 0) + 1
    queries = [group[0] for group in groups if cameras[group[0].pid] > 1]
    if not queries:
        raise DatasetChanged(f"{folder}: nobody in it is seen by two cameras, so nobody can be found again")
    return Benchmark(folder.name, queries, [sample for group in groups for sample in group])


def joined(parts: Sequence[Benchmark]) -> Benchmark:
    """Several benchmarks as one: every query is looked up in all galleries together.

    Raises:
        DatasetRefused: there are none.
    """
    if not parts:
        raise DatasetRefused(f"no data set named (known: {KNOWN})")
    if len(parts) == 1:
        return parts[0]
    queries: list[Sample] = []
    gallery: list[Sample] = []
    first = 0
    for part in parts:
        queries += [replace(sample, pid=sample.pid + first) for sample in part.queries]
        gallery += [replace(sample, pid=sample.pid + first) for sample in part.gallery]
        first += max(sample.pid for sample in [*part.queries, *part.gallery]) + 1
    return Benchmark(" + ".join(part.name for part in parts), queries, gallery)


def ranked(benchmark: Benchmark, distances: NDArray[np.floating[Any]]) -> Ranking:
    """The metrics of every query by (Q, G) distances."""
    ids, cameras = (
        [np.array([getattr(s, name) for s in part]) for part in (benchmark.queries, benchmark.gallery)]
        for name in ("pid", "camera")
    )
    return rank(distances, ids[0], ids[1], cameras[0], cameras[1])


def limited(benchmark: Benchmark, most: int | None) -> Benchmark:
    """The benchmark with some of its queries, evenly spread; its name says so."""
    count = len(benchmark.queries)
    if most is None or most >= count:
        return benchmark
    queries = [benchmark.queries[i * count // most] for i in range(most)]
    return replace(benchmark, name=f"{benchmark.name} ({most} of {count} queries)", queries=queries)


def heldout(data: Path, people: frozenset[str], share: float) -> Benchmark:
    """People kept out of every training, one query for each camera; `share` of each query is covered."""
    samples = load_heldout(data, people)
    if not samples:
        raise DatasetMissing(f"{data}: no picture of the {len(people)} people held out")
    groups = by_person_and_camera(samples)
    queries = [group[0] for group in groups if len(group) > 1]
    gallery = [sample for group in groups for sample in group[min(1, len(group) - 1) :][:HELDOUT_GALLERY]]
    return Benchmark(HELDOUT, covered_queries(queries, share), gallery, share)


def foreign(samples: Sequence[Sample], share: float) -> Benchmark:
    """A site never trained on: each person's first crop in each camera asks, `share` of it covered.

    The gallery is every crop, uncovered; a query's own camera does not count, so it never finds itself.
    """
    groups = by_person_and_camera(samples)
    queries = covered_queries([group[0] for group in groups], share)
    return Benchmark(FOREIGN, queries, [sample for group in groups for sample in group], share)


def covered_queries(queries: list[Sample], share: float) -> list[Sample]:
    """The queries with a piece of another query over `share` of each; the same for the same share."""
    rng = np.random.default_rng(round(100 * share))
    others = [queries[(i + 1 + rng.integers(len(queries) - 1)) % len(queries)] for i in range(len(queries))]
    return [cover(query, other, share, rng) for query, other in zip(queries, others, strict=True)]


def cover(sample: Sample, other: Sample, share: float, rng: np.random.Generator) -> Sample:
    """The sample with a piece of another over `share` of its picture: mostly from below, else from a side."""
    return paint_over(sample, share, rng, lambda tall, wide: person_patch(other.image, tall, wide, rng))


def cover_with_texture(sample: Sample, share: float, rng: np.random.Generator) -> Sample:
    """The same with a random texture: the easy kind of occluder."""
    return paint_over(sample, share, rng, lambda tall, wide: texture_patch(tall, wide, rng))


def paint_over(
    sample: Sample, share: float, rng: np.random.Generator, patch: Callable[[int, int], Image]
) -> Sample:
    """The sample with `patch(height, width)` over `share` of its picture; itself where that is 0."""
    if share == 0:
        return sample
    picture = sample.image
    height, width = picture.shape[:2]
    if rng.random() < 0.6:
        tall, wide, top, left = round(share * height), width, height - round(share * height), 0
    else:
        tall, wide, top = height, round(share * width), 0
        left = 0 if rng.random() < 0.5 else width - wide
    tall, wide = max(tall, 1), max(wide, 1)
    picture[top : top + tall, left : left + wide] = patch(tall, wide)
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
