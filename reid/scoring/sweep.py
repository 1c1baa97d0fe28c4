"""How FPR depends on one parameter ([FPR] Fig. 7): alpha, tau by weights; beta, kernels by embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from reid.fpr.distance import RIDGE, prepare
from reid.progress import watch
from reid.scoring.benchmarks import Benchmark, ranked
from reid.scoring.embeddings import CachedEmbedding, Embeddings, open_embeddings
from reid.scoring.methods import reconstruction_distances
from reid.scoring.rank import Ranking
from reid.sets.baselines import CellGrid
from reid.sets.tracklets import CropEmbedding

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of b; the paper's is 0.01."""


class Parameter(StrEnum):
    """What Fig. 7 of the paper varies."""

    ALPHA = "alpha"
    """Weight of the foreground loss, in training."""
    TAU = "tau"
    """Share of a cell's window from which on it is labelled foreground, in training."""
    BETA = "beta"
    """The ridge."""
    KERNELS = "kernels"
    """Levels of the pyramid: one by one, and with all finer ones."""


@dataclass(frozen=True)
class Point:
    """FPR alone at one value of a parameter."""

    value: str
    rank1: float
    mAP: float


class SweepError(ValueError):
    """Weights that say nothing about the parameter."""


def sweep(
    parameter: Parameter,
    benchmark: Benchmark,
    weights: Sequence[Path],
    *,
    backbone: Path | None,
    folder: Path | None,
) -> list[Point]:
    """FPR's rank-1 and mAP, 0..1, at each value.

    Args:
        weights: one file for beta and kernels; one for each value of alpha or tau, trained with it.

    Raises:
        SweepError: several files where one is meant, or a recipe without the parameter.
    """
    if parameter in (Parameter.ALPHA, Parameter.TAU):
        named = sorted((trained_value(path, parameter), path) for path in weights)
        return [
            at_ridge(f"{value:g}", benchmark, open_embeddings(path, backbone=backbone, folder=folder), RIDGE)
            for value, path in named
        ]
    if len(weights) != 1:
        raise SweepError(f"{parameter} needs one weights file, got {len(weights)}")
    network = open_embeddings(weights[0], backbone=backbone, folder=folder)
    if parameter is Parameter.BETA:
        return [at_ridge(f"{ridge:g}", benchmark, network, ridge) for ridge in RIDGES]
    return [at_levels(levels, benchmark, network) for levels in level_choices(len(network.grid.kernels))]


def trained_value(weights: Path, parameter: Parameter) -> float:
    """The value that a checkpoint was trained with, from its recipe.

    Raises:
        SweepError: the recipe does not say.
    """
    from reid.network.weights import read_notes

    recipe = read_notes(weights).recipe
    found = recipe.get("losses", {}).get("foreground") if parameter is Parameter.ALPHA else None
    found = recipe.get("foreground_threshold") if parameter is Parameter.TAU else found
    if found is None:
        raise SweepError(f"{weights}: its recipe states no {parameter}; train with one for each value")
    return float(found)


def at_ridge(value: str, benchmark: Benchmark, network: Embeddings, ridge: float) -> Point:
    """FPR with all cells and a given ridge."""
    probes, gallery = network.of(benchmark.queries, "queries"), network.of(benchmark.gallery, "gallery")
    return point(value, benchmark, probes, gallery, ridge)


def at_levels(levels: Sequence[int], benchmark: Benchmark, network: Embeddings) -> Point:
    """FPR with some levels of the pyramid: max-pooling the map by fewer kernels gives just these cells."""
    probes, gallery = (
        [with_levels(e, network.grid, levels) for e in network.of(part, name)]
        for part, name in ((benchmark.queries, "queries"), (benchmark.gallery, "gallery"))
    )
    value = ", ".join(str(network.grid.kernels[level]) for level in levels)
    return point(value, benchmark, probes, gallery, RIDGE)


def point(
    value: str,
    benchmark: Benchmark,
    probes: Sequence[CropEmbedding],
    gallery: Sequence[CropEmbedding],
    ridge: float,
) -> Point:
    """One point of the curve."""
    prepared = prepare([e.cells for e in gallery], ridge=ridge)
    ranking: Ranking = ranked(benchmark, reconstruction_distances(probes, prepared, watch)[1])
    return Point(value, ranking.cmc(1), float(ranking.ap.mean()))


def with_levels(embedding: CropEmbedding, grid: CellGrid, levels: Sequence[int]) -> CropEmbedding:
    """The embedding with the cells of some levels only."""
    sizes = [rows * columns for rows, columns in grid.levels(grid.height(len(embedding.cells)))]
    starts = np.cumsum([0, *sizes])
    kept = np.concatenate([np.arange(starts[level], starts[level + 1]) for level in levels])
    whole = CachedEmbedding(embedding.cells, embedding.foreground, embedding.pooled)
    return replace(whole, cells=embedding.cells[kept], foreground=embedding.foreground[kept])


def level_choices(count: int) -> list[tuple[int, ...]]:
    """Each level alone, then the finest two, three and so on."""
    return [(level,) for level in range(count)] + [tuple(range(n)) for n in range(2, count + 1)]
