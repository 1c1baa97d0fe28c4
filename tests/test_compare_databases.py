"""Two databases that say the same are found to, and what differs is named."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.records import Sighting
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_sightings, new_identity
from pipeline.store.open_store import open_store
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import new_version
from tests.compare_databases import differences, read, renumbered
from tests.store_scene import fill, recording, tracklet

ROOT = Path(__file__).parents[1]


def changed(path: Path, *statements: str) -> Path:
    """The same database after these statements."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def test_the_same_run_at_another_time_is_the_same(tmp_path: Path) -> None:
    before, after = read(fill(tmp_path / "a.db")), read(fill(tmp_path / "b.db"))
    assert differences(before, after) == {}
    assert len(before["boxes"]) == 150 and len(before["embeddings"]) == 12


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        (
            "UPDATE boxes SET x1 = x1 + 1 WHERE tracklet = 1 AND frame = 3",
            {"boxes": "(((('hall',), 'f', None), 1, 0), 3): x1 "},
        ),
        ("UPDATE crops SET jpeg = x'00' WHERE id = 1", {"crops": "jpeg "}),
        ("DELETE FROM embeddings WHERE crop = 2", {"embeddings": "only before"}),
        ("UPDATE recordings SET state = 'short' WHERE id = 1", {"recordings": "state 'done' -> 'short'"}),
        (
            "UPDATE sightings SET probability = 0.5 WHERE tracklet = 2",
            {"sightings": "probability 0.99 -> 0.5"},
        ),
    ],
)
def test_what_differs_is_named(tmp_path: Path, statement: str, line: dict[str, str]) -> None:
    found = differences(read(fill(tmp_path / "a.db")), read(changed(fill(tmp_path / "b.db"), statement)))
    assert found.keys() == line.keys()
    for table, text in line.items():
        (only,) = found[table]
        assert text in only


def test_which_camera_was_stored_first_does_not_matter(tmp_path: Path) -> None:
    databases = []
    for name, order in {"a.db": (1, 2), "b.db": (2, 1)}.items():
        with open_store(tmp_path / name, create=True, write=True) as store:
            numbers = {camera: recording(store, camera) for camera in ("hall", "gate")}
            batch = {track: tracklet(numbers["hall"], track) for track in order}
            add_tracklets(store, [batch[track] for track in order])
        databases.append(read(tmp_path / name))
    assert differences(*databases) == {}


def claims(store: Store, people: tuple[int, ...]) -> None:
    """Each tracklet's person."""
    known = [new_identity(store) for _ in range(3)]
    filed = zip(stored_tracklets(store), people, strict=True)
    add_sightings(store, new_version(store, "recluster"), [Sighting(t.id, known[i], "new") for t, i in filed])


@pytest.mark.parametrize(
    ("people", "same"),
    [((2, 1, 1, 0, 0, 1), True), ((2, 1, 1, 0, 0, 2), False), ((0, 0, 0, 0, 0, 0), False)],
)
def test_people_may_have_other_numbers_but_no_other_tracklets(
    tmp_path: Path, people: tuple[int, ...], same: bool
) -> None:
    databases = []
    for name, filed in {"a.db": (0, 1, 1, 2, 2, 1), "b.db": people}.items():
        with open_store(fill(tmp_path / name), write=True) as store:
            claims(store, filed)
        databases.append(read(changed(tmp_path / name, "DELETE FROM sightings WHERE version = 1")))
    before, after = databases
    assert differences(before, after)
    assert (differences(before, renumbered(before, after)) == {}) == same


def test_the_command_prints_each_table_and_says_by_its_exit_code(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a.db"), fill(tmp_path / "b.db")
    command = [sys.executable, "-m", "tests.compare_databases", str(a), str(b)]
    same = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert same.returncode == 0 and "tracklets: 6 and 6 rows, no differences" in same.stdout
    changed(b, "DELETE FROM tracklets WHERE id = 6")
    other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == 1 and "tracklets: 6 and 5 rows, 1 differences" in other.stdout
