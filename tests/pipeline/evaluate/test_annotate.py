"""Truth files from an operator's word can be measured against."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.evaluate.annotate import NothingConfirmedError, annotate
from pipeline.evaluate.evaluation import evaluate
from pipeline.evaluate.truth import read_truth
from pipeline.queries.export import ExportWriteError
from pipeline.store.corrections import Move, keep_correction, merge
from pipeline.store.open_store import open_store
from tests.store_scene import fill


def test_what_was_confirmed_becomes_truth_and_the_run_agrees_with_it(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        written = annotate(store, tmp_path / "truth")
        assert (written.people, written.cameras) == (1, {"hall": 75, "gate": 50})
        truth = read_truth(tmp_path / "truth", ["hall", "gate"])
        measured = evaluate(store, truth, coverage="partial")
        before = evaluate(store, truth, coverage="partial", version=1)
    assert measured.across.idf1 == 1 > before.across.idf1
    assert before.splits[0].person == 1


def test_everything_can_be_taken_for_true(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        written = annotate(store, tmp_path / "truth", trust="everything")
        measured = evaluate(store, read_truth(tmp_path / "truth", ["hall", "gate"]))
    assert written.people == 3
    assert measured.across.idf1 == measured.across.hota == 1


def test_what_an_operator_was_not_sure_of_counts_neither_way(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 2])
        keep_correction(store, 2, "unsure", "gate t5 may be P3", [Move(5, 1, 3, 3)])
        assert annotate(store, tmp_path / "truth").unsure == 25
        truth = read_truth(tmp_path / "truth", ["hall", "gate"])
    assert len(truth["gate"].people) == len(truth["gate"].ignored) == 25


def test_truth_needs_somebodys_word(tmp_path: Path) -> None:
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(NothingConfirmedError, match="answer some with `review` first"),
    ):
        annotate(store, tmp_path / "truth")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(ExportWriteError, match="cannot be written"),
    ):
        annotate(store, tmp_path / "file" / "truth", trust="everything")
