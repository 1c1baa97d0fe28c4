"""Nobody is in two places at once: which stays cannot be one person's."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pipeline.config import MatcherConfig
from pipeline.linking.site import Place

Times = NDArray[np.int64]
"""UTC epoch ns."""


def exclusive(a: Place, b: Place) -> bool:
    """Whether nobody is seen at both places at once; unknown clocks cannot tell, overlapping views may."""
    if not (a.clock_known and b.clock_known):
        return False
    return b.camera not in a.overlaps and a.camera not in b.overlaps


@overload
def share_time(start: int, end: int, other_start: int, other_end: int, more_than_ns: int = ...) -> bool: ...
@overload
def share_time(
    start: Times, end: Times, other_start: Times, other_end: Times, more_than_ns: int = ...
) -> NDArray[np.bool_]: ...
def share_time(start: Any, end: Any, other_start: Any, other_end: Any, more_than_ns: int = -1) -> Any:
    """Whether two stays have more in common than some time; without one, a moment counts, ends included.

    `more_than_ns` is what the clocks of two cameras may differ by. Of arrays the answer is for each element.
    """
    return (start + more_than_ns < other_end) & (other_start + more_than_ns < end)


def clock_slack_ns(settings: MatcherConfig) -> int:
    """What the clocks of two cameras may differ by."""
    return round(settings.clock_tolerance_s * 1e9)
