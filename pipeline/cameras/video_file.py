"""A video file as a source: its best video stream, decoded frame by frame, with what had to be repaired."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.cameras.containers import (
    container_s,
    declared_s,
    fingerprint,
    frame_count,
    missing_end,
    open_container,
    stream_rate,
    stream_s,
    video_stream,
)
from pipeline.cameras.fields import Deinterlacer, Stamped
from pipeline.cameras.frames import (
    MOST_PIXELS,
    SECOND_NS,
    Frame,
    Image,
    Repairs,
    Source,
    SourceError,
    SourceInfo,
)
from pipeline.cameras.shapes import ConversionError, Shaper, letterbox
from pipeline.cameras.source_clock import HELD, SourceClock
from pipeline.config import CameraConfig

SHORT_S = 0.5
"""A recording may end this much before its declared end: the last frame's duration varies."""
LEAD_S = 600
"""A recording whose first frame comes longer after its first packet than this has damaged time stamps."""
HELD_BYTES = 256 << 20
"""Frames that wait for a good time stamp may take this much memory."""
BITS = {"mpegts": 33, "mpeg": 33, "flv": 32}
"""Of the clocks of these containers, which run over; others' do not."""
UNREADABLE = (FFmpegError, ValueError, LookupError, OSError, MemoryError)
"""What decoding damaged data may raise."""


class VideoSource(Source):
    """The best video stream of a file, decoded frame by frame.

    Args:
        camera: how its pictures and times are meant.
        path: the file.
        threads: for decoding; 0: as many as there are cores.
        mark: the file's fingerprint where it is known or not needed.

    Raises:
        SourceError: no known container, no video in it, or nothing in it can be decoded.
    """

    def __init__(self, camera: CameraConfig, path: Path, threads: int, *, mark: str | None = None) -> None:
        self.camera, self.path, self.mark = camera, path, mark
        self.repairs = Repairs()
        self.fields = Deinterlacer()
        self.end = StreamEnd()
        self.beginning = Beginning()
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
        width, height = self.stream.codec_context.width, self.stream.codec_context.height
        if width * height > MOST_PIXELS:
            raise SourceError(
                f"{self.path}: {width} x {height} pixels: more than {MOST_PIXELS // 10**6} million"
            )
        self.by_dts = self.container.format.name == "avi"  # which knows no time of presentation
        self.shaper = Shaper(self.camera, self.stream)
        self.decoded = self.progressive()
        self.first = next(self.decoded, None)
        if self.first is None:
            codec, skipped = self.stream.codec_context.name, self.repairs.skipped
            raise SourceError(f"{self.path}: no frame can be decoded ({codec}, {skipped} packets refused)")
        self.coded_size = self.first.frame.width, self.first.frame.height
        self.size: tuple[int, int] | None = None
        height, width = self.convert(self.first.frame).shape[:2]
        self.size = width, height
        rate = Fraction(self.camera.fps).limit_denominator(1_000_000) if self.camera.fps else self.rate
        self.clock = self.new_clock(rate)
        declared = declared_s(self.container, self.stream)
        duration_s = declared or stream_s(self.stream) or container_s(self.container)
        frames = frame_count(self.stream, duration_s)
        if self.camera.fps:
            duration_s = frames / self.camera.fps if frames else None
        mark = fingerprint(self.path) if self.mark is None else self.mark
        self.info = SourceInfo(width, height, float(rate), frames, duration_s, mark)

    @property
    def rate(self) -> Fraction:
        """Frames a second, as the file says."""
        return stream_rate(self.stream)

    def new_clock(self, rate: Fraction) -> SourceClock[VideoFrame]:
        """What tells the time of each frame; what cannot be shown of the beginning keeps its time."""
        assert self.first is not None
        time_base = self.stream.time_base or Fraction(1)
        lead = self.beginning.before(self.first.stamp, time_base)
        if lead and not self.camera.fps:
            self.repairs.keyless = self.beginning.packets_before(self.first.stamp)
        bits = BITS.get(self.container.format.name)
        frame_bytes = max(1, self.coded_size[0] * self.coded_size[1] * 3 // 2)
        return SourceClock(
            self.camera.start_ns,
            rate,
            time_base,
            self.repairs,
            wrap=2**bits if bits else None,
            lead_ns=0 if self.camera.fps else int(lead * SECOND_NS),
            held=min(HELD, max(8, HELD_BYTES // frame_bytes)),
        )

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order of presentation, once; `shortfall` is known after the last."""
        for index, (decoded, time_ns) in enumerate(self.timed()):
            self.repairs.resized += (decoded.width, decoded.height) != self.coded_size
            yield Frame(index, time_ns, partial(self.convert, decoded))
        self.repairs.interlaced = self.fields.interlaced
        self.shortfall = self.find_shortfall()

    def timed(self) -> Iterator[tuple[VideoFrame, int]]:
        """The frames with their source times."""
        first, self.first = self.first, None
        for frame, stamp in chain([first] if first else [], self.decoded):
            yield from self.clock.take(frame, None if self.camera.fps else stamp)
        yield from self.clock.rest()

    def close(self) -> None:
        """Give back the file and the decoder."""
        self.container.close()

    def progressive(self) -> Iterator[Stamped]:
        """The frames that can be decoded, each one picture."""
        for decoded in self.decode():
            yield from self.fields.take(decoded)
        yield from self.fields.rest()

    def decode(self) -> Iterator[Stamped]:
        """The frames that can be decoded; packets that cannot are counted and skipped."""
        for packet in self.read():
            try:
                decoded = self.stream.decode(packet)
            except UNREADABLE:
                self.repairs.skipped += 1
                continue
            for frame in decoded:
                self.repairs.damaged += frame.is_corrupt
                self.end = self.end.after(frame)
                yield Stamped(frame, frame.dts if self.by_dts else frame.pts)

    def read(self) -> Iterator[Packet[VideoStream] | None]:
        """The stream's packets; the last one, empty, makes the decoder give out what it still holds."""
        try:
            for packet in self.container.demux(self.stream):
                if not self.end.frames and not self.by_dts:
                    self.beginning.note(packet)
                yield packet
        except UNREADABLE as error:
            self.trouble = f"the rest cannot be read: {getattr(error, 'strerror', None) or error}"
            yield None

    def convert(self, decoded: VideoFrame) -> Image:
        """(H, W, 3) RGB, upright, with square pixels, in the size of the first frame."""
        try:
            image = self.shaper.picture(decoded)
        except ConversionError as error:
            raise SourceError(f"{self.path}: {error}") from error
        if self.size and (image.shape[1], image.shape[0]) != self.size:
            image = letterbox(image, *self.size)
        return image

    def find_shortfall(self) -> str | None:
        """One line if the end of the recording is missing: a read error, a declared length, or cut bytes."""
        period_s = 1 / self.rate
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


class Beginning:
    """Time stamps of the packets before the first frame: some of them cannot be shown without others."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def note(self, packet: Packet[VideoStream]) -> None:
        """Remember a packet that is meant to be shown."""
        if packet.size and packet.pts is not None and not packet.is_discard:
            self.stamps.append(packet.pts)

    def before(self, stamp: int | None, time_base: Fraction) -> Fraction:
        """Seconds from the first packet to a frame; 0 where no recording begins like that."""
        lead = (stamp - min(self.stamps)) * time_base if stamp is not None and self.stamps else Fraction(0)
        return lead if 0 < lead <= LEAD_S else Fraction(0)

    def packets_before(self, stamp: int | None) -> int:
        """How many packets were to be shown before a frame."""
        return sum(one < (stamp or 0) for one in self.stamps)


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
