"""How many frames a second each camera may have detected when the machine cannot detect all."""

from __future__ import annotations

from collections.abc import Sequence

BUSY = 0.85
"""Part of the time that detection and tracking may take; the rest absorbs crowds."""
MEMORY = 0.9
"""Weight of what was measured before against one more round, about ten rounds."""
LEAST_HZ = 0.5
"""A camera is looked at this often however short the machine is."""


def shares(wanted_hz: Sequence[float], capacity_hz: float) -> list[float]:
    """Detections a second for each camera: who wants little gets it, the others share the rest evenly.

    Args:
        wanted_hz: what each camera would like.
        capacity_hz: what there is for all together.
    """
    left, given = capacity_hz, dict[int, float]()
    for place, (wanted, camera) in enumerate(sorted((w, i) for i, w in enumerate(wanted_hz))):
        given[camera] = min(wanted, left / (len(wanted_hz) - place))
        left -= given[camera]
    return [max(given[camera], min(LEAST_HZ, wanted)) for camera, wanted in enumerate(wanted_hz)]


class Load:
    """What one detection costs here and now, and the rates that follow from it.

    Args:
        wanted_hz: what each camera would like.
    """

    def __init__(self, wanted_hz: Sequence[float]) -> None:
        self.wanted_hz = list(wanted_hz)
        self.frame_s: float | None = None
        self.warm = False

    def spent(self, seconds: float, frames: int) -> None:
        """Learn from one round what detecting and tracking so many frames cost; the first one is slow."""
        if frames and self.warm:
            one = seconds / frames
            self.frame_s = one if self.frame_s is None else MEMORY * self.frame_s + (1 - MEMORY) * one
        self.warm = True

    def rates_hz(self) -> list[float]:
        """Detections a second for each camera."""
        return shares(self.wanted_hz, BUSY / self.frame_s) if self.frame_s else self.wanted_hz
