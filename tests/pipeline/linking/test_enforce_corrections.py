"""An assignment of tracklets to people, made to respect what operators said."""

from __future__ import annotations

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.constraints import Constraints, Statement, consistent
from pipeline.linking.enforce_corrections import enforced
from tests.pipeline.test_constraints import STATEMENTS


def test_what_must_be_together_goes_where_most_of_it_is() -> None:
    constraints = Constraints(must=frozenset({(1, 2), (1, 3)}))
    assert enforced({1: 10, 2: 10, 3: 11, 4: 11}, constraints, count(50).__next__) == {
        1: 10,
        2: 10,
        3: 10,
        4: 11,
    }


def test_what_cannot_be_together_is_parted_with_a_new_person() -> None:
    constraints = Constraints(cannot=frozenset({(1, 2)}))
    assert enforced({1: 10, 2: 10, 3: 10}, constraints, count(50).__next__) == {1: 10, 2: 50, 3: 10}


def test_constraints_on_tracklets_that_are_gone_are_passed_over() -> None:
    constraints = Constraints(frozenset({(1, 99)}), frozenset({(2, 98)}))
    assert enforced({1: 10, 2: 10}, constraints, count(50).__next__) == {1: 10, 2: 10}


IDENTITIES = st.lists(st.integers(10, 12), min_size=8, max_size=8)


@settings(deadline=None)
@given(STATEMENTS, IDENTITIES)
def test_whatever_was_said_the_result_respects_it(said: list[Statement], identities: list[int]) -> None:
    found = consistent(said)
    result = enforced(dict(enumerate(identities)), found, count(50).__next__)
    assert all(result[a] == result[b] for a, b in found.must)
    assert all(result[a] != result[b] for a, b in found.cannot)


@settings(deadline=None)
@given(STATEMENTS, IDENTITIES)
def test_respecting_twice_changes_nothing_more(said: list[Statement], identities: list[int]) -> None:
    found = consistent(said)
    once = enforced(dict(enumerate(identities)), found, count(50).__next__)
    assert enforced(once, found, count(90).__next__) == once
