"""Cuts the people of the demo out of two photographs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.cameras.picture_folders import read_picture
from pipeline.errors import MendableError

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

BAND_PX = 5
"""GrabCut decides inside a band of this width along the stored outline."""
SKIN = 1
COAT = 2
TROUSERS = 3
SHIRT = 4

# Outlines were read off the photographs by eye, in their pixels: x, y, x, y, ...
TALL = (
    "104 430 103 420 108 412 118 404 128 400 140 399 150 403 157 411 157 420 156 428 158 434 154 443 152 455 "
    "149 464 158 473 166 482 174 490 175 497 182 507 183 513 180 518 186 530 192 542 199 552 201 565 200 580 "
    "190 592 179 599 184 612 186 625 190 645 192 670 193 686 189 691 182 687 178 692 179 700 183 725 186 745 "
    "188 765 193 800 198 825 202 850 208 855 214 860 222 870 236 873 244 880 240 886 215 893 195 898 178 898 "
    "176 885 176 865 174 855 172 840 166 818 158 790 152 770 150 757 146 745 140 728 132 712 126 702 118 705 "
    "115 720 110 740 106 762 98 775 92 800 88 825 85 848 87 860 92 865 98 877 105 888 106 893 98 900 85 899 "
    "65 895 54 888 51 880 54 868 57 850 60 830 60 812 66 780 73 738 74 715 74 699 60 695 59 670 60 630 "
    "62 600 65 580 62 565 60 550 63 540 62 520 64 505 66 495 75 487 90 478 97 465 98 455 100 448 "
    "105 445 103 438"
)
TALL_HEAD = "95 395 165 395 160 455 150 464 147 470 141 475 134 477 118 460 108 447 104 443 98 440"
TALL_STRANGER = "54 715 62 716 66 730 74 738 81 765 82 798 76 822 54 822"
SLIM = (
    "262 430 263 420 266 413 275 407 285 406 295 409 302 415 304 425 305 437 308 440 306 447 303 455 300 465 "
    "299 472 302 477 315 482 328 486 334 500 337 515 341 535 342 545 338 558 330 566 321 567 322 580 327 600 "
    "331 630 335 660 338 688 333 693 336 700 339 714 336 725 325 738 312 752 297 768 285 779 287 795 292 803 "
    "298 810 299 815 294 820 285 818 284 822 287 838 292 848 293 853 288 857 275 857 262 848 256 842 258 830 "
    "259 820 254 820 254 800 248 780 245 760 243 740 243 720 243 704 225 700 226 680 230 655 232 635 238 610 "
    "242 590 239 575 237 550 239 540 236 525 236 515 240 500 248 490 262 485 272 478 271 471 270 462 269 452 "
    "264 448 261 440"
)
SLIM_HEAD = "255 400 315 400 310 455 302 466 303 483 285 486 274 479 267 465 258 455"
SLIM_TROUSERS = "243 703 288 703 292 640 309 640 311 700 345 690 345 760 285 783 284 800 277 821 250 821"
GREY_HEAD = (
    "897 165 894 140 896 115 905 90 925 65 950 48 980 42 1005 45 1030 60 1050 75 1065 95 1071 120 1065 145 "
    "1056 165 1053 185 1050 215 1042 235 1030 255 1020 275 1014 300 1002 306 985 300 965 290 940 265 925 250 "
    "910 225 903 205 897 190"
)


class MissingPhotographError(MendableError, RuntimeError):
    """The photographs of the ultralytics package are not where they should be."""


@dataclass(frozen=True)
class Cutout:
    """A person cut out of a photograph."""

    image: Picture  # (H, W, 3) RGB
    alpha: Picture  # (H, W) 0..255
    parts: Picture  # (H, W) 0, SKIN, COAT, TROUSERS or SHIRT
    head: Mask  # (H, W)
    chin: tuple[int, int]
    face_px: int
    """Hair to chin."""


def load_photograph(name: str) -> Picture:
    """A photograph of the installed ultralytics package, (H, W, 3) RGB; the package is not imported.

    Raises:
        PhotographError: the package or the file is missing.
    """
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise MissingPhotographError(
            "the demo's people come from the ultralytics package: pip install ultralytics"
        )
    path = Path(spec.origin).parent / "assets" / name
    image = read_picture(path)
    if image is None:
        raise MissingPhotographError(f"{path} is missing: reinstall ultralytics")
    return image


def polygon(text: str) -> NDArray[np.int32]:
    """The (N, 2) points of 'x y x y ...'."""
    return np.array(text.split(), np.int32).reshape(-1, 2)


def fill(shape: tuple[int, ...], *polygons: NDArray[np.int32]) -> Mask:
    """(H, W), true inside the polygons."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, list(polygons), 1)
    return mask.astype(bool)


