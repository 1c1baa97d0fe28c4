"""Embeddings of a list of crops; kept on disk where asked, so that a sweep embeds a data set once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from reid.data.samples import Sample
from reid.network.spec import Runtime
from reid.progress import Watch, batches, watch
from reid.sets.baselines import CellGrid
from reid.sets.fusion import HEAD_VISIBLE
from reid.sets.tracklets import CropEmbedding

EMBED_BATCH = 32
FILE_CROPS = 2048
"""Of one file: no more is lost when a run is cut."""
DIGEST = "[0-9a-f]" * 16
"""Of a file's first picture, as a pattern: another runtime's name does not match it."""
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
    """A network that remembers what it has embedded, and in a folder for the next time."""

    def __init__(
        self,
        embedder: Embedder,
        model_id: str,
        grid: CellGrid,
        folder: Path | None = None,
        *,
        visible: float | None = None,
        runtime: Runtime = "auto",
    ) -> None:
        """Wrap a network; files of other networks, and of one that another runtime ran, are not read.

        Args:
            grid: how its cells lie on a crop.
            visible: the share of every crop that counts as visible, where the foreground does not say it.
            runtime: what was asked to run it.
        """
        self.embedder, self.model_id, self.grid, self.folder = embedder, model_id, grid, folder
        self.visible = visible
        self.stem = model_id if runtime == "auto" else f"{model_id}+{runtime}"
        files = (
            sorted(folder.glob(f"{self.stem}-{DIGEST}.npz")) if folder is not None and folder.is_dir() else []
        )
        self.known = {digest: one for file in files for digest, one in read(file).items()}

    def of(self, samples: Sequence[Sample], name: str) -> list[CropEmbedding]:
        """The samples' embeddings, in order; `name` stands beside the progress bar.

        Raises:
            DatasetChanged: a file is no picture.
        """
        digests = [digest_of(sample) for sample in samples]
        new = {d: sample for d, sample in zip(digests, samples, strict=True) if d not in self.known}
        for batch in batches(list(new), FILE_CROPS):
            found = embed(self.embedder, [new[d] for d in batch], watch, name)
            learnt = dict(zip(batch, found, strict=True))
            if self.folder is not None:
                write(self.folder / f"{self.stem}-{batch[0]}.npz", learnt)
            self.known |= learnt
        return [self.known[d] for d in digests]


def open_embeddings(
    weights: Path, *, backbone: Path | None = None, folder: Path | None = None, runtime: Runtime = "auto"
) -> Embeddings:
    """The network of a checkpoint.

    Raises:
        WeightsError: see `reid.embed.load_embedder`.
    """
    from reid.embed import load_embedder  # here: importing this module needs no torch
    from reid.network.weights import read_notes

    spec = read_notes(weights).spec
    embedder = load_embedder(weights, backbone=backbone, runtime=runtime)
    rows, columns = (side // MAP_STRIDE for side in spec.box)
    grid = CellGrid(spec.kernels, columns, rows)
    visible = None if spec.foreign is None else HEAD_VISIBLE
    return Embeddings(embedder, embedder.model_id, grid, folder, visible=visible, runtime=runtime)


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


def digest_of(sample: Sample) -> str:
    """16 hex digits of the picture's file."""
    return hashlib.sha256(sample.encoded).hexdigest()[:16]


def write(path: Path, embeddings: Mapping[str, CropEmbedding]) -> None:
    """Write embeddings by digest beside `path` and move into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    found = list(embeddings.values())
    np.savez(
        partial,
        digests=np.array(list(embeddings)),
        cells=np.concatenate([e.cells for e in found]),  # (sum N, C)
        foreground=np.concatenate([e.foreground for e in found]),
        pooled=np.stack([e.pooled for e in found]),
        counts=np.array([len(e.cells) for e in found]),
    )
    partial.replace(path)


def read(path: Path) -> dict[str, CropEmbedding]:
    """What `write` wrote; nothing from half a file."""
    try:
        with path.open("rb") as opened, np.load(opened) as held:
            ends = np.cumsum(held["counts"])[:-1]
            parts = np.split(held["cells"], ends), np.split(held["foreground"], ends), list(held["pooled"])
            digests = [str(digest) for digest in held["digests"]]
    except (BadZipFile, KeyError, ValueError, EOFError):
        return {}
    return {d: CachedEmbedding(*row) for d, *row in zip(digests, *parts, strict=True)}
