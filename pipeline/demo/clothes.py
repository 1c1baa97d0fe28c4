"""Dresses the people of the demo and lets them walk."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.people import COAT, SHIRT, TROUSERS, Cutout, Mask, Picture, enlarge, lab

Colour = tuple[float, float, float]
"""CIELAB, L in 0..100."""

SPRITE_HEIGHT_PX = 400
"""Height of a dressed person before the camera scales it down."""
PHASES = 16
"""Pictures of one walking cycle of two steps."""
DYE = 0.82
"""Cloth is duller than its colour name."""
HIP = 0.56
"""Where the legs begin, as a share of the height."""


@dataclass(frozen=True)
class Outfit:
    """What a person of the demo looks like; colours are CIELAB with L in 0..100."""

    body: str
    head: str
    coat: Colour
    trousers: Colour
    pattern: str = "plain"
    shirt: Colour | None = None


@dataclass(frozen=True)
class Sprite:
    """A dressed person at SPRITE_HEIGHT_PX, one picture for each phase of the walk."""

    images: tuple[Picture, ...]  # PHASES x (H, W, 3) RGB
    alphas: tuple[Picture, ...]  # PHASES x (H, W) 0..255


OUTFITS: dict[int, Outfit] = {
    1: Outfit("tall", "tall", (78, 3, 14), (22, 4, -22)),
    2: Outfit("slim", "slim", (13, 1, -3), (28, 0, -24)),
    3: Outfit("tall", "grey", (34, 42, 24), (20, 0, -2)),
    4: Outfit("slim", "grey", (42, -26, 16), (56, 4, 20), shirt=(80, 0, 4)),
    5: Outfit("tall", "slim", (32, 6, -38), (62, 2, 14), pattern="plaid"),
    6: Outfit("slim", "tall", (64, 6, 46), (14, 0, -4), shirt=(20, 0, 0)),
    7: Outfit("tall", "slim", (58, -2, -4), (26, 12, 10), pattern="stripes"),
    8: Outfit("slim", "slim", (36, 24, -26), (46, -2, -8), pattern="stripes", shirt=(85, 0, 2)),
}
STRIDE_PX = {"tall": (0.0, 42.0), "slim": (-5.0, 8.0)}
"""How far a foot moves inwards when the legs are apart and when they pass, by body."""


def dress(outfit: Outfit, people: dict[str, Cutout], *, seed: int) -> Sprite:
    """The person wearing an outfit, walking.

    Args:
        outfit: which body and head, and the colours.
        people: from `cut_people`.
        seed: of the folds of the cloth.
    """
    body = people[outfit.body]
    image = recolour(body, outfit, np.random.default_rng(seed))
    alpha = body.alpha.copy()
    if outfit.head != outfit.body:
        image, alpha = swap_head(body, image, people[outfit.head])
    image, alpha = trim(image, alpha)
    scale = SPRITE_HEIGHT_PX / image.shape[0]
    image, alpha = enlarge(image, scale), enlarge(alpha, scale)
    walk = [step(image, alpha, phase / PHASES, STRIDE_PX[outfit.body]) for phase in range(PHASES)]
    return Sprite(tuple(i for i, _ in walk), tuple(a for _, a in walk))


def recolour(body: Cutout, outfit: Outfit, rng: np.random.Generator) -> Picture:
    """The cut-out with other clothes: shading stays, hue and lightness change."""
    colour = lab(body.image)
    cloth = folds(body.image.shape[:2], rng)
    wear(colour, body.parts == COAT, outfit.coat, cloth + pattern(outfit.pattern, body.image.shape[:2]))
    wear(colour, body.parts == TROUSERS, outfit.trousers, cloth * 0.6)
    if outfit.shirt is not None:
        wear(colour, body.parts == SHIRT, outfit.shirt, cloth * 0)
    image = cv2.cvtColor(colour, cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(image * 255, 0, 255), np.uint8)


def wear(colour: NDArray[np.float32], part: Mask, target: Colour, shading: NDArray[np.float32]) -> None:
    """Give one part of a CIELAB picture (H, W, 3) a target colour, in place."""
    light = colour[..., 0][part]
    contrast = np.clip(8.0 / max(float(light.std()), 1.0), 0.5, 1.4)
    shade = (light - light.mean()) * contrast + shading[part]
    lightness = np.clip(target[0] + shade * (0.45 + target[0] / 90), 3, 97)
    saturation = np.clip(lightness / target[0], 0.4, 1.15)
    colour[part] = np.stack([lightness, *(np.multiply.outer(target[1:], saturation) * DYE)], axis=1)


def folds(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) lightness of cloth: wide vertical folds and a fine weave."""
    wide = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 5, sigmaY=22)
    weave = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 0.8)
    return np.asarray(wide / wide.std() * 4 + weave / weave.std() * 1.2, np.float32)


