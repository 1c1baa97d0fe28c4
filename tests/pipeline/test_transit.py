"""Times between cameras, learnt from known walks."""

from __future__ import annotations

from pipeline.transit import Transit, learnt

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
