"""What a video file tells without its pictures: fingerprint, length, a missing end, why it does not open."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

PEEK_BYTES = 1 << 20
"""Read from each end of a file for its fingerprint."""
BOX_LIMIT = 1_000_000
"""Top-level boxes looked at in an mp4 file: a day of one-second fragments has 172,800."""
FALLBACK_RATE = Fraction(25)
"""Where a stream tells neither time stamps nor a rate; the rate FFmpeg assumes for raw streams."""
RATE_LIMITS_HZ = (Fraction(1, 100), Fraction(1000))
TS_SYNC = 0x47
TS_LAYOUTS = ((188, 0), (192, 4), (204, 0))
"""Bytes of a transport packet and where in it the sync byte is: plain, Blu-ray, with error correction."""


def fingerprint(path: Path) -> str:
    """sha256 of a file's size and its first and last PEEK_BYTES: a renamed copy has the same."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(PEEK_BYTES))
        file.seek(max(size - PEEK_BYTES, 0))
        digest.update(file.read(PEEK_BYTES))
    return digest.hexdigest()


def why_unreadable(path: Path) -> str:
    """The likely reason that no container format fits a file."""
    kinds = [kind for kind, _ in mp4_boxes(path)]
    if kinds[:1] == [b"ftyp"] and b"moov" not in kinds:
        return "its index (moov) is missing: the recording was cut off before it was finished"
    with path.open("rb") as file:
        head = file.read(4096)
    if is_text(head):
        return "this is a text file, not a video"
    return "not a video in a known container, or its beginning is damaged"


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are UTF-8 text."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        text = head[: error.start].decode() if error.start > len(head) - 4 else "\0"
    return bool(text) and all(c.isprintable() or c.isspace() for c in text)


def missing_end(path: Path, format_name: str) -> str | None:
    """What shows that a file was cut off, for containers that do not declare a length; else None."""
    size = path.stat().st_size
    if format_name.startswith("mov"):
        boxes = list(mp4_boxes(path))
        end = boxes[-1][1] if boxes else 0
        if end < size and any(kind == b"moof" for kind, _ in boxes):
            return f"its mp4 boxes are broken at byte {end} of {size}"
        return f"its last mp4 box lacks {end - size} bytes" if end > size else None
    if format_name == "mpegts":
        rest = size % transport_packet_bytes(path)
        return f"its last transport packet has only {rest} bytes" if rest else None
    return None


def mp4_boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Type and end offset of each top-level box, as the boxes themselves declare."""
    size = path.stat().st_size
    start = 0
    with path.open("rb") as file:
        for _ in range(BOX_LIMIT):
            file.seek(start)
            head = file.read(16)
            if len(head) < 8:
                return
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            start = size if length == 0 else start + length
            if length and length < 8:
                return
            yield head[4:8], start
            if start >= size:
                return


def transport_packet_bytes(path: Path) -> int:
    """Length of the packets of an MPEG transport stream; 1 where they are not aligned with the file."""
    with path.open("rb") as file:
        head = file.read(1024)
    for length, sync in TS_LAYOUTS:
        if all(byte == TS_SYNC for byte in head[sync::length]) and len(head) > 2 * length:
            return length
    return 1


def stream_rate(stream: VideoStream) -> Fraction:
    """Frames a second of a stream, as the container or its first packets tell."""
    for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate):
        if rate and RATE_LIMITS_HZ[0] <= rate <= RATE_LIMITS_HZ[1]:
            return rate
    return FALLBACK_RATE


def declared_s(container: InputContainer, stream: VideoStream) -> float | None:
    """The length that the container's header promises for the stream; None for formats without one.

    FFmpeg's own durations will not do for all: those of avi and mpegts are estimated from what is there.
    """
    name = container.format.name
    if name == "avi":
        return float(stream.frames / stream.average_rate) if stream.frames and stream.average_rate else None
    if name.startswith("mov"):
        return stream_s(stream)
    if name.startswith("matroska"):
        return clock_s(stream.metadata.get("DURATION", "")) or container_s(container)
    return container_s(container) if name in ("flv", "asf") else None


def clock_s(text: str) -> float | None:
    """Seconds in '01:02:03.5'; None where it is not of this form."""
    parts = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", text)
    return int(parts[1]) * 3600 + int(parts[2]) * 60 + float(parts[3]) if parts else None


def stream_s(stream: VideoStream) -> float | None:
    """The length of one stream as FFmpeg has it."""
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None


def container_s(container: InputContainer) -> float | None:
    """The length of the whole container as FFmpeg has it."""
    return container.duration / av.time_base if container.duration else None


def frame_count(stream: VideoStream, duration_s: float | None) -> int | None:
    """How many frames to expect: counted by an mp4's index, else estimated."""
    if stream.frames and stream.container.format.name.startswith("mov"):
        return stream.frames
    return max(1, round(duration_s * stream_rate(stream))) if duration_s else None
