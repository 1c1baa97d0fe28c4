"""Speed and error of the FPR distance: one solve a pair against the prepared gallery."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reid.fpr import RIDGE, distance, prepare

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Result:
    """What one machine does with images of one size."""

    cells: int
    channels: int
    pairs: int
    solve_pairs_hz: float
    prepared_pairs_hz: float
    speedup: float
    prepare_ms: float
    """To file one gallery image."""
    sgemm_share: float
    """Bare matrix product of the same size, over the prepared form's time."""
    largest_error: float
    """Against one solve a pair in float64."""


def measure(probes: int, gallery: int, cells: int, channels: int, repeats: int) -> Result:
    """The best of `repeats` runs on random unit cells, non-negative like a network's."""
    rng = np.random.default_rng(0)
    images = unit_cells(rng, gallery, cells, channels)
    queries = [(x, rng.random(cells)) for x in unit_cells(rng, probes, cells, channels)]
    start = time.perf_counter()
    prepared = prepare(images)
    prepare_s = time.perf_counter() - start
    fast_s = best_s(lambda: distance(queries, prepared), repeats)
    few = min(gallery, 64)
    solve_s = best_s(lambda: solve_each_pair(queries, images[:few], np.float32), 1) / few * gallery
    exact = solve_each_pair(queries, images[:few], np.float64)
    left = np.ones((gallery * cells, channels), np.float32)
    right = np.ones((channels, probes * cells), np.float32)
    sgemm_s = best_s(lambda: left @ right, repeats)
    pairs = probes * gallery
    return Result(
        cells,
        channels,
        pairs,
        solve_pairs_hz=pairs / solve_s,
        prepared_pairs_hz=pairs / fast_s,
        speedup=solve_s / fast_s,
        prepare_ms=1000 * prepare_s / gallery,
        sgemm_share=sgemm_s / fast_s,
        largest_error=float(np.abs(distance(queries, prepared)[:, :few] - exact).max()),
    )


def unit_cells(rng: np.random.Generator, images: int, cells: int, channels: int) -> list[Array]:
    """Images of random cells as float16 holds them."""
    raw = np.maximum(rng.standard_normal((images, cells, channels)) + 0.2, 0)
    return list((raw / np.linalg.norm(raw, axis=2, keepdims=True)).astype(np.float16).astype(np.float32))


def solve_each_pair(
    queries: list[tuple[Array, NDArray[np.float64]]], images: list[Array], dtype: type[np.floating]
) -> NDArray[np.float64]:
    """(P, G) distances by [FPR] Eq. 3-5 as printed."""
    distances = np.empty((len(queries), len(images)))
    for p, (cells, foreground) in enumerate(queries):
        x = cells.astype(dtype)
        for g, image in enumerate(images):
            y = image.astype(dtype)
            weights = np.linalg.solve(y @ y.T + dtype(RIDGE) * np.eye(len(y), dtype=dtype), y @ x.T)
            residuals = np.linalg.norm(x - weights.T @ y, axis=1)
            distances[p, g] = (foreground * residuals).sum() / foreground.sum()
    return distances


def best_s(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main(
    probes: Annotated[int, typer.Option(min=1)] = 16,
    gallery: Annotated[int, typer.Option(min=1)] = 256,
    cells: Annotated[int, typer.Option(min=1)] = 70,
    channels: Annotated[int, typer.Option(min=1)] = 112,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measures this machine; set OMP_NUM_THREADS for the number of cores."""
    result = measure(probes, gallery, cells, channels, repeats)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    table = Table("measure", "value")
    for name, value in asdict(result).items():
        table.add_row(name, f"{value:,.6g}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
