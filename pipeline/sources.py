"""Opens a camera's recording, a video file or a folder of pictures, as frames with source time."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.config import CameraConfig
from pipeline.containers import fingerprint, missing_end, why_unreadable
from pipeline.folders import FolderSource, folder_fingerprint, list_pictures
from pipeline.frames import (
    Frame,
    Grid,
    Image,
    Repairs,
    Source,
    SourceClock,
    SourceError,
    SourceInfo,
    letterbox,
    upright,
)

__all__ = [
    "Frame",
    "Grid",
    "Repairs",
    "Source",
    "SourceError",
    "SourceInfo",
    "open_source",
    "source_fingerprint",
]

FALLBACK_RATE = Fraction(25)
"""Where a stream tells neither time stamps nor a rate; the rate FFmpeg assumes for raw streams."""
RATE_LIMITS_HZ = (Fraction(1, 100), Fraction(1000))
TEXT_CODECS = ("ansi", "bintext", "xbin", "idf")
"""FFmpeg draws text files as video; here they are mistakes."""
SHORT_S = 0.5
"""A recording may end this much before its declared end: the last frame's duration varies."""


def open_source(camera: CameraConfig, *, threads: int = 1) -> Source:
    """The camera's recording, opened and its first frame decoded; use it in a `with` statement.

    Args:
        camera: whose `source` is a video file or a folder of pictures.
        threads: for decoding; 0: as many as there are cores.

    Raises:
        SourceError: missing, not permitted, empty, no video in it, nothing in it can be decoded, or live.
    """
    if "://" in camera.source:
        scheme = camera.source.partition("://")[0]
        raise SourceError(f"camera {camera.name}: live sources ({scheme}://) are not supported yet")
    path = Path(camera.source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if stat.S_ISDIR(mode):
        return FolderSource(camera)
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path}: neither a file nor a folder")
    return VideoSource(camera, threads)


def source_fingerprint(camera: CameraConfig) -> str:
    """What names the content of a camera's recording, without decoding it: `SourceInfo.fingerprint`.

    Raises:
        SourceError: missing, not permitted, or a folder without pictures.
    """
    path = Path(camera.source)
    try:
        return folder_fingerprint(list_pictures(path)) if path.is_dir() else fingerprint(path)
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or str(error)).lower()}") from error


