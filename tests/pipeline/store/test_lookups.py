"""Whom and what somebody means; of the unknown the nearest are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.store.database import Store
from pipeline.store.lookups import (
    UnknownCameraError,
    UnknownPersonError,
    UnknownVersionError,
    check_cameras,
    check_person,
    chosen,
)
from pipeline.store.open_store import open_store
from pipeline.store.versions import new_version
from tests.store_scene import fill


def test_who_is_there_is_not_refused_and_of_who_is_not_the_nearest_are_named(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        check_person(store, 3)
        with pytest.raises(UnknownPersonError, match=r"no person P7 \(nearest: P1, P2, P3\)"):
            check_person(store, 7)


def test_a_person_is_looked_for_in_one_version_alone(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        earlier, empty = chosen(store, None), new_version(store, "relink")
        check_person(store, 1, version=earlier)
        with pytest.raises(UnknownPersonError, match="nobody has been identified yet"):
            check_person(store, 1, version=empty)


def test_of_an_unknown_camera_the_one_that_was_meant_is_named(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store, store.reading() as connection:
        check_cameras(connection, ["hall", "gate"])
        with pytest.raises(UnknownCameraError, match=r"no camera 'hal'.*'hall'"):
            check_cameras(connection, ["gate", "hal"])


def test_without_a_version_the_newest_is_meant_and_0_where_there_is_none(store: Store) -> None:
    assert chosen(store, None) == 0
    first, second = new_version(store, "online"), new_version(store, "relink")
    assert [chosen(store, version) for version in (None, 0, first)] == [second, second, first]
    with pytest.raises(UnknownVersionError, match=r"no identity version 9 \(there is: 1, 2\)"):
        chosen(store, 9)
