"""Set-to-set comparison: who is nearer, what the gallery keeps, what the probability depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reid.fpr.distance import distance, prepare
from reid.sets.tracklets import (
    Calibration,
    CalibrationError,
    Comparison,
    TrackletGallery,
    compare,
    features,
    nearest_mean,
    probability,
)
from tests.crops import CALIBRATION, Crop, unit


def crops_of(person: int, count: int, *, seed: int = 0, noise: float = 0.15) -> list[Crop]:
    """Crops of a person: its own cells and vector, with noise."""
    own, rng = np.random.default_rng(person), np.random.default_rng([person, seed])
    cells, pooled = own.random((12, 24)) ** 4, own.standard_normal(16)
    return [
        Crop(
            unit(cells + noise * rng.random(cells.shape)),
            np.full(12, 0.9, np.float16),
            unit(pooled + noise * rng.standard_normal(16)),
        )
        for _ in range(count)
    ]


def gallery_of(people: range, count: int = 3) -> TrackletGallery:
    gallery = TrackletGallery(exemplars=4)
    for person in people:
        gallery.append(person, crops_of(person, count))
    return gallery


def test_the_same_person_is_nearest_by_both_distances_and_most_probable() -> None:
    gallery, probe = gallery_of(range(10)), crops_of(3, 2, seed=1)
    comparison = compare(probe, gallery, gallery.shortlist(probe, 10))
    place = list(comparison.identities).index(3)
    chance = probability(comparison, CALIBRATION)
    assert comparison.cosine.argmin() == comparison.fpr.argmin() == chance.argmax() == place
    assert chance[place] > 0.5 > np.delete(chance, place).max()


def test_one_crop_against_one_crop_is_the_mean_of_both_directions() -> None:
    (mine,), (theirs,) = crops_of(1, 1), crops_of(2, 1)
    gallery = TrackletGallery()
    gallery.append(7, [theirs])
    forward = distance([(mine.cells, mine.foreground)], prepare([theirs.cells]))[0, 0]
    backward = distance([(theirs.cells, theirs.foreground)], prepare([mine.cells]))[0, 0]
    assert compare([mine], gallery, [7]).fpr[0] == pytest.approx((forward + backward) / 2, abs=1e-6)


def test_what_covers_a_probe_does_not_matter_where_the_foreground_says_so() -> None:
    gallery, (crop,) = gallery_of(range(5)), crops_of(2, 1, seed=1)
    (stranger,) = crops_of(4, 1)
    cells, foreground = crop.cells.copy(), crop.foreground.copy()
    cells[6:], foreground[6:] = stranger.cells[6:], 0.0
    covered = replace(crop, cells=cells, foreground=foreground)
    assert compare([covered], gallery, range(5)).fpr.argmin() == 2


def test_a_crop_without_any_foreground_is_compared_evenly() -> None:
    gallery, (crop,) = gallery_of(range(2)), crops_of(0, 1)
    blank = replace(crop, foreground=np.zeros(12, np.float16))
    np.testing.assert_allclose(
        compare([blank], gallery, [0, 1]).fpr, compare([crop], gallery, [0, 1]).fpr, atol=0.02
    )


def test_exemplars_are_bounded_and_keep_what_differs() -> None:
    gallery = TrackletGallery(exemplars=4)
    gallery.append(1, crops_of(1, 20))
    odd = crops_of(2, 1)[0]
    gallery.append(1, [odd])
    gallery.append(1, crops_of(1, 20, seed=1))
    assert len(gallery.rows[1]) == len(gallery.crops) == 4
    assert any(gallery.crops[row] is odd for row in gallery.rows[1])


def test_appending_in_parts_is_the_same_as_at_once() -> None:
    crops, probe = crops_of(1, 9), crops_of(1, 1, seed=1)
    whole, parts = TrackletGallery(exemplars=4), TrackletGallery(exemplars=4)
    whole.append(1, crops)
    for crop in crops:
        parts.append(1, [crop])
    np.testing.assert_array_equal(compare(probe, whole, [1]).fpr, compare(probe, parts, [1]).fpr)
    np.testing.assert_array_equal(compare(probe, whole, [1]).cosine, compare(probe, parts, [1]).cosine)


def test_only_the_exemplars_nearest_to_the_probe_are_compared() -> None:
    gallery, probe = TrackletGallery(exemplars=8), crops_of(1, 2, seed=1)
    gallery.append(1, crops_of(1, 4))
    alone = compare(probe, gallery, [1]).fpr
    gallery.append(1, crops_of(2, 4))
    np.testing.assert_allclose(compare(probe, gallery, [1]).fpr, alone)


def test_crops_without_cells_count_for_the_mean_vector_only() -> None:
    whole, more = crops_of(3, 2, seed=1), crops_of(3, 3, seed=2)
    light = [Crop(crop.cells[:0], crop.foreground, crop.pooled) for crop in more]
    gallery, also = gallery_of(range(5)), gallery_of(range(5))
    gallery.append(3, light)
    also.append(3, more)
    found = compare([*whole, *light], gallery, [1, 3])
    np.testing.assert_array_equal(found.fpr, compare(whole, gallery_of(range(5)), [1, 3]).fpr)
    np.testing.assert_array_equal(found.cosine, compare([*whole, *more], also, [1, 3]).cosine)
    assert len(gallery.rows[3]) == 3
    gallery.append(9, light)
    assert 9 not in gallery.shortlist(whole, 10)


def test_a_removed_identity_is_gone_and_the_others_stay() -> None:
    gallery, probe = gallery_of(range(4)), crops_of(3, 2, seed=1)
    before = compare(probe, gallery, [2, 3])
    gallery.remove(1)
    gallery.remove(99)
    assert (len(gallery), sorted(gallery.shortlist(probe, 9))) == (3, [0, 2, 3])
    np.testing.assert_array_equal(compare(probe, gallery, [2, 3]).fpr, before.fpr)
    gallery.append(5, crops_of(5, 3))
    np.testing.assert_array_equal(compare(probe, gallery, [2, 3]).fpr, before.fpr)


def test_the_shortlist_is_in_order_and_only_of_the_allowed() -> None:
    gallery, probe = gallery_of(range(6)), crops_of(4, 2, seed=1)
    assert gallery.shortlist(probe, 3)[0] == 4
    assert 4 not in gallery.shortlist(probe, 6, lambda identity: identity != 4)
    assert gallery.shortlist([], 3) == TrackletGallery().shortlist(probe, 3) == []


def test_unknown_identities_and_empty_probes_are_refused() -> None:
    gallery = gallery_of(range(2))
    with pytest.raises(ValueError, match=r"unknown: \[9\]"):
        compare(crops_of(0, 1), gallery, [0, 9])
    with pytest.raises(ValueError, match="0 crops"):
        compare([], gallery, [0])
    with pytest.raises(ValueError, match="exemplars"):
        TrackletGallery(exemplars=0)


def test_a_crop_whose_foreground_is_no_number_is_refused_when_it_is_filed() -> None:
    gallery, (crop,) = gallery_of(range(1)), crops_of(2, 1)
    with pytest.raises(ValueError, match="finite"):
        gallery.append(2, [replace(crop, foreground=np.full(12, np.nan, np.float16))])


def test_the_nearest_half_of_pairs_counts() -> None:
    assert nearest_mean(np.arange(8.0).reshape(2, 4)) == 1.5
    assert nearest_mean(np.array([[3.0]])) == 3


def test_a_candidate_is_measured_against_the_strangers_near_the_probe() -> None:
    distances = np.array([0.2, 0.5, 0.6, 0.7, 0.8, 0.9])
    table = features(Comparison(np.arange(6), distances, distances, 0.5), 1.0, 1.0)
    assert table[0, 2] == pytest.approx(0.2 - np.mean([0.6, 0.7, 0.8, 0.9]))
    assert table[1, 2] == pytest.approx(0.5 - np.mean([0.6, 0.7, 0.8, 0.9]))


def test_alone_in_the_gallery_a_candidate_is_measured_against_typical_strangers() -> None:
    table = features(Comparison(np.arange(1), np.array([0.2]), np.array([0.3]), 0.5), 0.6, 0.5)
    assert table[0, 2:4].tolist() == pytest.approx([-0.4, -0.2])


def test_a_second_number_of_the_same_person_does_not_make_both_improbable() -> None:
    distances = np.array([0.2, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9])
    once = probability(Comparison(np.arange(7), distances, distances, 0.5), CALIBRATION)
    doubled = np.concatenate([[0.21], distances[:-1]])
    twice = probability(Comparison(np.arange(7), doubled, doubled, 0.5), CALIBRATION)
    assert twice[1] > 0.8 * once[0]


def test_probabilities_are_finite_for_any_distance() -> None:
    extreme = Comparison(np.arange(2), np.array([0.0, 2.0]), np.array([0.0, 1.0]), 1.0)
    assert np.isfinite(probability(extreme, replace(CALIBRATION, cosine_gap=-1e6))).all()


def test_a_calibration_survives_json_and_a_missing_one_is_named() -> None:
    assert Calibration.from_dict({**CALIBRATION.as_dict(), "measured": {"ece": 0.1}}) == CALIBRATION
    for notes in (None, {}, {**CALIBRATION.as_dict(), "fpr": "x"}):
        with pytest.raises(CalibrationError, match=r"reid\.calibrate"):
            Calibration.from_dict(notes)