class VideoSource(Source):
    """The best video stream of a file, decoded frame by frame."""

    def __init__(self, camera: CameraConfig, threads: int) -> None:
        self.camera = camera
        self.path = Path(camera.source)
        self.repairs = Repairs()
        self.reformatter = VideoReformatter()
        self.end = StreamEnd()
        self.trouble: str | None = None
        self.container = open_container(self.path)
        try:
            self.stream = video_stream(self.container, self.path)
            self.stream.codec_context.thread_count = threads
            self.stream.codec_context.thread_type = "AUTO"
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Decode the first frame and learn from it and from the container what the source is."""
        own_rate = stream_rate(self.stream)
        rate = Fraction(self.camera.fps).limit_denominator(1_000_000) if self.camera.fps else own_rate
        time_base = self.stream.time_base or Fraction(1)
        self.clock = SourceClock(self.camera.start_ns, rate, time_base, self.repairs)
        self.decoded = self.decode()
        self.first = next(self.decoded, None)
        if self.first is None:
            codec, skipped = self.stream.codec_context.name, self.repairs.skipped
            raise SourceError(f"{self.path}: no frame can be decoded ({codec}, {skipped} packets refused)")
        self.coded_size = self.first.width, self.first.height
        self.clockwise = (self.camera.rotation - round(self.first.rotation / 90) * 90) % 360
        try:
            height, width = self.convert(self.first).shape[:2]
        except (FFmpegError, ValueError) as error:
            raise SourceError(f"{self.path}: {self.first.format.name} pictures cannot be shown") from error
        declared = declared_s(self.container, self.stream)
        duration_s = declared or stream_s(self.stream) or container_s(self.container)
        frames = frame_count(self.stream, duration_s)
        if self.camera.fps:
            duration_s = frames / self.camera.fps if frames else None
        self.info = SourceInfo(width, height, float(rate), frames, duration_s, fingerprint(self.path))

    def __iter__(self) -> Iterator[Frame]:
        """The frames in decode order, once; `shortfall` is known after the last."""
        index = 0
        while (decoded := self.first or next(self.decoded, None)) is not None:
            self.first = None
            self.repairs.resized += (decoded.width, decoded.height) != self.coded_size
            time_ns = self.clock.time_ns(None if self.camera.fps else decoded.pts)
            yield Frame(index, time_ns, partial(self.convert, decoded))
            index += 1
        self.shortfall = self.find_shortfall()

    def close(self) -> None:
        """Give back the file and the decoder."""
        self.container.close()

    def decode(self) -> Iterator[VideoFrame]:
        """The frames that can be decoded; packets that cannot are counted and skipped."""
        for packet in self.read():
            try:
                decoded = self.stream.decode(packet)
            except FFmpegError:
                self.repairs.skipped += 1
                continue
            for frame in decoded:
                self.repairs.damaged += frame.is_corrupt
                self.end = self.end.after(frame)
                yield frame

    def read(self) -> Iterator[Packet[VideoStream] | None]:
        """The stream's packets; the last one, empty, makes the decoder give out what it still holds."""
        try:
            yield from self.container.demux(self.stream)
        except FFmpegError as error:
            self.trouble = f"the rest cannot be read: {error.strerror}"
            yield None

    def convert(self, decoded: VideoFrame) -> Image:
        """(H, W, 3) RGB, upright, in the size of the first frame."""
        image = np.asarray(
            self.reformatter.reformat(decoded, format="rgb24", threads=1).to_ndarray(), np.uint8
        )
        if (decoded.width, decoded.height) != self.coded_size:
            image = letterbox(image, *self.coded_size)
        return upright(image, self.clockwise)

    def find_shortfall(self) -> str | None:
        """One line if the end of the recording is missing: a read error, a declared length, or cut bytes."""
        period_s = 1 / stream_rate(self.stream)
        ended_s = float(self.end.seconds(self.stream) + period_s)
        declared = declared_s(self.container, self.stream)
        if self.trouble:
            return f"ends at {ended_s:.1f} s: {self.trouble}"
        if declared is not None and ended_s + SHORT_S + period_s < declared:
            return f"ends at {ended_s:.1f} s of {declared:.1f} s declared by the container"
        missing = missing_end(self.path, self.container.format.name)
        if missing is None and declared is None and self.end.damaged:
            missing = "its last frame is incomplete"
        return f"ends at {ended_s:.1f} s, {missing}: the file was cut off" if missing else None


@dataclass(frozen=True)
class StreamEnd:
    """How far a stream was decoded, in its own time."""

    frames: int = 0
    pts: int | None = None
    damaged: bool = False

    def after(self, frame: VideoFrame) -> StreamEnd:
        """The end with one more frame."""
        pts = frame.pts if self.pts is None or frame.pts is None else max(self.pts, frame.pts)
        return StreamEnd(self.frames + 1, pts, bool(frame.is_corrupt))

    def seconds(self, stream: VideoStream) -> Fraction:
        """When the last frame begins, from the beginning that the container's length counts from."""
        if self.pts is None or stream.time_base is None:
            return (self.frames - 1) / stream_rate(stream)
        begins = stream.start_time if stream.container.format.name.startswith("mov") else 0
        return (self.pts - (begins or 0)) * stream.time_base


def open_container(path: Path) -> InputContainer:
    """The file as a container; nothing but this file is opened, whatever it refers to.

    Raises:
        SourceError: empty, or no container format fits.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty (0 bytes)")
    try:
        return av.open(f"file:{path}", "r", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except FFmpegError as error:
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
