"""An operator's word: what it changes, that it is kept, that it can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from pipeline.queries.journey import journey
from pipeline.queries.people import people
from pipeline.queries.tracks import tracks
from pipeline.store.corrections import (
    CorrectionError,
    constraints,
    corrections,
    merge,
    say,
    split,
    undo,
)
from pipeline.store.database import Store, engine_for, write_transaction
from pipeline.store.erasure import forget
from pipeline.store.identity_claims import load_gallery
from pipeline.store.location import locate
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.open_store import open_store
from pipeline.store.versions import current_version, versions
from tests.store_scene import fill

ROOT = Path(__file__).parents[3]


def held(store: Store, version: int | None = None) -> dict[int, list[int]]:
    """Tracklets by person."""
    result: dict[int, list[int]] = {}
    for seen in tracks(store, version=version).tracks:
        result.setdefault(seen.person or 0, []).append(seen.tracklet)
    return {person: sorted(result[person]) for person in sorted(result)}


BEFORE = {1: [1, 2, 4, 6], 2: [3], 3: [5]}
"""Of `store_scene.fill`."""


def test_merged_people_are_one_person_from_now_on(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        assert held(store) == {1: [1, 2, 4, 5, 6], 2: [3]}
        assert journey(store, 1).visits[2].links[0].state == "linked"


def test_an_earlier_version_still_says_what_it_said(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        version = merge(store, [1, 3, 2])
        assert held(store, version) == {1: [1, 2, 3, 4, 5, 6]}
        assert held(store, 1) == BEFORE


def test_a_split_files_tracklets_under_a_new_person(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        apart = split(store, 1, [4])
        assert apart == 4 and held(store) == {1: [1, 2, 6], 2: [3], 3: [5], 4: [4]}
        assert constraints(store).cannot == {(1, 4), (2, 4), (4, 6)}


@pytest.mark.parametrize("tracklets", [[], [1, 2, 4, 6], [3], [1, 99]])
def test_a_split_needs_some_but_not_all_of_the_persons_tracklets(
    tmp_path: Path, tracklets: list[int]
) -> None:
    with (
        open_store(fill(tmp_path / "a.db"), write=True) as store,
        pytest.raises(CorrectionError, match="P1 is t1 t2 t4 t6: name some of them"),
    ):
        split(store, 1, tracklets)


def test_undo_puts_back_what_was_said_before_to_the_last_figure(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        before = tracks(store).tracks
        merge(store, [1, 3])
        split(store, 1, [4])
        undo(store)
        undo(store)
        assert tracks(store).tracks == before
        assert constraints(store).must == constraints(store).cannot == frozenset()
        with pytest.raises(CorrectionError, match="nothing to undo"):
            undo(store)


def test_an_older_correction_can_be_undone_and_what_moved_since_stays(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        split(store, 1, [5])  # the one that the merge brought
        undo(store, 1)
        assert held(store) == {1: [1, 2, 4, 6], 2: [3], 4: [5]}
        with pytest.raises(CorrectionError, match="no correction 1 that still counts"):
            undo(store, 1)


def test_history_keeps_everything_that_was_said(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        undo(store)
        said = [(c.kind, c.note, c.undoes, c.undone) for c in corrections(store)]
    assert said == [("merge", "P3 is P1", None, True), ("undo", "not any more: P3 is P1", 1, False)]


def test_constraints_survive_and_follow_the_corrections(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [2, 3])
    with open_store(tmp_path / "a.db") as store:
        assert constraints(store).must == {(3, 5)}


def test_people_who_are_not_there_cannot_be_corrected(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        with pytest.raises(UnknownPersonError):
            merge(store, [1, 99])
        with pytest.raises(CorrectionError, match="two people or more"):
            merge(store, [1, 1])
        assert held(store) == BEFORE and current_version(store) == 1


def test_a_forgotten_person_leaves_no_tracklet_in_the_history(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        forget(store, 1)
        assert [person.person for person in people(store).people] == [2]
        assert corrections(store)[0].sides == ((), ())
        assert constraints(store).must == frozenset()


def test_a_database_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    config = Config()
    config.set_main_option("script_location", str(ROOT / "pipeline" / "store" / "migrations"))
    engine = engine_for(locate(path), write=True)
    path.touch()
    with write_transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with open_store(fill(path), write=True) as store:
        merge(store, [1, 3])
        assert held(store) == {1: [1, 2, 4, 5, 6], 2: [3]}


def test_a_later_run_starts_from_the_corrected_identities(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        known = load_gallery(store, current_version(store) or 0)
        assert {linked.tracklet.id: linked.sighting.identity for linked in known} == {
            **dict.fromkeys([1, 2, 4, 5, 6], 1),
            3: 2,
        }


def test_every_version_is_listed_with_what_made_it(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        found = [(one.version, one.kind, one.people, one.tracklets) for one in versions(store)]
    assert found == [(1, "online", 3, 6), (2, "correction", 2, 6)]


def test_an_answer_about_tracklets_that_were_filed_elsewhere_meanwhile_is_refused(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        split(store, 1, [4])
        with pytest.raises(CorrectionError, match="t4: filed under another person meanwhile"):
            say(store, kind="same", tracklets=[4], person=2, filed=1, note="")
        forget(store, 2)
        with pytest.raises(UnknownPersonError):
            say(store, kind="same", tracklets=[1], person=2, filed=1, note="")
        assert [one.kind for one in corrections(store)] == ["split"]
