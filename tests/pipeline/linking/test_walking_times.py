"""Times between cameras, learnt from known walks."""

from __future__ import annotations

from pipeline.config import TransitConfig
from pipeline.linking.walking_times import Transit, learnt, told, usual

HOP = ("door", "hall")


def test_nothing_learnt_says_nothing() -> None:
    assert Transit().log_odds(HOP, 12.0) == 0.0


def test_the_usual_time_speaks_for_one_person_and_an_odd_one_against() -> None:
    transit = learnt((HOP, 10.0 + second / 10) for second in range(20))
    assert transit.log_odds(HOP, 11.0) > 1.0
    assert transit.log_odds(HOP, 0.0) < -1.0
    assert transit.log_odds(("hall", "door"), 11.0) == 0.0


def test_no_time_is_impossible_and_a_single_walk_teaches_little() -> None:
    many, one = learnt((HOP, 10.0) for _ in range(100)), learnt([(HOP, 10.0)])
    assert many.log_odds(HOP, 1000.0) > -3.0
    assert 0 < one.log_odds(HOP, 10.0) < many.log_odds(HOP, 10.0)
    assert abs(one.log_odds(HOP, 1.0)) < 0.5


def test_a_time_that_was_told_counts_at_once_and_what_is_seen_outweighs_it() -> None:
    said = told([TransitConfig(leaving="door", entering="hall", typical_s=20.0, spread_s=4.0)])
    assert said.log_odds(HOP, 20.0) > 1.0 > -0.5 > said.log_odds(HOP, 60.0)
    seen = learnt(((HOP, 60.0) for _ in range(100)), said)
    assert seen.log_odds(HOP, 60.0) > 1.0
    assert said.log_odds(HOP, 60.0) < 0, "learning leaves what was known before as it was"


def test_what_was_learnt_is_told_with_its_spread() -> None:
    walks = usual(learnt((HOP, float(second)) for second in (8, 9, 10, 11, 30)))["door -> hall"]
    assert (walks.walks, walks.median_s, walks.quarters_s) == (5, 10.0, (9.0, 11.0))
