"""Rooms for the demo: textured rectangles in metres, seen by a pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.people import Picture

Texture = NDArray[np.float32]  # (h, w, 3) RGB, 0..255
SUPERSAMPLE = 2
AXES = {0: (2, 1), 1: (0, 2), 2: (0, 1)}
"""The two axes that span a rectangle whose normal is the key: texture columns, texture rows."""


@dataclass(frozen=True)
class Lens:
    """A pinhole camera above the origin, looking along +Z and down; X right, Y up, metres."""

    width: int
    height: int
    focal_px: float
    height_m: float
    pitch_rad: float

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Pixel (column, row) of a point."""
        sin, cos = np.sin(self.pitch_rad), np.cos(self.pitch_rad)
        up, ahead = (y - self.height_m) * cos + z * sin, z * cos - (y - self.height_m) * sin
        scale = self.focal_px / ahead
        return float(self.width / 2 + x * scale), float(self.height / 2 - up * scale)

    def half_width_m(self, z: float) -> float:
        """How far the picture reaches to each side of the middle, on the floor at depth z."""
        ahead = z * np.cos(self.pitch_rad) + self.height_m * np.sin(self.pitch_rad)
        return float(self.width / 2 / self.focal_px * ahead)

    def rays(self) -> NDArray[np.float32]:
        """(3, H, W) directions through the pixels of a picture SUPERSAMPLE times as large."""
        rows, columns = np.mgrid[: self.height * SUPERSAMPLE, : self.width * SUPERSAMPLE].astype(np.float32)
        right = ((columns + 0.5) / SUPERSAMPLE - self.width / 2) / self.focal_px
        up = (self.height / 2 - (rows + 0.5) / SUPERSAMPLE) / self.focal_px
        sin, cos = np.sin(self.pitch_rad), np.cos(self.pitch_rad)
        return np.stack([right, up * cos - sin, up * sin + cos]).astype(np.float32)


@dataclass(frozen=True)
class Rectangle:
    """A flat surface square to one axis."""

    axis: int
    at: float
    low: tuple[float, float]
    high: tuple[float, float]
    texture: Texture
    shade: float = 1.0
    hides: bool = False
    """People can walk behind it."""


@dataclass(frozen=True)
class Lamp:
    """A light under the ceiling."""

    x: float
    y: float
    z: float
    power: float


@dataclass(frozen=True)
class Room:
    """What a camera looks at when nobody is there."""

    image: NDArray[np.float32]  # (H, W, 3) RGB, 0..255
    hidden_beyond_m: NDArray[np.float32]  # (H, W) depth of what hides people, inf where nothing does


