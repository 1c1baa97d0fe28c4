"""How well the foreground probability tells person from not: `python -m reid.foreground --help`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import rankdata

from reid.data.datasets import HELDOUT_LIST, read_heldout
from reid.data.samples import Sample
from reid.masks import Mask, read_mask
from reid.progress import one_line_errors, show
from reid.scoring.benchmarks import Queries, benchmarks_of, cover, cover_with_texture
from reid.scoring.embeddings import Embeddings, open_embeddings
from reid.sets.baselines import CellGrid
from reid.sets.tracklets import CropEmbedding

THRESHOLD = 0.35
"""A cell shows the person where more of its window does: t of [FPR] Eq. 10."""
COVERED = 0.4
"""Share of a crop that an occluder covers."""
SEED = 0


@dataclass(frozen=True)
class Quality:
    """How well h ranks cells of one kind above those of another."""

    against: str
    cells: int
    positive: float
    """Share of the cells that should be high."""
    auc: float
    """Chance that h is higher where it should be: 0.5 guesses, 1 is perfect."""


def auc(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count half.

    Args:
        scores, labels: (N,).

    Raises:
        ValueError: not both kinds are there.
    """
    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        raise ValueError(f"{positive} positive and {negative} negative cells: both kinds are needed")
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def quality(
    against: str, embeddings: Sequence[CropEmbedding], shares: Sequence[NDArray[np.float64]]
) -> Quality:
    """AUC of h over all cells, by the (N,) share of each cell's window that should be foreground."""
    scores = np.concatenate([e.foreground.astype(np.float64) for e in embeddings])
    labels = np.concatenate(list(shares)) > THRESHOLD
    return Quality(against, len(labels), float(labels.mean()), auc(scores, labels))


def window_shares(mask: Mask, grid: CellGrid, cells: int) -> NDArray[np.float64]:
    """(N,) share of each cell's window that an (H, W) mask marks."""
    size = (grid.columns, grid.height(cells))
    shares = np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
    return grid.window_means(shares)


def against_masks(network: Embeddings, samples: Sequence[Sample], masks: Sequence[Mask]) -> Quality:
    """On clean crops: the person against everything else."""
    embeddings = network.of(samples, "clean crops")
    shares = [
        window_shares(mask, network.grid, len(e.cells)) for e, mask in zip(embeddings, masks, strict=True)
    ]
    return quality("person masks", embeddings, shares)


def against_occluders(
    against: str,
    network: Embeddings,
    samples: Sequence[Sample],
    covered: Callable[[Sample, int, np.random.Generator], Sample],
) -> Quality:
    """On covered crops: what is still seen of the crop against what covers it.

    Args:
        covered: the sample of a place in the list, with COVERED of its picture painted over.
    """
    rng = np.random.default_rng(SEED)
    pictures = [covered(sample, i, rng) for i, sample in enumerate(samples)]
    embeddings = network.of(pictures, against)
    shares = [
        window_shares((before.image == after.image).all(2), network.grid, len(e.cells))
        for e, before, after in zip(embeddings, samples, pictures, strict=True)
    ]
    return quality(against, embeddings, shares)


def measure(network: Embeddings, samples: Sequence[Sample], masks: Sequence[Mask] | None) -> list[Quality]:
    """Against person masks (where there are any), pasted people and pasted textures."""

    def with_person(sample: Sample, i: int, rng: np.random.Generator) -> Sample:
        return cover(sample, samples[(i + len(samples) // 2) % len(samples)], COVERED, rng)

    def with_texture(sample: Sample, i: int, rng: np.random.Generator) -> Sample:
        return cover_with_texture(sample, COVERED, rng)

    return [
        *([] if masks is None else [against_masks(network, samples, masks)]),
        against_occluders("pasted people", network, samples, with_person),
        against_occluders("pasted textures", network, samples, with_texture),
    ]


def main(
    weights: Annotated[Path, typer.Option(help="Checkpoint (.safetensors).")],
    root: Annotated[Path, typer.Option(help="Folder that holds the data sets.")],
    dataset: Annotated[str, typer.Option(help="As for reid.evaluate; its queries are used.")] = "heldout",
    network: Annotated[Path | None, typer.Option(help="Segmentation network: yolov8n-seg.pt.")] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of masks that reid.masks wrote.")] = None,
    backbone: Annotated[Path | None, typer.Option(help="Foreign network of a head's weights.")] = None,
    crops: Annotated[int, typer.Option(min=2, help="So many, spread evenly.")] = 200,
    heldout_list: Annotated[Path, typer.Option(help="People kept out of training.")] = HELDOUT_LIST,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """AUC of the foreground probability against person masks and against pasted occluders."""
    with one_line_errors():
        people = read_heldout(heldout_list) if dataset == "heldout" else frozenset()
        queries = benchmarks_of(dataset, root, Queries.PARTIAL, people)[0].queries
        samples = [queries[i * len(queries) // crops] for i in range(min(crops, len(queries)))]
        found = measure(
            open_embeddings(weights, backbone=backbone, folder=cache), samples, given(samples, network, masks)
        )
    if json_output:
        typer.echo(
            json.dumps({"dataset": dataset, "crops": len(samples), "rows": [asdict(q) for q in found]})
        )
        return
    table = Table("h against", "cells", "of them high", "AUC", title=f"{dataset}, {len(samples)} crops")
    for one in found:
        table.add_row(one.against, str(one.cells), f"{one.positive:.0%}", f"{one.auc:.3f}")
    show(table)


def given(samples: Sequence[Sample], network: Path | None, masks: Path | None) -> list[Mask] | None:
    """The samples' masks: read from a folder, or computed by a network; None: neither is named.

    Raises:
        MaskMissing: a mask is not in the folder.
        SegmenterError: the network cannot be loaded.
    """
    if masks is not None:
        return [read_mask(masks, sample) for sample in samples]
    if network is None:
        return None
    from reid.network.segment import Segmenter

    segmenter = Segmenter(network)
    return [segmenter.mask(sample.image) for sample in samples]


if __name__ == "__main__":
    typer.run(main)
