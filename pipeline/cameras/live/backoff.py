"""How long to wait before a camera is tried again."""

from __future__ import annotations

from collections.abc import Callable

HEALTHY_S = 60.0
"""After so long without a loss, the next wait is a first one again."""
LONGEST_DOUBLING = 30
"""Beyond it the cap has long been reached; keeps the power of two small."""


class Backoff:
    """Exponential backoff with full jitter: a hundred cameras behind one switch do not come back at once.

    Args:
        first_s: longest first wait.
        cap_s: the longest wait never exceeds it.
        chance: uniform in 0..1.
    """

    def __init__(self, first_s: float, cap_s: float, *, chance: Callable[[], float]) -> None:
        self.first_s, self.cap_s, self.chance = first_s, cap_s, chance
        self.tries = 0

    def wait_s(self, healthy_s: float) -> float:
        """The next wait, after a connection that was healthy for so long (0: it failed at once)."""
        if healthy_s >= HEALTHY_S:
            self.tries = 0
        longest_s: float = min(self.cap_s, self.first_s * 2 ** min(self.tries, LONGEST_DOUBLING))
        self.tries += 1
        return longest_s * self.chance()
