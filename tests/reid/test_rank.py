"""Ranking metrics against the definitions, done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reid.scoring.rank import Ranking, average_precisions, bootstrap, gain, rank


def ranking_of(row: list[float], hits: list[bool]) -> Ranking:
    ids = np.where(hits, 1, 2)
    return rank(np.array([row]), np.array([1]), ids, np.array([0]), np.ones(len(row), int))


def reference_ap(relevant: NDArray[np.bool_]) -> float:
    precisions = [relevant[: k + 1].mean() for k in range(len(relevant)) if relevant[k]]
    return float(np.mean(precisions))


def reference_trapezoid(relevant: NDArray[np.bool_]) -> float:
    """Market-1501's definition: area under precision over recall, place by place."""
    area, recall, precision = 0.0, 0.0, 1.0
    for k in range(len(relevant)):
        new_recall, new_precision = relevant[: k + 1].sum() / relevant.sum(), relevant[: k + 1].mean()
        area += (new_recall - recall) * (precision + new_precision) / 2
        recall, precision = new_recall, new_precision
    return area


def test_hits_at_places_one_and_three() -> None:
    result = ranking_of([0.1, 0.2, 0.3], [True, False, True])
    assert result.ranks.tolist() == [1]
    assert result.ap[0] == pytest.approx((1 + 2 / 3) / 2)
    assert result.ap_trapezoid[0] == pytest.approx(((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    assert result.inp[0] == pytest.approx(2 / 3)


def test_ap_equals_its_definition_on_random_rankings() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        relevant = generator.random(30) < 0.2
        relevant[generator.integers(30)] = True
        step, trapezoid = average_precisions(np.flatnonzero(relevant))
        assert step == pytest.approx(reference_ap(relevant))
        assert trapezoid == pytest.approx(reference_trapezoid(relevant))


def test_the_querys_own_camera_does_not_count() -> None:
    result = rank(
        np.array([[0.0, 0.5, 0.7]]), np.array([1]), np.array([1, 2, 1]), np.array([0]), np.array([0, 0, 1])
    )
    assert result.ranks.tolist() == [2]


def test_ties_keep_the_gallerys_order() -> None:
    assert ranking_of([0.5, 0.5], [True, False]).ranks.tolist() == [1]
    assert ranking_of([0.5, 0.5], [False, True]).ranks.tolist() == [2]


def test_a_query_without_a_match_is_skipped_and_counted() -> None:
    result = rank(np.zeros((2, 1)), np.array([1, 9]), np.array([1]), np.zeros(2, int), np.ones(1, int))
    assert (len(result.ranks), result.skipped) == (1, 1)


def test_a_perfect_ranking_scores_one() -> None:
    result = ranking_of([0.1, 0.2, 0.9], [True, True, False])
    assert (result.cmc(1), result.ap[0], result.ap_trapezoid[0], result.inp[0]) == (1, 1, 1, 1)


def test_nan_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ranking_of([float("nan"), 1.0], [True, False])
    with pytest.raises(ValueError, match="distances are"):
        rank(np.zeros((1, 2)), np.array([1]), np.array([1]), np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match="no query"):
        ranking_of([0.0], [False])


def test_the_bootstrap_interval_is_that_of_a_binomial() -> None:
    interval = bootstrap(np.repeat([1.0, 0.0], [240, 60]))
    assert interval.mean == pytest.approx(0.8)
    assert interval.low == pytest.approx(0.8 - 1.96 * 0.0231, abs=0.01)
    assert interval.high == pytest.approx(0.8 + 1.96 * 0.0231, abs=0.01)


def judged_by_hand(
    row: list[float], query: tuple[int, int], gallery: list[tuple[int, int]]
) -> tuple[int, float, float] | None:
    """Place of the first hit, AP and INP of one query, walking down its list; None without a hit."""
    kept = [(d, i) for i, d in enumerate(row) if gallery[i] != query]
    hits, precisions, last = 0, [], 0
    for place, (_, i) in enumerate(sorted(kept), 1):
        if gallery[i][0] == query[0]:
            hits += 1
            precisions.append(hits / place)
            last = place
    return None if not hits else (round(1 / precisions[0]), sum(precisions) / hits, hits / last)


@pytest.mark.parametrize("seed", range(8))
def test_every_metric_agrees_with_an_independent_implementation_on_random_rankings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = (rng.integers(0, [7, 3], (n, 2)) for n in (20, 60))
    distances = rng.integers(0, 12, (20, 60)) / 12  # many ties
    result = rank(distances, queries[:, 0], gallery[:, 0], queries[:, 1], gallery[:, 1])
    pairs = [tuple(map(int, pair)) for pair in gallery]
    by_hand = [
        judged_by_hand(list(row), (int(q[0]), int(q[1])), [(p[0], p[1]) for p in pairs])
        for row, q in zip(distances, queries, strict=True)
    ]
    found = [one for one in by_hand if one is not None]
    assert result.skipped == by_hand.count(None)
    assert result.ranks.tolist() == [one[0] for one in found]
    np.testing.assert_allclose(result.ap, [one[1] for one in found])
    np.testing.assert_allclose(result.inp, [one[2] for one in found])
    assert result.cmc(5) == np.mean([one[0] <= 5 for one in found])


def test_a_gain_is_paired_by_query() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(300)
    small = gain(hard + 0.01, hard)
    assert (small.low, small.high) == (pytest.approx(0.01), pytest.approx(0.01))
    assert gain(rng.permutation(hard), hard).low < 0 < gain(rng.permutation(hard), hard).high
    with pytest.raises(ValueError, match="not the same ones"):
        gain(hard, hard[1:])
