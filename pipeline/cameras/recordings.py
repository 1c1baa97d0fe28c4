"""Opens a camera's recording, a video file or a folder of pictures, as frames with source time."""

from __future__ import annotations

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

from pipeline.cameras.containers import (
    container_s,
    declared_s,
    fingerprint,
    frame_count,
    missing_end,
    stream_rate,
    stream_s,
    why_unreadable,
)
from pipeline.cameras.frames import (
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
from pipeline.cameras.picture_folders import FolderSource, folder_fingerprint, list_pictures
from pipeline.config import CameraConfig

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
    path = source_path(camera)
    return FolderSource(camera) if path.is_dir() else VideoSource(camera, threads)


def source_fingerprint(camera: CameraConfig) -> str:
    """What names the content of a camera's recording, without decoding it: `SourceInfo.fingerprint`.

    Raises:
        SourceError: missing, not permitted, a folder without pictures, or live.
    """
    path = source_path(camera)
    try:
        return folder_fingerprint(list_pictures(path)) if path.is_dir() else fingerprint(path)
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def source_path(camera: CameraConfig) -> Path:
    """The camera's file or folder.

    Raises:
        SourceError: missing, not permitted, neither file nor folder, or live.
    """
    if "://" in camera.source:
        scheme = camera.source.partition("://")[0]
        raise SourceError(f"camera {camera.name}: live ({scheme}://): there is no recording to read")
    path = Path(camera.source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{path}: {reason.lower()}") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise SourceError(f"{path}: neither a file nor a folder")
    return path


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
        height, width = self.convert(self.first).shape[:2]
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
        try:
            colours = self.reformatter.reformat(decoded, format="rgb24", threads=1)
        except (FFmpegError, ValueError) as error:
            raise SourceError(f"{self.path}: no conversion from {decoded.format.name} to RGB") from error
        image = np.asarray(colours.to_ndarray(), np.uint8)
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
        try:
            missing = missing_end(self.path, self.container.format.name)
        except OSError as error:
            return f"ends at {ended_s:.1f} s: the file went away: {error.strerror}"
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
