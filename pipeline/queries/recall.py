"""Who in a store looks most like a crop by pooled vector, without reading the cells of everybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Connection, Executable, select

from pipeline.records import StoredTracklet
from pipeline.store.database import Store
from pipeline.store.schema import CropRow, EmbeddingRow, Model, SightingRow
from pipeline.store.tracklets import tracklets_in_order

Vectors = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PooledIdentities:
    """Everybody in a version that one model has seen, by the sum of the pooled vectors of all crops."""

    identities: NDArray[np.int64]  # (I,) ascending
    sums: NDArray[np.float32]  # (I, D)

    def among(self, identities: Sequence[int]) -> PooledIdentities:
        """Only those of these identities."""
        kept = np.isin(self.identities, np.array(identities, np.int64))
        return PooledIdentities(self.identities[kept], self.sums[kept])

    def nearest(self, pooled: Vectors, count: int) -> list[int]:
        """The `count` identities of least cosine distance to a (D,) vector, nearest first."""
        if not len(self.identities):
            return []
        lengths = np.maximum(np.sqrt(np.einsum("id,id->i", self.sums, self.sums)), 1e-12)
        order = np.argsort(-(self.sums @ pooled.astype(np.float32)) / lengths, kind="stable")
        return [int(identity) for identity in self.identities[order[:count]]]


def pooled_identities(store: Store, version: int, model: str) -> PooledIdentities:
    """Everybody whose sightings in `version` are certain; three narrow reads, joined here.

    SQLite answers that of the vectors from an index: in the table each lies behind 16 KB of cells.
    """
    certain = (SightingRow.version == version) & (SightingRow.state != "ambiguous")
    with store.reading() as connection:
        number = connection.scalar(select(Model.id).where(Model.name == model))
        mine = select(EmbeddingRow.crop, EmbeddingRow.pooled).where(EmbeddingRow.model == number)
        vectors = plain_rows(connection, mine)
        crops = plain_rows(connection, select(CropRow.id, CropRow.tracklet))
        claims = plain_rows(connection, select(SightingRow.tracklet, SightingRow.identity).where(certain))
    owners = looked_up(looked_up(np.array([crop for crop, _ in vectors], np.int64), crops), claims)
    return summed(owners, b"".join(pooled for _, pooled in vectors))


def plain_rows(connection: Connection, query: Executable) -> Sequence[Any]:
    """The rows as the driver gives them: making SQLAlchemy's of them takes as long as reading."""
    cursor = connection.execute(query).cursor
    return [] if cursor is None else cursor.fetchall()


def looked_up(keys: NDArray[np.int64], pairs: Sequence[Any]) -> NDArray[np.int64]:
    """The value of each key among (key, value) rows; -1 where there is none."""
    flat = np.fromiter(chain.from_iterable(pairs), np.int64, 2 * len(pairs)).reshape(-1, 2)
    most = max(keys.max(initial=0), flat[:, 0].max(initial=0))
    values = np.full(most + 2, -1, np.int64)  # its last place answers for key -1
    values[flat[:, 0]] = flat[:, 1]
    return values[keys]


def summed(owners: NDArray[np.int64], pooled: bytes) -> PooledIdentities:
    """Sums by owner of little-endian float16 vectors; owner -1 is nobody."""
    if not (owners >= 0).any():
        return PooledIdentities(np.empty(0, np.int64), np.empty((0, 0), np.float32))
    vectors = np.frombuffer(pooled, "<f2").reshape(len(owners), -1)
    known = np.flatnonzero(owners >= 0)
    identities, places = np.unique(owners[known], return_inverse=True)
    members = csr_array((np.ones(len(known), np.float32), (places, known)), (len(identities), len(owners)))
    return PooledIdentities(identities, members @ vectors.astype(np.float32))


def sightings_of(
    store: Store, version: int, identities: Sequence[int]
) -> Iterator[tuple[int, StoredTracklet]]:
    """The certain tracklets of these identities, each with its own, in the order of linking."""
    mine = (SightingRow.version == version) & SightingRow.identity.in_(identities)
    certain = select(SightingRow.tracklet, SightingRow.identity).where(mine, SightingRow.state != "ambiguous")
    with store.reading() as connection:
        owners = {tracklet: identity for tracklet, identity in connection.execute(certain)}
    ids = select(SightingRow.tracklet).where(mine, SightingRow.state != "ambiguous")
    for tracklet in tracklets_in_order(store, ids):
        if tracklet.id in owners:
            yield owners[tracklet.id], tracklet


def has_embedded(store: Store, model: str) -> bool:
    """Whether a model has embedded anybody."""
    mine = select(EmbeddingRow.crop).join(Model).where(Model.name == model).limit(1)
    with store.reading() as connection:
        return connection.scalar(mine) is not None


def other_models(store: Store, model: str) -> list[str]:
    """Models, this one left out, that have embedded somebody."""
    used = select(EmbeddingRow.crop).where(EmbeddingRow.model == Model.id)
    with store.reading() as connection:
        names = connection.scalars(select(Model.name).where(used.exists(), Model.name != model))
        return sorted(names)
