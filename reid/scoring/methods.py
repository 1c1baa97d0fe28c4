"""Distances of every query to every gallery picture, by each method, on the same embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid.data.samples import Sample
from reid.fpr.distance import prepare, weighted_distances
from reid.fpr.gallery import PreparedGallery, Storage
from reid.progress import Watch, batches
from reid.scoring.embeddings import Embeddings
from reid.sets.baselines import BASELINES, CellGrid
from reid.sets.fusion import fused, hidden_share, shown_height
from reid.sets.site import site_fused
from reid.sets.tracklets import CropEmbedding, as_probe

METHODS = ("pooled", "dsr", "fpr", "fused", "site", "swm", "pcb")
"""Pooled cosine; reconstruction with uniform and with foreground weights; both together, and the same against
what is usual for each camera of the gallery; the peers."""
QUERY_BATCH = 64
Distances = dict[str, NDArray[np.float32]]  # (Q, G) by method


def all_distances(
    queries: Sequence[CropEmbedding],
    gallery: Sequence[CropEmbedding],
    grid: CellGrid,
    watch: Watch,
    *,
    hidden: NDArray[np.floating],
    cameras: tuple[Sequence[str], Sequence[str]],
    storage: Storage = "float32",
) -> Distances:
    """(Q, G) distances by the names in METHODS; every gallery picture is scored.

    Args:
        grid: how the cells lie on a crop.
        hidden: (Q,) share of a whole body that each query does not show, see `hidden_shares`.
        cameras: (Q,) and (G,) where each was seen, see `cameras_of`.
        storage: of the gallery; `int8` is the fast path of `reid.fpr.distance`.

    Raises:
        ValueError: cells of another network, or not of this grid.
    """
    pooled = pooled_distances(queries, gallery)
    dsr, fpr = reconstruction_distances(queries, prepare([e.cells for e in gallery], storage=storage), watch)
    peers = {name: method(queries, gallery, grid) for name, method in BASELINES.items()}
    return {
        "pooled": pooled,
        "dsr": dsr,
        "fpr": fpr,
        "fused": fused(pooled, fpr, hidden),
        "site": site_distances(queries, gallery, fpr, cameras, hidden),
        **peers,
    }


def site_distances(
    queries: Sequence[CropEmbedding],
    gallery: Sequence[CropEmbedding],
    fpr: NDArray[np.floating],
    cameras: tuple[Sequence[str], Sequence[str]],
    hidden: NDArray[np.floating],
) -> NDArray[np.float32]:
    """(Q, G) see `reid.sets.site.site_fused`."""
    mine, theirs = (np.stack([e.pooled for e in part]).astype(np.float32) for part in (queries, gallery))
    seen, usual = (np.array([mean_foreground(e) for e in part]) for part in (queries, gallery))
    return site_fused((mine, theirs), fpr, cameras, (seen, usual), hidden)


def cameras_of(samples: Sequence[Sample]) -> list[str]:
    """Where each sample was seen, told apart over data sets: `market1501/3`."""
    return [f"{sample.name.partition('/')[0]}/{sample.camera}" for sample in samples]


def shortlisted(
    queries: Sequence[CropEmbedding],
    gallery: Sequence[CropEmbedding],
    watch: Watch,
    *,
    hidden: NDArray[np.floating],
    count: int,
    storage: Storage = "float32",
) -> Distances:
    """As `all_distances`, but reconstruction sees only the `count` nearest by pooled cosine; the rest follow.

    Args:
        count: of gallery pictures for each query; the names say it: `fpr@100`.
    """
    pooled = pooled_distances(queries, gallery)
    nearest = np.argsort(pooled, axis=1, kind="stable")[:, :count]
    prepared = prepare([e.cells for e in gallery], storage=storage)
    dsr, fpr, both = (pooled + 1_000 for _ in range(3))
    for i in watch(range(len(queries)), "distances"):
        places = nearest[i]
        rows = weighted_distances([two_weights(queries[i])], prepared, rows=places.tolist())[:, 0]
        dsr[i, places], fpr[i, places] = rows
        both[i, places] = fused(pooled[i : i + 1, places], rows[1:], hidden[i : i + 1])[0]
    return {"pooled": pooled, f"dsr@{count}": dsr, f"fpr@{count}": fpr, f"fused@{count}": both}


def pooled_distances(
    queries: Sequence[CropEmbedding], gallery: Sequence[CropEmbedding]
) -> NDArray[np.float32]:
    """(Q, G) cosine distances of pooled vectors."""
    mine, theirs = (np.stack([e.pooled for e in part]).astype(np.float32) for part in (queries, gallery))
    result: NDArray[np.float32] = 1 - mine @ theirs.T
    return result


def reconstruction_distances(
    queries: Sequence[CropEmbedding], prepared: PreparedGallery, watch: Watch
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two (Q, G) reconstruction distances: with uniform weights (DSR), and with the foreground's (FPR)."""
    blocks = [
        weighted_distances([two_weights(query) for query in batch], prepared)
        for batch in watch(batches(queries, QUERY_BATCH), "distances")
    ]
    both = np.concatenate(blocks, axis=1)
    return both[0], both[1]


def two_weights(query: CropEmbedding) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The query's cells with (2, N) weights: uniform, foreground."""
    cells, foreground = as_probe(query)
    return cells, np.stack([np.ones_like(foreground), foreground])


def hidden_shares(
    network: Embeddings, queries: Sequence[Sample], probes: Sequence[CropEmbedding]
) -> NDArray[np.float32]:
    """(Q,) how much of a whole body each query does not show, by its shape and its embedding."""
    return hidden(probes, shown_heights(queries, network.grid), network.visible)


def hidden(
    queries: Sequence[CropEmbedding], shown: Sequence[float], visible: float | None = None
) -> NDArray[np.float32]:
    """(Q,) see `hidden_share`; `visible` instead of each query's mean foreground where that says nothing."""
    seen = [visible if visible is not None else mean_foreground(query) for query in queries]
    return np.array([hidden_share(*shares) for shares in zip(seen, shown, strict=True)], np.float32)


def mean_foreground(crop: CropEmbedding) -> float:
    """Mean probability that a cell of the crop shows the person."""
    return float(crop.foreground.astype(np.float64).mean())


def shown_heights(queries: Sequence[Sample], grid: CellGrid) -> list[float]:
    """How much of a whole body's height each picture has room for, see `shown_height`."""
    sizes = [query.image.shape for query in queries]
    return [shown_height(height, width, grid.aspect) for height, width, _ in sizes]
