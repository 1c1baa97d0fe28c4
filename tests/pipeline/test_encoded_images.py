"""Images as bytes and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.encoded_images import decode_image, encode_jpeg, encode_png


def test_a_png_comes_back_as_it_was_red_first() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(decode_image(encode_png(image)), image)


def test_a_jpeg_comes_back_nearly_as_it_was() -> None:
    image = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    found = decode_image(encode_jpeg(image, 95))
    assert found is not None and found.shape == image.shape
    assert np.abs(found.astype(int) - image).max() < 8


def test_it_decodes_what_opencv_does() -> None:
    encoded = encode_jpeg(np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8), 80)
    bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None and np.array_equal(decode_image(encoded), bgr[..., ::-1])


@pytest.mark.parametrize("encoded", [b"", b"no picture", encode_png(np.zeros((8, 8, 3), np.uint8))[:20]])
def test_what_is_no_image_is_none(encoded: bytes) -> None:
    assert decode_image(encoded) is None
