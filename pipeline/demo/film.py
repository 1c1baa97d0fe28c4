"""Films the demo's people: where everybody is at a moment, the picture of it, and what is true about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.clothes import PHASES, Sprite
from pipeline.demo.people import Picture
from pipeline.demo.room import Room
from pipeline.demo.stage import HEIGHTS_M, SPEEDS_M_S, WALKS, Stage, Walk

STRIDE_M = 1.45
"""Way of one walking cycle of two steps."""
EDGE = 1.22
"""Where a walk begins and ends, in half widths of the picture."""


@dataclass(frozen=True)
class TruthBox:
    """One person in one frame."""

    frame: int
    """0-based."""
    person: int
    bbox: tuple[float, float, float, float]
    """The whole body, xyxy px, cut at the picture's border."""
    visible: tuple[float, float, float, float]
    """What can be seen of it, xyxy px; the whole where nothing can."""
    visibility: float
    """Share of the person's pixels that can be seen, 0..1."""


@dataclass(frozen=True)
class Pose:
    """Where one person stands at one moment."""

    person: int
    x: float
    z: float
    phase: float
    """Of the walking cycle, 0..1."""
    direction: int


def develop(image: NDArray[np.float32], place: Stage) -> Picture:
    """Light (0..255) as the camera's pixels: cast and gamma."""
    share = np.clip(image * np.array(place.cast, np.float32) / 255, 0, 1) ** place.gamma
    return np.asarray(share * 255 + 0.5, np.uint8)


def pose(walk: Walk, place: Stage, time_s: float) -> Pose | None:
    """Where the walker is `time_s` after the scene's start, or None before and after the walk."""
    lens = place.lens
    begin = -walk.direction * EDGE * lens.half_width_m(walk.depths_m[0])
    end = walk.direction * EDGE * lens.half_width_m(walk.depths_m[1])
    way = float(np.hypot(end - begin, walk.depths_m[1] - walk.depths_m[0]))
    moved = max(0.0, time_s - walk.start_s) * SPEEDS_M_S[walk.person]
    if walk.pause_at is not None:
        halt = walk.pause_at * way
        moved = min(moved, halt) + max(0.0, moved - halt - walk.pause_s * SPEEDS_M_S[walk.person])
    if time_s < walk.start_s or moved >= way:
        return None
    share = moved / way
    z = walk.depths_m[0] + share * (walk.depths_m[1] - walk.depths_m[0])
    return Pose(walk.person, begin + share * (end - begin), z, moved / STRIDE_M % 1, walk.direction)


