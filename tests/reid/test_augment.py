"""Training pictures and what is known about them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reid.data.augment import (
    Window,
    augment,
    block_means,
    coarsen,
    degrade,
    occlude,
    occluder_box,
    random_window,
    relight,
    shift,
)

WHOLE = Window(0, 0, 256, 128)


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((128, 64, 3), value, np.uint8)


def test_a_picture_has_the_size_of_its_window() -> None:
    made = augment(
        picture(90), picture(9), Window(64, 16, 128, 96), occlusion=1, rng=np.random.default_rng(0)
    )
    assert made.image.shape == (128, 96, 3)
    assert made.covered.shape == (8, 6)


def test_the_same_seed_gives_the_same_picture() -> None:
    one, two = (
        augment(picture(90), picture(9), WHOLE, occlusion=0.5, rng=np.random.default_rng(3)) for _ in range(2)
    )
    assert np.array_equal(one.image, two.image)


def test_without_occluders_nothing_is_covered() -> None:
    made = augment(picture(90), picture(9), WHOLE, occlusion=0, rng=np.random.default_rng(0))
    assert not made.covered.any()


@pytest.mark.parametrize("seed", range(8))
def test_what_changes_is_what_is_marked(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = np.asarray(rng.integers(0, 120, (256, 128, 3)), np.uint8)
    other = np.asarray(rng.integers(130, 256, (128, 64, 3)), np.uint8)
    after, mask = occlude(before, other, rng)
    assert mask.any()
    assert np.array_equal(after[mask == 0], before[mask == 0])


def test_a_mirrored_picture_has_a_mirrored_label() -> None:
    for seed in range(20):
        made = augment(picture(200), picture(0), WHOLE, occlusion=1, rng=np.random.default_rng(seed))
        changed = block_means((np.abs(made.image.astype(int) - 200).max(2) > 80).astype(np.float32))
        assert (changed <= made.covered + 1e-6).all()


def test_occluders_stay_inside_the_picture() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        top, left, tall, wide = occluder_box(256, 128, rng)
        assert top >= 0 and left >= 0 and top + tall <= 256 and left + wide <= 128


def test_windows_lie_on_the_map_and_reach_head_and_feet() -> None:
    rng = np.random.default_rng(0)
    windows = [random_window((128, 96), rng) for _ in range(200)]
    assert {w.top for w in windows} == set(range(0, 129, 16))
    assert all(w.left == 16 for w in windows)
    assert windows[0].cells[1] == slice(1, 7)


def test_a_shift_is_smaller_than_half_a_map_position() -> None:
    image = np.zeros((256, 128, 3), np.uint8)
    image[128, 64] = 255
    for seed in range(30):
        row, column = np.argwhere(shift(image, np.random.default_rng(seed))[..., 0])[0]
        assert abs(int(row) - 128) < 8 and abs(int(column) - 64) < 8


def noise(seed: int) -> NDArray[np.uint8]:
    return np.asarray(np.random.default_rng(seed).integers(0, 256, (256, 128, 3)), np.uint8)


def test_a_poor_camera_keeps_the_size_and_its_seed_tells_all() -> None:
    made = [[degrade(noise(1), np.random.default_rng(seed)) for seed in range(20)] for _ in range(2)]
    assert np.array_equal(made[0], made[1])
    assert {picture.shape for picture in made[0]} == {(256, 128, 3)}
    changed = sum(not np.array_equal(picture, noise(1)) for picture in made[0])
    assert 10 <= changed < 20, "some stay as they were"


def test_a_coarse_picture_has_lost_what_is_fine_and_kept_its_colour() -> None:
    coarse = coarsen(noise(2), np.random.default_rng(0))
    assert coarse.std() < noise(2).std() / 1.5
    assert np.allclose(coarse.mean((0, 1)), noise(2).mean((0, 1)), atol=1)


def test_other_light_changes_all_and_never_the_order_of_greys() -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 128, 3)).copy()
    for seed in range(10):
        lit = relight(ramp, np.random.default_rng(seed))[:, 0].astype(int)
        assert (np.diff(lit, axis=0) >= -1).all()  # rounding
        assert not np.array_equal(lit, ramp[:, 0])


def test_strong_is_mild_and_more() -> None:
    seen = {
        strength: augment(
            noise(3), noise(4), WHOLE, occlusion=0, rng=np.random.default_rng(5), strength=strength
        ).image
        for strength in ("none", "mild", "strong")
    }
    assert np.array_equal(seen["none"], noise(3))
    assert not np.array_equal(seen["mild"], seen["strong"])
