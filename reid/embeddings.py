"""Embeddings of a list of crops; kept on disk where asked, so that a sweep embeds a data set once."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from reid.baselines import CellGrid
from reid.progress import Watch, batches, watch
from reid.samples import Sample
from reid.tracklets import CropEmbedding

EMBED_BATCH = 32
MAP_STRIDE = 16
"""Pixels of the input to a position of the map."""
Image = NDArray[np.uint8]  # (H, W, 3) RGB


class Embedder(Protocol):
    """A network as `reid.embed` wraps it."""

    def embed(self, crops: list[Image], /) -> Sequence[CropEmbedding]:
        """One embedding for each crop."""


@dataclass(frozen=True)
class CachedEmbedding:
    """One crop's embedding, read back."""

    cells: NDArray[np.floating[Any]]  # (N, C)
    foreground: NDArray[np.floating[Any]]  # (N,)
    pooled: NDArray[np.floating[Any]]  # (D,)


class Embeddings:
    """A network that remembers what it has embedded, in a folder or not at all."""

    def __init__(self, embedder: Embedder, model_id: str, grid: CellGrid, folder: Path | None = None) -> None:
        """Wrap a network; `grid` is how its cells lie on a crop."""
        self.embedder, self.model_id, self.grid, self.folder = embedder, model_id, grid, folder

    def of(self, samples: Sequence[Sample], name: str) -> Sequence[CropEmbedding]:
        """The samples' embeddings, in order; `name` stands beside the progress bar."""
        compute = functools.partial(embed, self.embedder, watch=watch, name=name)
        return cached(self.folder, self.model_id, samples, compute)


def open_embeddings(weights: Path, *, backbone: Path | None = None, folder: Path | None = None) -> Embeddings:
    """The network of a checkpoint.

    Raises:
        WeightsError: see `reid.embed.load_embedder`.
    """
    from reid.embed import load_embedder  # here: importing this module needs no torch
    from reid.weights import read_notes

    spec = read_notes(weights).spec
    embedder = load_embedder(weights, backbone=backbone)
    return Embeddings(embedder, embedder.model_id, CellGrid(spec.kernels, spec.box[1] // MAP_STRIDE), folder)


def embed(embedder: Embedder, samples: Sequence[Sample], watch: Watch, name: str) -> list[CropEmbedding]:
    """The samples' embeddings, in order; pictures are decoded batch by batch.

    Raises:
        DatasetChanged: a file is no picture.
    """
    return [
        embedding
        for batch in watch(batches(samples, EMBED_BATCH), name)
        for embedding in embedder.embed([sample.image for sample in batch])
    ]


def cached(
    folder: Path | None,
    model_id: str,
    samples: Sequence[Sample],
    compute: Callable[[Sequence[Sample]], list[CropEmbedding]],
) -> Sequence[CropEmbedding]:
    """The samples' embeddings: from `folder` where this network has seen these pictures, or computed.

    Args:
        folder: where files lie; None: nothing is kept.
        model_id: the network, see `reid.embed.Embedder`.
        compute: what embeds the samples where they are not there yet.
    """
    if folder is None:
        return compute(samples)
    path = folder / f"{model_id}-{digest(samples)}.npz"
    if path.is_file():
        try:
            return read(path)
        except (BadZipFile, KeyError, ValueError, EOFError):
            path.unlink()  # half a file of another version
    found = compute(samples)
    write(path, found)
    return found


def digest(samples: Sequence[Sample]) -> str:
    """16 hex digits of the pictures, in their order."""
    whole = hashlib.sha256()
    for sample in samples:
        whole.update(hashlib.sha256(sample.encoded).digest())
    return whole.hexdigest()[:16]


def write(path: Path, embeddings: Sequence[CropEmbedding]) -> None:
    """Write beside `path` and move into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    np.savez(
        partial,
        cells=np.concatenate([e.cells for e in embeddings]),  # (sum N, C)
        foreground=np.concatenate([e.foreground for e in embeddings]),
        pooled=np.stack([e.pooled for e in embeddings]),
        counts=np.array([len(e.cells) for e in embeddings]),
    )
    partial.replace(path)


def read(path: Path) -> list[CropEmbedding]:
    """What `write` wrote."""
    with path.open("rb") as opened, np.load(opened) as held:
        ends = np.cumsum(held["counts"])[:-1]
        parts = np.split(held["cells"], ends), np.split(held["foreground"], ends), list(held["pooled"])
    return [CachedEmbedding(*row) for row in zip(*parts, strict=True)]