def cut(image: Picture, outline: str, scale: float) -> tuple[Picture, Picture, NDArray[np.int32]]:
    """What GrabCut finds along an outline, enlarged: picture, alpha, and the corner that was cut at.

    Args:
        image: (H, W, 3) photograph.
        outline: polygon in its pixels.
        scale: of the returned pictures.
    """
    points = polygon(outline)
    low = np.maximum(points.min(0) - 24, 0)
    high = points.max(0) + 24
    crop = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    inside = fill(crop.shape, points - low)
    ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BAND_PX, BAND_PX))
    sure = cv2.erode(inside.astype(np.uint8), ring).astype(bool)
    maybe = cv2.dilate(inside.astype(np.uint8), ring).astype(bool)
    trimap = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[sure] = cv2.GC_FGD
    trimap[~maybe] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    empty = np.zeros((1, 65))
    cv2.grabCut(crop, trimap, (0, 0, 0, 0), empty, empty.copy(), 2, cv2.GC_INIT_WITH_MASK)
    person = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    opened = cv2.morphologyEx(person, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    alpha = cv2.GaussianBlur(enlarge(np.asarray(opened, np.uint8), scale), (0, 0), 0.8)
    alpha = np.clip((alpha.astype(np.float32) - 96) * 1.6, 0, 255).astype(np.uint8)
    return enlarge(crop, scale), alpha, low


def enlarge(image: Picture, scale: float) -> Picture:
    """The picture at another scale."""
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8)


def lab(image: Picture) -> NDArray[np.float32]:
    """(H, W, 3) RGB as CIELAB: L 0..100, a and b about -100..100."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def skin_like(colour: NDArray[np.float32]) -> Mask:
    """Where a CIELAB picture could be skin: light enough and orange."""
    light, red, yellow = colour[..., 0], colour[..., 1], colour[..., 2]
    return (light > 22) & (red > 9) & (red < 36) & (yellow > 9) & (yellow < 42) & (red > 0.5 * yellow)


def cut_people() -> dict[str, Cutout]:
    """The two whole bodies of the first photograph and one more head of the second, by name.

    Raises:
        PhotographError: see `load_photograph`.
    """
    street, pitch = load_photograph("bus.jpg"), load_photograph("zidane.jpg")
    return {"tall": cut_tall(street), "slim": cut_slim(street), "grey": cut_grey(pitch)}


def cut_tall(street: Picture) -> Cutout:
    """The man in the long pale coat; a stranger's hand in front of his leg is painted over."""
    hand = fill(street.shape, polygon(TALL_STRANGER)).astype(np.float32)
    hand = np.asarray(cv2.GaussianBlur(hand, (0, 0), 1.5), np.float32)[..., None]
    denim = street[730:840, 82:86].mean((0, 1))
    clean = (street * (1 - hand) + denim * hand).astype(np.uint8)
    image, alpha, corner = cut(clean, TALL, 1.0)
    colour, rows = lab(image), np.arange(image.shape[0])[:, None] + corner[1]
    head = fill(image.shape, polygon(TALL_HEAD) - corner)
    shirt = (colour[..., 1] > 26) & (colour[..., 2] > 16) & (rows < 505) & ~head
    trousers = (rows > 640) & (rows < 857) & ((colour[..., 2] < -3) | (colour[..., 0] < 14)) & (rows > 655)
    trousers |= (rows > 700) & (rows < 850)
    coat = (rows < 702) & ~head & ~shirt & ~trousers
    parts = paint_parts(image.shape, head=head, coat=coat, trousers=trousers, shirt=shirt)
    return Cutout(image, alpha, parts, head, (138 - int(corner[0]), 472 - int(corner[1])), 73)


def cut_slim(street: Picture) -> Cutout:
    """The man in the dark open coat."""
    image, alpha, corner = cut(street, SLIM, 1.0)
    colour, rows = lab(image), np.arange(image.shape[0])[:, None] + corner[1]
    head = fill(image.shape, polygon(SLIM_HEAD) - corner)
    shirt = (colour[..., 1] > 24) & (colour[..., 1] > colour[..., 2] * 1.25) & (rows < 645) & (rows > 480)
    hands = skin_like(colour) & ~shirt & (rows > 495) & (rows < 695) & ~head
    hands = cv2.morphologyEx(hands.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(bool)
    trousers = fill(image.shape, polygon(SLIM_TROUSERS) - corner) & ~hands
    coat = (rows < 704) & ~head & ~shirt & ~trousers & ~hands
    parts = paint_parts(image.shape, head=head, coat=coat, trousers=trousers, shirt=shirt)
    return Cutout(image, alpha, parts, head, (284 - int(corner[0]), 476 - int(corner[1])), 65)


def cut_grey(pitch: Picture) -> Cutout:
    """The grey-haired man's head, at the size of the other two."""
    scale = 0.3
    image, alpha, corner = cut(pitch, GREY_HEAD, scale)
    chin = (np.array([1000, 272]) - corner) * scale
    head = np.ones(image.shape[:2], bool)
    parts = np.full(image.shape[:2], SKIN, np.uint8)
    return Cutout(image, alpha, parts, head, (round(chin[0]), round(chin[1])), round(246 * scale))


def paint_parts(shape: tuple[int, ...], *, head: Mask, coat: Mask, trousers: Mask, shirt: Mask) -> Picture:
    """(H, W) labels; what is none of the four keeps its colour, like the head."""
    parts = np.full(shape[:2], SKIN, np.uint8)
    for mask, label in ((coat, COAT), (trousers, TROUSERS), (shirt, SHIRT), (head, SKIN)):
        parts[mask] = label
    return parts
