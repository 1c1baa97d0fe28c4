"""The fusion of pooled and FPR distances."""

from __future__ import annotations

import numpy as np
import pytest

from reid.sets.fusion import HEAD_VISIBLE, fpr_weight, fused, hidden_share, shown_height, standardized

RNG = np.random.default_rng(0)
POOLED, FPR = RNG.random((3, 9), np.float32), RNG.random((3, 9), np.float32)


def test_standardized_distances_keep_each_querys_order() -> None:
    result = standardized(POOLED)
    np.testing.assert_array_equal(result.argsort(1), POOLED.argsort(1))
    np.testing.assert_allclose(result.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(result.std(1), 1, atol=1e-5)


def test_a_gallery_of_equal_distances_is_left_at_zero() -> None:
    assert (standardized(np.full((1, 4), 0.3)) == 0).all()


def test_of_a_probe_in_full_view_only_the_pooled_vector_counts() -> None:
    np.testing.assert_array_equal(fused(POOLED, FPR, np.zeros(3)).argsort(1), POOLED.argsort(1))


def test_the_more_is_hidden_the_more_fpr_counts() -> None:
    def agreement(hidden: float) -> float:
        both = fused(POOLED, FPR, np.full(3, hidden))
        return float(np.corrcoef(both.ravel(), standardized(FPR).ravel())[0, 1])

    shares = [agreement(hidden) for hidden in (0.0, 0.3, 0.6, 1.0)]
    assert shares == sorted(shares)


def test_a_probes_ranking_does_not_depend_on_the_scale_of_either_distance() -> None:
    hidden = np.array([0.2, 0.5, 0.8])
    scaled = fused(7 * POOLED + 3, 0.1 * FPR - 2, hidden)
    np.testing.assert_allclose(scaled, fused(POOLED, FPR, hidden), atol=1e-4)


def test_a_probe_is_fused_the_same_alone_and_among_others() -> None:
    hidden = np.array([0.2, 0.5, 0.8])
    alone = fused(POOLED[1:2], FPR[1:2], hidden[1:2])
    np.testing.assert_array_equal(alone[0], fused(POOLED, FPR, hidden)[1])


def test_the_hidden_share_is_what_the_foreground_leaves_of_a_whole_body() -> None:
    assert (hidden_share(0.5, 1.0), hidden_share(0.5, 0.5)) == (0.5, 0.75)


def test_a_head_counts_half_in_full_view_and_more_on_half_bodies() -> None:
    hidden = np.array([hidden_share(HEAD_VISIBLE, shown) for shown in (1.0, 0.5)])
    np.testing.assert_allclose(fpr_weight(hidden), [0.5, 1.25], rtol=1e-6)


def test_a_crop_half_as_high_has_room_for_half_a_body() -> None:
    assert [shown_height(h, 64, 2.0) for h in (64, 128, 300)] == [0.5, 1, 1]
    assert 0 < shown_height(1, 1, 2.0) <= 1


def test_a_probe_that_shows_nothing_is_compared_by_fpr_for_the_most_part() -> None:
    assert fpr_weight(np.array([0.0, 0.5, 0.8, 1.0])).tolist() == pytest.approx([0, 0.25, 1, 3])


def test_shapes_and_shares_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="must fit"):
        fused(POOLED, FPR[:, :4], np.zeros(3))
    with pytest.raises(ValueError, match=r"0\.\.1"):
        fused(POOLED, FPR, np.full(3, 1.2))
