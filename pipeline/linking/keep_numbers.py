"""Who keeps a number: people grouped anew go on under the numbers that others know them by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping


def keep_numbers(
    groups: Mapping[int, int],
    before: Mapping[int, int],
    new_number: Callable[[], int],
    *,
    settled: Mapping[int, int] | None = None,
) -> dict[int, int]:
    """The number of every group: that of the person it shares most tracklets with, or a new one.

    Each number goes to one group. Of groups that share as many tracklets with somebody the lower one gets it.

    Args:
        groups: by tracklet.
        before: by tracklet, who it was; tracklets that were nobody before are left out.
        new_number: makes a number for a person not seen before.
        settled: by tracklet, who it is and stays: its group goes before all others.
    """
    shared = Counter((group, before[t]) for t, group in groups.items() if t in before)
    stays = {(groups[t], person) for t, person in (settled or {}).items() if t in groups}
    numbers: dict[int, int] = {}
    taken: set[int] = set()
    for group, person in sorted(shared, key=lambda pair: (pair not in stays, -shared[pair], pair)):
        if group not in numbers and person not in taken:
            numbers[group] = person
            taken.add(person)
    for group in sorted(set(groups.values()) - numbers.keys()):
        numbers[group] = new_number()
    return numbers
