"""What is drawn: a colour for each person, labelled boxes, captions, and sheets of crops."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.cameras.frames import Image
from pipeline.config import utc

Colour = tuple[int, int, int]

GOLDEN_RATIO = 0.618034
"""Steps of it round the colour circle keep any few following people far apart."""
NOBODY: Colour = (150, 150, 150)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
PAPER: Colour = (245, 245, 245)
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_PX = 22.0
"""Height of a capital letter of FONT at scale 1."""
DASH_PX = 6

SHEET_WIDTH_PX = 1280
CROP_HEIGHT_PX = 192
MARGIN_PX = 10
LINE_PX = 20
"""Height of a line of text on a sheet."""


@dataclass(frozen=True)
class Label:
    """One person to draw in one frame."""

    box: tuple[float, float, float, float]  # xyxy, px
    person: int | None
    ambiguous: bool

    @property
    def text(self) -> str:
        """'P3', 'P3?' where it might be someone else, '?' for nobody in particular."""
        return "?" if self.person is None else f"P{self.person}{'?' if self.ambiguous else ''}"


@dataclass(frozen=True)
class Portrait:
    """One crop on a sheet."""

    image: Image
    caption: str
    ambiguous: bool


def colour_of(person: int | None) -> Colour:
    """The RGB colour of a person, the same in every picture and run."""
    if person is None:
        return NOBODY
    hue = person * GOLDEN_RATIO % 1
    value, saturation = ((1.0, 0.75), (0.85, 1.0), (1.0, 0.45))[person % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_label(image: Image, label: Label) -> None:
    """Draw a box, dashed where the link is ambiguous, with its label above, into `image`."""
    colour = colour_of(label.person)
    left, top, right, bottom = (round(value) for value in label.box)
    thickness = line_px(image)
    if label.ambiguous or label.person is None:
        draw_dashed(image, (left, top, right, bottom), colour, thickness)
    else:
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness)
    draw_text(image, label.text, (left, top - thickness), letters_px(image), colour)


def draw_dashed(image: Image, box: tuple[int, int, int, int], colour: Colour, thickness: int) -> None:
    """Draw a rectangle of dashes into `image`."""
    left, top, right, bottom = box
    dash = DASH_PX * thickness
    for x in range(left, right, 2 * dash):
        for y in (top, bottom):
            cv2.line(image, (x, y), (min(x + dash, right), y), colour, thickness)
    for y in range(top, bottom, 2 * dash):
        for x in (left, right):
            cv2.line(image, (x, y), (x, min(y + dash, bottom)), colour, thickness)


def draw_text(image: Image, text: str, corner: tuple[int, int], height_px: float, paper: Colour) -> None:
    """Write one line on a filled background into `image`, kept inside it.

    Args:
        image: (H, W, 3) RGB.
        text: letters FONT lacks become '?'.
        corner: lower left corner of the line, px.
        height_px: of a capital letter.
        paper: background; the letters are black or white, whichever is easier to read on it.
    """
    text = plain(text)
    scale, thickness = height_px / FONT_PX, max(1, round(height_px / 14))
    (width, height), _ = cv2.getTextSize(text, FONT, scale, thickness)
    pad = max(2, round(height_px / 4))
    left = int(np.clip(corner[0], 0, max(image.shape[1] - width - 2 * pad, 0)))
    bottom = int(np.clip(corner[1], height + 2 * pad, image.shape[0]))
    cv2.rectangle(
        image, (left, bottom - height - 2 * pad), (left + width + 2 * pad, bottom), paper, cv2.FILLED
    )
    ink = BLACK if np.dot(paper, (0.299, 0.587, 0.114)) > 140 else WHITE
    cv2.putText(image, text, (left + pad, bottom - pad), FONT, scale, ink, thickness, cv2.LINE_AA)


def when(time_ns: int, elapsed_ns: int, *, clock_known: bool) -> str:
    """The time as people read it: UTC, or since the recording's first frame."""
    if clock_known:
        return f"{utc(time_ns):%Y-%m-%d %H:%M:%S}.{time_ns // 100_000_000 % 10} UTC"
    tenths = elapsed_ns // 100_000_000
    return f"+{tenths // 36000:02}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