def look(lens: Lens, rectangles: list[Rectangle], lamps: list[Lamp], *, ambient: float) -> Room:
    """The room as the camera sees it.

    Args:
        lens: the camera.
        rectangles: every surface; the nearest along a ray is seen.
        lamps: they light surfaces by distance alone.
        ambient: light that is everywhere.
    """
    rays = lens.rays()
    nearest = np.full(rays.shape[1:], np.inf, np.float32)
    image = np.zeros((*rays.shape[1:], 3), np.float32)
    hidden = np.full(rays.shape[1:], np.inf, np.float32)
    eye = (0.0, lens.height_m, 0.0)
    for rectangle in rectangles:
        rows, columns = window(lens, rectangle)
        ray, best = rays[:, rows, columns], nearest[rows, columns]
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (rectangle.at - eye[rectangle.axis]) / ray[rectangle.axis]
        hit = [eye[axis] + distance * ray[axis] for axis in range(3)]
        across, along = (hit[axis] for axis in AXES[rectangle.axis])
        seen = (distance > 0) & (distance < best)
        seen &= (across >= rectangle.low[0]) & (across <= rectangle.high[0])
        seen &= (along >= rectangle.low[1]) & (along <= rectangle.high[1])
        if not seen.any():
            continue
        colour = sample(rectangle, across, along) * light(hit, lamps, ambient)[..., None] * rectangle.shade
        image[rows, columns][seen] = colour[seen]
        best[seen] = distance[seen]
        hidden[rows, columns][seen] = hit[2][seen] if rectangle.hides else np.inf
    size = (lens.width, lens.height)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return Room(
        np.asarray(small, np.float32),
        hidden[SUPERSAMPLE // 2 :: SUPERSAMPLE, SUPERSAMPLE // 2 :: SUPERSAMPLE],
    )


def window(lens: Lens, rectangle: Rectangle) -> tuple[slice, slice]:
    """Rows and columns of the enlarged picture that a rectangle can touch."""
    corners = []
    for across in (rectangle.low[0], rectangle.high[0]):
        for along in (rectangle.low[1], rectangle.high[1]):
            point = [0.0, 0.0, 0.0]
            point[rectangle.axis], point[AXES[rectangle.axis][0]] = rectangle.at, across
            point[AXES[rectangle.axis][1]] = along
            corners.append(point)
    if min(point[2] for point in corners) < 0.5:
        return slice(None), slice(None)
    pixels = np.array([lens.project(*point) for point in corners]) * SUPERSAMPLE
    low, high = np.maximum(pixels.min(0) - 2, 0).astype(int), np.maximum(pixels.max(0) + 3, 0).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def sample(rectangle: Rectangle, across: NDArray[np.float32], along: NDArray[np.float32]) -> Texture:
    """The texture at points of the rectangle's plane; its top row is at the far or upper end."""
    height, width = rectangle.texture.shape[:2]
    spans = [high - low for low, high in zip(rectangle.low, rectangle.high, strict=True)]
    columns = np.nan_to_num((across - rectangle.low[0]) / spans[0] * width - 0.5).clip(-1, width)
    rows = np.nan_to_num((rectangle.high[1] - along) / spans[1] * height - 0.5).clip(-1, height)
    maps = (columns.astype(np.float32), rows.astype(np.float32))
    picked = cv2.remap(rectangle.texture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picked, np.float32)


def light(point: list[NDArray[np.float32]], lamps: list[Lamp], ambient: float) -> NDArray[np.float32]:
    """How bright points (x, y, z) are, 1 is as drawn."""
    total = np.full(np.shape(point[0]), ambient, np.float32)
    for lamp in lamps:
        squared = (point[0] - lamp.x) ** 2 + (point[1] - lamp.y) ** 2 + (point[2] - lamp.z) ** 2
        total += lamp.power / (1 + np.nan_to_num(squared, posinf=1e6).clip(0, 1e6) / 6)
    return total


def box(
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    front: Texture,
    side: Texture,
    *,
    hides: bool = True,
) -> list[Rectangle]:
    """The faces of a box that a camera in front of it and above it can see, and its shadow's colour aside.

    Args:
        low: least x, y, z.
        high: greatest x, y, z.
        front: texture towards the camera.
        side: texture of the sides and the top.
        hides: people can walk behind it.
    """
    (x0, y0, z0), (x1, y1, z1) = low, high
    return [
        Rectangle(2, z0, (x0, y0), (x1, y1), front, 1.0, hides),
        Rectangle(0, x0, (z0, y0), (z1, y1), side, 0.72, hides),
        Rectangle(0, x1, (z0, y0), (z1, y1), side, 0.8, hides),
        Rectangle(1, y1, (x0, z0), (x1, z1), side, 1.12, hides),
    ]


def cloud(shape: tuple[int, int], rng: np.random.Generator, octaves: int = 5) -> NDArray[np.float32]:
    """(h, w) noise of mean 0 and standard deviation 1 with detail at every size."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cells = tuple(max(2, min(n, round(n / max(shape) * 4 * 2**octave))) for n in shape)
        coarse = rng.standard_normal(cells).astype(np.float32)
        wide = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
        total += np.asarray(wide, np.float32) / np.float32(1.7**octave)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def plaster(size: tuple[int, int], colour: tuple[int, int, int], rng: np.random.Generator) -> Texture:
    """(h, w, 3) painted wall, h x w = size."""
    stain = cloud(size, rng)[..., None] * 3 + rng.normal(0, 1.6, (*size, 1))
    return (np.array(colour, np.float32) + stain).astype(np.float32)


def tiles(
    size: tuple[int, int],
    tile_px: int,
    colour: tuple[int, int, int],
    rng: np.random.Generator,
    *,
    chequered: float = 0.0,
) -> Texture:
    """(h, w, 3) tiled floor; `chequered` darkens every second tile by that much."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    row, column = rows // tile_px, columns // tile_px
    tint = rng.normal(0, 5, (row.max() + 1, column.max() + 1))[row, column]
    tint = tint - chequered * ((row + column) % 2) + cloud(size, rng, 7) * 5 + rng.normal(0, 2.5, size)
    joint = (rows % tile_px < 2) | (columns % tile_px < 2)
    floor = np.array(colour, np.float32) + tint[..., None]
    floor[joint] *= 0.72
    return np.asarray(floor, np.float32)


def planks(
    size: tuple[int, int], plank_px: int, colour: tuple[int, int, int], rng: np.random.Generator
) -> Texture:
    """(h, w, 3) wooden boards running along the rows."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    board = rows // plank_px
    joint_at = rng.integers(0, 400, board.max() + 1)[board]
    piece = (columns + joint_at) // 400
    tint = rng.normal(0, 11, (board.max() + 1, piece.max() + 1))[board, piece]
    grain = cv2.GaussianBlur(rng.standard_normal(size).astype(np.float32), (0, 0), 14, sigmaY=0.8)
    tint = tint + grain / grain.std() * 6
    floor = np.array(colour, np.float32) + tint[..., None] * np.array([1, 0.85, 0.65])
    floor[(rows % plank_px < 1) | ((columns + joint_at) % 400 < 2)] *= 0.6
    return np.asarray(floor, np.float32)


def poster(size: tuple[int, int], word: str, colours: tuple[tuple[int, int, int], ...]) -> Picture:
    """(h, w, 3) framed poster: a disc over two fields and a word."""
    height, width = size
    paper, field, accent = colours
    image = np.full((height, width, 3), paper, np.uint8)
    cv2.rectangle(image, (0, int(height * 0.62)), (width, height), field, -1)
    cv2.circle(image, (width // 2, int(height * 0.42)), width // 4, accent, -1, cv2.LINE_AA)
    scale = width / (len(word) * 26)
    cv2.putText(image, word, (int(width * 0.14), int(height * 0.85)), 0, scale, paper, 2, cv2.LINE_AA)
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), (40, 38, 36), 4)
    return image


def door(size: tuple[int, int], colour: tuple[int, int, int]) -> Picture:
    """(h, w, 3) door with a window, a frame and a handle."""
    height, width = size
    image = np.full((height, width, 3), (72, 70, 68), np.uint8)
    cv2.rectangle(image, (8, 8), (width - 9, height), colour, -1)
    pane = image[int(height * 0.12) : int(height * 0.5), int(width * 0.3) : int(width * 0.7)]
    pane[:] = np.linspace((205, 220, 228), (120, 135, 140), pane.shape[0])[:, None].astype(np.uint8)
    cv2.rectangle(
        image, (int(width * 0.8), height // 2), (int(width * 0.9), height // 2 + 8), (190, 190, 185), -1
    )
    cv2.rectangle(image, (16, int(height * 0.86)), (width - 17, height - 6), (150, 150, 148), -1)
    return image


def shelves(size: tuple[int, int], levels: int, rng: np.random.Generator) -> Picture:
    """(h, w, 3) shelf front full of packages."""
    height, width = size
    image = np.full((height, width, 3), (58, 54, 50), np.uint8)
    pitch = height // levels
    for level in range(levels):
        base = (level + 1) * pitch - 8
        column = 4
        while column < width - 14:
            wide, tall = int(rng.integers(10, 34)), int(pitch * rng.uniform(0.5, 0.82))
            for facing in range(int(rng.integers(1, 4))):
                left = column + facing * (wide + 1)
                package(
                    image[base - tall : base, left : min(left + wide, width - 4)], int(rng.integers(1 << 30))
                )
            column += 3 * (wide + 1) if rng.random() < 0.3 else int(rng.integers(1, 3)) * (wide + 1)
        image[base : base + 8] = (186, 180, 170)
        under = image[base - pitch + 8 : base - pitch + 22] if level else image[:14]
        under[:] = (under * np.linspace(0.45, 1, under.shape[0])[:, None, None]).astype(np.uint8)
    return image


def package(area: Picture, seed: int) -> None:
    """Paint one package into `area`, in place."""
    if not area.size:
        return
    rng = np.random.default_rng(seed)
    hsv = np.array([[(rng.integers(180), rng.integers(40, 150), rng.integers(80, 210))]], np.uint8)
    colour = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    shade = 1 - 0.3 * np.abs(np.linspace(-1, 1, area.shape[1])) ** 2
    area[:] = (colour * shade[None, :, None]).astype(np.uint8)
    height = area.shape[0]
    area[int(height * 0.3) : int(height * 0.6), 2:-2] = rng.integers(170, 240, 3).astype(np.uint8)
    area[int(height * 0.4) : int(height * 0.46), 4:-5] = 60
