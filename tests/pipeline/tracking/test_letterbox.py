"""Letterbox: sizes, places, and boxes back in the image."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tracking.letterbox import PADDING, STRIDE_PX, canvas_shape, letterbox, place

sides = st.integers(1, 5000)


@given(sides, sides, st.integers(1, 40).map(lambda n: n * STRIDE_PX))
def test_the_longer_side_of_the_canvas_is_the_size_asked_for(height: int, width: int, size_px: int) -> None:
    shape = canvas_shape(height, width, size_px=size_px)
    assert max(shape) == size_px
    assert all(side % STRIDE_PX == 0 and side >= STRIDE_PX for side in shape)


@given(st.integers(1, 300), st.integers(1, 300))
def test_the_corners_of_the_image_come_back_from_the_canvas(height: int, width: int) -> None:
    placement = place(np.zeros((height, width, 3), np.uint8), canvas_shape(height, width, size_px=320))
    w, h = placement.scaled_width, placement.scaled_height
    whole = np.array([[placement.left + w / 2], [placement.top + h / 2], [w], [h]], np.float32)
    np.testing.assert_allclose(placement.original(whole), [[0, 0, width, height]], atol=1e-3)


def test_boxes_end_at_the_border_of_the_image() -> None:
    placement = place(np.zeros((240, 320, 3), np.uint8), (480, 640))
    boxes = placement.original(np.array([[320], [240], [9000], [9000]], np.float32))
    np.testing.assert_array_equal(boxes, [[0, 0, 320, 240]])


def test_the_image_is_in_the_middle_and_the_bars_are_grey() -> None:
    image = np.full((90, 160, 3), 255, np.uint8)
    shape = canvas_shape(90, 160, size_px=320)
    canvas = letterbox(image, place(image, shape), shape)
    assert canvas.shape == (192, 320, 3)
    assert (canvas[:6] == PADDING).all() and (canvas[-6:] == PADDING).all() and (canvas[6:-6] == 255).all()


def test_an_image_that_fits_is_not_resampled() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    np.testing.assert_array_equal(letterbox(image, place(image, (64, 96)), (64, 96)), image)
