"""People grouped anew keep the numbers they are known by."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from pipeline.linking.keep_numbers import keep_numbers

FILED = st.dictionaries(st.integers(0, 9), st.integers(0, 4), max_size=10)


def test_a_group_keeps_the_number_of_whom_it_shares_most_with() -> None:
    before = {1: 7, 2: 7, 3: 7, 4: 8}
    assert keep_numbers({1: 0, 2: 0, 3: 1, 4: 1}, before, count(50).__next__) == {0: 7, 1: 8}


def test_who_is_split_keeps_the_number_where_most_of_it_is_and_the_rest_gets_a_new_one() -> None:
    assert keep_numbers({1: 0, 2: 1, 3: 1}, {1: 7, 2: 7, 3: 7}, count(50).__next__) == {0: 50, 1: 7}


def test_of_as_many_the_first_group_and_the_lower_number_win() -> None:
    assert keep_numbers({1: 0, 2: 1}, {1: 7, 2: 7}, count(50).__next__) == {0: 7, 1: 50}
    assert keep_numbers({1: 0, 2: 0}, {1: 8, 2: 7}, count(50).__next__) == {0: 7}


def test_what_is_settled_goes_before_any_number_of_others() -> None:
    groups, before = {1: 0, 2: 0, 3: 0, 4: 1}, {1: 7, 2: 7, 3: 7, 4: 7}
    assert keep_numbers(groups, before, count(50).__next__, settled={4: 7}) == {0: 50, 1: 7}


def test_nobody_known_is_numbered_in_the_order_of_the_groups() -> None:
    assert keep_numbers({5: 2, 6: 0}, {}, count(50).__next__) == {0: 50, 2: 51}


@given(FILED, FILED)
def test_no_two_groups_get_one_number_and_the_same_people_keep_theirs(
    groups: dict[int, int], before: dict[int, int]
) -> None:
    numbers = keep_numbers(groups, before, count(50).__next__)
    assert numbers.keys() == set(groups.values())
    assert len(set(numbers.values())) == len(numbers)
    assert keep_numbers(before, before, count(50).__next__) == {n: n for n in before.values()}
