"""Batches of people."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.training.samplers import PeopleSampler

PEOPLE = [f"p{i % 9}" for i in range(60)]


@given(st.integers(0, 10_000))
def test_every_batch_has_p_people_with_k_crops(step: int) -> None:
    batch = PeopleSampler(PEOPLE, people=4, crops=3).batch(step)
    assert sorted(Counter(PEOPLE[i] for i in batch).values()) == [3, 3, 3, 3]


def test_a_step_can_be_asked_for_without_those_before_it() -> None:
    first, second = (PeopleSampler(PEOPLE, people=4, crops=3, seed=7) for _ in range(2))
    for step in range(5):
        first.batch(step)
    assert first.batch(5) == second.batch(5)


def test_another_seed_gives_other_batches() -> None:
    one, two = (PeopleSampler(PEOPLE, people=4, crops=3, seed=seed).batch(0) for seed in (0, 1))
    assert one != two


def test_a_person_with_many_crops_comes_more_often() -> None:
    identities = ["often"] * 200 + [f"p{i}" for i in range(30) for _ in range(4)]
    sampler = PeopleSampler(identities, people=4, crops=2)
    seen = Counter(identities[i] for step in range(300) for i in sampler.batch(step))
    assert seen["often"] > 4 * seen["p0"]


def test_a_person_with_one_crop_is_repeated() -> None:
    batch = PeopleSampler(["a", "b"], people=2, crops=4).batch(0)
    assert Counter(batch) == {0: 4, 1: 4}


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="2 people, a batch needs 3"):
        PeopleSampler(["a", "b"], people=3)
