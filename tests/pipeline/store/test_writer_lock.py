"""One process writes a database at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.queries.people import people
from pipeline.store.open_store import open_store
from pipeline.store.writer_lock import StoreInUseError
from tests.store_scene import fill, recording


def test_two_writers_are_refused_and_the_second_learns_of_the_first(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    with open_store(path, write=True):
        with pytest.raises(StoreInUseError, match=f"in use by process {os.getpid()}"):
            open_store(path, write=True)
        opening = f"from pipeline.store.open_store import open_store; open_store({str(path)!r}, write=True)"
        root = Path(pipeline.__file__).parents[1]
        other = subprocess.run([sys.executable, "-c", opening], cwd=root, capture_output=True, text=True)
        assert f"in use by process {os.getpid()}" in other.stderr
    with open_store(path, write=True):
        pass


def test_creating_for_reading_gives_the_lock_back(tmp_path: Path) -> None:
    with open_store(tmp_path / "new" / "a.db", create=True) as reader:
        assert people(reader).people == ()
        with open_store(tmp_path / "new" / "a.db", write=True) as writer:
            recording(writer, "hall")


def test_the_lock_needs_no_room_on_the_disk(tmp_path: Path) -> None:
    no_room = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); from pathlib import Path"
    path = str(tmp_path / "a.db")
    locking = f"from pipeline.store.writer_lock import file_lock; file_lock(Path({path!r})).release()"
    root = Path(pipeline.__file__).parents[1]
    subprocess.run([sys.executable, "-c", f"{no_room}; {locking}"], cwd=root, check=True)
