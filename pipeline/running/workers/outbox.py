"""Messages of live cameras on their way to the next stage; nobody waits for it, crops are dropped first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from pipeline.messages import Message, TrackletClosed

LATE_S = 1.0
"""A tracklet that waited so long goes with its best crop only: most of the next stage's work is in crops."""
HOPELESS_S = 5.0
"""After this it goes without any, so that place and time are still known soon."""


class Outbox:
    """Sends without ever waiting.

    Args:
        offer: sends one message if that is possible at once, and says whether it was.
        dropped: told of each tracklet whose crops had to go, and how many.
        now_s: the clock of the run, which stamps what is sent: see `channels.clock_of`.
    """

    def __init__(
        self,
        offer: Callable[[Message], bool],
        dropped: Callable[[TrackletClosed, int], None],
        *,
        now_s: Callable[[], float],
    ) -> None:
        self.offer, self.dropped, self.now_s = offer, dropped, now_s
        self.waiting: deque[tuple[float, Message]] = deque()

    def send(self, message: Message) -> None:
        """Send in order, now or later; a tracklet says since when it waits, for the stages to come."""
        now_s = self.now_s()
        if isinstance(message, TrackletClosed):
            message = msgspec.structs.replace(message, closed_s=now_s)
        self.waiting.append((now_s, message))
        self.flush()

    def flush(self) -> None:
        """Send what can be sent."""
        while self.waiting and self.pass_on(self.offer):
            self.waiting.popleft()

    def empty(self, send: Callable[[Message], None]) -> None:
        """Send all that waits, however long `send` takes."""

        def sent(message: Message) -> bool:
            send(message)
            return True

        while self.waiting:
            self.pass_on(sent)
            self.waiting.popleft()

    def pass_on(self, offer: Callable[[Message], bool]) -> bool:
        """Whether the first message that waits could be sent, as light as its wait has made it."""
        since_s, message = self.waiting[0]
        if not isinstance(message, TrackletClosed):
            return offer(message)
        lighter = lightened(message, self.now_s() - since_s)
        passed = offer(lighter)
        if passed:
            self.dropped(message, len(message.crops) - len(lighter.crops))
        return passed


def lightened(
    tracklet: TrackletClosed, waited_s: float, *, best_only_s: float = LATE_S, none_s: float = HOPELESS_S
) -> TrackletClosed:
    """The tracklet as it goes after such a wait: with its best crop only, and then with none."""
    if waited_s < best_only_s or not tracklet.crops:
        return tracklet
    best = max(tracklet.crops, key=lambda crop: crop.quality)
    return msgspec.structs.replace(tracklet, crops=(best,) if waited_s < none_s else ())
