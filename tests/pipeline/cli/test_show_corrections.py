"""Corrections as the terminal says them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli.show import show_people
from pipeline.cli.show_corrections import (
    parse_tracklet,
    show_annotate,
    show_corrections,
    show_merge,
    show_split,
    show_undo,
)
from pipeline.store.corrections import CorrectionError
from tests.store_scene import fill


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(fill(tmp_path / "a.db"))


@pytest.fixture
def out() -> Console:
    return Console(record=True, width=140, file=io.StringIO())


def test_merge_split_and_undo_say_what_they_did(database: str, out: Console) -> None:
    show_merge(database, ["P1", "3"], out, out)
    show_split(database, "P1", ["t4"], out, out)
    show_undo(database, None, out, out)
    assert out.export_text().splitlines() == [
        "P3: now P1 (identity version 2)",
        "t4: now P4 (identity version 3)",
        "undone: split 2, P4 is not P1",
    ]


def test_an_earlier_version_can_be_asked_for(database: str, out: Console) -> None:
    show_merge(database, ["P1", "P2", "P3"], out, out)
    out.export_text()
    show_people(database, out, version=1, json=True)
    assert [one["person"] for one in json.loads(out.export_text())["people"]] == [1, 2, 3]


def test_history_is_json_for_programs(database: str, out: Console) -> None:
    show_merge(database, ["P1", "P3"], out, out)
    out.export_text()
    show_corrections(database, out, json=True)
    (only,) = json.loads(out.export_text())["corrections"]
    assert (only["kind"], only["note"], only["sides"]) == ("merge", "P3 is P1", [[1, 2, 4, 6], [5]])


def test_partial_truth_is_said_to_be_partial(database: str, out: Console, tmp_path: Path) -> None:
    show_merge(database, ["P1", "P3"], out, out)
    show_annotate(database, tmp_path / "gt", "confirmed", out)
    assert "125 boxes of 1 person in 2 cameras" in out.export_text(clear=False)
    assert "--partial" in out.export_text()


def test_a_tracklet_is_a_number() -> None:
    assert parse_tracklet("t12") == parse_tracklet(" 12") == 12
    with pytest.raises(CorrectionError, match="'P3' is not a tracklet"):
        parse_tracklet("P3")
