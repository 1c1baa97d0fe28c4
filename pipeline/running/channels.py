"""The table of channels between processes: address, high-water mark, what happens when full."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec
import zmq

from pipeline.messages import MAX_MESSAGE_BYTES, Goodbye, Message, MessageError, decode, encode
from pipeline.parents import Parent


@dataclass(frozen=True, slots=True)
class Channel:
    """One queue from many senders to one receiver."""

    name: str
    high_water: int
    """Messages that wait on each side before it is full."""
    when_full: Literal["block", "drop"]


TRACKLETS = Channel("tracklets", 16, "block")  # camera workers -> ReID worker
EMBEDDED = Channel("embedded", 16, "block")  # ReID worker -> match worker
PROGRESS = Channel("progress", 1000, "drop")  # every worker -> supervisor

CHANNELS = {channel.name: channel for channel in (TRACKLETS, EMBEDDED, PROGRESS)}

POLL_MS = 200
LINGER_MS = 10_000
"""How long a worker that ends waits until its last messages are on their way."""
LEAVE_S = 60.0
"""And until they have been taken: what a receiver is too busy to read is lost with the connection."""
ANSWER_BITS = 62
LAST_WORD_MS = 1000
"""The same for a channel that drops: its last report may say why the worker ends."""


class Link(msgspec.Struct, frozen=True):
    """What a worker is told of the run it belongs to."""

    addresses: dict[str, str]
    """Where each channel listens, by its name."""
    answers: str
    """What the address begins with at which a sender that ends waits for its answer; a number follows."""
    requests: str
    """Where the writer listens to what others want changed."""
    clock: Literal["machine", "utc"] = "utc"
    """By which clock messages are stamped: the machine's own, or where there are several, the time of day."""
    parent: Parent | None = None
    """Whom the worker serves and ends with; None where that is not a process of this machine."""


def clock_of(link: Link) -> Callable[[], float]:
    """The clock, s, that all workers of a run read alike; on one machine it is one that nobody sets."""
    return time.monotonic if link.clock == "machine" else time.time


class ReceiverGone(RuntimeError):
    """The process at the other end of a blocking channel has gone, and the run with it."""


Context = zmq.Context[zmq.Socket[bytes]]


def open_context() -> Context:
    """The one zmq context of a process; made in its `main`, never inherited."""
    return zmq.Context()


class Sender:
    """The sending end of a channel."""

    def __init__(self, context: Context, link: Link, channel: Channel, alive: Callable[[], bool]) -> None:
        """Connect to `channel`; `alive` says whether waiting still makes sense."""
        self.context, self.link = context, link
        self.channel = channel
        self.alive = alive
        self.dropped = 0
        self.socket = context.socket(zmq.PUSH)
        self.socket.set_hwm(channel.high_water)
        self.socket.setsockopt(zmq.LINGER, LINGER_MS if channel.when_full == "block" else LAST_WORD_MS)
        self.socket.connect(link.addresses[channel.name])

    def send(self, message: Message) -> None:
        """Send, waiting or dropping as the channel says.

        Raises:
            ReceiverGone: a blocking channel is full and nobody will empty it any more.
        """
        data = encode(message)
        if self.channel.when_full == "drop":
            try:
                self.socket.send(data, zmq.NOBLOCK)
            except zmq.Again:
                self.dropped += 1
            return
        while not self.socket.poll(POLL_MS, zmq.POLLOUT):
            if not self.alive():
                raise ReceiverGone(f"channel {self.channel.name} is full and its receiver is gone")
        self.socket.send(data, copy=False)

    def offer(self, message: Message) -> bool:
        """Send if there is room at once, and say whether there was."""
        try:
            self.socket.send(encode(message), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Hand over what still waits, then close."""
        try:
            if self.channel.when_full == "block" and self.alive():
                self.take_leave()
        except ReceiverGone:
            pass
        finally:
            self.socket.close()

    def take_leave(self) -> None:
        """Wait until everything has been taken.

        ZeroMQ counts as sent what lies in the system's buffer of the connection, and of a connection whose
        sender has gone it reads no more than it has room for at that moment.
        """
        number, until_s = secrets.randbits(ANSWER_BITS), time.monotonic() + LEAVE_S
        with self.context.socket(zmq.PULL) as answer:
            answer.linger = 0
            answer.bind(f"{self.link.answers}{number:x}")
            self.send(Goodbye(number))
            while self.alive() and time.monotonic() < until_s and not answer.poll(POLL_MS):
                pass


class Receiver:
    """The receiving end of a channel."""

    def __init__(self, context: Context, link: Link, channel: Channel) -> None:
        """Listen at the address of `channel`."""
        self.context, self.link, self.channel = context, link, channel
        self.socket = context.socket(zmq.PULL)
        self.socket.set_hwm(channel.high_water)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self.socket.bind(link.addresses[channel.name])

    def receive(self, timeout_ms: int = POLL_MS) -> Message | None:
        """The next message, or None when none came in time.

        Raises:
            MessageError: what came is not one of our messages.
        """
        if not self.socket.poll(timeout_ms, zmq.POLLIN):
            return None
        message = decode(self.socket.recv())
        if isinstance(message, Goodbye):
            self.answer(message)
            return self.receive(timeout_ms)
        return message

    def answer(self, goodbye: Goodbye) -> None:
        """Tell a sender that everything it sent has come."""
        with self.context.socket(zmq.PUSH) as socket:
            socket.linger = LAST_WORD_MS
            socket.connect(f"{self.link.answers}{goodbye.answer:x}")
            socket.send(b"")

    def receive_batch(
        self, most: int, refuse: Callable[[MessageError], None], *, wait_ms: int = POLL_MS
    ) -> list[Message]:
        """Up to `most` messages that are there already, waiting a moment for the first.

        Args:
            most: at most so many.
            refuse: told of each message that is not one of ours.
            wait_ms: for the first.
        """
        messages: list[Message] = []
        while len(messages) < most:
            try:
                message = self.receive(0 if messages else wait_ms)
            except MessageError as error:
                refuse(error)
                continue
            if message is None:
                break
            messages.append(message)
        return messages

    def close(self) -> None:
        """Close; senders that have nothing more to say are told that all has come."""
        until_s = time.monotonic() + LAST_WORD_MS / 1000
        if self.channel.when_full == "block":
            while time.monotonic() < until_s and self.receive_batch(1, lambda error: None):
                pass
        self.socket.close(linger=0)
