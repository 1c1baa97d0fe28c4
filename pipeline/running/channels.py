"""The table of channels between processes: address, high-water mark, what happens when full."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import zmq

from pipeline.messages import MAX_MESSAGE_BYTES, Goodbye, Message, MessageError, decode, encode


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

POLL_MS = 200
LINGER_MS = 10_000
"""How long a worker that ends waits until its last messages are on their way."""
LEAVE_S = 60.0
"""And until they have been taken: what a receiver is too busy to read is lost with the connection."""
ANSWER_BITS = 62
LAST_WORD_MS = 1000
"""The same for a channel that drops: its last report may say why the worker ends."""


class ReceiverGone(RuntimeError):
    """The process at the other end of a blocking channel has gone, and the run with it."""


Context = zmq.Context[zmq.Socket[bytes]]


def open_context() -> Context:
    """The one zmq context of a process; made in its `main`, never inherited."""
    return zmq.Context()


def socket_folder() -> Path:
    """A new directory that only this user may enter, for the sockets of one run."""
    folder = Path(tempfile.mkdtemp(prefix="fpr-"))
    folder.chmod(0o700)
    return folder


class Sender:
    """The sending end of a channel."""

    def __init__(self, context: Context, folder: Path, channel: Channel, alive: Callable[[], bool]) -> None:
        """Connect to `channel` below `folder`; `alive` says whether waiting still makes sense."""
        self.context, self.folder = context, folder
        self.channel = channel
        self.alive = alive
        self.dropped = 0
        self.socket = context.socket(zmq.PUSH)
        self.socket.set_hwm(channel.high_water)
        self.socket.setsockopt(zmq.LINGER, LINGER_MS if channel.when_full == "block" else LAST_WORD_MS)
        self.socket.connect(address(folder, channel))

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
            answer.bind(answer_address(self.folder, number))
            self.send(Goodbye(number))
            while self.alive() and time.monotonic() < until_s and not answer.poll(POLL_MS):
                pass


class Receiver:
    """The receiving end of a channel."""

    def __init__(self, context: Context, folder: Path, channel: Channel) -> None:
        """Bind `channel` below `folder`."""
        self.context, self.folder, self.channel = context, folder, channel
        self.socket = context.socket(zmq.PULL)
        self.socket.set_hwm(channel.high_water)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self.socket.bind(address(folder, channel))

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
            socket.connect(answer_address(self.folder, goodbye.answer))
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


def address(folder: Path, channel: Channel) -> str:
    """Where a channel listens."""
    return f"ipc://{folder / channel.name}"


def answer_address(folder: Path, number: int) -> str:
    """Where a sender that ends waits for the answer."""
    return f"ipc://{folder / f'bye-{number:x}'}"


def parent_alive(parent: int) -> Callable[[], bool]:
    """A check whether the process that started us, `parent`, is still there."""
    return lambda: os.getppid() == parent
