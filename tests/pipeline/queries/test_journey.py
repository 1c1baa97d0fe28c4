"""Where one person went."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from pipeline.queries.journey import journey
from pipeline.queries.visits import Visit
from pipeline.store.database import Store
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.open_store import open_store
from pipeline.store.schema import AuditEntry
from tests.store_scene import fill
from tests.wide_store import counted, fill_wide


def test_a_journey_is_the_visits_in_order_with_the_gaps_between(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        went = journey(store, 1)
    visits = [(visit.camera, len(visit.links)) for visit in went.visits]
    assert visits == [("hall", 2), ("gate", 1), ("hall", 1)]
    assert [visit.gap_s for visit in went.visits] == [None, pytest.approx(17.04), pytest.approx(39.04)]
    assert [visit.probability for visit in went.visits] == [0.99, 0.9, 0.7]
    assert (went.visits[0].first_frame, went.visits[0].last_frame) == (0, 74)


def test_an_ambiguous_link_is_flagged_with_who_else_it_could_be(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        (visit,) = journey(store, 3).visits
    assert visit.ambiguous
    assert (visit.links[0].runner_up, visit.links[0].runner_up_probability) == (1, 0.45)


def test_an_unknown_person_is_refused_with_the_nearest(tmp_path: Path) -> None:
    nearest = r"no person P12 \(nearest: P1, P2, P3\)"
    with open_store(fill(tmp_path / "a.db")) as store, pytest.raises(UnknownPersonError, match=nearest):
        journey(store, 12)
    nobody = "nobody has been identified yet"
    with open_store(tmp_path / "b.db", create=True) as store, pytest.raises(UnknownPersonError, match=nobody):
        journey(store, 1)


def test_a_journey_is_audited_even_for_an_unknown_person(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        journey(store, 2)
        with pytest.raises(UnknownPersonError):
            journey(store, 99)
        with store.reading() as connection:
            assert connection.scalars(select(AuditEntry.subject)).all() == ["P2", "P99"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_put_together_are_the_journey(tmp_path: Path, limit: int) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert pages(store, 1, limit) == journey(store, 1).visits


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 5))
def test_pages_of_overlapping_visits_are_the_journey_too(tmp_path: Path, seed: int, limit: int) -> None:
    path = tmp_path / f"{seed}.db"
    path.unlink(missing_ok=True)
    with open_store(fill_wide(path, tracklets=60, people=2, seed=seed)) as store:
        assert pages(store, 1, limit) == journey(store, 1).visits


def pages(store: Store, person: int, limit: int) -> tuple[Visit, ...]:
    page, found = journey(store, person, limit=limit), []
    while found.extend(page.visits) or page.next:
        assert len(page.visits) == limit
        page = journey(store, person, limit=limit, after=page.next)
    return tuple(found)


def test_a_first_page_of_20000_tracklets_loads_only_its_page(tmp_path: Path) -> None:
    with open_store(fill_wide(tmp_path / "a.db", people=1)) as store:
        with counted(store) as read:
            page = journey(store, 1, limit=20)
        tracklets = sum(len(visit.links) for visit in page.visits)
        assert len(page.visits) == 20 and read.rows <= 2 * tracklets + 100
        with counted(store) as read:
            journey(store, 1, limit=20, after=page.next)
        assert read.rows <= 2 * tracklets + 100
