"""Speed and error of the FPR distance: naive, the author's algorithm and ours, interleaved in one process.

    python benchmarks/fpr_distance.py [--cells N --channels D | --grid full] [--json]
    python benchmarks/fpr_distance.py --accuracy heldout --accuracy partial_reid --root DATA
        [--cache DIR] [--max-queries N] [--json]

Every figure is the median of interleaved repeats. Exits 1 and names each figure that this machine missed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, NoReturn

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import fpr_accuracy  # noqa: E402

from reid.fpr.distance import RIDGE, best_storage, distance, prepare, resolved  # noqa: E402
from reid.fpr.gallery import PreparedGallery, Storage  # noqa: E402

Array = NDArray[np.float32]
Probe = tuple[Array, Array]

SIZES = ((110, 2048), (70, 112))
"""Measured where nothing else is asked for: the issue's, and the shipped network's."""
GRID_CELLS, GRID_CHANNELS = (60, 70, 110, 250), (256, 512, 2048)
JUDGED = (110, 2048)
EXACT_SHARE, EXACT_RATIO, EXACT_ERROR = 0.9, 3.0, 1e-6
FAST_RATIO, FAST_ERROR = 10.0, 3e-4
STORAGES: tuple[Storage, ...] = ("float32", "float16", "int8")
PROBES = 8
DATA = Path("../shared/data")
WEIGHTS = ROOT / "weights" / "fpr_small.safetensors"
WORK = 6e9
"""Multiplications of one timed call: some 0.1 s of sgemm."""


@dataclass(frozen=True)
class Method:
    """One way of comparing the same images."""

    run: Callable[[], NDArray[np.float32]]
    pairs: int
    """It compares at once."""
    ours: bool = False


@dataclass(frozen=True)
class Row:
    """One method on images of one size."""

    method: str
    threads: int
    cells: int
    channels: int
    pairs_hz: float
    ratio: float
    """To the author's algorithm."""
    gemm_share: float
    """Of sgemm's rate in the same run, counting one M x C x N product a pair."""
    max_error: float | None
    mean_error: float | None
    """Of distances, against float64."""
    kendall: float | None
    """Rank agreement with float64, mean over probes."""


