"""Identity versions beside each other."""

from __future__ import annotations

from pipeline.store.database import Store
from pipeline.store.versions import current_version, is_late, mark_late, new_version


def test_a_version_is_marked_late_alone(store: Store) -> None:
    first, second = new_version(store, "online"), new_version(store, "relink")
    mark_late(store, first)
    assert (is_late(store, first), is_late(store, second), current_version(store)) == (True, False, second)
