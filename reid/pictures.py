"""Pictures of what the network sees and finds ([FPR] Fig. 4, 6, 7): `python -m reid.pictures --help`.

Pictures of research data sets must not be published: write them to `out/`, which git ignores.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from reid.data.archives import read_images
from reid.data.datasets import HELDOUT_LIST, read_heldout
from reid.data.samples import Sample
from reid.progress import one_line_errors, watch
from reid.scoring.benchmarks import Benchmark, Queries, benchmarks_of, limited
from reid.scoring.embeddings import open_embeddings
from reid.scoring.methods import all_distances, cameras_of, hidden_shares
from reid.sets.baselines import CellGrid
from reid.sets.tracklets import CropEmbedding

TILE = (192, 96)
"""Height and width of a crop in a picture, px."""
GAP = 4
FRAME = 4
RIGHT, WRONG, PROBE = (40, 170, 60), (210, 50, 40), (60, 60, 60)
STRENGTH = 0.55
"""Of the colours over a crop."""
SHOWN = 8
"""Gallery pictures beside each query."""
COLUMNS = 6
PANELS_A_ROW = 2
DPI = 120
Image = NDArray[np.uint8]  # (H, W, 3) RGB

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)
Weights = Annotated[Path, typer.Option(help="Checkpoint (.safetensors).")]
Out = Annotated[Path, typer.Option(help="Picture to write (.png).")]
Backbone = Annotated[Path | None, typer.Option(help="Foreign network of a head's weights.")]


@app.command()
def maps(
    weights: Weights,
    images: Annotated[Path, typer.Option(help="Folder of crops.")],
    out: Out,
    backbone: Backbone = None,
) -> None:
    """The foreground probability over each crop of a folder: red is the person, blue is not."""
    with one_line_errors():
        network = open_embeddings(weights, backbone=backbone)
        samples = [Sample(name, 0, 0, raw) for name, raw in read_images([images])]
        tiles = [
            np.hstack([fitted(sample.image), fitted(heat(sample.image, embedding, network.grid))])
            for sample, embedding in zip(samples, network.of(samples, "crops"), strict=True)
        ]
    save(out, grid_of([tiles[i : i + COLUMNS // 2] for i in range(0, len(tiles), COLUMNS // 2)]))


@app.command()
def ranks(
    weights: Weights,
    dataset: Annotated[str, typer.Option(help="As for reid.evaluate.")],
    root: Annotated[Path, typer.Option(help="Folder that holds the data sets.")],
    out: Out,
    queries: Annotated[Queries, typer.Option(help="Query set of partial_reid.")] = Queries.PARTIAL,
    covered: Annotated[int, typer.Option(min=0, max=3, help="heldout: which of its shares.")] = 2,
    rows: Annotated[int, typer.Option(min=1, help="Queries, evenly spread.")] = 8,
    backbone: Backbone = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
) -> None:
    """The nearest gallery pictures of some queries by `fused`: green frames are right, red ones wrong."""
    with one_line_errors():
        people = read_heldout(HELDOUT_LIST) if dataset == "heldout" else frozenset()
        benchmarks = benchmarks_of(dataset, root, queries, people)
        benchmark = limited(benchmarks[min(covered, len(benchmarks) - 1)], rows)
        network = open_embeddings(weights, backbone=backbone, folder=cache)
        probes, gallery = network.of(benchmark.queries, "queries"), network.of(benchmark.gallery, "gallery")
        hidden = hidden_shares(network, benchmark.queries, probes)
        cameras = cameras_of(benchmark.queries), cameras_of(benchmark.gallery)
        distances = all_distances(probes, gallery, network.grid, watch, hidden=hidden, cameras=cameras)[
            "fused"
        ]
    save(out, grid_of([ranked_row(benchmark, i, row) for i, row in enumerate(distances)]))


@app.command()
def curves(
    sweep: Annotated[list[Path], typer.Argument(help="What `reid.evaluate --sweep ... --json` printed.")],
    out: Out,
) -> None:
    """Rank-1 and mAP over a parameter, one panel for each file."""
    with one_line_errors():
        found = [read_sweep(path) for path in sweep]
    draw_curves(found, out)


def read_sweep(path: Path) -> dict[str, Any]:
    """What `reid.evaluate --sweep --json` printed.

    Raises:
        ValueError: something else.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        points = [(row["covered"], row["rank1"], row["mAP"], row[found["sweep"]]) for row in found["rows"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: not what `reid.evaluate --sweep ... --json` prints") from error
    if not points:
        raise ValueError(f"{path}: not what `reid.evaluate --sweep ... --json` prints: no points in it")
    return found


def heat(image: Image, embedding: CropEmbedding, grid: CellGrid) -> Image:
    """A crop under the foreground probability of its finest cells, scaled to its own least and most."""
    rows, columns = grid.levels(grid.height(len(embedding.cells)))[0]
    share = embedding.foreground[: rows * columns].astype(np.float32).reshape(rows, columns)
    share = (share - share.min()) / max(float(np.ptp(share)), 1e-6)
    smooth = cv2.resize(share, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((255 * smooth).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    return np.asarray(STRENGTH * colours + (1 - STRENGTH) * image, np.uint8)


def ranked_row(benchmark: Benchmark, query: int, distances: NDArray[np.floating[Any]]) -> list[Image]:
    """A query and its SHOWN nearest; pictures of the query's person by its own camera do not count."""
    probe = benchmark.queries[query]
    order = [benchmark.gallery[i] for i in np.argsort(distances, kind="stable")]
    counted = [s for s in order if s.pid != probe.pid or s.camera != probe.camera][:SHOWN]
    found = [framed(s.image, RIGHT if s.pid == probe.pid else WRONG) for s in counted]
    return [framed(probe.image, PROBE), *found]


def fitted(image: Image) -> Image:
    """The picture in a TILE, its aspect kept, white around it."""
    scale = min(TILE[0] / image.shape[0], TILE[1] / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    tile = np.full((*TILE, 3), 255, np.uint8)
    top, left = (TILE[0] - height) // 2, (TILE[1] - width) // 2
    tile[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    return tile


def framed(image: Image, colour: tuple[int, int, int]) -> Image:
    """The fitted picture with a frame."""
    tile = fitted(image)
    cv2.rectangle(tile, (0, 0), (TILE[1] - 1, TILE[0] - 1), colour, FRAME)
    return tile


def grid_of(rows: Sequence[Sequence[Image]]) -> Image:
    """Rows of equal tiles as one picture; short rows are filled with white."""
    most = max(len(row) for row in rows)
    blank = np.full_like(rows[0][0], 255)
    gap = np.full((blank.shape[0], GAP, 3), 255, np.uint8)
    lines = []
    for row in rows:
        full = [*row, *[blank] * (most - len(row))]
        lines.append(np.hstack([part for tile in full for part in (tile, gap)]))
    line = np.full((GAP, lines[0].shape[1], 3), 255, np.uint8)
    return np.vstack([part for one in lines for part in (one, line)])


def draw_curves(sweeps: Sequence[dict[str, Any]], out: Path) -> None:
    """Panels of rank-1 and mAP in percent; one line for each share covered."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(sweeps), PANELS_A_ROW)
    rows = -(-len(sweeps) // columns)
    figure = Figure(figsize=(5 * columns, 3.6 * rows), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for empty in panels[len(sweeps) :]:
        empty.remove()
    for axes, found in zip(panels, sweeps, strict=False):
        for number, share in enumerate(sorted({row["covered"] for row in found["rows"]})):
            line = [row for row in found["rows"] if row["covered"] == share]
            values = [str(row[found["sweep"]]) for row in line]
            for metric, style in (("rank1", "o--"), ("mAP", "s-")):
                name = f"{metric}, {share:g}% covered"
                axes.plot(values, [row[metric] for row in line], style, color=f"C{number}", label=name)
        axes.set(xlabel=found["sweep"], ylabel="percent", title=found["dataset"])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="x-small")
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.print_figure(out, dpi=DPI)


def save(path: Path, picture: Image) -> None:
    """Write an RGB picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])


if __name__ == "__main__":
    app()