def measure(cells: int, channels: int, repeats: int, threads: int) -> list[Row]:
    """All methods on random images, non-negative like a network's and alike within each."""
    rng = np.random.default_rng(0)
    pairs = max(64, round(WORK / (cells * cells * channels)))
    images = unit_images(rng, max(96, pairs // PROBES), cells, channels)
    asked = [(x, np.float32(rng.random(cells))) for x in unit_images(rng, PROBES, cells, channels)]
    methods = methods_of(asked, images)
    seconds = interleaved(methods, repeats, threads)
    rates = {name: method.pairs / seconds[name] for name, method in methods.items()}
    reference = exact(asked, images)
    rows = []
    for name, rate in rates.items():
        speed = (rate, rate / rates["author"], rate / rates["sgemm"])
        error, agreement = judged(methods[name], reference)
        rows.append(Row(name, threads, cells, channels, *speed, *error, agreement))
    return rows


def judged(
    method: Method, reference: NDArray[np.float64]
) -> tuple[tuple[float | None, float | None], float | None]:
    """Largest and mean error, and rank agreement; nothing for what is not ours."""
    if not method.ours:
        return (None, None), None
    found = method.run()
    errors = np.abs(found - reference)
    return (float(errors.max()), float(errors.mean())), rank_agreement(found, reference)


def methods_of(asked: Sequence[Probe], images: Sequence[Array]) -> dict[str, Method]:
    """Every method on the same operands; the slow ones on fewer pairs."""
    few, some = images[:8], images[: max(8, len(images) // 4)]
    left, right = np.concatenate(images[:16]), np.concatenate([x for x, _ in asked]).T.copy()
    methods = {
        "naive": Method(lambda: naive(asked[:1], few), len(few)),
        "author": Method(author(asked[:2], some), 2 * len(some)),
        "sgemm": Method(lambda: left @ right, len(left) // len(images[0]) * len(asked)),
    }
    for storage in STORAGES:
        gallery = prepare(images, storage=storage)
        run = partial(distance, asked, gallery)
        methods[name_of(gallery)] = Method(run, len(asked) * len(images), ours=True)
    return methods


def name_of(gallery: PreparedGallery) -> str:
    """The path's name: precision and what is stored."""
    kernel = "" if gallery.storage != "int8" else " vnni" if best_storage() == "int8" else " emulated"
    return f"ours {resolved('auto', gallery)} {gallery.storage}{kernel}"


def interleaved(methods: dict[str, Method], repeats: int, threads: int) -> dict[str, float]:
    """Median seconds of each, measured in turn: of this process where it has one thread, else on the wall."""
    clock = time.process_time if threads == 1 else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(repeats + 1):
        for name, method in methods.items():
            start = clock()
            method.run()
            if repeat:  # the first only warms up
                taken[name].append(clock() - start)
    return {name: median(times) for name, times in taken.items()}


def unit_images(rng: np.random.Generator, images: int, cells: int, channels: int) -> list[Array]:
    """Images of random unit cells as float16 holds them."""
    common = np.maximum(rng.standard_normal((images, 1, channels)) + 0.2, 0)
    raw = 0.7 * common + np.maximum(rng.standard_normal((images, cells, channels)) + 0.2, 0)
    return list((raw / np.linalg.norm(raw, axis=2, keepdims=True)).astype(np.float16).astype(np.float32))


def naive(asked: Sequence[Probe], images: Sequence[Array]) -> NDArray[np.float32]:
    """(P, G) distances by [FPR] Eq. 3-5 as printed: one solve a pair."""
    distances = np.empty((len(asked), len(images)), np.float32)
    for p, (x, h) in enumerate(asked):
        for g, y in enumerate(images):
            w = np.linalg.solve(y @ y.T + np.float32(RIDGE) * np.eye(len(y), dtype=np.float32), y @ x.T)
            distances[p, g] = (h * np.linalg.norm(x - w.T @ y, axis=1)).sum() / h.sum()
    return distances


def author(asked: Sequence[Probe], images: Sequence[Array]) -> Callable[[], NDArray[np.float32]]:
    """The algorithm of the author's public code, re-expressed: projections cached, a loop over pairs."""
    eye = torch.eye(len(images[0])) * RIDGE
    gallery = [torch.from_numpy(y.T.copy()) for y in images]  # (C, M)
    projections = [torch.inverse(y.T @ y + eye) @ y.T for y in gallery]  # (M, C)
    queries = [(torch.from_numpy(x.T.copy()), torch.from_numpy(h / h.sum())) for x, h in asked]

    def run() -> NDArray[np.float32]:
        distances = torch.empty(len(queries), len(gallery))
        for p, (x, h) in enumerate(queries):
            for g, (y, projection) in enumerate(zip(gallery, projections, strict=True)):
                left = x - y @ (projection @ x)
                distances[p, g] = (left.pow(2).sum(0).sqrt() * h).sum()
        found: NDArray[np.float32] = distances.numpy()
        return found

    return run


def exact(asked: Sequence[Probe], images: Sequence[Array]) -> NDArray[np.float64]:
    """(P, G) distances in float64."""
    x = np.concatenate([cells for cells, _ in asked]).astype(np.float64)  # (P * N, C)
    h = np.stack([foreground for _, foreground in asked]).astype(np.float64)
    columns = []
    for image in images:
        y = image.astype(np.float64)
        w = np.linalg.solve(y @ y.T + RIDGE * np.eye(len(y)), y @ x.T)
        lengths = np.linalg.norm(x - w.T @ y, axis=1).reshape(h.shape)
        columns.append((h * lengths).sum(1) / h.sum(1))
    return np.stack(columns, 1)


def rank_agreement(found: NDArray[np.float32], reference: NDArray[np.float64]) -> float:
    """Kendall's tau of each probe's ranking with the reference's, mean."""
    return float(np.mean([kendalltau(a, b).statistic for a, b in zip(found, reference, strict=True)]))


def missed(rows: Sequence[Row]) -> list[str]:
    """One line for each figure this machine missed."""
    lines = []
    for row in rows:
        wanted: list[tuple[str, float, float]] = []
        judged = (row.cells, row.channels) == JUDGED
        if row.method == "ours exact float32":
            wanted.append(("1 / error", 1 / (row.max_error or 1e-30), 1 / EXACT_ERROR))
            if judged:
                wanted += [("share of sgemm", row.gemm_share, EXACT_SHARE), ("ratio", row.ratio, EXACT_RATIO)]
        if row.method == "ours fast int8 vnni" and judged:
            wanted += [
                ("ratio", row.ratio, FAST_RATIO),
                ("1 / error", 1 / (row.max_error or 1), 1 / FAST_ERROR),
            ]
        for name, value, least in wanted:
            if value < least:
                where = f"{row.method}, N = M = {row.cells}, d = {row.channels}, {row.threads} threads"
                lines.append(f"{where}: {name} {value:.3g} (>= {least:.3g})")
    return lines


def render(rows: Sequence[Row]) -> Table:
    """The rows as a table."""
    table = Table(
        "method", "threads", "N = M", "d", "pairs/s", "x author", "of sgemm", "max error", "Kendall"
    )
    for row in rows:
        error = "" if row.max_error is None else f"{row.max_error:.1e}"
        tau = "" if row.kendall is None else f"{row.kendall:.4f}"
        numbers = (f"{row.pairs_hz:,.0f}", f"{row.ratio:.2f}", f"{row.gemm_share:.2f}", error, tau)
        table.add_row(row.method, str(row.threads), str(row.cells), str(row.channels), *numbers)
    return table


def main(
    cells: Annotated[list[int] | None, typer.Option(help="N = M; repeatable.")] = None,
    channels: Annotated[list[int] | None, typer.Option(help="d; repeatable.")] = None,
    grid: Annotated[str, typer.Option(help="`full`: all sizes of the issue.")] = "short",
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    accuracy: Annotated[
        list[str] | None,
        typer.Option(help="No speed: what `fast` changes of this data set (see reid.evaluate); repeatable."),
    ] = None,
    root: Annotated[Path, typer.Option(help="Of --accuracy: folder that holds the data sets.")] = DATA,
    weights: Annotated[Path, typer.Option(help="Of --accuracy.")] = WEIGHTS,
    cache: Annotated[Path | None, typer.Option(help="Of --accuracy: embeddings, as reid.evaluate's.")] = None,
    max_queries: Annotated[int | None, typer.Option(min=1, help="Of --accuracy; evenly spread.")] = None,
) -> None:
    """Measures this machine with OMP_NUM_THREADS threads (default: one for each core)."""
    if accuracy:
        found = [
            one
            for name in accuracy
            for one in fpr_accuracy.accuracies(name, root, weights, cache, max_queries)
        ]
        finish("accuracy", found, fpr_accuracy.render(found), fpr_accuracy.missed(found), as_json)
    threads = int(os.environ.get("OMP_NUM_THREADS", "") or len(os.sched_getaffinity(0)))
    torch.set_num_threads(threads)
    sizes = list(SIZES)
    if grid == "full":
        sizes = [(n, d) for d in GRID_CHANNELS for n in GRID_CELLS]
    if cells and channels:
        sizes = [(n, d) for d in channels for n in cells]
    rows = [row for n, d in sizes for row in measure(n, d, repeats, threads)]
    finish("rows", rows, render(rows), missed(rows), as_json)


def finish(
    name: str, found: Sequence[Row | fpr_accuracy.Accuracy], table: Table, lines: Sequence[str], as_json: bool
) -> NoReturn:
    """Print what was found and what was missed; exits 1 where something was."""
    if as_json:
        typer.echo(json.dumps({name: [asdict(one) for one in found], "missed": lines}))
    else:
        Console(width=150).print(table)
        for line in lines:
            typer.echo(f"MISSED {line}")
    raise typer.Exit(1 if lines else 0)


if __name__ == "__main__":
    typer.run(main)
