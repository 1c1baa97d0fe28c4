"""Interlaced video, where each frame holds two moments in alternate lines, to one picture a frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from av.error import BlockingIOError as NothingYet
from av.error import EOFError as NothingMore
from av.filter import Graph
from av.video.frame import VideoFrame

FILTER = ("bwdif", "mode=send_frame:deint=interlaced")
"""One picture for each frame, the first field's moment; frames that are progressive pass as they are."""


class Stamped(NamedTuple):
    """A decoded frame and its time stamp; None where it has none."""

    frame: VideoFrame
    stamp: int | None


class Deinterlacer:
    """Passes frames on, one for one and in order; from the first interlaced one on through a filter.

    Attributes:
        interlaced: how many frames were.
    """

    def __init__(self) -> None:
        self.graph: Graph | None = None
        self.shape: tuple[int, int, str] = (0, 0, "")
        self.stamps: deque[int | None] = deque()  # of the frames inside the filter
        self.count = self.interlaced = 0

    def take(self, decoded: Stamped) -> Iterator[Stamped]:
        """The frames that are ready: this one, or while the filter looks ahead the one before it."""
        frame = decoded.frame
        self.interlaced += frame.interlaced_frame
        if self.graph is None and not frame.interlaced_frame:
            yield decoded
            return
        shape = (frame.width, frame.height, frame.format.name)
        if self.graph is None or shape != self.shape:
            yield from self.rest()
            self.graph, self.shape = field_filter(frame), shape
        self.stamps.append(decoded.stamp)
        self.count += 1
        frame.pts, frame.time_base = self.count, Fraction(1, 1000)
        self.graph.push(frame)
        yield from self.ready()

    def rest(self) -> Iterator[Stamped]:
        """What is inside the filter still."""
        if self.graph is not None:
            self.graph.push(None)
            yield from self.ready()
            self.graph = None

    def ready(self) -> Iterator[Stamped]:
        """The frames that the filter gives out now."""
        assert self.graph is not None
        while self.stamps:
            try:
                frame = self.graph.pull()
            except (NothingYet, NothingMore):
                return
            assert isinstance(frame, VideoFrame)
            yield Stamped(frame, self.stamps.popleft())


def field_filter(frame: VideoFrame) -> Graph:
    """A filter for frames of this one's size and format."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    fields, sink = graph.add(*FILTER), graph.add("buffersink")
    source.link_to(fields)
    fields.link_to(sink)
    graph.configure()
    return graph
