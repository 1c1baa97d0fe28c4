"""Recall by pooled vector from the store: who is summed, who is nearest, and from which index it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sqlalchemy import text

from pipeline.queries.recall import looked_up, other_models, pooled_identities, sightings_of
from pipeline.store.open_store import open_store
from tests.store_scene import MODEL, fill


def test_everybody_is_the_sum_of_the_crops_of_their_certain_sightings(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        known = pooled_identities(store, 1, MODEL)
        seen = [t for person, t in sightings_of(store, 1, [1])]
    assert known.identities.tolist() == [1, 2]  # person 3 was only seen ambiguously
    expected = np.sum([e.pooled.astype(np.float32) for t in seen for e in t.embeddings], axis=0)
    np.testing.assert_allclose(known.sums[0], expected, atol=1e-5)


def test_the_nearest_is_the_one_who_looks_the_same(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        known = pooled_identities(store, 1, MODEL)
    assert known.nearest(known.sums[1], 5) == [2, 1] and known.nearest(known.sums[0], 1) == [1]


def test_another_model_knows_nobody_here_and_is_told_whose_they_are(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert pooled_identities(store, 1, "other").nearest(np.ones(32), 3) == []
        assert other_models(store, "other") == [MODEL] and other_models(store, MODEL) == []


def test_sqlite_reads_the_vectors_without_the_cells(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store, store.reading() as connection:
        query = text("EXPLAIN QUERY PLAN SELECT crop, pooled FROM embeddings WHERE model = 1")
        assert "COVERING INDEX ix_embeddings_pooled" in str(connection.execute(query).all())


def test_a_key_that_nobody_has_is_nobody() -> None:
    assert looked_up(np.array([3, 9, -1, 1]), [(1, 10), (3, 30)]).tolist() == [30, -1, -1, 10]
    assert looked_up(np.array([2]), []).tolist() == [-1]
