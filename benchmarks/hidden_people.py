"""What each distance is worth when people are half hidden: who is it, and is it anybody known at all?

    python benchmarks/hidden_people.py [--people 65] [--cache DIR] [--json] [--plot PICTURE]

People held out of training; each camera's crops of a person (at most 4) are a tracklet of the gallery, one
more crop is the probe, and 0, 25, 50, 75% of it are covered with pieces of other people. rank-1: the nearest
tracklet of another camera shows the same person. link F1: the person is missing from the gallery for every
second probe; a probe is linked to the nearest tracklet within a distance, the best one for all shares
together on half of the people, judged on the other half, both ways. All distances are standardised over the
tracklets of a probe; `sum` adds cosine and FPR, `fused` weighs FPR by how much of the probe is hidden.
Needs SHARED_DATA (default ../shared).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared"))
sys.path.insert(0, str(ROOT))

from reid.ablation import Case, by_group, nearest_mean, open_case, union  # noqa: E402
from reid.data.datasets import HELDOUT_LIST, read_heldout  # noqa: E402
from reid.fpr.distance import RIDGE  # noqa: E402
from reid.scoring.benchmarks import HELDOUT_SHARES, Benchmark, heldout  # noqa: E402
from reid.scoring.embeddings import Embeddings, open_embeddings  # noqa: E402
from reid.scoring.methods import hidden, shown_heights  # noqa: E402
from reid.sets.fusion import fused, standardized  # noqa: E402

Matrix = NDArray[np.float64]
Groups = list[list[int]]
WEIGHTS = ROOT / "weights/fpr_small.safetensors"


@dataclass(frozen=True)
class Probes:
    """Whom P probes and G tracklets of the gallery show, and where."""

    people: NDArray[np.int64]  # (P,)
    cameras: NDArray[np.int64]  # (P,)
    known: NDArray[np.int64]  # (G,)
    places: NDArray[np.int64]  # (G,)

    @property
    def own(self) -> NDArray[np.bool_]:
        """(P, G) whether it is the same person in another camera."""
        return (self.people[:, None] == self.known) & ~self.here

    @property
    def here(self) -> NDArray[np.bool_]:
        """(P, G) whether it is the same person in the same camera, which does not count."""
        return (self.people[:, None] == self.known) & (self.cameras[:, None] == self.places)


@dataclass(frozen=True)
class Row:
    """One distance at one share."""

    distance: str
    covered: float
    rank1: float
    link_f1: float


def main() -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=65, help="so many of the people held out")
    parser.add_argument("--cache", type=Path, help="folder that keeps embeddings")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        print(f"SHARED_DATA: no folder {SHARED}", file=sys.stderr)
        return 2
    rows = list(measured(open_embeddings(WEIGHTS, folder=arguments.cache), arguments.people))
    if arguments.plot:
        draw(rows, arguments.plot)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        for row in rows:
            print(f"{row.distance:8}{row.covered:5.0%}  rank-1 {row.rank1:.3f}  link F1 {row.link_f1:.3f}")
    return 0


def measured(network: Embeddings, people: int) -> Iterator[Row]:
    """Every distance at every share."""
    cases = [
        open_case(network, some(heldout(SHARED / "data", read_heldout(HELDOUT_LIST), s), people))
        for s in HELDOUT_SHARES
    ]
    groups = grouped(cases[0].benchmark)
    probes = probes_of(cases[0].benchmark, groups)
    found = [distances(case, groups) for case in cases]
    for name in found[0]:
        f1 = link_f1([one[name] for one in found], probes)
        for case, one, score in zip(cases, found, f1, strict=True):
            yield Row(name, case.benchmark.covered, rank1(one[name], probes), score)


def some(benchmark: Benchmark, people: int) -> Benchmark:
    """The benchmark with people evenly spread over its list, those with two cameras or more."""
    cameras: dict[int, set[int]] = {}
    for sample in benchmark.queries:
        cameras.setdefault(sample.pid, set()).add(sample.camera)
    names = sorted(pid for pid, seen in cameras.items() if len(seen) > 1)
    chosen = {names[i * len(names) // people] for i in range(min(people, len(names)))}
    queries = [sample for sample in benchmark.queries if sample.pid in chosen]
    return replace(benchmark, queries=queries, gallery=[s for s in benchmark.gallery if s.pid in chosen])


def grouped(benchmark: Benchmark) -> Groups:
    """Places in the gallery of each person and camera."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, sample in enumerate(benchmark.gallery):
        groups.setdefault((sample.pid, sample.camera), []).append(place)
    return list(groups.values())


