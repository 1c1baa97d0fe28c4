"""Calibration on made-up people whose tracklets can be told apart, and on some that cannot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from reid.calibrate import (
    Tracklet,
    calibrate,
    decisions,
    expected_calibration_error,
    fit,
    heldout_tracklets,
    main,
    seen_without,
)
from reid.data.datasets import Sample
from tests.crops import Crop, unit


def tracklets(people: int, noise: float) -> list[Tracklet]:
    """Each person in three cameras, two crops each; the noise is each tracklet's own."""
    rng = np.random.default_rng(0)
    found = []
    for person in range(people):
        cells, pooled = rng.random((6, 12)) ** 4, rng.standard_normal(8)
        for camera in (1, 2, 3):
            own_cells, own_pooled = rng.random((6, 12)), rng.standard_normal(8)
            crop = Crop(
                unit(cells + noise * own_cells), np.ones(6, np.float16), unit(pooled + noise * own_pooled)
            )
            found.append(Tracklet(person, camera, "made/test", [crop, crop]))
    return found


def test_missing_data_and_weights_are_one_line_each(tmp_path: Path) -> None:
    command = typer.Typer()
    command.command()(main)
    shipped = Path(__file__).parents[2] / "weights/fpr_small.safetensors"
    for weights in (tmp_path / "none.safetensors", shipped):
        result = CliRunner().invoke(command, ["--weights", str(weights), "--root", str(tmp_path)])
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ") and "no such" in result.stderr


def test_people_who_differ_are_linked_and_new_ones_are_not() -> None:
    _, quality = calibrate(tracklets(24, 0.1))
    assert quality.precision > 0.95
    assert quality.recall > 0.95
    assert 0.3 < quality.present < 0.7


def test_probabilities_stay_honest_where_people_look_alike() -> None:
    easy, hard = (calibrate(tracklets(40, noise))[1] for noise in (0.1, 1.0))
    assert hard.recall < easy.recall
    assert hard.ece < 0.15


def test_a_probes_own_camera_is_never_among_the_right_answers() -> None:
    for made in decisions(tracklets(6, 0.1), np.random.default_rng(0)):
        right = made.comparison.identities[made.same]
        assert len(right) <= 1
        assert all(number % 100 != 0 for number in right)


def test_galleries_differ_in_size_and_often_lack_the_person() -> None:
    made = decisions(tracklets(30, 0.1), np.random.default_rng(0))
    assert len({one.known for one in made}) > 10
    assert 0.3 < np.mean([one.present for one in made]) < 0.7


def test_a_person_without_a_camera_has_a_number_of_its_own() -> None:
    assert len({seen_without(p, c) for p in range(5) for c in range(7)}) == 35


def test_a_fit_needs_right_and_wrong_candidates() -> None:
    with pytest.raises(ValueError, match="cannot fit"):
        fit([])


def test_the_calibration_error_is_zero_when_shares_match_and_one_when_always_wrong() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.random(20_000)
    assert expected_calibration_error(predicted, rng.random(20_000) < predicted) < 0.02
    assert expected_calibration_error(np.ones(100), np.zeros(100, np.bool_)) == 1


def test_heldout_tracklets_hold_at_most_five_crops_of_one_person_and_camera() -> None:
    _, png = cv2.imencode(".png", np.zeros((32, 16, 3), np.uint8))
    samples = [Sample(f"made/test/{i}.png", i % 2, 1 + i % 3, png.tobytes()) for i in range(60)]
    chosen = heldout_tracklets(samples, np.random.default_rng(0))
    assert len(chosen) == 6 * 5
    keys = {number: (sample.pid, sample.camera) for sample, number in chosen}
    assert all(keys[number] == (sample.pid, sample.camera) for sample, number in chosen)
