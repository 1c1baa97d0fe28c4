"""How far a long computation is, on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


class Watch(Protocol):
    """Passes items through and shows how far it is."""

    def __call__(self, items: Sequence[Item], name: str, /) -> Iterable[Item]:
        """The items."""


def watch(items: Sequence[Item], name: str) -> Iterable[Item]:
    """The items, with a progress bar on stderr."""
    return track(items, name, console=Console(stderr=True))


def batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """The items in runs of `size`; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]
