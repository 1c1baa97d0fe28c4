"""The two places of the demo, what their cameras are like, and who walks where when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.room import (
    Lamp,
    Lens,
    Room,
    Texture,
    box,
    cloud,
    door,
    look,
    planks,
    plaster,
    poster,
    shelves,
    tiles,
)
from pipeline.demo.room import Rectangle as Rect

FLOOR_PX_PER_M = 80
WALL_PX_PER_M = 100


@dataclass(frozen=True)
class Stage:
    """One camera: its picture, its view and its flaws."""

    name: str
    lens: Lens
    fps: float
    start_s: float
    """When its recording begins, after the scene's start."""
    cast: tuple[float, float, float]
    """Gain of red, green and blue."""
    gamma: float
    blur_px: float
    noise: float
    build: Callable[[Lens, np.random.Generator], Room]


@dataclass(frozen=True)
class Walk:
    """One person's way through one camera."""

    person: int
    camera: str
    start_s: float
    direction: int
    """1: from left to right, -1: from right to left."""
    depths_m: tuple[float, float]
    """Distance from the camera at the start and at the end."""
    pause_at: float | None = None
    """Share of the way where the person stands still."""
    pause_s: float = 0.0


HEIGHTS_M = {1: 1.84, 2: 1.74, 3: 1.78, 4: 1.70, 5: 1.80, 6: 1.77, 7: 1.72, 8: 1.68}
SPEEDS_M_S = {1: 1.25, 2: 1.1, 3: 1.2, 4: 1.05, 5: 1.3, 6: 1.15, 7: 1.2, 8: 1.1}
WALKS = (
    Walk(1, "hall", 0.3, 1, (6.4, 5.6)),
    Walk(2, "hall", 3.2, -1, (7.4, 7.0), 0.66, 1.6),
    Walk(3, "hall", 6.0, 1, (5.2, 5.6)),
    Walk(6, "hall", 13.2, -1, (5.6, 6.2)),
    Walk(5, "hall", 15.0, 1, (6.8, 6.0)),
    Walk(4, "hall", 21.6, 1, (6.0, 5.4)),
    Walk(1, "hall", 25.6, -1, (7.0, 6.6)),
    Walk(7, "hall", 28.0, 1, (6.6, 6.8), 0.3, 1.5),
    Walk(5, "hall", 33.2, -1, (5.3, 5.9)),
    Walk(2, "hall", 35.0, 1, (6.2, 6.8)),
    Walk(6, "aisle", 4.6, 1, (5.4, 5.0)),
    Walk(4, "aisle", 11.0, 1, (6.2, 5.8)),
    Walk(1, "aisle", 11.6, -1, (5.2, 4.8)),
    Walk(3, "aisle", 15.6, -1, (4.7, 5.2), 0.4, 1.2),
    Walk(2, "aisle", 18.0, 1, (6.0, 6.4)),
    Walk(5, "aisle", 26.2, -1, (5.6, 5.0)),
    Walk(8, "aisle", 25.6, 1, (4.8, 5.3)),
    Walk(3, "aisle", 32.6, 1, (6.3, 5.7)),
    Walk(6, "aisle", 33.6, -1, (5.1, 5.5)),
    Walk(4, "aisle", 39.9, -1, (6.0, 6.2)),
)
"""People pass each other, but nobody comes in where another has just gone out."""


def build_hall(lens: Lens, rng: np.random.Generator) -> Room:
    """An entrance hall: tiled floor, plastered wall with a door and posters, a pillar, a desk."""
    floor = tiles((14 * FLOOR_PX_PER_M, 16 * FLOOR_PX_PER_M), 48, (168, 164, 156), rng, chequered=9)
    wall = plaster((4 * WALL_PX_PER_M, 16 * WALL_PX_PER_M), (196, 199, 192), rng)
    wall[-150:] = plaster((150, wall.shape[1]), (128, 142, 140), rng)
    wall[-154:-148] = (92, 98, 96)
    wall[-12:] = (70, 68, 66)
    hang(wall, door((220, 105), (104, 84, 66)), 330)
    hang(wall, door((220, 105), (104, 84, 66)), 436)
    hang(wall, poster((110, 80), "OPEN", ((222, 214, 198), (60, 92, 120), (206, 120, 60))), 640, 150)
    hang(wall, poster((110, 80), "ART", ((230, 226, 216), (132, 44, 52), (40, 60, 88))), 760, 150)
    hang(wall, poster((95, 130), "TODAY", ((216, 222, 226), (44, 96, 84), (222, 186, 74))), 980, 140)
    hang(wall, poster((26, 60), "EXIT", ((220, 240, 225), (20, 120, 70), (20, 120, 70))), 405, 258)
    side = plaster((400, 1300), (178, 184, 180), rng)
    stone = plaster((340, 60), (148, 146, 140), rng) + cloud((340, 60), rng)[..., None] * 7
    stone *= np.clip(1.08 - 0.35 * np.linspace(-0.6, 1, 60) ** 2, 0, 2)[None, :, None]
    desk = planks((110, 160), 22, (134, 112, 92), rng)
    desk[:12] = (196, 194, 188)
    shade_floor(floor, (0.55, 3.95, 0.87, 4.25), 8)
    shade_floor(floor, (-2.6, 4.0, -1.35, 4.5), 8)
    rectangles = [
        Rect(1, 0, (-8, 0), (8, 14), floor),
        Rect(2, 10.5, (-8, 0), (8, 4), wall),
        Rect(0, -6.6, (-1, 0), (12, 4), side, 0.85),
        Rect(0, 6.6, (-1, 0), (12, 4), side, 0.9),
        Rect(1, 4.0, (-8, 0), (8, 12), plaster((300, 400), (214, 214, 208), rng), 0.9),
        *box((0.55, 0, 3.95), (0.87, 4, 4.25), stone, stone),
        *box((-2.6, 0, 4.0), (-1.35, 0.98, 4.5), desk, plaster((60, 160), (188, 186, 180), rng)),
    ]
    lamps = [Lamp(-2.5, 3.8, 6, 0.9), Lamp(3, 3.8, 8, 0.9), Lamp(0, 3.8, 3, 0.5)]
    return look(lens, rectangles, lamps, ambient=0.58)


