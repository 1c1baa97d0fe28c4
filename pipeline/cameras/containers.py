"""What a video file tells without its pictures: fingerprint, length, a missing end, why it does not open."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.cameras.frames import SourceError

FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,h264,hevc,vvc,obu,av1,ivf,m4v,mjpeg,mjpeg_2000,"
    "mpjpeg,smjpeg,ogg,nut,gxf,mxf,dhav,ifv,lvf,wtv,dv,vc1,vc1test,cavsvideo,h261,h263,yuv4mpegpipe,rm,nsv,swf"
)
"""What a recording may be. Playlists, lists of files and numbered pictures are not among it: FFmpeg would
open other files by what one of them says."""
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"<?xml", b"<MPD", b"<smil", b"<asx", b"v=0")
"""First bytes of files that name other files or addresses."""
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""First bytes of JPEG, PNG, GIF, BMP, TIFF."""
TEXT_CODECS = ("ansi", "bintext", "xbin", "idf")
"""FFmpeg draws text files as video; here they are mistakes."""
PEEK_BYTES = 1 << 20
"""Read from each end of a file for its fingerprint."""
BOX_LIMIT = 1_000_000
"""Top-level boxes looked at in an mp4 file: a day of one-second fragments has 172,800."""
FALLBACK_RATE = Fraction(25)
"""Where a stream tells neither time stamps nor a rate; the rate FFmpeg assumes for raw streams."""
RATE_LIMITS_HZ = (Fraction(1, 100), Fraction(1000))
OPENING = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "correct_ts_overflow": "0"}
"""Of a file: nothing else is opened, and time stamps come as they are written."""
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
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(PLAYLISTS):
        return "this is a playlist, not a recording: give the files that it names"
    if head.startswith(PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "this is a picture, not a recording: give the folder that it is in"
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


def open_container(path: Path) -> InputContainer:
    """The file as a container; nothing but this file is opened, whatever it refers to.

    Raises:
        SourceError: empty, or no container format fits.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty (0 bytes)")
    try:
        return av.open(f"file:{path}", "r", options=OPENING, metadata_errors="replace")
    except (FFmpegError, ValueError, LookupError) as error:
        raise SourceError(f"{path}: {why_unreadable(path)}") from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to decode: the best one that is a video and not a cover picture.

    Raises:
        SourceError: there is none, or no decoder for it.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise SourceError(f"{path}: no video stream in this file (it holds {kinds})")
    if stream.codec_context is None:
        raise SourceError(f"{path}: there is no decoder for its video stream")
    if stream.codec_context.name in TEXT_CODECS:
        raise SourceError(f"{path}: this is a text file, not a video")
    return stream
