"""What the ReID worker leaves out so that live cameras are answered soon: crops, never a tracklet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set

import msgspec

from pipeline.messages import Message, RecordingEnded, TrackletClosed
from pipeline.running.workers.outbox import lightened

BEST_ONLY_S, NO_CROPS_S = 2.0, 4.0
"""Once a run is being stopped for so long, of each tracklet that is left only the best crop is embedded, and
then none: place and time are stored in any case."""
LEFT_OUT = "embed:crops"


class Haste:
    """Leaves crops of live cameras out where they have waited too long, or the run is being stopped.

    A tracklet has waited since its camera worker stamped it: the time in every queue on the way counts. Of a
    recording nothing is left out: what is finished is never read again, so it must be whole; and its reader
    waits for us, so that little is left.

    Args:
        stopped: whether the run is being stopped.
        now_s: the clock that the stamps are from: see `channels.clock_of`.
        live: recordings that are watched live.
    """

    def __init__(self, stopped: Callable[[], bool], now_s: Callable[[], float], live: Set[int]) -> None:
        self.stopped, self.now_s, self.live = stopped, now_s, live
        self.since_s: float | None = None
        self.left_out: Counter[int] = Counter()
        """Crops by recording."""

    def lightened(self, message: Message) -> Message:
        """The message with the crops that there is time for; a camera's last one tells what was left out."""
        if isinstance(message, TrackletClosed) and message.key.recording in self.live:
            lighter = self.closing(lightened(message, self.waited_s(message)))
            self.left_out[message.key.recording] += len(message.crops) - len(lighter.crops)
            return lighter
        if isinstance(message, RecordingEnded) and self.left_out[message.recording]:
            words = f"{LEFT_OUT} {self.left_out[message.recording]}"
            return msgspec.structs.replace(message, message="; ".join(filter(None, (message.message, words))))
        return message

    def waited_s(self, tracklet: TrackletClosed) -> float:
        """Time since a tracklet was handed over by its camera."""
        return 0.0 if tracklet.closed_s is None else self.now_s() - tracklet.closed_s

    def closing(self, tracklet: TrackletClosed) -> TrackletClosed:
        """The tracklet as it goes while a run is being stopped."""
        if not self.stopped():
            return tracklet
        self.since_s = self.now_s() if self.since_s is None else self.since_s
        return lightened(tracklet, self.now_s() - self.since_s, best_only_s=BEST_ONLY_S, none_s=NO_CROPS_S)
