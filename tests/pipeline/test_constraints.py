"""What operators said, made consistent."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.constraints import Constraints, Groups, Relation, Statement, consistent


def same(*sides: tuple[int, ...]) -> Statement:
    return Statement("same", (sides[0], sides[1]))


def different(*sides: tuple[int, ...]) -> Statement:
    return Statement("different", (sides[0], sides[1]))


def test_same_chains_all_and_different_parts_each_from_each() -> None:
    found = consistent([same((1, 2), (3,)), different((1,), (8, 9))])
    assert found == Constraints(frozenset({(1, 2), (1, 3)}), frozenset({(1, 8), (1, 9)}))


def test_of_two_contradicting_answers_the_newer_counts() -> None:
    newest_first = [different((1,), (2,)), same((1,), (2,))]
    assert consistent(newest_first).must == frozenset()
    assert consistent(newest_first[::-1]).cannot == frozenset()


def test_a_contradiction_through_others_is_left_out_too() -> None:
    found = consistent([same((1,), (2,)), different((2,), (3,)), same((1,), (3,))])
    assert found == Constraints(frozenset({(1, 2)}), frozenset({(2, 3)}))


SMALL = st.integers(0, 7)
STATEMENTS = st.lists(
    st.builds(
        lambda relation, a, b: Statement(relation, (tuple(a), tuple(b))),
        st.sampled_from(["same", "different"]),
        st.lists(SMALL, min_size=1, max_size=3),
        st.lists(SMALL, min_size=1, max_size=3),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(STATEMENTS)
def test_no_chain_joins_what_cannot_be_together(said: list[Statement]) -> None:
    found = consistent(said)
    groups = Groups()
    for a, b in found.must:
        groups.join(a, b)
    assert not any(groups.of(a) == groups.of(b) for a, b in found.cannot)


def test_the_newest_statement_about_a_pair_always_counts() -> None:
    relations: list[Relation] = ["same", "different"]
    for relation in relations:
        found = consistent([Statement(relation, ((1,), (2,))), same((1,), (2,)), different((1,), (2,))])
        assert ((1, 2) in found.must) == (relation == "same")
        assert ((1, 2) in found.cannot) == (relation == "different")
