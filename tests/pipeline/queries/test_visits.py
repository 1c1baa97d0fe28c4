"""Tracklets made visits."""

from __future__ import annotations

from pipeline.queries.tracks import Sighted
from pipeline.queries.visits import Stays, Visit, visits


def link(start_s: float, end_s: float, *, recording: int = 1, clock_known: bool = True) -> Sighted:
    times = round(start_s * 1e9), round(end_s * 1e9)
    camera = f"camera-{recording}"
    return Sighted(1, camera, recording, 1, 0, 0, 9, *times, clock_known, 10, 0.9, 1, "new", *[None] * 4)


def visits_of(links: list[Sighted]) -> list[Visit]:
    stays = Stays(5.0)
    for one in links:
        stays.add(one)
    return list(visits(stays))


def spans(links: list[Sighted]) -> list[tuple[int, int]]:
    return [(visit.recording, len(visit.links)) for visit in visits_of(links)]


def test_a_longer_absence_ends_a_visit() -> None:
    assert spans([link(0, 1), link(6, 7)]) == [(1, 2)]
    assert spans([link(0, 1), link(6.1, 7)]) == [(1, 1), (1, 1)]


def test_a_short_tracklet_inside_a_long_one_does_not_end_the_visit() -> None:
    assert spans([link(0, 20), link(1, 2), link(21, 22)]) == [(1, 3)]


def test_in_view_of_two_cameras_at_once_is_one_visit_to_each_with_a_negative_gap() -> None:
    links = [link(0, 9), link(3, 8, recording=2), link(10, 19), link(11, 12, recording=2)]
    assert spans(links) == [(1, 2), (2, 2)]
    assert [visit.gap_s for visit in visits_of(links)] == [None, -16.0]


def test_gaps_are_unknown_where_clocks_are() -> None:
    there = [link(0, 1, clock_known=False), link(7, 9, clock_known=False)]
    other = link(3, 4, recording=2, clock_known=False)
    assert [visit.gap_s for visit in visits_of([there[0], other, there[1]])] == [None, None, 6.0]
