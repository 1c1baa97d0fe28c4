"""A channel keeps order, waits or drops when full as its table says, and never hangs on a dead receiver."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from pipeline.messages import MessageError, Notice, Watermark
from pipeline.running.channels import (
    CHANNELS,
    PROGRESS,
    TRACKLETS,
    Channel,
    Link,
    Receiver,
    ReceiverGone,
    Sender,
    clock_of,
    open_context,
)


def link(folder: Path) -> Link:
    return Link(
        {name: f"ipc://{folder / name}" for name in CHANNELS},
        f"ipc://{folder}/bye-",
        f"ipc://{folder}/requests",
    )


@pytest.fixture
def context() -> Iterator[zmq.Context]:
    with zmq.Context() as context:
        yield context


def test_messages_arrive_in_their_order(context: zmq.Context, tmp_path: Path) -> None:
    receiver, sender = (
        Receiver(context, link(tmp_path), TRACKLETS),
        Sender(context, link(tmp_path), TRACKLETS, lambda: False),
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
    sender = Sender(context, link(tmp_path), Channel(TRACKLETS.name, 1, "block"), lambda: False)
    sender.socket.setsockopt(zmq.LINGER, 0)
    with pytest.raises(ReceiverGone, match="tracklets"):
        for i in range(10):
            sender.send(Watermark(1, i))
    sender.close()


def test_a_full_channel_that_drops_counts_what_it_dropped(context: zmq.Context, tmp_path: Path) -> None:
    sender = Sender(context, link(tmp_path), Channel(PROGRESS.name, 1, "drop"), lambda: True)
    for i in range(10):
        sender.send(Watermark(1, i))
    sender.close()
    assert sender.dropped > 0


def test_foreign_bytes_on_a_channel_are_an_error_not_a_crash(context: zmq.Context, tmp_path: Path) -> None:
    receiver = Receiver(context, link(tmp_path), TRACKLETS)
    stranger = context.socket(zmq.PUSH)
    stranger.connect(link(tmp_path).addresses["tracklets"])
    stranger.send(b"hello")
    with pytest.raises(MessageError):
        receiver.receive(2000)
    stranger.close(linger=0)
    receiver.close()


@pytest.mark.parametrize("length", [0, 3_000])
def test_a_sender_that_ends_loses_nothing_however_busy_its_receiver_is(
    context: zmq.Context, tmp_path: Path, length: int
) -> None:
    receiver = Receiver(context, link(tmp_path), TRACKLETS)
    sending = multiprocessing.get_context("spawn").Process(target=send_and_end, args=(tmp_path, length))
    sending.start()
    sending.join(4)  # it is done, or waits for us
    got = [receiver.receive(2000) for _ in range(COUNT)]
    assert [notice.text[:4].strip() for notice in got if notice] == [str(i) for i in range(COUNT)]
    assert receiver.receive(200) is None
    sending.join(20)
    assert sending.exitcode == 0
    receiver.close()


def test_a_receiver_that_ends_lets_its_senders_go(context: zmq.Context, tmp_path: Path) -> None:
    receiver = Receiver(context, link(tmp_path), TRACKLETS)
    sending = multiprocessing.get_context("spawn").Process(target=send_and_end, args=(tmp_path, 0))
    sending.start()
    assert [receiver.receive(10_000) for _ in range(COUNT)].count(None) == 0
    receiver.close()
    sending.join(20)
    assert sending.exitcode == 0


COUNT = 30


def send_and_end(folder: Path, length: int) -> None:
    with open_context() as context:
        sender = Sender(context, link(folder), TRACKLETS, lambda: True)
        for i in range(COUNT):
            sender.send(Notice("info", f"{i:<4}" + "x" * length))
        sender.close()


def test_workers_on_one_machine_read_its_clock_and_those_on_several_the_time_of_day() -> None:
    link = Link({}, "", "")
    assert clock_of(msgspec.structs.replace(link, clock="machine")) is time.monotonic
    assert clock_of(link) is time.time
