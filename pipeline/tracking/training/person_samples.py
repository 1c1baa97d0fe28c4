"""Labelled pictures of people to train the detector on: read, checked against copies, varied."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.encoded_images import decode_image
from pipeline.errors import MendableError
from pipeline.tracking.letterbox import PADDING

SCALES = (0.6, 1.4)
"""Range of the random enlargement; 1 fits the image into the view."""
BRIGHTNESS = (0.6, 1.4)
COARSENESS = 3
"""Factor by which a picture is shrunk to look as if an old camera had taken it."""
LEAST_VISIBLE = 0.2
"""A box cut off at the view's edge stays when this share of it is inside."""
LEAST_SIDE_PX = 2.0


class TrainingDataError(MendableError, ValueError, kind="wrong input"):
    """The archive does not hold images and labels as expected; the message names what is wrong."""


@dataclass(frozen=True)
class LabelledImage:
    """One labelled image, still encoded."""

    name: str
    jpeg: bytes
    boxes: NDArray[np.float32]  # (N, 4) xyxy, fractions of width and height

    def image(self) -> NDArray[np.uint8]:
        """The (H, W, 3) RGB image."""
        decoded = decode_image(self.jpeg)
        if decoded is None:
            raise TrainingDataError(f"{self.name}: not a readable image")
        return decoded


@dataclass(frozen=True)
class View:
    """A square training picture."""

    image: NDArray[np.uint8]  # (S, S, 3)
    boxes: NDArray[np.float32]  # (N, 4) xyxy, fractions of S


def read_samples(archive: Path, split: str) -> list[LabelledImage]:
    """The images of one split of a .tar.gz with images/SPLIT/NAME.jpg and labels/SPLIT/NAME.txt, by name.

    A label line is: class, then centre x, centre y, width, height as fractions of the image.

    Raises:
        TrainingDataError: not such an archive, or the split is empty.
    """
    images: dict[str, bytes] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(archive) as files:
            for member in files:
                path, file = Path(member.name), files.extractfile(member)
                if file is None or path.parent.name != split:
                    continue
                if path.parent.parent.name == "images":
                    images[path.stem] = file.read()
                elif path.parent.parent.name == "labels":
                    labels[path.stem] = file.read().decode()
    except (OSError, tarfile.TarError) as error:
        raise TrainingDataError(f"{archive}: not a readable .tar.gz") from error
    if not images:
        raise TrainingDataError(f"{archive}: no images/{split}/")
    return [LabelledImage(name, images[name], parse_labels(labels.get(name, ""))) for name in sorted(images)]


def parse_labels(text: str) -> NDArray[np.float32]:
    """(N, 4) xyxy fractions of YOLO label lines."""
    lines = [line.split()[1:5] for line in text.splitlines() if line.strip()]
    rows = np.array(lines, np.float32).reshape(-1, 4)
    return np.hstack([rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2]).astype(np.float32)


def without_copies(samples: list[LabelledImage], held_out: list[LabelledImage]) -> list[LabelledImage]:
    """The samples whose picture is not among the held-out ones, byte for byte or as a thumbnail."""
    known = {fingerprint for sample in held_out for fingerprint in fingerprints(sample)}
    return [sample for sample in samples if not known.intersection(fingerprints(sample))]


def fingerprints(sample: LabelledImage) -> tuple[str, str]:
    """Hashes of the file and of an 8x8 difference thumbnail, which survives recompression."""
    grey = cv2.resize(cv2.cvtColor(sample.image(), cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    brighter = np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()
    return hashlib.sha256(sample.jpeg).hexdigest(), brighter


def augment(sample: LabelledImage, generator: np.random.Generator, *, size_px: int, coarse: float) -> View:
    """The sample at a random scale and place, maybe mirrored, coarse or at another brightness.

    Args:
        size_px: side of the view.
        coarse: share of the pictures that lose detail.
    """
    image = sample.image()
    height, width = image.shape[:2]
    scale = size_px / max(height, width) * generator.uniform(*SCALES)
    left, top = (generator.random() * (size_px - scale * side) for side in (width, height))
    if generator.random() < coarse:
        image = without_detail(image)
    move = np.array([[scale, 0, left], [0, scale, top]], np.float32)
    canvas = cv2.warpAffine(image, move, (size_px, size_px), borderValue=(PADDING, PADDING, PADDING))
    canvas = np.clip(canvas * generator.uniform(*BRIGHTNESS), 0, 255)
    boxes = sample.boxes * np.tile([width, height], 2) * scale + np.tile([left, top], 2)
    boxes = inside(boxes, size_px) / size_px
    if generator.random() < 0.5:
        canvas, boxes = canvas[:, ::-1], np.abs(boxes[:, [2, 1, 0, 3]] - [1, 0, 1, 0])
    return View(np.ascontiguousarray(canvas, np.uint8), boxes.astype(np.float32))


def without_detail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image shrunk by COARSENESS and enlarged again."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // COARSENESS, height // COARSENESS), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height)), np.uint8)


def inside(boxes: NDArray[np.float64], size_px: int) -> NDArray[np.float64]:
    """The (N, 4) boxes clipped to a square view, without those that hardly reach into it."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    boxes = boxes.clip(0, size_px)
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = (sides.prod(axis=1) > LEAST_VISIBLE * areas) & (sides.min(axis=1) > LEAST_SIDE_PX)
    return np.asarray(boxes[kept])
