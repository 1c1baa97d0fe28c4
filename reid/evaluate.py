"""Scores of a trained network on a re-identification benchmark: `python -m reid.evaluate --help`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from reid.benchmarks import HELDOUT, Benchmark, Queries, benchmarks_of, limited
from reid.datasets import read_heldout
from reid.embeddings import open_embeddings
from reid.methods import Distances, all_distances, shortlisted
from reid.progress import watch
from reid.published import published
from reid.rank import Interval, Ranking, bootstrap, gain, rank

HELDOUT_LIST = Path("configs/reid/heldout.txt")
BASELINE = "pooled"
"""The method that gains are counted from: what a plain ReID network gives."""


@dataclass(frozen=True)
class Row:
    """One method on one benchmark; everything is a share, 0..1."""

    method: str
    covered: float
    rank1: Interval
    rank5: float
    rank10: float
    mAP: Interval
    mAP_trapezoid: float
    mINP: float
    gain_rank1: Interval
    """Over BASELINE, paired by query; significant where the interval leaves out 0."""
    gain_mAP: Interval


@dataclass(frozen=True)
class Evaluation:
    """A benchmark's rows."""

    dataset: str
    queries: int
    gallery: int
    rows: list[Row]


def evaluate(benchmark: Benchmark, distances: Distances) -> Evaluation:
    """The rows of a benchmark from its (Q, G) distances by method; one of them is BASELINE."""
    rankings = {method: ranked(benchmark, matrix) for method, matrix in distances.items()}
    rows = [row(method, benchmark.covered, rankings) for method in rankings]
    return Evaluation(benchmark.name, len(benchmark.queries), len(benchmark.gallery), rows)


def ranked(benchmark: Benchmark, distances: Any) -> Ranking:
    """The metrics of every query of a benchmark by (Q, G) distances."""
    ids, cameras = (
        [np.array([getattr(s, name) for s in part]) for part in (benchmark.queries, benchmark.gallery)]
        for name in ("pid", "camera")
    )
    return rank(distances, ids[0], ids[1], cameras[0], cameras[1])


def row(method: str, covered: float, rankings: dict[str, Ranking]) -> Row:
    """A method's means, with intervals where a reader compares."""
    mine, baseline = rankings[method], rankings[BASELINE]
    return Row(
        method=method,
        covered=covered,
        rank1=bootstrap(mine.ranks == 1),
        rank5=mine.cmc(5),
        rank10=mine.cmc(10),
        mAP=bootstrap(mine.ap),
        mAP_trapezoid=float(mine.ap_trapezoid.mean()),
        mINP=float(mine.inp.mean()),
        gain_rank1=gain((mine.ranks == 1).astype(float), (baseline.ranks == 1).astype(float)),
        gain_mAP=gain(mine.ap, baseline.ap),
    )


def as_json(evaluations: Sequence[Evaluation], model_id: str) -> dict[str, Any]:
    """What `--json` prints: every share in percent; rows of several covered shares stand in one list."""
    first = evaluations[0]
    return {
        "dataset": first.dataset,
        "model": model_id,
        "queries": first.queries,
        "gallery": first.gallery,
        "rows": [plain(row) for evaluation in evaluations for row in evaluation.rows],
        "published": [asdict(result) for result in published(first.dataset)],
    }


def plain(row: Row) -> dict[str, Any]:
    """A row's numbers in percent; an interval's ends stand beside its mean."""
    found: dict[str, Any] = {}
    for name, value in vars(row).items():
        if isinstance(value, Interval):
            found[name] = percent(value.mean)
            found[f"{name}_low"], found[f"{name}_high"] = percent(value.low), percent(value.high)
        else:
            found[name] = value if isinstance(value, str) else percent(value)
    return found


def percent(share: float) -> float:
    """The share in percent, to a hundredth."""
    return round(100 * share, 2)


def render(evaluation: Evaluation) -> Table:
    """The rows as a table, in percent with 95% intervals, and the published results below."""
    covered = f", {evaluation.rows[0].covered:.0%} of the query covered" if evaluation.rows[0].covered else ""
    title = (
        f"{evaluation.dataset}{covered}: {evaluation.queries} queries, {evaluation.gallery} in the gallery"
    )
    heads = ("method", "rank-1", "rank-5", "rank-10", "mAP", "trapezoid", "mINP", "mAP over pooled")
    table = Table(*heads, title=title)
    for one in evaluation.rows:
        means = (one.rank5, one.rank10)
        more = (one.mAP_trapezoid, one.mINP)
        table.add_row(
            one.method,
            spread(one.rank1),
            *(f"{100 * value:.1f}" for value in means),
            spread(one.mAP),
            *(f"{100 * value:.1f}" for value in more),
            "" if one.method == BASELINE else spread(one.gain_mAP, sign="+"),
        )
    table.add_section()
    for result in published(evaluation.dataset):
        mean_ap = "" if result.mAP is None else str(result.mAP)
        table.add_row(result.method, str(result.rank1), "", "", mean_ap, "", "", result.note, style="dim")
    return table


def spread(value: Interval, *, sign: str = "") -> str:
    """Mean and interval in percent."""
    return f"{100 * value.mean:{sign}.1f} ({100 * value.low:.1f}..{100 * value.high:.1f})"


def main(
    weights: Annotated[Path, typer.Option(help="Checkpoint (.safetensors).")],
    dataset: Annotated[
        str,
        typer.Option(
            help="market1501, cuhk03_np, partial_reid, partial_ilids, occluded_reid, folder, "
            "several joined with '+', or heldout."
        ),
    ],
    root: Annotated[
        Path, typer.Option(help="Folder that holds the data sets; for `folder`, the folder itself.")
    ],
    queries: Annotated[Queries, typer.Option(help="Query set of partial_reid.")] = Queries.PARTIAL,
    backbone: Annotated[
        Path | None, typer.Option(help="Foreign network, for weights that are a head.")
    ] = None,
    shortlist: Annotated[
        int | None,
        typer.Option(min=1, help="Reconstruct only the nearest by pooled cosine; rows are named @N."),
    ] = None,
    heldout_list: Annotated[Path, typer.Option(help="People kept out of training.")] = HELDOUT_LIST,
    max_queries: Annotated[int | None, typer.Option(min=1, help="Only the first queries.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Scores a checkpoint by pooled cosine, DSR, FPR, their fusion, sliding windows and stripes."""
    people = read_heldout(heldout_list) if dataset == HELDOUT else frozenset()
    benchmarks = [limited(b, max_queries) for b in benchmarks_of(dataset, root, queries, people)]
    network = open_embeddings(weights, backbone=backbone, folder=cache)
    gallery = network.of(benchmarks[0].gallery, "gallery")  # the same for all of them
    evaluations = []
    for benchmark in benchmarks:
        probes = network.of(benchmark.queries, "queries")
        if shortlist is None:
            found = all_distances(probes, gallery, network.grid, watch)
        else:
            found = shortlisted(probes, gallery, shortlist, watch)
        evaluations.append(evaluate(benchmark, found))
    if json_output:
        typer.echo(json.dumps(as_json(evaluations, network.model_id)))
        return
    for evaluation in evaluations:
        Console().print(render(evaluation))


if __name__ == "__main__":
    typer.run(main)
