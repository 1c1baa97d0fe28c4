"""Who was there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.queries.people import parse_person, people
from pipeline.records import Sighting
from pipeline.store.identity_claims import add_sightings
from pipeline.store.lookups import UnknownPersonError, UnknownVersionError
from pipeline.store.open_store import open_store
from pipeline.store.versions import new_version
from tests.store_scene import EIGHT_NS, fill
from tests.wide_store import counted, fill_wide

SECOND_NS = 10**9


def test_people_come_by_first_appearance_with_the_cameras_in_their_order(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        found = people(store).people
    assert [(person.person, person.cameras, person.tracklets) for person in found] == [
        (1, ("hall", "gate"), 4),
        (2, ("hall",), 1),
        (3, ("gate",), 1),
    ]
    one = found[0]
    assert (one.first_ns, one.last_ns) == (EIGHT_NS, EIGHT_NS + round(60.96 * SECOND_NS))
    assert one.seen_s == pytest.approx(4 * 0.96)
    assert one.probability == pytest.approx((0.99 + 0.9 + 0.7) / 3)
    assert (one.states, found[2].states) == ({"new": 1, "linked": 3}, {"ambiguous": 1})
    assert found[1].probability is None


def test_the_newest_version_counts_unless_another_is_asked_for(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        newer = new_version(store, "relink")
        add_sightings(store, newer, [Sighting(1, 2, "new")])
        assert [person.person for person in people(store).people] == [2]
        assert len(people(store, version=1).people) == 3


def test_an_empty_store_has_no_people(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True) as store:
        found = people(store, limit=3)
    assert (found.people, found.version, found.next) == ((), 0, None)


@pytest.mark.parametrize("written", ["7", "P7", "p7", " person 7", "#7"])
def test_a_person_may_be_written_in_several_ways(written: str) -> None:
    assert parse_person(written) == 7


@pytest.mark.parametrize("written", ["", "P", "-1", "hall", "7.5", "9" * 40])
def test_what_is_not_a_person_is_refused(written: str) -> None:
    with pytest.raises(UnknownPersonError, match="is not a person"):
        parse_person(written)


def test_an_identity_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(UnknownVersionError, match=r"no identity version 77 \(there is: 1\)"),
    ):
        people(store, version=77)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_put_together_are_everybody(tmp_path: Path, limit: int) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        page, found = people(store, limit=limit), []
        while found.extend(page.people) or page.next:
            assert len(page.people) == limit
            page = people(store, limit=limit, after=page.next)
        assert tuple(found) == people(store).people


def test_people_who_came_at_one_time_are_on_one_page_or_the_next_never_on_both(tmp_path: Path) -> None:
    with open_store(fill_wide(tmp_path / "a.db", tracklets=40, people=20, at_once=20)) as store:
        page, found = people(store, limit=7), []
        while found.extend(one.person for one in page.people) or page.next:
            page = people(store, limit=7, after=page.next)
    assert found == list(range(1, 21))


def test_a_first_page_of_20000_tracklets_loads_only_its_page(tmp_path: Path) -> None:
    with open_store(fill_wide(tmp_path / "a.db")) as store:
        with counted(store) as read:
            page = people(store, limit=20)
        assert len(page.people) == 20 and sum(one.tracklets for one in page.people) == 200
        cameras_and_states = 2 * 10
        assert read.rows <= 21 * cameras_and_states + 10 and read.statements <= 5
        with counted(store) as read:
            people(store, limit=20, after=page.next)
        assert read.rows <= 21 * cameras_and_states + 10 and read.statements <= 5
