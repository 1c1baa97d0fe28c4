"""When a JPEG was taken, by its EXIF."""

from __future__ import annotations

import struct
from datetime import datetime, tzinfo
from pathlib import Path

from pipeline.cameras.name_times import NameTimes

HEAD_BYTES = 1 << 16
"""An EXIF block is no longer, and stands in front."""
EXIF_POINTER, TAKEN, CHANGED, OFFSET, FRACTION = 0x8769, 0x9003, 0x0132, 0x9011, 0x9291
"""Tags: the block of its own; when the picture was taken; the file's time; UTC offset; part of a second."""
ASCII = 2
ENTRIES = 512
"""More entries in a block are damage."""


def exif_time_ns(path: Path, zone: tzinfo | None = None) -> int | None:
    """UTC epoch ns when a picture was taken; None where its EXIF does not say it.

    Args:
        path: a JPEG; others have none.
        zone: of a time without UTC offset; None: the system's.
    """
    try:
        with path.open("rb") as file:
            said = exif_texts(file.read(HEAD_BYTES))
        text = said.get(TAKEN) or said[CHANGED]
        moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
        moment = moment.replace(microsecond=int(f"{said.get(FRACTION, ''):0<6}"[:6]))
        offset = said.get(OFFSET)
        own = datetime.strptime(offset, "%z").tzinfo if offset else None
        return NameTimes(zone=zone).in_zone(moment, own).time_ns
    except (OSError, ValueError, KeyError, OverflowError, struct.error):
        return None


def exif_texts(head: bytes) -> dict[int, str]:
    """The texts in a JPEG's EXIF by their tags.

    Raises:
        ValueError: there is none.
        struct.error: it is cut short.
    """
    begins = head.index(b"Exif\0\0") + 6
    block = head[begins:]
    order = {b"II": "<", b"MM": ">"}[block[:2]]
    (first,) = struct.unpack_from(order + "I", block, 4)
    texts, pointer = directory(block, order, first)
    return texts | (directory(block, order, pointer)[0] if pointer else {})


def directory(block: bytes, order: str, at: int) -> tuple[dict[int, str], int]:
    """The texts of one directory by their tags, and where the EXIF directory is (0: nowhere)."""
    (count,) = struct.unpack_from(order + "H", block, at)
    texts: dict[int, str] = {}
    pointer = 0
    for number in range(min(count, ENTRIES)):
        tag, kind, length, value = struct.unpack_from(order + "HHII", block, at + 2 + 12 * number)
        if tag == EXIF_POINTER:
            pointer = value
        elif kind == ASCII:
            start = value if length > 4 else at + 2 + 12 * number + 8
            texts[tag] = block[start : start + length].split(b"\0")[0].decode("ascii", "replace").strip()
    return texts, pointer
