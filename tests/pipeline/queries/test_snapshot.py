"""One moment of the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipeline.queries.snapshot import snapshot
from pipeline.records import Sighting
from pipeline.store.identity_claims import add_sightings
from pipeline.store.lookups import UnknownVersionError
from pipeline.store.open_store import open_store
from pipeline.store.schema import IdentityVersion, SightingRow
from pipeline.store.versions import new_version
from tests.store_scene import fill


def test_what_a_writer_does_meanwhile_is_not_seen(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    with open_store(path, write=True) as writer, open_store(path) as reader, snapshot(reader) as at:
        newer = new_version(writer, "relink")
        add_sightings(writer, newer, [Sighting(1, 2, "new")])
        claims = select(func.count()).select_from(SightingRow)
        assert at.version == 1 and at.connection.scalar(claims) == 6
        assert at.connection.scalar(select(func.max(IdentityVersion.id))) == 1


def test_an_identity_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(UnknownVersionError, match=r"no identity version 77 \(there is: 1\)"),
        snapshot(store, 77),
    ):
        pass


def test_the_newest_version_counts_unless_another_is_asked_for(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        newer = new_version(store, "relink")
        with snapshot(store) as at:
            assert at.version == newer
        with snapshot(store, 1) as at:
            assert at.version == 1
