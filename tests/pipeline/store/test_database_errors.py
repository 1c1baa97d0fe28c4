"""What goes wrong with a database is said in one line."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from pipeline.store.database import Store
from pipeline.store.database_errors import StoreFullError
from pipeline.store.schema import Tracklet
from pipeline.store.tracklets import add_tracklets
from tests.store_scene import HELD, count, recording, tracklet


def test_a_full_disk_is_one_clear_error_and_the_store_goes_on(store: Store) -> None:
    number = recording(store, "hall")

    def limit(connection: object, pages: int = 60) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

    store.engine.dispose()
    event.listen(store.engine, "connect", lambda connection, _: limit(connection))
    with pytest.raises(StoreFullError, match=r"a\.db: the disk is full"):
        add_tracklets(store, [tracklet(number, track) for track in range(1, 40)])
    assert count(store, *HELD) == [0] * len(HELD)
    add_tracklets(store, [tracklet(number, 1)])
    assert count(store, Tracklet) == [1]
