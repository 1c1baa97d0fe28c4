"""Training pictures: fitted, mirrored, recoloured, cut to half bodies, covered by other pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Strength = Literal["none", "mild", "strong"]
STRIDE = 16
"""Pixels of the network's input to a position of its map."""
FULL = (256, 128)
"""Height and width in px of a whole body where nothing else is said; smaller windows are cut out of it."""


@dataclass(frozen=True)
class Window:
    """The part of the full picture that a batch shows, in px of its box; multiples of `STRIDE`."""

    top: int
    left: int
    height: int
    width: int

    @property
    def cells(self) -> tuple[slice, slice]:
        """The rows and columns of a full map that the window shows."""
        return (
            slice(self.top // STRIDE, (self.top + self.height) // STRIDE),
            slice(self.left // STRIDE, (self.left + self.width) // STRIDE),
        )


@dataclass(frozen=True)
class Augmented:
    """One training picture and what is known about it."""

    image: NDArray[np.uint8]  # (height, width, 3) RGB
    covered: NDArray[np.float32]  # (h, w) share of each map position that an occluder covers
    flipped: bool


def augment(
    image: NDArray[np.uint8],
    other: NDArray[np.uint8],
    window: Window,
    *,
    occlusion: float,
    rng: np.random.Generator,
    box: tuple[int, int] = FULL,
    strength: Strength = "mild",
) -> Augmented:
    """A picture of `window`'s size from `image`; with probability `occlusion` a piece of `other` covers it.

    Args:
        image: (H, W, 3) uint8 RGB of any size.
        other: the same of somebody else.
        window: what of the fitted picture is shown.
        occlusion: 0..1.
        box: height and width in px of the fitted picture.
        strength: `mild` also moves, recolours and mirrors it; `strong` also spoils it, see `degrade`.
    """
    full = fit(image, box)
    if strength == "strong":
        full = degrade(full, rng)
    if strength != "none":
        full = shift(recolour(full, rng), rng)
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    picture = np.ascontiguousarray(full[rows, columns])
    mask = np.zeros(picture.shape[:2], np.float32)
    if rng.random() < occlusion:
        picture, mask = occlude(picture, other, rng)
    flipped = strength != "none" and bool(rng.random() < 0.5)
    if flipped:
        picture, mask = np.ascontiguousarray(picture[:, ::-1]), mask[:, ::-1]
    return Augmented(picture, block_means(mask), flipped)


def fit(image: NDArray[np.uint8], box: tuple[int, int] = FULL) -> NDArray[np.uint8]:
    """`image` stretched to `box`, (height, width)."""
    return np.asarray(cv2.resize(image, box[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def random_window(size: tuple[int, int], rng: np.random.Generator, *, box: tuple[int, int] = FULL) -> Window:
    """A window of `size` (height, width in px) at a random place in `box`: half bodies from head to feet."""
    top = int(rng.integers(0, (box[0] - size[0]) // STRIDE + 1)) * STRIDE
    left = (box[1] - size[1]) // (2 * STRIDE) * STRIDE  # people stand in the middle
    return Window(top, left, *size)


def shift(image: NDArray[np.uint8], rng: np.random.Generator, *, most_px: int = 6) -> NDArray[np.uint8]:
    """The picture moved by a few pixels, its border repeated; less than half a map position."""
    down, right = (int(n) for n in rng.integers(-most_px, most_px + 1, 2))
    padded = cv2.copyMakeBorder(image, most_px, most_px, most_px, most_px, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    return np.asarray(padded[most_px + down :, most_px + right :][:height, :width], np.uint8)


def recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Contrast, brightness and colour balance changed mildly."""
    gain = rng.uniform(0.85, 1.18) * rng.uniform(0.95, 1.05, 3)
    table = np.arange(256)[:, None] * gain + rng.uniform(-15, 15)
    return np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None]), np.uint8)


def degrade(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture in other light or of a poor camera: dark, pale, coarse, blurred, packed hard."""
    if rng.random() < 0.5:
        image = relight(image, rng)
    if rng.random() < 0.4:
        image = coarsen(image, rng)
    if rng.random() < 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.5)), np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 60))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    return image


def relight(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Other light: gamma, a tint, and less colour."""
    exponent, tint = np.exp(rng.uniform(-0.6, 0.6)), rng.uniform(0.85, 1.15, 3)
    table = 255 * (np.arange(256)[:, None] / 255) ** exponent * tint
    lit = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])
    grey = np.repeat(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    share = rng.uniform(0, 0.7)
    return np.asarray(cv2.addWeighted(lit, 1 - share, grey, share, 0), np.uint8)


def coarsen(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture as if the person were 40 to 130 px high, of 256."""
    height, width = image.shape[:2]
    scale = rng.uniform(40, 130) / FULL[0]
    small = (max(round(width * scale), 8), max(round(height * scale), 8))
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def occlude(
    image: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture with something in front of it, and where (1 covered, 0 not)."""
    height, width = image.shape[:2]
    top, left, tall, wide = occluder_box(height, width, rng)
    patch = person_patch(other, tall, wide, rng) if rng.random() < 0.65 else texture_patch(tall, wide, rng)
    shape = np.ones((tall, wide), np.uint8)
    if rng.random() < 0.4:  # rounded, so that a straight edge is no give-away
        shape[:] = 0
        cv2.ellipse(shape, (wide // 2, tall // 2), (wide // 2, tall // 2), 0, 0, 360, 1, -1)
    mask = np.zeros((height, width), np.float32)
    mask[top : top + tall, left : left + wide] = shape
    covered = image.copy()
    region = covered[top : top + tall, left : left + wide]
    region[shape > 0] = patch[shape > 0]
    return covered, mask


def occluder_box(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height, width in px: from below or above, from a side, or anywhere."""
    kind = rng.random()
    if kind < 0.5:
        tall, wide = int(height * rng.uniform(0.15, 0.75)), int(width * rng.uniform(0.6, 1.0))
        top = height - tall if rng.random() < 0.8 else 0
        left = int(rng.integers(0, width - wide + 1))
    elif kind < 0.75:
        tall, wide = int(height * rng.uniform(0.5, 1.0)), int(width * rng.uniform(0.2, 0.55))
        top = height - tall
        left = 0 if rng.random() < 0.5 else width - wide
    else:
        tall, wide = int(height * rng.uniform(0.15, 0.5)), int(width * rng.uniform(0.3, 0.8))
        top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    return top, left, max(tall, 1), max(wide, 1)


def person_patch(
    other: NDArray[np.uint8], tall: int, wide: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A piece of another picture at about its own scale: the hard kind of occluder."""
    full = fit(other)
    scale = rng.uniform(1.0, 1.6)
    height, width = (min(round(side / scale), limit) for side, limit in zip((tall, wide), FULL, strict=True))
    top = int(rng.integers(0, FULL[0] - height + 1))
    left = int(rng.integers(0, FULL[1] - width + 1))
    piece = full[top : top + max(height, 1), left : left + max(width, 1)]
    return np.asarray(cv2.resize(piece, (wide, tall), interpolation=cv2.INTER_LINEAR), np.uint8)


def texture_patch(tall: int, wide: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random blotches, stripes or grain around one colour."""
    grid = rng.integers(1, 24, 2)
    blotches = rng.normal(0, rng.uniform(2, 40), (int(grid[0]), int(grid[1]), 3)).astype(np.float32)
    pattern = np.asarray(cv2.resize(blotches, (wide, tall), interpolation=cv2.INTER_CUBIC), np.float32)
    grain = rng.normal(0, rng.uniform(0, 8), (tall, wide, 1)).astype(np.float32)
    colour = rng.uniform(20, 230, 3).astype(np.float32)
    return np.asarray(np.clip(colour + pattern.reshape(tall, wide, 3) + grain, 0, 255), np.uint8)


def block_means(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) mean of a (16 h, 16 w) mask over each map position."""
    height, width = mask.shape[0] // STRIDE, mask.shape[1] // STRIDE
    return np.asarray(mask.reshape(height, STRIDE, width, STRIDE).mean((1, 3)), np.float32)
