"""A live stream, a video device or a replayed file, opened with time limits: packets in, RGB pictures out."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self, TypeAlias

import av
import numpy as np
from av.codec import Codec
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.cameras.containers import FORMATS, OPENING
from pipeline.cameras.frames import Image
from pipeline.cameras.live.connect_errors import WITH_TLS, in_words, why_unreachable
from pipeline.cameras.live.finite import is_picture, what_ends
from pipeline.cameras.shapes import ConversionError, Shaper
from pipeline.config import DEVICES, SCHEMES, CameraConfig, LiveConfig

__all__ = ["Connection", "EndsError", "LostError", "StreamPacket", "VideoFrame", "luma"]

StreamPacket: TypeAlias = "Packet[VideoStream]"

ANALYZE_US = 1_000_000
"""How much of a stream may be looked at to know its size; FFmpeg's own 5 s would be waited for."""
RATES_HZ = (1.0, 240.0)
"""Rates a stream may claim; others are taken for unknown."""
WHITELIST = {
    "rtsp": "rtsp,rtp,rtcp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,rtcp,srtp,udp,tcp,tls,crypto",
    "http": "http,tcp",
    "https": "https,http,tcp,tls,crypto",
    "": "file",
}
"""What FFmpeg may open, whatever a stream refers to."""
HTTP_FORMATS = f"{FORMATS},hls,image2,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe"
"""What an http camera may send: lists of files, SDP and the like would make FFmpeg open other things."""


NVIDIA = Path("/dev/nvidiactl")
AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Where Debian, Red Hat and Alpine, macOS and BSD keep the certificates they trust."""


class LostError(Exception):
    """There is no connection, or no longer; says why, and names no URL."""


class EndsError(LostError):
    """What is at the address ends by itself: it is no live camera."""


class Connection:
    """An open camera. Iterating gives its packets as they arrive, until it is lost.

    Args:
        camera: how to open it.
        url: its source with credentials.
        live: time limits.

    Raises:
        LostError: it cannot be opened, or holds no video.
        EndsError: it is a film or a picture.
    """

    def __init__(self, camera: CameraConfig, url: str, live: LiveConfig) -> None:
        self.camera, self.url, self.live = camera, url, live
        self.is_file = "://" not in url and not url.startswith(DEVICES)
        self.connect()
        self.shaper = Shaper(camera, self.stream)

    def connect(self) -> None:
        """Open the stream; raises as the constructor does."""
        try:
            self.container = open_stream(self.camera, self.url, self.live)
        except (FFmpegError, OSError, ValueError) as error:
            trust = trusted(self.camera) if self.url.startswith(WITH_TLS) else None
            why = why_unreachable(self.url, error, timeout_s=self.live.connect_s, trust=trust)
            raise LostError(why) from error
        ends = what_ends(self.container) if self.url.startswith("http") else None
        if self.camera.poll_s and not is_picture(self.container):
            ends = "this address gives no single picture: leave out `poll_s`"
        if ends and not (self.camera.poll_s and is_picture(self.container)):
            self.container.close()
            raise EndsError(ends)
        self.stream = first_video(self.container)
        self.stream.codec_context.thread_count = 1

    @property
    def codec(self) -> str:
        """Such as h264."""
        return str(self.stream.codec_context.name)

    @property
    def fps(self) -> float:
        """As the stream claims; 0 where it does not."""
        if self.camera.poll_s:
            return 1 / self.camera.poll_s
        for rate in (self.stream.average_rate, self.stream.guessed_rate):
            if rate and RATES_HZ[0] <= rate <= RATES_HZ[1]:
                return float(rate)
        return 0.0

    def __iter__(self) -> Iterator[StreamPacket]:
        """Packets as they arrive; a file's at the pace it was recorded, and then no more.

        Raises:
            LostError: a live stream failed or ended: its end is a loss.
        """
        if self.camera.poll_s:
            yield from self.polled(self.camera.poll_s)
        pace = Pace(self.stream.time_base or Fraction(1)) if self.is_file else None
        try:
            for packet in self.container.demux(self.stream):
                if packet.size == 0:
                    break
                if pace:
                    pace.wait(packet)
                yield packet
        except (FFmpegError, OSError) as error:
            raise LostError(in_words(error)) from error
        if not pace:
            raise LostError("the stream ended")

    def polled(self, period_s: float) -> Iterator[StreamPacket]:
        """A packet with each picture, stamped when it was asked for; the first is there already.

        Raises:
            LostError: it can no longer be fetched.
        """
        asked_s, due_s = time.time(), time.monotonic()
        while True:
            try:
                packet = next((one for one in self.container.demux(self.stream) if one.size), None)
            except (FFmpegError, OSError) as error:
                raise LostError(in_words(error)) from error
            if packet is None:
                raise LostError("this address gives no picture any more")
            packet.pts = packet.dts = round(asked_s / (self.stream.time_base or 1))
            yield packet
            due_s = max(due_s + period_s, time.monotonic() - period_s)
            time.sleep(max(0.0, due_s - time.monotonic()))
            asked_s = time.time()
            self.container.close()
            self.connect()

    def decode(self, packet: StreamPacket | None) -> list[VideoFrame] | None:
        """The frames that a packet completes (None: those still inside); None where it cannot be decoded."""
        try:
            return list(self.stream.decode(packet))
        except (FFmpegError, ValueError):
            return None

    def picture(self, frame: VideoFrame) -> Image:
        """(H, W, 3) RGB, upright, with square pixels.

        Raises:
            LostError: its colours cannot be converted.
        """
        try:
            return self.shaper.picture(frame)
        except ConversionError as error:
            raise LostError(str(error)) from error

    def close(self) -> None:
        """Give back the connection and the decoder."""
        self.container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Pace:
    """Holds a file's packets back until it is their time."""

    def __init__(self, time_base: Fraction) -> None:
        self.time_base = time_base
        self.start: tuple[float, int] | None = None

    def wait(self, packet: StreamPacket) -> None:
        """Sleep until the packet is due."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return
        self.start = self.start or (time.monotonic(), stamp)
        due_s = self.start[0] + float((stamp - self.start[1]) * self.time_base)
        time.sleep(max(0.0, due_s - time.monotonic()))


def open_stream(camera: CameraConfig, url: str, live: LiveConfig) -> InputContainer:
    """The camera's stream as a container."""
    limits = (live.connect_s, live.stall_s)
    scheme = url.partition("://")[0] if "://" in url else ""
    accelerator = hardware(camera)
    if url.startswith(DEVICES):
        return av.open(url, "r", format="v4l2", timeout=limits, hwaccel=accelerator)
    if not scheme:
        return av.open(f"file:{url}", "r", options=OPENING, hwaccel=accelerator)
    if scheme not in WHITELIST:
        raise LostError(f"{scheme}:// is not one of {', '.join(SCHEMES)}")
    options = {"protocol_whitelist": WHITELIST[scheme], "timeout": str(round(live.stall_s * 1e6))}
    options |= {"analyzeduration": str(ANALYZE_US), "fpsprobesize": "0"}
    if url.startswith(WITH_TLS) and camera.tls_verify:
        options |= {"tls_verify": "1", "ca_file": authorities(camera)}
    if scheme in ("rtsp", "rtsps"):
        options |= {"rtsp_transport": camera.transport, "allowed_media_types": "video"}
    else:
        options |= {"use_wallclock_as_timestamps": "1", "format_whitelist": HTTP_FORMATS}
    return av.open(url, "r", options=options, timeout=limits, hwaccel=accelerator, metadata_errors="replace")


