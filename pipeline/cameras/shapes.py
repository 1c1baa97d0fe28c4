"""Pictures in their true shape: square pixels, upright, all of one size."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.cameras.frames import Image
from pipeline.config import CameraConfig
from pipeline.errors import MendableError

ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
PIXEL_LIMITS = (Fraction(1, 8), Fraction(8))
"""Shapes of a pixel (width to height) outside of these are damage, not meant."""
SQUARE = Fraction(1, 50)
"""A pixel this little from square is one: encoders round."""


class ConversionError(MendableError):
    """A decoded frame cannot be made an RGB picture."""


class Shaper:
    """Makes decoded frames upright RGB pictures with square pixels.

    Args:
        camera: its rotation and, where it says so, the shape of its pixels.
        stream: says the shape of its pixels where the camera does not.
    """

    def __init__(self, camera: CameraConfig, stream: VideoStream) -> None:
        self.aspect = camera.pixel_shape or pixel_aspect(stream)
        self.rotation = camera.rotation
        self.clockwise: int | None = None  # the first frame says it for all
        self.reformatter = VideoReformatter()

    def picture(self, frame: VideoFrame) -> Image:
        """(H, W, 3) RGB.

        Raises:
            ConversionError: there is no way from its colours to RGB.
        """
        width, height = true_size(frame.width, frame.height, self.aspect)
        try:
            colours = self.reformatter.reformat(frame, width, height, format="rgb24", threads=1)
        except (FFmpegError, ValueError) as error:
            raise ConversionError(f"no conversion from {frame.format.name} to RGB") from error
        if self.clockwise is None:
            self.clockwise = (self.rotation - round(frame.rotation / 90) * 90) % 360
        return upright(np.asarray(colours.to_ndarray(), np.uint8), self.clockwise)


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width to height of one pixel, as the stream says; 1 where it says nothing that can be meant."""
    said = stream.sample_aspect_ratio
    return said if said and PIXEL_LIMITS[0] <= said <= PIXEL_LIMITS[1] else Fraction(1)


def true_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height with square pixels: the shorter stored side grows, so that nothing is lost."""
    if abs(aspect - 1) < SQUARE:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def upright(image: Image, clockwise: int) -> Image:
    """`image` turned by 0, 90, 180 or 270 degrees clockwise."""
    return np.asarray(cv2.rotate(image, ROTATIONS[clockwise]), np.uint8) if clockwise else image


def letterbox(image: Image, width: int, height: int) -> Image:
    """`image` scaled into (height, width) keeping its proportions, centred on black."""
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    framed = np.zeros((height, width, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    framed[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner, interpolation=method)
    return framed
