"""Files are complete or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.atomic_files import beside, replaced_file, replaced_folder, write_whole


def test_a_file_is_there_whole_and_its_owners_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "a.json", b"one")
    write_whole(tmp_path / "new" / "a.json", b"two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]
    assert (tmp_path / "new" / "a.json").read_bytes() == b"two"
    assert (tmp_path / "new" / "a.json").stat().st_mode & 0o777 == 0o600


def test_what_fails_half_way_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.csv", b"whole")
    with pytest.raises(RuntimeError), replaced_file(tmp_path / "a.csv") as part:
        part.write_bytes(b"ha")
        raise RuntimeError
    assert (tmp_path / "a.csv").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_nobody_reads_a_file_that_is_being_written(tmp_path: Path) -> None:
    with replaced_file(tmp_path / "a.csv") as part:
        part.write_bytes(b"a")
        assert not (tmp_path / "a.csv").exists() and part.stat().st_mode & 0o777 == 0o600


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    beside(tmp_path / "a.csv").write_bytes(b"left by an earlier process of this number")
    write_whole(tmp_path / "a.csv", b"a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_that_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    beside(tmp_path / "mot").mkdir()
    (beside(tmp_path / "mot") / "left.txt").touch()
    with replaced_folder(tmp_path / "mot") as folder:
        (folder / "gt.txt").touch()
    assert os.listdir(tmp_path) == ["mot"] and os.listdir(tmp_path / "mot") == ["gt.txt"]


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    beside(tmp_path / "a.csv").symlink_to(tmp_path / "mine")
    write_whole(tmp_path / "a.csv", b"a")
    assert (tmp_path / "mine").read_bytes() == b"mine" and not (tmp_path / "a.csv").is_symlink()


def test_a_new_folder_appears_whole_and_its_owners_alone(tmp_path: Path) -> None:
    with replaced_folder(tmp_path / "deep" / "mot") as folder:
        (folder / "gt.txt").write_text("1")
        assert not (tmp_path / "deep" / "mot").exists()
    assert (tmp_path / "deep" / "mot" / "gt.txt").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "deep" / "mot").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_there_keeps_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "gt.txt").write_text("old")
    with replaced_folder(tmp_path) as folder:
        (folder / "gt.txt").write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "notes.txt": "mine",
        "gt.txt": "new",
    }


def test_an_empty_folder_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "mot").mkdir()
    with replaced_folder(tmp_path / "mot") as folder:
        (folder / "gt.txt").write_text("1")
    assert os.listdir(tmp_path) == ["mot"] and os.listdir(tmp_path / "mot") == ["gt.txt"]