def probes_of(benchmark: Benchmark, groups: Groups) -> Probes:
    """Whom everything shows."""
    first = [benchmark.gallery[places[0]] for places in groups]
    return Probes(
        np.array([s.pid for s in benchmark.queries]),
        np.array([s.camera for s in benchmark.queries]),
        np.array([s.pid for s in first]),
        np.array([s.camera for s in first]),
    )


def distances(case: Case, groups: Groups) -> dict[str, Matrix]:
    """(P, G) by method, from each probe to each tracklet, standardised over the probe's tracklets."""
    means = np.stack([np.mean([case.gallery[i].pooled for i in places], axis=0) for places in groups])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    pooled = 1 - np.stack([probe.pooled for probe in case.probes]).astype(np.float64) @ means.T
    fpr = by_group(case.fpr, groups, nearest_mean)
    unseen = hidden(case.probes, shown_heights(case.benchmark.queries, case.network.grid))
    ways = {
        "pooled": pooled,
        "dsr": by_group(case.dsr, groups, nearest_mean),
        "fpr": fpr,
        "union": union(case, groups, RIDGE),
        "sum": standardized(pooled) + standardized(fpr),
        "fused": fused(pooled, fpr, unseen),
    }
    return {name: standardized(found) for name, found in ways.items()}


def rank1(found: Matrix, probes: Probes) -> float:
    """Share of the probes whose nearest tracklet of another camera shows the person."""
    nearest = np.where(probes.here, np.inf, found).argmin(1)
    return float((probes.known[nearest] == probes.people).mean())


def link_f1(found: list[Matrix], probes: Probes) -> list[float]:
    """F1 of the links at each share."""
    half = probes.people % 2 == 0
    missing = np.arange(len(probes.people)) % 2 == 1
    nearest = [best(one, probes, missing) for one in found]
    hits = [[0, 0] for _ in found]
    for judged in (half, ~half):
        limit = threshold(nearest, ~judged)
        for hit, (distance, right) in zip(hits, nearest, strict=True):
            linked = judged & (distance <= limit)
            hit[0] += int((linked & right).sum())
            hit[1] += int(linked.sum()) + int((judged & ~missing).sum())
    return [2 * right / max(total, 1) for right, total in hits]


def best(found: Matrix, probes: Probes, missing: NDArray[np.bool_]) -> tuple[Matrix, NDArray[np.bool_]]:
    """(P,) distance to the nearest tracklet there is, and whether it shows the person."""
    gone = probes.here | (missing[:, None] & probes.own)
    seen = np.where(gone, np.inf, found)
    nearest = seen.argmin(1)
    return seen.min(1), probes.known[nearest] == probes.people


def threshold(nearest: list[tuple[Matrix, NDArray[np.bool_]]], fitted: NDArray[np.bool_]) -> float:
    """The distance with the best F1 over all shares together."""
    distance = np.concatenate([one[fitted] for one, _ in nearest])
    right = np.concatenate([one[fitted] for _, one in nearest])
    order = np.argsort(distance, kind="stable")
    hits = np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + len(order) / 2)
    return float(distance[order][f1.argmax()])


def draw(rows: list[Row], path: Path) -> None:
    """Both figures against the share covered."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for panel, name in zip(figure.subplots(1, 2), ("rank1", "link_f1"), strict=True):
        for distance in dict.fromkeys(row.distance for row in rows):
            mine = [row for row in rows if row.distance == distance]
            panel.plot(
                [100 * row.covered for row in mine],
                [getattr(row, name) for row in mine],
                "o-",
                label=distance,
            )
        panel.set_title(name.replace("_", " ").replace("rank1", "rank-1"), loc="left", fontsize=9)
        panel.set_xlabel("% of the probe covered")
        panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    sys.exit(main())
