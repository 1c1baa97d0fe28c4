"""Where one person went."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.queries.journey import gap_s, journey, stays
from pipeline.queries.people import Sighted
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.open_store import open_store
from pipeline.store.schema import AuditEntry
from tests.store_scene import fill


def link(start_s: float, end_s: float, *, recording: int = 1, clock_known: bool = True) -> Sighted:
    times = round(start_s * 1e9), round(end_s * 1e9)
    camera = f"camera-{recording}"
    return Sighted(1, camera, recording, 1, 0, 0, 9, *times, clock_known, 10, 0.9, 1, "new", *[None] * 4)


def spans(links: list[Sighted]) -> list[tuple[int, int]]:
    return [(stay[0].recording, len(stay)) for stay in stays(links, 5.0)]


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


def test_a_longer_absence_ends_a_visit() -> None:
    assert spans([link(0, 1), link(6, 7)]) == [(1, 2)]
    assert spans([link(0, 1), link(6.1, 7)]) == [(1, 1), (1, 1)]


def test_a_short_tracklet_inside_a_long_one_does_not_end_the_visit() -> None:
    assert spans([link(0, 20), link(1, 2), link(21, 22)]) == [(1, 3)]


def test_in_view_of_two_cameras_at_once_is_one_visit_to_each_with_a_negative_gap() -> None:
    links = [link(0, 9), link(3, 8, recording=2), link(10, 19), link(11, 12, recording=2)]
    assert spans(links) == [(1, 2), (2, 2)]
    first, second = stays(links, 5.0)
    assert gap_s([first], second) == -16.0


def test_gaps_are_unknown_where_clocks_are() -> None:
    first, second = [link(0, 1, clock_known=False)], [link(7, 9, clock_known=False)]
    other = [link(3, 4, recording=2, clock_known=False)]
    assert gap_s([first], other) is None
    assert gap_s([first, other], second) == 6.0
