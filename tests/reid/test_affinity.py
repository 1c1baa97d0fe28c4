"""Log-odds of two tracklets: what must not change them, and what must."""

from __future__ import annotations

import numpy as np
import pytest

from reid.embed import CropEmbedding
from reid.sets.affinity import (
    COHORT,
    NEAREST,
    FprPairs,
    Looks,
    cohort,
    gap,
    log_odds,
    usual_distance,
)
from tests.crops import PAIRS

CALIBRATION = PAIRS


def looks(*, light: float = 0.0) -> Looks:
    """Eight people in two cameras, in the second of which everybody also looks like the lamp there."""
    rng = np.random.default_rng(0)
    people, lamp = rng.standard_normal((8, 64)), rng.standard_normal(64)
    pooled = np.concatenate([people, people + 0.5 * rng.standard_normal((8, 64)) + light * lamp])
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    cells = rng.standard_normal((16, 6, 16))
    cells /= np.linalg.norm(cells, axis=2, keepdims=True)
    cells[8:] = cells[:8]
    weights = np.full(6, 0.5, np.float16)
    crops = [
        (CropEmbedding(c.astype(np.float16), weights, p.astype(np.float16)),)
        for c, p in zip(cells, pooled, strict=True)
    ]
    return Looks(crops, np.repeat([0, 1], 8))


@pytest.mark.parametrize("light", [0.0, 1.0])
def test_the_same_people_are_likely_and_others_are_not_whatever_the_light(light: float) -> None:
    odds = log_odds(looks(light=light), CALIBRATION)[:8, 8:]
    assert (np.diag(odds) > 0).all()
    assert (odds[~np.eye(8, dtype=bool)] < 0).all()


def test_log_odds_are_symmetric_and_do_not_depend_on_the_order() -> None:
    one = looks()
    odds = log_odds(one, CALIBRATION)
    backwards = log_odds(Looks(one.crops[::-1], one.cameras[::-1]), CALIBRATION)[::-1, ::-1]
    strangers = ~np.eye(16, dtype=bool)
    assert np.allclose(odds, odds.T)
    assert np.allclose(odds[strangers], backwards[strangers], atol=1e-3)


def test_a_gap_takes_away_what_a_camera_adds_to_every_distance() -> None:
    rng = np.random.default_rng(0)
    distances = rng.random((60, 60))
    distances += distances.T
    cameras, everyone = np.repeat([0, 1], 30), np.ones(60, np.bool_)
    darker = distances + 0.5 * (cameras[:, None] != cameras)
    plain, shifted = (gap(d, cameras, everyone, 1.0) for d in (distances, darker))
    assert np.abs(plain - shifted).max() < 0.07  # the prior of 4 strangers among 30


def test_the_usual_distance_is_the_median_of_the_known_drawn_to_the_prior() -> None:
    known = np.array([[1.0, 2.0, 3.0, np.nan], [np.nan] * 4])
    assert usual_distance(known, 1.0) == pytest.approx([(3 * 2 + 4 * 1) / 7, 1.0])


def test_the_cohort_depends_neither_on_the_order_nor_much_on_who_comes() -> None:
    vectors, cameras = np.random.default_rng(0).standard_normal((60, 8)), np.repeat([0, 1, 2], 20)
    chosen = cohort(cameras, vectors)
    assert chosen.sum() == 3 * COHORT
    assert (cohort(cameras[::-1], vectors[::-1]) == chosen[::-1]).all()
    fewer = np.delete(np.arange(60), np.flatnonzero(chosen)[0])
    assert (cohort(cameras[fewer], vectors[fewer]) != chosen[fewer]).sum() == 1


def test_with_many_cameras_each_brings_one_stranger() -> None:
    vectors, cameras = np.random.default_rng(0).standard_normal((60, 8)), np.arange(60) % 20
    assert np.bincount(cameras[cohort(cameras, vectors)]).tolist() == [1] * 20


def test_who_is_gone_is_forgotten_by_the_others_too() -> None:
    one, pairs = looks(), FprPairs()
    log_odds(one, CALIBRATION, pairs)
    pairs.keep(set(range(1, 16)))
    assert set(pairs.known) == set(range(1, 16)) and not any(0 in others for others in pairs.known.values())


def test_distances_do_not_depend_on_what_was_computed_before() -> None:
    one, pairs = looks(), FprPairs()
    log_odds(Looks(one.crops[4:12], one.cameras[4:12], names=range(4, 12)), CALIBRATION, pairs)
    assert np.allclose(log_odds(one, CALIBRATION, pairs), log_odds(one, CALIBRATION), atol=1e-4)


def test_settled_tracklets_ask_for_no_distances_of_their_own() -> None:
    one, pairs = looks(), FprPairs()
    settled = np.arange(16) < 15
    log_odds(Looks(one.crops, one.cameras, settled=settled), CALIBRATION, pairs)
    asked = set(pairs.known[15])
    assert len(asked) >= NEAREST and all(
        set(pairs.known[n]) == ({15} if n in asked else set()) for n in range(15)
    )
