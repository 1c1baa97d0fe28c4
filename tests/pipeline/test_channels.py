"""A channel keeps order, waits or drops when full as its table says, and never hangs on a dead receiver."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from pipeline.channels import (
    PROGRESS,
    TRACKLETS,
    Channel,
    Receiver,
    ReceiverGone,
    Sender,
    address,
    socket_folder,
)
from pipeline.messages import MessageError, Watermark


@pytest.fixture
def context() -> Iterator[zmq.Context]:
    with zmq.Context() as context:
        yield context


def test_messages_arrive_in_their_order(context: zmq.Context, tmp_path: Path) -> None:
    receiver, sender = (
        Receiver(context, tmp_path, TRACKLETS),
        Sender(context, tmp_path, TRACKLETS, lambda: True),
    )
    for i in range(10):
        sender.send(Watermark(1, i))
    got = [receiver.receive(2000) for _ in range(10)]
    sender.close()
    receiver.close()
    assert got == [Watermark(1, i) for i in range(10)]


def test_a_full_channel_that_blocks_gives_up_when_its_receiver_is_gone(
    context: zmq.Context, tmp_path: Path
) -> None:
    sender = Sender(context, tmp_path, Channel("nobody", 1, "block"), lambda: False)
    sender.socket.setsockopt(zmq.LINGER, 0)
    with pytest.raises(ReceiverGone, match="nobody"):
        for i in range(10):
            sender.send(Watermark(1, i))
    sender.close()


def test_a_full_channel_that_drops_counts_what_it_dropped(context: zmq.Context, tmp_path: Path) -> None:
    sender = Sender(context, tmp_path, Channel(PROGRESS.name, 1, "drop"), lambda: True)
    for i in range(10):
        sender.send(Watermark(1, i))
    sender.close()
    assert sender.dropped > 0


def test_foreign_bytes_on_a_channel_are_an_error_not_a_crash(context: zmq.Context, tmp_path: Path) -> None:
    receiver = Receiver(context, tmp_path, TRACKLETS)
    stranger = context.socket(zmq.PUSH)
    stranger.connect(address(tmp_path, TRACKLETS))
    stranger.send(b"hello")
    with pytest.raises(MessageError):
        receiver.receive(2000)
    stranger.close(linger=0)
    receiver.close()


def test_only_this_user_may_enter_the_socket_folder() -> None:
    folder = socket_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()
