"""Images from the bytes of a JPEG or PNG, and to them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB


def decode_image(encoded: bytes) -> Image | None:
    """The (H, W, 3) RGB image in these bytes, turned upright as they say; None where there is none."""
    try:
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if encoded else None
    except cv2.error:  # more pixels than OpenCV takes
        return None
    return None if bgr is None else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def encode_jpeg(image: Image, quality: int) -> bytes:
    """The bytes of a JPEG; quality 0..100."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)[1].tobytes()


def encode_png(image: Image) -> bytes:
    """The bytes of a PNG."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