def plain(text: str) -> str:
    """The text with what FONT cannot draw replaced."""
    return text.encode("ascii", "replace").decode()


def line_px(image: Image) -> int:
    """Width of a box's line."""
    return max(1, round(int(image.shape[0]) / 300))


def letters_px(image: Image) -> float:
    """Height of the letters."""
    return max(8.0, int(image.shape[0]) / 55)


def contact_sheet(title: str, groups: Sequence[tuple[str, Sequence[Portrait]]], colour: Colour) -> Image:
    """One picture of a person's crops: a block for each group, in the order given.

    Args:
        title: first line.
        groups: heading and portraits of each block.
        colour: of the title and of the frames round portraits.
    """
    strips = [heading(title, colour, 2 * LINE_PX)]
    for name, portraits in groups:
        strips.append(heading(name, PAPER, LINE_PX + MARGIN_PX))
        strips += [row_of(row, colour) for row in rows_of([fitted(p) for p in portraits])]
    return np.concatenate(strips)


def heading(text: str, paper: Colour, height: int) -> Image:
    """A line of text across the sheet."""
    strip = np.full((height, SHEET_WIDTH_PX, 3), paper, np.uint8)
    draw_text(strip, text, (MARGIN_PX, height - MARGIN_PX // 2), height * 0.4, paper)
    return strip


def fitted(portrait: Portrait) -> Portrait:
    """The portrait at the sheet's height."""
    height, width = portrait.image.shape[:2]
    width = min(max(1, round(width * CROP_HEIGHT_PX / height)), SHEET_WIDTH_PX - 2 * MARGIN_PX)
    method = cv2.INTER_AREA if height > CROP_HEIGHT_PX else cv2.INTER_CUBIC
    image = cv2.resize(portrait.image, (width, CROP_HEIGHT_PX), interpolation=method)
    return Portrait(np.asarray(image, np.uint8), portrait.caption, portrait.ambiguous)


def rows_of(portraits: Sequence[Portrait]) -> list[list[Portrait]]:
    """The portraits in rows no wider than the sheet."""
    rows: list[list[Portrait]] = [[]]
    left = MARGIN_PX
    for portrait in portraits:
        width = cell_px(portrait) + MARGIN_PX
        if rows[-1] and left + width > SHEET_WIDTH_PX:
            rows.append([])
            left = MARGIN_PX
        rows[-1].append(portrait)
        left += width
    return rows


def row_of(portraits: Sequence[Portrait], colour: Colour) -> Image:
    """One row of the sheet, captions below."""
    strip = np.full((CROP_HEIGHT_PX + LINE_PX + MARGIN_PX, SHEET_WIDTH_PX, 3), PAPER, np.uint8)
    left = MARGIN_PX
    for portrait in portraits:
        width = portrait.image.shape[1]
        strip[:CROP_HEIGHT_PX, left : left + width] = portrait.image
        frame = (left, 0, left + width - 1, CROP_HEIGHT_PX - 1)
        if portrait.ambiguous:
            draw_dashed(strip, frame, colour, 2)
        else:
            cv2.rectangle(strip, frame[:2], frame[2:], colour, 2)
        draw_text(strip, portrait.caption, (left, CROP_HEIGHT_PX + LINE_PX), LINE_PX * 0.45, PAPER)
        left += cell_px(portrait) + MARGIN_PX
    return strip


def cell_px(portrait: Portrait) -> int:
    """Width that a portrait and its caption take."""
    scale = LINE_PX * 0.45 / FONT_PX
    caption = cv2.getTextSize(plain(portrait.caption), FONT, scale, 1)[0][0]
    return max(int(portrait.image.shape[1]), int(caption) + 4)
