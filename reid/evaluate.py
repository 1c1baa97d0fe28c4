"""Scores of a trained network on a re-identification benchmark: `python -m reid.evaluate --help`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from reid.data.datasets import HELDOUT_LIST, read_heldout
from reid.fpr.gallery import Storage
from reid.network.spec import Runtime
from reid.progress import one_line_errors, show, watch
from reid.scoring.benchmarks import HELDOUT, Benchmark, Queries, benchmarks_of, limited, ranked
from reid.scoring.embeddings import Embeddings, open_embeddings
from reid.scoring.methods import Distances, all_distances, cameras_of, hidden_shares, shortlisted
from reid.scoring.published import published
from reid.scoring.rank import Interval, Ranking, bootstrap, gain
from reid.scoring.sweep import Parameter, Point, sweep

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
    weights: Annotated[list[Path], typer.Option(help="Checkpoint (.safetensors); several for a sweep.")],
    dataset: Annotated[
        str,
        typer.Option(
            help="market1501, cuhk03_np, partial_reid, partial_ilids, occluded_reid, folder, "
            "several joined with '+'; or heldout or foreign."
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
    swept: Annotated[
        Parameter | None, typer.Option("--sweep", help="FPR alone at several values of a parameter (Fig. 7).")
    ] = None,
    storage: Annotated[
        Storage,
        typer.Option(
            help="Of the gallery: float32 is exact; int8 within 3e-4, slow where most are below 0.25."
        ),
    ] = "float32",
    runtime: Annotated[
        Runtime, typer.Option(help="What runs the network; openvino-bf16 is fast and errs by 1e-3.")
    ] = "auto",
    heldout_list: Annotated[Path, typer.Option(help="People kept out of training.")] = HELDOUT_LIST,
    max_queries: Annotated[int | None, typer.Option(min=1, help="Only the first queries.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Scores a checkpoint by pooled cosine, DSR, FPR, their fusions, sliding windows and stripes."""
    with one_line_errors():
        people = read_heldout(heldout_list) if dataset == HELDOUT else frozenset()
        benchmarks = [limited(b, max_queries) for b in benchmarks_of(dataset, root, queries, people)]
        if swept is not None and runtime != "auto":
            raise ValueError("--sweep and --runtime do not go together")
        if swept is not None:
            points = [(b, sweep(swept, b, weights, backbone=backbone, folder=cache)) for b in benchmarks]
            show_sweep(swept, points, json_output)
            return
        if len(weights) != 1:
            raise ValueError(f"{len(weights)} weights files: several are only for --sweep alpha and tau")
        network = open_embeddings(weights[0], backbone=backbone, folder=cache, runtime=runtime)
        evaluations = [evaluate(b, distances_of(b, network, shortlist, storage)) for b in benchmarks]
    if json_output:
        typer.echo(json.dumps(as_json(evaluations, network.model_id)))
        return
    for evaluation in evaluations:
        show(render(evaluation))


def distances_of(
    benchmark: Benchmark, network: Embeddings, shortlist: int | None, storage: Storage
) -> Distances:
    """The benchmark's distances by every method, or reconstruction only for the nearest."""
    gallery, probes = network.of(benchmark.gallery, "gallery"), network.of(benchmark.queries, "queries")
    hidden = hidden_shares(network, benchmark.queries, probes)
    if shortlist is None:
        cameras = cameras_of(benchmark.queries), cameras_of(benchmark.gallery)
        return all_distances(
            probes, gallery, network.grid, watch, hidden=hidden, cameras=cameras, storage=storage
        )
    return shortlisted(probes, gallery, watch, hidden=hidden, count=shortlist, storage=storage)


def show_sweep(
    parameter: Parameter, curves: Sequence[tuple[Benchmark, list[Point]]], json_output: bool
) -> None:
    """Print the points of each benchmark's curve, in percent."""
    rows = [
        {
            parameter.value: point.value,
            "covered": percent(benchmark.covered),
            "rank1": percent(point.rank1),
            "mAP": percent(point.mAP),
        }
        for benchmark, points in curves
        for point in points
    ]
    if json_output:
        typer.echo(json.dumps({"dataset": curves[0][0].name, "sweep": parameter.value, "rows": rows}))
        return
    table = Table(*rows[0], title=f"{curves[0][0].name}, FPR alone")
    for row in rows:
        table.add_row(*map(str, row.values()))
    show(table)


if __name__ == "__main__":
    typer.run(main)
