"""Which crops share a training batch: P people with K crops each, the same for the same seed and step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CROPS_A_SLOT = 20
"""A person with more crops than this is drawn more than once an epoch."""


class TooFewPeople(ValueError):
    """A training set has fewer people than a batch."""


class PeopleSampler:
    """Batches of `people` x `crops` sample numbers, any of which can be asked for by its step."""

    def __init__(self, identities: Sequence[str], *, people: int = 16, crops: int = 4, seed: int = 0) -> None:
        """Group the samples by person.

        Args:
            identities: the person of each sample.

        Raises:
            TooFewPeople: fewer than a batch needs.
        """
        by_person: dict[str, list[int]] = defaultdict(list)
        for index, identity in enumerate(identities):
            by_person[identity].append(index)
        self.members = [np.array(by_person[person]) for person in sorted(by_person)]
        if len(self.members) < people:
            raise TooFewPeople(f"{len(self.members)} people, a batch needs {people}")
        self.people, self.crops, self.seed = people, crops, seed
        self.slots = np.array(
            [person for person, own in enumerate(self.members) for _ in range(-(-len(own) // CROPS_A_SLOT))]
        )

    @property
    def batches_per_epoch(self) -> int:
        """Batches until everyone was drawn."""
        return max(1, len(self.slots) // self.people)

    def batch(self, step: int) -> list[int]:
        """The `people * crops` sample numbers of a step, person by person."""
        epoch, place = divmod(step, self.batches_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.slots)
        rng = np.random.default_rng((self.seed, epoch, place))
        chosen = list(dict.fromkeys(order[place * self.people : (place + 1) * self.people].tolist()))
        others = [person for person in rng.permutation(len(self.members)).tolist() if person not in chosen]
        chosen += others[: self.people - len(chosen)]
        return [index for person in chosen for index in self.draw(person, rng)]

    def draw(self, person: int, rng: np.random.Generator) -> list[int]:
        """`crops` samples of one person, repeated only where there are not enough."""
        own = self.members[person]
        return [int(index) for index in rng.choice(own, self.crops, replace=len(own) < self.crops)]


def numbered(identities: Sequence[str]) -> NDArray[np.int64]:
    """(S,) 0-based number of each sample's person, in the order of their names."""
    numbers = {identity: number for number, identity in enumerate(sorted(set(identities)))}
    return np.array([numbers[identity] for identity in identities], np.int64)
