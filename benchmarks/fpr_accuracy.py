"""What the fast path changes of a real evaluation: `benchmarks/fpr_distance.py --accuracy DATASET`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import kendalltau

from reid.data.datasets import HELDOUT_LIST, read_heldout
from reid.fpr.distance import distance, prepare
from reid.scoring.benchmarks import HELDOUT, Benchmark, Queries, benchmarks_of, limited, ranked
from reid.scoring.embeddings import Embeddings, open_embeddings
from reid.scoring.methods import hidden, pooled_distances, shown_heights
from reid.sets.fusion import fused
from reid.sets.tracklets import as_probe

MOST_ERROR = 3e-4
MOST_MAP, MOST_RANK1 = 0.05, 0.1
"""Percentage points that a score may change by."""
BY_ONE_QUERY = "partial_reid"
"""Has so few queries that its rank-1 may change by one of them."""
Distances = NDArray[np.float32]  # (Q, G)


@dataclass(frozen=True)
class Scores:
    """One method on both paths."""

    method: str
    rank1_exact: int
    rank1_fast: int
    """Queries whose nearest is a true match."""
    map_exact: float
    map_fast: float
    """Percent."""


@dataclass(frozen=True)
class Accuracy:
    """Both paths on one benchmark; queries without a true match are not counted."""

    dataset: str
    covered: float
    queries: int
    gallery: int
    max_error: float
    mean_error: float
    """Of the fast path's distances, against the exact path's."""
    kendall: float
    """Rank agreement of the paths, mean over queries."""
    scores: list[Scores]


def accuracies(
    dataset: str, root: Path, weights: Path, cache: Path | None, most: int | None
) -> list[Accuracy]:
    """Both paths on a data set as `reid.evaluate` names it, with at most so many queries.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused, WeightsError: see `reid.evaluate`.
    """
    people = read_heldout(HELDOUT_LIST) if dataset == HELDOUT else frozenset[str]()
    sets = [b for queries in query_sets(dataset) for b in benchmarks_of(dataset, root, queries, people)]
    network = open_embeddings(weights, folder=cache)
    return [accuracy(limited(benchmark, most), network) for benchmark in sets]


def query_sets(dataset: str) -> Sequence[Queries]:
    """Partial-REID has two."""
    return tuple(Queries) if dataset == BY_ONE_QUERY else (Queries.PARTIAL,)


def accuracy(benchmark: Benchmark, network: Embeddings) -> Accuracy:
    """Both paths on one benchmark."""
    gallery, queries = network.of(benchmark.gallery, "gallery"), network.of(benchmark.queries, "queries")
    cells, probes = [one.cells for one in gallery], [as_probe(one) for one in queries]
    exact = distance(probes, prepare(cells))
    fast = distance(probes, prepare(cells, storage="int8"))
    pooled = pooled_distances(queries, gallery)
    unseen = hidden(queries, shown_heights(benchmark.queries, network.grid))
    scores = [
        scored("fpr", benchmark, exact, fast),
        scored("fused", benchmark, fused(pooled, exact, unseen), fused(pooled, fast, unseen)),
    ]
    errors = np.abs(fast - exact)
    agreement = float(np.mean([kendalltau(a, b).statistic for a, b in zip(fast, exact, strict=True)]))
    counted = len(ranked(benchmark, exact).ranks)
    found = float(errors.max()), float(errors.mean()), agreement
    return Accuracy(benchmark.name, benchmark.covered, counted, len(gallery), *found, scores)


def scored(method: str, benchmark: Benchmark, exact: Distances, fast: Distances) -> Scores:
    """A method's scores by its distances on both paths."""
    first, second = ranked(benchmark, exact), ranked(benchmark, fast)
    hits = [int((ranking.ranks == 1).sum()) for ranking in (first, second)]
    return Scores(method, hits[0], hits[1], 100 * float(first.ap.mean()), 100 * float(second.ap.mean()))


def missed(found: Sequence[Accuracy]) -> list[str]:
    """One line for each change that is larger than it may be."""
    lines = []
    for one in found:
        where = title(one)
        if one.max_error > MOST_ERROR:
            lines.append(f"{where}: largest error {one.max_error:.2g} (<= {MOST_ERROR})")
        for scores in one.scores:
            lines += [f"{where}, {scores.method}: {line}" for line in changes(scores, one)]
    return lines


def changes(scores: Scores, one: Accuracy) -> list[str]:
    """What changed by more than it may."""
    lines = []
    queries = abs(scores.rank1_fast - scores.rank1_exact)
    points = 100 * queries / one.queries
    if points > MOST_RANK1 and not (one.dataset.startswith(BY_ONE_QUERY) and queries == 1):
        lines.append(f"rank-1 changes by {points:.3f} points, {queries} queries (<= {MOST_RANK1})")
    change = abs(scores.map_fast - scores.map_exact)
    if change > MOST_MAP:
        lines.append(f"mAP changes by {change:.3f} points (<= {MOST_MAP})")
    return lines


def title(one: Accuracy) -> str:
    """The benchmark with the share of its queries that is covered."""
    return f"{one.dataset}, {one.covered:.0%} covered" if one.covered else one.dataset


def render(found: Sequence[Accuracy]) -> Table:
    """Exact -> fast, method by method."""
    heads = ("data set", "queries", "gallery", "max error", "mean error", "Kendall")
    table = Table(*heads, "method", "rank-1 hits", "mAP")
    for one in found:
        numbers = (str(one.queries), str(one.gallery), f"{one.max_error:.2e}", f"{one.mean_error:.1e}")
        for scores in one.scores:
            hits = f"{scores.rank1_exact} -> {scores.rank1_fast}"
            means = f"{scores.map_exact:.3f} -> {scores.map_fast:.3f}"
            table.add_row(title(one), *numbers, f"{one.kendall:.5f}", scores.method, hits, means)
    return table
