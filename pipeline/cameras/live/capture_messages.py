"""What a capture process and its camera worker say to each other, over a pair of sockets."""

from __future__ import annotations

import select
import socket

import msgspec

MESSAGE_BYTES = 60_000
"""Longest message; the sockets keep messages apart."""


class Connect(msgspec.Struct, frozen=True, tag=True):
    """worker -> capture: connect to the camera."""

    index: int
    """Number of the next frame."""
    after_ns: int
    """Frames are later than this."""
    rate_hz: float | None
    """Frames a second that are wanted; None: all."""
    limit_hz: float | None
    """Of these so many are passed on; None: all."""
    width: int = 0
    """Size that pictures are fitted into, px; 0: as they come."""
    height: int = 0


class Rate(msgspec.Struct, frozen=True, tag=True):
    """worker -> capture: of the wanted frames pass on so many a second from now on; None: all."""

    limit_hz: float | None


class Leave(msgspec.Struct, frozen=True, tag=True):
    """worker -> capture: give this connection up."""

    reason: str


class Taken(msgspec.Struct, frozen=True, tag=True):
    """worker -> capture: the slot may be written again."""

    slot: int


class Opened(msgspec.Struct, frozen=True, tag=True):
    """capture -> worker: connected; comes with the descriptor of the new ring."""

    width: int
    height: int
    fps: float
    codec: str


class Shown(msgspec.Struct, frozen=True, tag=True):
    """capture -> worker: a frame is in a slot."""

    slot: int
    index: int
    time_ns: int
    stream_ns: int
    """Time by the time stamps, from any origin: as exact as in a recording."""
    arrival_ns: int
    passed: tuple[tuple[int, int], ...]
    """(index, time_ns) of the frames since the last one shown, which are not."""


class Pulse(msgspec.Struct, frozen=True, tag=True):
    """capture -> worker, twice a second: what came since the last one, and how the stream is."""

    frames: int
    index: int
    time_ns: int
    dropped: dict[str, int]
    """Frames due but not shown, by 'stage:reason'."""
    still_s: float
    """How long the picture has not changed."""
    speed: float
    """Stream time that passes in a second, by its time stamps."""
    jumps: int
    """Time stamps that stood still or jumped, since connecting."""
    clock_offset_s: float | None
    clock_uncertainty_s: float | None


class Lost(msgspec.Struct, frozen=True, tag=True):
    """capture -> worker: no connection, and why; free of credentials."""

    reason: str
    final: bool = False
    """Another try would end the same: this is no live camera."""


class Finished(msgspec.Struct, frozen=True, tag=True):
    """capture -> worker: the file that was replayed is at its end."""


Word = Connect | Rate | Leave | Taken | Opened | Shown | Pulse | Lost | Finished


class LinkClosed(ConnectionError):
    """The process at the other end has gone."""


class CaptureLink:
    """One end of the pair."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.decoder = msgspec.msgpack.Decoder(Word)

    def fileno(self) -> int:
        """For `select`."""
        return self.end.fileno()

    def send(self, word: Word, *descriptors: int) -> None:
        """Send a message, and open files with it.

        Raises:
            LinkClosed: nobody is there any more.
        """
        try:
            socket.send_fds(self.end, [msgspec.msgpack.encode(word)], descriptors)
        except OSError as error:
            raise LinkClosed("the other process is gone") from error

    def receive(self, timeout_s: float | None) -> tuple[Word, list[int]] | None:
        """The next message with the files that came with it; None when none came in time.

        Raises:
            LinkClosed: nobody is there any more.
        """
        try:
            ready, _, _ = select.select([self.end], [], [], timeout_s)
            if not ready:
                return None
            data, descriptors, _, _ = socket.recv_fds(self.end, MESSAGE_BYTES, 1)
        except (OSError, ValueError) as error:
            raise LinkClosed("the other process is gone") from error
        if not data:
            raise LinkClosed("the other process is gone")
        return self.decoder.decode(data), list(descriptors)

    def close(self) -> None:
        """Close this end."""
        self.end.close()


def link_pair() -> tuple[CaptureLink, socket.socket]:
    """Our end, and the socket for the other process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return CaptureLink(ours), theirs