def build_aisle(lens: Lens, rng: np.random.Generator) -> Room:
    """A shop's aisle: wooden floor, full shelves behind and beside, a counter in front."""
    floor = planks((12 * FLOOR_PX_PER_M, 14 * FLOOR_PX_PER_M), 14, (156, 122, 88), rng)
    wall = plaster((350, 1400), (206, 188, 160), rng)
    hang(wall, poster((60, 220), "FRESH BREAD", ((236, 226, 204), (150, 60, 40), (214, 150, 60))), 220, 230)
    hang(wall, poster((60, 200), "COFFEE", ((236, 226, 204), (66, 48, 40), (150, 110, 70))), 800, 230)
    goods = [np.asarray(shelves((200, 320), 4, rng), np.float32) for _ in range(4)]
    beside = np.asarray(shelves((200, 500), 4, rng), np.float32)
    wood = planks((100, 220), 18, (122, 84, 56), rng)
    panel = np.full((200, 60, 3), 104, np.float32)
    shade_floor(floor, (0.35, 3.4, 1.75, 3.9), 10)
    rectangles = [
        Rect(1, 0, (-7, 0), (7, 12), floor),
        Rect(2, 9.2, (-7, 0), (7, 3.5), wall),
        Rect(1, 3.5, (-7, 0), (7, 12), plaster((200, 300), (205, 200, 190), rng), 0.8),
        *(
            r
            for i in range(4)
            for r in stand((-4.4 + 2.3 * i, 0, 8.2), (-2.2 + 2.3 * i, 2.0, 9.0), goods[i], panel)
        ),
        Rect(0, -4.6, (3, 0), (9, 2), beside, 0.8),
        Rect(0, 4.7, (3, 0), (9, 2), beside[:, ::-1].copy(), 0.75),
        *box((0.35, 0, 3.4), (1.75, 1.25, 3.9), wood, wood * 1.1),
        *box((-1.95, 0, 3.3), (-1.7, 2.3, 3.6), panel * 0.8, panel * 0.7),
    ]
    lamps = [Lamp(-1.5, 3.2, 5, 0.95), Lamp(2.4, 3.2, 7.5, 0.95)]
    return look(lens, rectangles, lamps, ambient=0.42)


def stand(
    low: tuple[float, float, float], high: tuple[float, float, float], front: Texture, side: Texture
) -> list[Rect]:
    """A shelf against the wall: nobody walks behind it."""
    return box(low, high, front, side, hides=False)


def hang(wall: Texture, thing: NDArray[np.uint8], left: int, bottom: int = 0) -> None:
    """Put a picture on a wall's texture, in place; left and bottom in texture pixels."""
    height, width = thing.shape[:2]
    top = wall.shape[0] - bottom - height
    wall[top : top + height, left : left + width] = thing
    if bottom:
        wall[top + height : top + height + 3, left + 3 : left + width + 3] *= 0.75


def shade_floor(floor: Texture, footprint: tuple[float, float, float, float], blur_px: float) -> None:
    """Darken the floor around what stands on it, in place; footprint: x0, z0, x1, z1 in metres."""
    height, width = floor.shape[:2]
    x0, z0, x1, z1 = (round(v * FLOOR_PX_PER_M) for v in footprint)
    mask = np.zeros((height, width), np.float32)
    spread = 10
    columns = slice(width // 2 + x0 - spread, width // 2 + x1 + spread)
    mask[height - z1 - spread : height - z0 + spread, columns] = 1
    floor *= 1 - 0.5 * cv2.GaussianBlur(mask, (0, 0), blur_px)[..., None]


PLACES = (
    Stage("hall", Lens(960, 544, 860.0, 2.3, 0.16), 25.0, 0.0, (0.96, 1.0, 1.06), 1.0, 0.6, 2.2, build_hall),
    Stage(
        "aisle", Lens(640, 480, 640.0, 2.6, 0.24), 12.5, 4.0, (1.1, 0.98, 0.8), 1.12, 0.9, 4.5, build_aisle
    ),
)
