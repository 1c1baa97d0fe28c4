"""Stated probability against the share that is right."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluate.confidence import Decision, ambiguous, confidence, decisions
from pipeline.evaluate.found_boxes import Claim
from pipeline.evaluate.linking_score import Piece


def decided(probability: float, *, right: bool, number: int = 0) -> Decision:
    return Decision(number, "linked", probability, right, False)


def test_an_honest_probability_has_no_calibration_error() -> None:
    made = [decided(0.8, right=i % 5 > 0, number=i) for i in range(1000)]
    measured = confidence(sorted(made, key=lambda d: d.tracklet))
    assert measured.ece == pytest.approx(0, abs=1e-9)
    assert measured.brier == measured.base_brier == pytest.approx(0.16)


def test_overstated_probabilities_by_hand() -> None:
    measured = confidence([decided(0.9, right=i % 2 == 0, number=i) for i in range(10)])
    assert [part.right for part in measured.bins] == [0.6, 0.4]
    assert measured.ece == pytest.approx(0.4)


def test_calibration_error_falls_with_honesty() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(4000)
    right = rng.random(4000) < stated
    honest = confidence(
        [decided(p, right=bool(r), number=i) for i, (p, r) in enumerate(zip(stated, right, strict=True))]
    )
    bold = confidence(
        [decided(p**0.2, right=bool(r), number=i) for i, (p, r) in enumerate(zip(stated, right, strict=True))]
    )
    assert honest.ece is not None and bold.ece is not None and honest.brier is not None
    assert honest.ece < 0.03 < 0.2 < bold.ece
    assert honest.brier < (honest.base_brier or 0) * 0.75


def test_few_honest_decisions_show_an_error_by_chance_and_many_do_not() -> None:
    few, many = (confidence([decided(0.9, right=i % 10 > 0, number=i) for i in range(n)]) for n in (50, 5000))
    assert 0.06 < (few.honest_ece or 0) < 0.14
    assert (many.honest_ece or 1) < 0.02


def test_nothing_to_judge_is_no_number() -> None:
    assert confidence([]).ece is None


def claim(
    state: str, probability: float | None, *, repeated: bool = False, second: int | None = None
) -> Claim:
    return Claim(state, probability, not repeated, second, 0)


def test_a_link_is_right_where_the_rest_of_the_identity_shows_the_same_person() -> None:
    found = [
        Piece("a", 1, 5, (1,), {1: 10}, 1),
        Piece("b", 2, 5, (2,), {1: 4}, 1),
        Piece("b", 3, 5, (3,), {2: 3}, 2),
        Piece("b", 4, 6, (4,), {2: 9}, 2),
    ]
    claims = {1: claim("new", None), 2: claim("linked", 0.9), 3: claim("ambiguous", 0.6, second=6)}
    made = decisions(found, claims)
    assert [(d.tracklet, d.right, d.runner_up_right) for d in made] == [(2, True, False), (3, False, True)]
    assert ambiguous(made).decisions == ambiguous(made).runner_up_right == 1


def test_a_link_is_judged_by_what_was_known_when_it_was_made() -> None:
    found = [
        Piece("a", 1, 5, (1,), {1: 4}, 1),
        Piece("b", 2, 5, (2,), {1: 4}, 1),
        Piece("b", 3, 5, (3,), {2: 90}, 2),  # a later, longer mistake
    ]
    claims = {number: Claim("linked", 0.9, True, None, end_ns=number) for number in (1, 2, 3)}
    made = {d.tracklet: d.right for d in decisions(found, claims)}
    assert made[2] is True and made[3] is False


def test_a_part_that_repeats_its_track_is_no_decision() -> None:
    found = [Piece("a", 1, 5, (1, 2), {1: 10}, 1), Piece("b", 2, 5, (3,), {1: 4}, 1)]
    claims = {2: claim("linked", 0.9, repeated=True), 3: claim("linked", 0.8)}
    assert [d.tracklet for d in decisions(found, claims)] == [3]
