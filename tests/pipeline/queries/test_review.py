"""A review asks about what is uncertain, once, and keeps every answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from pipeline.queries.pictures.contact_sheets import RenderError
from pipeline.queries.review import Reply, Review, Reviewed, questions
from pipeline.queries.tracks import tracks
from pipeline.records import Sighting
from pipeline.store.corrections import Said, constraints, corrections, merge, say, undo
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_sightings
from pipeline.store.open_store import open_store
from pipeline.store.versions import current_version
from tests.store_scene import fill

ROOT = Path(__file__).parents[3]


class Here:
    """Keeps answers in the store at hand."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def say(self, **answer: Any) -> Said:
        return say(self.store, **answer)

    def undo(self, correction: int) -> int:
        undo(self.store, correction)
        return current_version(self.store) or 0


def replies(*said: Reply) -> tuple[Callable[[str, Path], Reply], list[str]]:
    """An operator who says this, then quits; and what was asked."""
    asked: list[str] = []

    def ask(text: str, picture: Path) -> Reply:
        assert cv2.imread(str(picture)) is not None
        asked.append(text)
        return said[len(asked) - 1] if len(asked) <= len(said) else "quit"

    return ask, asked


def person_of(store: Store, tracklet: int) -> tuple[int | None, str | None]:
    (seen,) = [seen for seen in tracks(store).tracks if seen.tracklet == tracklet]
    return seen.person, seen.state


def in_company(store: Store) -> None:
    """File another tracklet under P3, who is tracklet 5 alone."""
    add_sightings(store, current_version(store) or 0, [Sighting(2, 3, "linked", probability=0.99)])


def review(store: Store, tmp_path: Path, *said: Reply, below: float = 0.0) -> tuple[Reviewed, list[str]]:
    ask, asked = replies(*said)
    return Review(store, tmp_path / "pictures", ask, Here(store)).go_through(below), asked


def test_only_ambiguous_links_are_asked_about(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        (only,) = questions(store)
    assert (only.tracklets, only.person, only.runner_up) == ((5,), 3, 1)


def test_links_below_a_probability_are_asked_about_the_most_doubtful_first(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert [q.tracklets for q in questions(store, below=0.95)] == [(5,), (6,), (4,)]


def test_same_settles_the_link(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        in_company(store)
        done, asked = review(store, tmp_path, "same", below=0.8)
        assert asked[0] == "gate t5: is this P3 (55%)?"
        assert person_of(store, 5) == (3, "linked")
        assert (done.same, done.open, done.version) == (1, 1, 2)


def test_different_asks_about_the_runner_up_who_gets_the_tracklet(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        in_company(store)
        done, asked = review(store, tmp_path, "different", "same")
        assert asked[1] == "gate t5: is this P1 (45%)?"
        assert person_of(store, 5) == (1, "linked")
        assert constraints(store).must == {(1, 5), (1, 4), (1, 6)}
        assert (done.different, done.same, done.open) == (1, 1, 0)


def test_different_from_both_is_a_new_person(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        in_company(store)
        review(store, tmp_path, "different", "different")
        assert person_of(store, 5) == (4, "new")
        assert constraints(store).cannot == {(1, 5), (2, 5), (4, 5), (5, 6)}


def test_who_is_all_there_is_of_somebody_is_not_compared_with_themselves(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        done, asked = review(store, tmp_path, "different")
        assert asked == ["gate t5: is this P1 (45%)?"] and (done.different, done.open) == (1, 0)
        assert person_of(store, 5)[0] == 3 and not any(one.void for one in corrections(store))
        add_sightings(store, done.version or 0, [Sighting(5, 3, "ambiguous", probability=0.2)])
        assert questions(store) == []


def test_not_sure_changes_nothing_and_is_not_asked_again(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        done, _ = review(store, tmp_path, "unsure")
        assert person_of(store, 5) == (3, "ambiguous")
        assert (done.unsure, done.open) == (1, 0)


def test_undo_asks_again(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        done, asked = review(store, tmp_path, "same", "undo", "unsure", below=0.8)
        assert asked[0] == asked[2] and "P1 (70%)" in asked[1]
        assert person_of(store, 5) == (3, "ambiguous")
        assert [c.kind for c in corrections(store)] == ["same", "undo", "unsure"]
        assert (done.same, done.unsure) == (0, 1)


def test_undo_takes_back_this_sittings_answer_and_not_what_somebody_else_said_since(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:

        def ask(text: str, picture: Path) -> Reply:
            said = [one.kind for one in corrections(store)]
            if said == ["unsure"]:
                merge(store, [1, 2])
                return "undo"
            return "quit" if said else "unsure"

        Review(store, tmp_path / "pictures", ask, Here(store)).go_through(0.8)
        assert [(one.kind, one.undone) for one in corrections(store)] == [
            ("unsure", True),
            ("merge", False),
            ("undo", False),
        ]


def test_nothing_to_ask_makes_no_version(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        review(store, tmp_path, "unsure")
        done, asked = review(store, tmp_path)
        assert (done.asked, done.version, asked) == (0, None, [])


def test_pictures_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("")
    with (
        open_store(fill(tmp_path / "a.db"), write=True) as store,
        pytest.raises(RenderError, match="pictures"),
    ):
        review(store, tmp_path, "same")


def test_the_command_takes_keys_and_ends_with_its_input(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "run_pipeline.py")]
    options = ["--db", str(fill(tmp_path / "a.db"))]
    said = subprocess.run(
        [*command, "review", *options, "--pictures", str(tmp_path / "p")],
        input="x\nd\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0 same, 1 different, 0 not sure (identity version 2); 0 links left" in said.stdout
    undone = subprocess.run(
        [*command, "correct", "undo", *options], capture_output=True, text=True, check=True
    )
    assert "undone: different 1, gate t5 is not P1" in undone.stdout
    history = subprocess.run([*command, "correct", "history", *options], capture_output=True, text=True)
    assert "undoes 1" in history.stdout
