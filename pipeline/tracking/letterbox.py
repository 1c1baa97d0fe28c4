"""An image on the grey canvas that a YOLO network sees, and its boxes back in the image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

STRIDE_PX = 32
"""Coarsest stride of the YOLO networks: both sides of the canvas are multiples of it."""
PADDING = 114
"""Grey of the bars, as in YOLO's training."""

Image = NDArray[np.uint8]
Shape = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Placement:
    """Where an image lies on its canvas; everything in pixels."""

    height: int
    width: int
    scaled_height: int
    scaled_width: int
    top: int
    left: int

    def original(self, centres: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes on the canvas as boxes in the original image, clipped to it.

        Args:
            centres: (4, N) rows cx, cy, w, h in canvas pixels.

        Returns:
            (N, 4) xyxy.
        """
        cx, cy, w, h = centres
        x = (np.stack([cx - w / 2, cx + w / 2]) - self.left) * (self.width / self.scaled_width)
        y = (np.stack([cy - h / 2, cy + h / 2]) - self.top) * (self.height / self.scaled_height)
        x, y = x.clip(0, self.width), y.clip(0, self.height)
        return np.stack([x[0], y[0], x[1], y[1]], axis=1).astype(np.float32)


def canvas_shape(height: int, width: int, *, size_px: int) -> Shape:
    """The smallest canvas in multiples of STRIDE_PX for an image whose longer side becomes `size_px`."""
    scale = size_px / max(height, width)
    rows, columns = (max(1, -(-round(side * scale) // STRIDE_PX)) * STRIDE_PX for side in (height, width))
    return rows, columns


def place(image: Image, shape: Shape) -> Placement:
    """The image as large as it fits, in the middle of a canvas of `shape`."""
    height, width = image.shape[:2]
    scale = min(shape[0] / height, shape[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    return Placement(height, width, rows, columns, (shape[0] - rows) // 2, (shape[1] - columns) // 2)


def letterbox(image: Image, placement: Placement, shape: Shape) -> Image:
    """The (H, W, 3) canvas of `shape` that holds the image as placed, grey around it."""
    size = (placement.scaled_height, placement.scaled_width)
    # Linear is what YOLO was trained with; beyond a halving it skips pixels.
    method = cv2.INTER_LINEAR if 2 * size[0] >= placement.height else cv2.INTER_AREA
    scaled = image if image.shape[:2] == size else cv2.resize(image, size[::-1], interpolation=method)
    if size == shape:
        return np.ascontiguousarray(scaled, np.uint8)
    canvas = np.full((*shape, 3), PADDING, np.uint8)
    top, left = placement.top, placement.left
    canvas[top : top + size[0], left : left + size[1]] = scaled
    return canvas