class Film:
    """Draws the frames of one camera, one after the other."""

    def __init__(
        self, place: Stage, room: Room, sprites: dict[int, Sprite], rng: np.random.Generator
    ) -> None:
        self.place, self.room, self.sprites, self.rng = place, room, sprites, rng
        self.empty = np.asarray(cv2.GaussianBlur(develop(room.image, place), (0, 0), place.blur_px), np.uint8)
        size = (place.lens.height + 64, place.lens.width + 64, 3)
        grain = rng.normal(0, place.noise, size)
        self.bright = np.clip(grain.round(), 0, 255).astype(np.uint8)
        self.dark = np.clip(-grain.round(), 0, 255).astype(np.uint8)

    def frames(self, count: int, truth: list[TruthBox]) -> Iterator[Picture]:
        """(H, W, 3) RGB pictures; who is in each is appended to `truth`."""
        walks = [walk for walk in WALKS if walk.camera == self.place.name]
        for index in range(count):
            time_s = self.place.start_s + index / self.place.fps
            poses = [found for walk in walks if (found := pose(walk, self.place, time_s)) is not None]
            image, boxes = self.draw(index, sorted(poses, key=lambda p: -p.z))
            truth.extend(boxes)
            yield self.expose(image)

    def draw(self, index: int, poses: list[Pose]) -> tuple[Picture, list[TruthBox]]:
        """The picture before noise and its truth; `poses` from far to near."""
        image = self.empty.copy()
        layers: list[tuple[Pose, Layer]] = []
        for standing in poses:
            layer = self.layer(standing)
            self.shadow(image, standing)
            blend(image, layer)
            for _, behind in layers:
                hide(behind, layer)
            layers.append((standing, layer))
        boxes = [truth_box(index, standing.person, layer, image.shape) for standing, layer in layers]
        return image, [box for box in boxes if box is not None]

    def layer(self, standing: Pose) -> Layer:
        """One person as the camera sees them, without what stands in front."""
        lens, sprite = self.place.lens, self.sprites[standing.person]
        number = int(standing.phase * PHASES) % PHASES
        picture, alpha = sprite.images[number], sprite.alphas[number]
        foot = lens.project(standing.x, 0, standing.z)
        top = lens.project(standing.x, HEIGHTS_M[standing.person], standing.z)
        scale = (foot[1] - top[1]) / picture.shape[0]
        left, width = foot[0] - scale * picture.shape[1] / 2, scale * picture.shape[1]
        corner = np.floor((left, top[1])).astype(int)
        size = (int(np.ceil(width)) + 2, int(np.ceil(foot[1] - top[1])) + 2)
        mirror = -1.0 if standing.direction < 0 else 1.0
        start = left - corner[0] + (width if mirror < 0 else 0)
        move = np.array([[mirror * scale, 0, start], [0, scale, top[1] - corner[1]]], np.float64)
        drawn = cv2.warpAffine(picture, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        whole = cv2.warpAffine(alpha, move, size, flags=cv2.INTER_LINEAR)
        soft = cv2.GaussianBlur(whole, (0, 0), self.place.blur_px)
        blurred = cv2.GaussianBlur(drawn, (0, 0), self.place.blur_px)
        layer = Layer(corner, np.asarray(blurred, np.uint8), np.asarray(soft, np.uint8), soft > 127)
        layer.mask(self.room.hidden_beyond_m, standing.z)
        return layer

    def shadow(self, image: Picture, standing: Pose) -> None:
        """Darken the floor under a person's feet, in place, where nothing hides it."""
        column, row = self.place.lens.project(standing.x, 0, standing.z)
        px_per_m = self.place.lens.focal_px / standing.z
        wide, flat = round(0.5 * px_per_m), round(0.16 * px_per_m)
        left, top = round(column) - wide, round(row) - flat
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + 2 * wide, image.shape[1]), min(top + 2 * flat, image.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        rows, columns = np.ogrid[y0:y1, x0:x1]
        away = ((columns - column) / wide) ** 2 + ((rows - row) / flat) ** 2
        dark = 0.5 * np.clip(1 - away, 0, 1) * (self.room.hidden_beyond_m[y0:y1, x0:x1] > standing.z)
        image[y0:y1, x0:x1] = (image[y0:y1, x0:x1] * (1 - dark[..., None])).astype(np.uint8)

    def expose(self, image: Picture) -> Picture:
        """The picture with sensor noise."""
        row, column = self.rng.integers(0, 64, 2)
        window = np.s_[row : row + image.shape[0], column : column + image.shape[1]]
        return np.asarray(cv2.subtract(cv2.add(image, self.bright[window]), self.dark[window]), np.uint8)


class Layer:
    """A person's pixels on their way into a picture."""

    def __init__(
        self, corner: NDArray[np.int_], image: Picture, alpha: Picture, body: NDArray[np.bool_]
    ) -> None:
        self.corner, self.image, self.alpha, self.body = corner, image, alpha, body
        self.seen = body.copy()

    def mask(self, hidden_beyond_m: NDArray[np.float32], z: float) -> None:
        """Remove what the room hides or the picture's border cuts off."""
        x0, y0, x1, y1 = self.window(hidden_beyond_m.shape)
        inner = self.inner(hidden_beyond_m.shape)
        free = np.zeros(self.alpha.shape, bool)
        free[inner] = hidden_beyond_m[y0:y1, x0:x1] > z
        self.alpha = np.where(free, self.alpha, 0).astype(np.uint8)
        self.seen &= free

    def window(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of the layer inside a picture of this shape."""
        low = np.clip(self.corner, 0, (shape[1], shape[0]))
        high = np.clip(self.corner + self.alpha.shape[::-1], low, (shape[1], shape[0]))
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def inner(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """The same window in the layer's own rows and columns."""
        x0, y0, x1, y1 = self.window(shape) - np.tile(self.corner, 2)
        return slice(y0, y1), slice(x0, x1)


def blend(image: Picture, layer: Layer) -> None:
    """Draw a layer, in place."""
    x0, y0, x1, y1 = layer.window(image.shape)
    inner = layer.inner(image.shape)
    alpha = layer.alpha[inner][..., None].astype(np.uint16)
    below, above = image[y0:y1, x0:x1].astype(np.uint16), layer.image[inner].astype(np.uint16)
    image[y0:y1, x0:x1] = ((above * alpha + below * (255 - alpha) + 127) // 255).astype(np.uint8)


def hide(behind: Layer, front: Layer) -> None:
    """Note that a nearer person covers some of a farther one."""
    low = np.maximum(behind.corner, front.corner)
    high = np.minimum(behind.corner + behind.alpha.shape[::-1], front.corner + front.alpha.shape[::-1])
    if (low >= high).any():
        return
    (bx0, by0), (bx1, by1) = low - behind.corner, high - behind.corner
    (fx0, fy0), (fx1, fy1) = low - front.corner, high - front.corner
    behind.seen[by0:by1, bx0:bx1] &= ~front.seen[fy0:fy1, fx0:fx1]


def truth_box(index: int, person: int, layer: Layer, shape: tuple[int, ...]) -> TruthBox | None:
    """What is true about a drawn person, or None outside the picture."""
    whole, visible = extent(layer.body, layer.corner, shape), extent(layer.seen, layer.corner, shape)
    if whole is None:
        return None
    visibility = float(layer.seen.sum() / layer.body.sum())
    return TruthBox(index, person, whole, visible or whole, visibility)


def extent(
    mask: NDArray[np.bool_], corner: NDArray[np.int_], shape: tuple[int, ...]
) -> tuple[float, float, float, float] | None:
    """The box around a mask, xyxy px, cut at the border of a picture of this shape."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    x0, x1 = np.clip(corner[0] + np.array([columns[0], columns[-1] + 1]), 0, shape[1])
    y0, y1 = np.clip(corner[1] + np.array([rows[0], rows[-1] + 1]), 0, shape[0])
    return (float(x0), float(y0), float(x1), float(y1)) if x1 > x0 and y1 > y0 else None