def pattern(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(H, W) lightness of a printed pattern: plain, stripes or plaid.

    Raises:
        ValueError: another name.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    bend = 3 * np.sin(columns / 17)
    if name == "plain":
        return np.zeros(shape, np.float32)
    if name == "stripes":
        return np.where((rows + bend) % 26 < 10, 26.0, -4.0).astype(np.float32)
    if name == "plaid":
        across, down = (rows + bend) % 30 < 11, (columns + bend) % 24 < 9
        return np.asarray(across * 13.0 + down * 13.0 - 8, np.float32)
    raise ValueError(f"pattern {name!r}: plain, stripes or plaid")


def swap_head(body: Cutout, image: Picture, other: Cutout) -> tuple[Picture, Picture]:
    """The dressed body with another head behind its collar: picture and alpha."""
    scale = 1.04 * body.face_px / other.face_px
    move = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
    move[:, 2] = np.array(body.chin) - scale * np.array(other.chin)
    size = (image.shape[1], image.shape[0])
    face = cv2.warpAffine(other.image, move, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    worn = np.where(other.head, other.alpha, 0).astype(np.uint8)
    face_alpha = cv2.warpAffine(worn, move, size, flags=cv2.INTER_LINEAR)
    over = (cv2.GaussianBlur(np.where(body.head, 0, body.alpha), (0, 0), 0.7) / 255.0)[..., None]
    mixed = image * over + face * (1 - over)
    alpha = np.maximum(np.where(body.head, 0, body.alpha), face_alpha)
    return mixed.astype(np.uint8), alpha.astype(np.uint8)


def trim(image: Picture, alpha: Picture) -> tuple[Picture, Picture]:
    """Both cut to the person's height, with room at the sides for the stride."""
    rows, columns = np.flatnonzero(alpha.max(1) > 127), np.flatnonzero(alpha.max(0) > 127)
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sides = (0, 0, 24, 24, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.copyMakeBorder(image[window], *sides), np.uint8), np.asarray(
        cv2.copyMakeBorder(alpha[window], *sides), np.uint8
    )


def step(
    image: Picture, alpha: Picture, phase: float, stride: tuple[float, float]
) -> tuple[Picture, Picture]:
    """The person at one phase (0..1) of the walk: the legs close and open, the trunk sways.

    Args:
        image: (H, W, 3).
        alpha: (H, W).
        phase: of the cycle.
        stride: how far each foot moves inwards, px, when the legs are apart and when they pass.
    """
    height, width = alpha.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    legs = np.clip((rows / height - HIP) / (1 - HIP), 0, 1)
    feet = np.flatnonzero(alpha[int(0.9 * height) :].max(0) > 127)
    middle = width / 2 + (feet.mean() - width / 2) * legs
    closed = 0.5 - 0.5 * np.cos(4 * np.pi * phase)
    inwards = legs * (stride[0] + (stride[1] - stride[0]) * closed)
    side = np.tanh((columns - middle) / 6)
    sway = 3.0 * np.sin(2 * np.pi * phase) * (1 - rows / height)
    source_x = columns + inwards * side - sway
    bob = 2.5 * closed * np.clip(1.6 * (1 - rows / height), 0, 1)
    warp = (source_x.astype(np.float32), (rows + bob).astype(np.float32))
    return np.asarray(
        cv2.remap(image, *warp, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    ), np.asarray(cv2.remap(alpha, *warp, cv2.INTER_LINEAR), np.uint8)