def authorities(camera: CameraConfig) -> str:
    """File of the certificates that a camera's must be signed by: FFmpeg does not find the system's itself.

    Raises:
        LostError: there is none.
    """
    known = (camera.tls_ca,) if camera.tls_ca else (ssl.get_default_verify_paths().cafile, *AUTHORITIES)
    for path in known:
        if path and Path(path).is_file():
            return path
    raise LostError(f"no file of trusted certificates ({camera.tls_ca or 'none of the system'}): see tls_ca")


def trusted(camera: CameraConfig) -> ssl.SSLContext | None:
    """What the certificate of a camera with TLS must stand up to; None: nothing.

    Raises:
        LostError: the file of trusted certificates is none.
    """
    try:
        return ssl.create_default_context(cafile=authorities(camera)) if camera.tls_verify else None
    except OSError as error:
        raise LostError(f"{camera.tls_ca}: not a file of certificates (PEM)") from error


def hardware(camera: CameraConfig) -> HWAccel | None:
    """The accelerator that decodes, if one is asked for. Only tried without one.

    Raises:
        LostError: this machine does not have it, and it was asked for by name.
    """
    if camera.decode == "cpu" or (camera.decode == "auto" and not NVIDIA.exists()):
        return None
    wanted = "cuda" if camera.decode == "auto" else camera.decode
    try:
        HWAccel(device_type=wanted).create(Codec("h264", "r"))
    except (FFmpegError, NotImplementedError) as error:
        if camera.decode == "auto":
            return None
        raise LostError(f"decode: {wanted} does not work here ({error}): auto and cpu do") from error
    return HWAccel(device_type=wanted, allow_software_fallback=True)


def first_video(container: InputContainer) -> VideoStream:
    """The stream to decode.

    Raises:
        LostError: there is none, or no decoder for it.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        container.close()
        raise LostError("it sends no video that can be decoded")
    return stream


def luma(frame: VideoFrame) -> NDArray[np.uint8]:
    """All bytes of a frame's first plane, flat: its brightness, for the formats that cameras send."""
    return np.frombuffer(memoryview(frame.planes[0]), np.uint8)
