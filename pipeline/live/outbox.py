"""Messages of live cameras on their way to the next stage; nobody waits for it, crops are dropped first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from pipeline.messages import Message, TrackletClosed

LIMIT = 200
"""Messages that wait; tracklets above it go without their crops, so that place and time are still known."""


class Outbox:
    """Sends without ever waiting.

    Args:
        offer: sends one message if that is possible at once, and says whether it was.
        dropped: told of each tracklet whose crops had to go.
    """

    def __init__(self, offer: Callable[[Message], bool], dropped: Callable[[TrackletClosed], None]) -> None:
        self.offer, self.dropped = offer, dropped
        self.waiting: deque[Message] = deque()

    def send(self, message: Message) -> None:
        """Send in order, now or later."""
        if isinstance(message, TrackletClosed) and len(self.waiting) >= LIMIT:
            self.dropped(message)
            message = msgspec.structs.replace(message, crops=())
        self.waiting.append(message)
        self.flush()

    def flush(self) -> None:
        """Send what can be sent."""
        while self.waiting and self.offer(self.waiting[0]):
            self.waiting.popleft()
