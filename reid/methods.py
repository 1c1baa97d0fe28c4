"""Distances of every query to every gallery picture, by each method, on the same embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid.baselines import BASELINES, CellGrid
from reid.fpr import prepare, weighted_distances
from reid.fpr_gallery import PreparedGallery
from reid.fusion import fused, hidden_share, shown_height
from reid.progress import Watch, batches
from reid.samples import Sample
from reid.tracklets import CropEmbedding, as_probe

METHODS = ("pooled", "dsr", "fpr", "fused", "swm", "pcb")
"""Pooled cosine; reconstruction with uniform and with foreground weights; both together; the peers."""
QUERY_BATCH = 64
Distances = dict[str, NDArray[np.float32]]  # (Q, G) by method


def all_distances(
    queries: Sequence[CropEmbedding],
    gallery: Sequence[CropEmbedding],
    grid: CellGrid,
    watch: Watch,
    *,
    shown: Sequence[float],
) -> Distances:
    """(Q, G) distances by the names in METHODS; every gallery picture is scored.

    Args:
        grid: how the cells lie on a crop.
        shown: (Q,) share of a whole body's height that each query has room for.

    Raises:
        ValueError: cells of another network, or not of this grid.
    """
    pooled = pooled_distances(queries, gallery)
    dsr, fpr = reconstruction_distances(queries, prepare([e.cells for e in gallery]), watch)
    peers = {name: method(queries, gallery, grid) for name, method in BASELINES.items()}
    return {
        "pooled": pooled,
        "dsr": dsr,
        "fpr": fpr,
        "fused": fused(pooled, fpr, hidden(queries, shown)),
        **peers,
    }


def shortlisted(
    queries: Sequence[CropEmbedding],
    gallery: Sequence[CropEmbedding],
    watch: Watch,
    *,
    shown: Sequence[float],
    count: int,
) -> Distances:
    """As `all_distances`, but reconstruction sees only the `count` nearest by pooled cosine; the rest follow.

    Args:
        count: of gallery pictures for each query; the names say it: `fpr@100`.
    """
    pooled = pooled_distances(queries, gallery)
    nearest = np.argsort(pooled, axis=1, kind="stable")[:, :count]
    prepared = prepare([e.cells for e in gallery])
    dsr, fpr, both = (pooled + 1_000 for _ in range(3))
    unseen = hidden(queries, shown)
    for i in watch(range(len(queries)), "distances"):
        places = nearest[i]
        rows = weighted_distances([two_weights(queries[i])], prepared, rows=places.tolist())[:, 0]
        dsr[i, places], fpr[i, places] = rows
        both[i, places] = fused(pooled[i : i + 1, places], rows[1:], unseen[i : i + 1])[0]
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


def hidden(queries: Sequence[CropEmbedding], shown: Sequence[float]) -> NDArray[np.float32]:
    """(Q,) how much of each query is hidden, see `hidden_share`."""
    shares = [hidden_share(query.foreground, share) for query, share in zip(queries, shown, strict=True)]
    return np.array(shares, np.float32)


def shown_heights(queries: Sequence[Sample], grid: CellGrid) -> list[float]:
    """How much of a whole body's height each picture has room for, see `shown_height`."""
    sizes = [query.image.shape for query in queries]
    return [shown_height(height, width, grid.aspect) for height, width, _ in sizes]
