"""A person's contact sheet: crops by camera, in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.atomic_files import write_whole
from pipeline.cameras.frames import Image
from pipeline.config import utc
from pipeline.encoded_images import decode_image, encode_jpeg
from pipeline.errors import MendableError
from pipeline.queries.crops import crop_jpeg
from pipeline.queries.filters import Filters
from pipeline.queries.people import Person
from pipeline.queries.pictures.drawing import Portrait, colour_of, contact_sheet, when
from pipeline.queries.pictures.people_in_frames import SightedCrop, sighted_crops
from pipeline.store.database import Store

SHEET_CROPS = 16
"""Crops of each camera on a sheet."""
SHEET_QUALITY = 90
"""Of its JPEG, 0..100."""


class RenderError(MendableError):
    """A picture or video cannot be written; the message names it and says why."""


def write_sheet(store: Store, person: Person, path: Path, filters: Filters, version: int) -> list[Path]:
    """The person's contact sheet in a list, or nothing where there are no crops.

    Raises:
        RenderError: it cannot be written.
    """
    crops = sighted_crops(store, person.person, filters, version)
    names = list(dict.fromkeys(crop.camera for crop in crops))
    groups = []
    for name in names:
        mine = [crop for crop in crops if crop.camera == name]
        portraits = [p for crop in choose(mine, SHEET_CROPS) if (p := portrait(store, crop)) is not None]
        if portraits:
            groups.append((f"{name}   {span(mine)}", portraits))
    if not groups:
        return []
    title = f"P{person.person}   {counted(len(names), 'camera')}, {counted(person.tracklets, 'tracklet')}"
    save_picture(path, contact_sheet(title, groups, colour_of(person.person)))
    return [path]


def choose(crops: Sequence[SightedCrop], limit: int) -> list[SightedCrop]:
    """At most `limit` crops in order of time: the best of every tracklet first, spread evenly over time."""
    chosen: list[SightedCrop] = []
    for rank in sorted({crop.rank for crop in crops}):
        same = [crop for crop in crops if crop.rank == rank]
        room = min(limit - len(chosen), len(same))
        chosen += [same[i * len(same) // room] for i in range(room)]
    return sorted(chosen, key=lambda crop: (crop.time_ns, crop.crop))


def portrait(store: Store, crop: SightedCrop) -> Portrait | None:
    """A crop with its picture; None where that cannot be decoded."""
    image = decode_image(crop_jpeg(store, crop.crop))
    if image is None:
        return None
    text = clock_text(crop) + ("  ?" if crop.ambiguous else "")
    return Portrait(image, text, crop.ambiguous)


def span(crops: Sequence[SightedCrop]) -> str:
    """From the first to the last of crops in order of time."""
    day = f"{utc(crops[0].time_ns):%Y-%m-%d} " if crops[0].clock_known else ""
    return f"{day}{clock_text(crops[0])} - {clock_text(crops[-1])}"


def clock_text(crop: SightedCrop) -> str:
    """Time of day, or since the recording's start (whose clock is 0) where the day is unknown."""
    text = when(crop.time_ns, crop.time_ns, clock_known=crop.clock_known)
    return text.removesuffix(" UTC").split(" ")[-1]


def counted(count: int, noun: str) -> str:
    """'1 camera', '2 cameras'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def save_picture(path: Path, image: Image) -> None:
    """Write a JPEG; it appears when it is complete.

    Raises:
        RenderError: it cannot be written.
    """
    try:
        write_whole(path, encode_jpeg(image, SHEET_QUALITY))
    except OSError as error:
        raise RenderError(f"{path}: cannot be written: {error.strerror}") from error
