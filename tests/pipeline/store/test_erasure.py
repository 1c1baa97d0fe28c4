"""Erasing a person leaves nothing of them behind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipeline.queries.crops import best_crops, crop_jpeg
from pipeline.queries.export import export
from pipeline.queries.people import people
from pipeline.records import Sighting
from pipeline.store.database_errors import ReadOnlyStoreError
from pipeline.store.erasure import forget
from pipeline.store.identity_claims import add_sightings, load_gallery, new_identity
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.open_store import open_store
from pipeline.store.schema import AuditEntry, Box, CropRow, EmbeddingRow, Identity, SightingRow, Tracklet
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import current_version, new_version
from tests.store_scene import fill, recording, tracklet

PIECE_BYTES = 16
HELD = (Tracklet, Box, CropRow, EmbeddingRow)


def pieces(blob: bytes) -> set[bytes]:
    """The pieces of a JPEG behind its header, which all JPEGs share."""
    return {blob[at : at + PIECE_BYTES] for at in range(700, len(blob) - PIECE_BYTES, PIECE_BYTES)}


def vectors(blob: bytes) -> set[bytes]:
    """The pieces of an embedding."""
    return {blob[at : at + PIECE_BYTES] for at in range(0, len(blob) - PIECE_BYTES, PIECE_BYTES)}


def traces(path: Path, biometric: set[bytes]) -> int:
    """How many of the pieces are anywhere in the database's files."""
    raw = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    return sum(piece in raw for piece in biometric)


def test_forgetting_a_person_leaves_no_row_and_no_byte(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    with open_store(path) as store:
        biometric = set().union(*(pieces(crop_jpeg(store, crop.crop)) for crop in best_crops(store, 1)))
        mine = [item.tracklet for item in load_gallery(store, 1) if item.sighting.identity == 1]
        for item in mine:
            biometric |= set().union(*(vectors(e.cells.tobytes()) for e in item.embeddings))
    assert traces(path, biometric) > 500
    with open_store(path, write=True) as store:
        erased = forget(store, 1)
        assert (erased.tracklets, erased.crops, erased.boxes) == (4, 8, 100)
        assert traces(path, biometric) == 0
        with store.reading() as connection:
            left = [connection.scalar(select(func.count()).select_from(table)) for table in HELD]
            assert left == [2, 50, 4, 4]
            assert connection.scalars(select(Identity.id).order_by(Identity.id)).all() == [2, 3]
            assert connection.scalars(select(SightingRow.runner_up)).all() == [None, None]
        assert [person.person for person in people(store).people] == [2, 3]
        with pytest.raises(UnknownPersonError):
            forget(store, 1)
    assert traces(path, biometric) == 0


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_is_left_whatever_was_written_and_erased_before(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "a.db"
    with open_store(path, create=True, write=True) as store:
        number, version = recording(store, "hall"), new_version(store, "online")
        persons = [new_identity(store) for _ in range(12)]
        biometric: dict[int, set[bytes]] = {person: set() for person in persons}
        sent = [tracklet(number, track, frames=4, crops=chance.randint(1, 4)) for track in range(1, 60)]
        add_tracklets(store, sent)
        for found, original in zip(stored_tracklets(store), sent, strict=True):
            person = chance.choice(persons)
            biometric[person].update(*(pieces(crop.jpeg) for crop in original.tracklet.crops))
            biometric[person].update(*(vectors(e.cells.tobytes()) for e in original.embeddings))
            add_sightings(store, version, [Sighting(found.id, person, "new")])
        for person in chance.sample([p for p in persons if biometric[p]], 4):
            forget(store, person)
            assert traces(path, biometric.pop(person)) == 0
        kept = set().union(*biometric.values())
        assert traces(path, kept) > 0.9 * len(kept)  # the rest lies across pages


def test_a_person_is_erased_from_every_version(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        first, second = current_version(store) or 0, new_version(store, "relink")
        add_sightings(store, second, [item.sighting for item in load_gallery(store, first)])
        forget(store, 1)
        assert {item.sighting.identity for item in load_gallery(store, first)} == {2, 3}
        assert {item.sighting.identity for item in load_gallery(store, second)} == {2, 3}


def test_the_audit_entry_says_who_was_erased_and_nothing_biometric(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True, clock=lambda: 77) as store:
        forget(store, 2)
        with store.reading() as connection:
            (entry,) = connection.execute(select(AuditEntry.__table__)).all()
    assert entry[1:] == (77, "forget", "P2", {"tracklets": 1, "crops": 2})


def test_exports_made_before_are_named(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        for name in ("kept.csv", "gone.csv"):
            export(store, tmp_path / name, "csv")
        (tmp_path / "gone.csv").unlink()
        assert forget(store, 1).exports == (str(tmp_path / "kept.csv"),)


def test_a_number_of_an_erased_person_is_never_given_again(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        forget(store, 3)
        assert new_identity(store) == 4


def test_a_reader_cannot_erase(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store, pytest.raises(ReadOnlyStoreError):
        forget(store, 1)


def test_nothing_about_the_erased_is_left_with_those_they_were_compared_with(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        rival = next(s.sighting.tracklet for s in load_gallery(store, 1) if s.sighting.identity == 2)
        claim = Sighting(rival, 2, "ambiguous", 0.4, 0.8, 1, 0.41, 0.79)
        add_sightings(store, 1, [claim])
        forget(store, 1)
        left = next(s.sighting for s in load_gallery(store, 1) if s.sighting.tracklet == rival)
    assert (left.runner_up, left.runner_up_distance, left.runner_up_probability) == (None, None, None)
