"""Slopes of pairs, fitted on people whose names are known."""

from __future__ import annotations

import numpy as np
import pytest

from reid.sets.affinity import Looks, log_odds
from reid.sets.pair_slopes import Named, fit_pairs, sites, stated_pairs, typical_strangers
from tests.crops import Crop, unit


def tracklets(people: int, noise: float, seed: int = 0) -> list[Named]:
    """Each person in three cameras, two crops each; the noise is each tracklet's own."""
    rng = np.random.default_rng(seed)
    found = []
    for person in range(people):
        cells, pooled = rng.random((6, 12)) ** 4, rng.standard_normal(8)
        for camera in (1, 2, 3):
            own_cells, own_pooled = rng.random((6, 12)), rng.standard_normal(8)
            crop = Crop(
                unit(cells + noise * own_cells), np.ones(6, np.float16), unit(pooled + noise * own_pooled)
            )
            found.append(Named(person, camera, "made/test", [crop, crop]))
    return found


def test_fitted_slopes_tell_people_apart_whom_they_were_not_fitted_on() -> None:
    fitted = fit_pairs(tracklets(24, 0.3))
    others = tracklets(12, 0.3, seed=1)
    odds = log_odds(Looks([o.crops for o in others], np.array([o.camera for o in others])), fitted)
    people = np.array([o.person for o in others])
    upper = np.triu_indices(len(others), 1)
    same = (people[:, None] == people)[upper]
    said = odds[upper] > 0
    assert (said & same).sum() > 0.9 * same.sum() and (said & ~same).sum() < 0.02 * same.size


def test_no_distance_makes_a_link_more_probable_by_growing() -> None:
    fitted = fit_pairs(tracklets(24, 2.0))
    assert fitted.cosine <= 0 and fitted.fpr <= 0


def test_the_same_people_give_the_same_slopes() -> None:
    assert fit_pairs(tracklets(16, 0.5)) == fit_pairs(tracklets(16, 0.5))


def test_sites_hold_people_of_one_data_set() -> None:
    both = [
        *tracklets(10, 0.1),
        *(one._replace(source="other", person=one.person + 100) for one in tracklets(10, 0.1)),
    ]
    for site in sites(both, np.random.default_rng(0)):
        assert len({one.source for one in site}) == 1 and len({one.person for one in site}) in (8, 10)


def test_strangers_are_as_far_as_people_of_one_data_set_are() -> None:
    near, far = (typical_strangers(tracklets(10, noise))[0] for noise in (0.0, 0.0))
    assert near == far and 0.5 < near < 1.5


def test_one_person_alone_fits_nothing() -> None:
    with pytest.raises(ValueError, match="cannot fit slopes of pairs"):
        fit_pairs(tracklets(1, 0.1))


def test_slopes_that_are_stated_are_three_numbers() -> None:
    assert stated_pairs("-20,-20,-7.5", tracklets(8, 0.1)).intercept == -7.5
    with pytest.raises(ValueError, match="write COSINE,FPR,INTERCEPT"):
        stated_pairs("-20", tracklets(8, 0.1))
