"""Groups of tracklets against cases that can be seen by eye."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.linking.cluster import Evidence, Walks, absence, cluster, grouped_into_people, walked
from pipeline.linking.walking_times import Transit, learnt


def evidence(
    looks: list[list[float]],
    *,
    cannot: tuple[tuple[int, int], ...] = (),
    must: tuple[tuple[int, ...], ...] = (),
    start_s: tuple[float, ...] = (),
    others: int = 0,
    crops: tuple[int, ...] = (),
) -> Evidence:
    """Tracklets of 1 s in cameras a, b, a, b ... with symmetric log-odds."""
    odds = np.array(looks, float)
    apart = np.zeros(odds.shape, np.bool_)
    for a, b in cannot:
        apart[a, b] = apart[b, a] = True
    start = np.array(start_s or range(len(odds)), float)
    cameras = [name for name, _ in zip(itertools.cycle("ab"), odds, strict=False)]
    return Evidence(odds, apart, must, start, start + 1, cameras, [0] * len(odds), others, crops)


def test_likely_pairs_are_joined_and_unlikely_ones_are_not() -> None:
    odds = [[0, 3, -3], [3, 0, -3], [-3, -3, 0]]
    assert cluster(evidence(odds), Transit(), 0.0) == [[0, 1], [2]]


def test_a_chain_of_likely_links_does_not_join_strangers_at_its_ends() -> None:
    odds = [[0, 2, -9], [2, 0, 1], [-9, 1, 0]]
    assert cluster(evidence(odds), Transit(), 0.0) == [[0, 1], [2]]


def test_who_cannot_be_one_person_never_is_even_through_others() -> None:
    odds = [[0, 9, 9], [9, 0, 8], [9, 8, 0]]
    assert cluster(evidence(odds, cannot=((0, 2),)), Transit(), 0.0) == [[0, 1], [2]]


def test_what_must_be_together_is_together() -> None:
    odds = [[0, -9, 5], [-9, 0, -6], [5, -6, 0]]
    assert cluster(evidence(odds, must=((0, 1),)), Transit(), 0.0) == [[0, 1], [2]]


@pytest.mark.parametrize(("usual", "joined"), [(("a", 10.0), [[0, 2], [1]]), (("b", 2.0), [[0], [1, 2]])])
def test_the_usual_walking_time_decides_between_people_who_look_alike(
    usual: tuple[str, float], joined: list[list[int]]
) -> None:
    odds = [[0, -5, 0.5], [-5, 0, 0.5], [0.5, 0.5, 0]]
    one = evidence(odds, start_s=(0.0, 8.0, 11.0))
    walks = learnt(((usual[0], "a"), usual[1]) for _ in range(50))
    assert cluster(one, walks, 0.0) == joined


def test_who_was_long_gone_must_look_more_alike_the_more_people_are_known() -> None:
    cases = (
        (1.5, 60.0, 1000, True),
        (1.5, 3600.0, 0, False),
        (3.0, 3600.0, 0, True),
        (3.0, 3600.0, 90, False),
        (4.0, 3600.0, 90, True),
    )
    for likely, gone_s, others, joined in cases:
        one = evidence([[0, likely], [likely, 0]], start_s=(0.0, gone_s), others=others)
        assert (len(grouped_into_people(one, 0.5, Transit()).groups) == 1) == joined
    assert absence(0) == absence(20) == 2.0
    assert absence(3000) - absence(30) == pytest.approx(np.log(100))


def test_filling_a_gap_is_no_evidence_for_who_fills_it() -> None:
    """A stay between two of one person makes their absence shorter than an absence is."""
    odds = [[0, 9, -1.0], [9, 0, -1.0], [-1.0, -1.0, 0]]
    one = evidence(odds, must=((0, 1),), start_s=(0.0, 900.0, 450.0), others=1000)
    assert grouped_into_people(one, 0.5, Transit()).groups == [[0, 1], [2]]


def test_a_tracklet_of_many_crops_says_more_than_one_of_few() -> None:
    odds = [[0, 9, 1], [9, 0, -1.5], [1, -1.5, 0]]
    for crops, joined in (((), False), ((16, 4, 4), True), ((4, 16, 4), False)):
        one = evidence(odds, crops=crops)
        assert (cluster(one, Transit(), 0.0) == [[0, 1, 2]]) == joined


def test_times_alone_never_join_people_who_look_different() -> None:
    walks = learnt((("a", "b"), 0.0) for _ in range(500))
    assert cluster(evidence([[0, -3.5], [-3.5, 0]]), walks, 0.0) == [[0], [1]]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_tracklets_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 3, (12, 12))
    odds = odds + odds.T
    mixed = rng.permutation(12)
    plain = cluster(evidence(odds.tolist()), Transit(), 0.0)
    other = cluster(evidence(odds[np.ix_(mixed, mixed)].tolist()), Transit(), 0.0)
    assert sorted(plain) == sorted(sorted(int(mixed[i]) for i in group) for group in other)


def test_walks_follow_time_and_stay_on_one_clock() -> None:
    one = evidence([[0.0] * 3] * 3, start_s=(5.0, 0.0, 9.0))
    assert list(walked(one, [[0, 1, 2]])) == [(("b", "a"), 4.0), (("a", "a"), 3.0)]


def test_two_boxes_at_once_in_one_camera_are_no_walk() -> None:
    one = evidence([[0.0] * 3] * 3, start_s=(5.0, 0.0, 5.5))
    assert list(walked(one, [[0, 2], [1]])) == []


def test_a_box_within_a_longer_stay_leaves_the_walk_from_it_as_it_was() -> None:
    odds, cameras = np.zeros((3, 3)), ["a", "a", "b"]
    start, end = np.array([0.0, 1.0, 15.0]), np.array([10.0, 2.0, 16.0])
    one = Evidence(odds, odds > 0, [], start, end, cameras, [0, 0, 0])
    assert list(one.walks([0, 1, 2])) == list(one.walks([0, 2])) == [(0, 2)]


def test_regulars_are_one_person_each_and_what_shows_nothing_is_nobody() -> None:
    """Ten people on twenty days, and two hundred tracklets without a crop."""
    who = np.array([*np.tile(np.arange(10), 20), *range(100, 300)])
    odds = np.where(who[:, None] == who, 3.5, -5.0)
    odds[200:] = odds[:, 200:] = -20.0
    start = tuple(3600.0 * np.arange(len(who)))
    one = evidence(odds.tolist(), start_s=start, crops=(*[4] * 200, *[0] * 200))
    groups = grouped_into_people(one, 0.5, Transit()).groups
    assert sorted(len(group) for group in groups) == [*[1] * 200, *[20] * 10]


def test_a_chain_is_the_sum_of_its_walks_whatever_was_asked_before() -> None:
    one, known = evidence([[0.0] * 3] * 3, start_s=(0.0, 9.0, 9000.0)), learnt([(("a", "b"), 8.0)] * 9)
    walks = Walks(one, known)
    walks.chain([1, 2])
    steps = known.log_odds(("a", "b"), 8.0) + known.log_odds(("b", "a"), 8990.0)
    assert walks.chain([2, 0, 1]) == walks.chain([0, 1, 2]) == (pytest.approx(steps), 1)


def test_a_walk_just_learnt_counts_at_once() -> None:
    known = learnt([(("a", "b"), 8.0)] * 9)
    before = known.log_odds(("a", "b"), 30.0)
    known.learn(("a", "b"), 30.0)
    assert known.log_odds(("a", "b"), 30.0) > before


def test_nobody_is_nobody() -> None:
    assert cluster(evidence(np.zeros((0, 0)).tolist() or []), Transit(), 0.0) == []
