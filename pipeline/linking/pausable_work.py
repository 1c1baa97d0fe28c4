"""Long work in steps: it pauses wherever something else may come first."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that pauses where it yields and ends with a result."""


def finished(work: Steps[T]) -> T:
    """The result of work that need not pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def advanced(work: Iterator[None], seconds: float) -> bool:
    """Whether work has ended, after going on with it for at least one step and about so long."""
    until_s = time.perf_counter() + seconds
    return all(time.perf_counter() < until_s for _ in work)
