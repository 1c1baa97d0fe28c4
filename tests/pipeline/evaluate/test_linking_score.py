"""Whom pieces of tracks show, and what linking them got right, worked out by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.found_boxes import Claim, FoundBoxes
from pipeline.evaluate.labels import labels, matched
from pipeline.evaluate.linking_score import (
    Piece,
    filed_pair_score,
    identity_score,
    jumps,
    merges,
    pair_score,
    person_of,
    pieces,
    splits,
)

HERE, THERE = [0.0, 0.0, 10.0, 20.0], [50.0, 0.0, 60.0, 20.0]


def piece(
    camera: str, person: int | None, identity: int, *, boxes: int = 10, ambiguous: bool = False
) -> Piece:
    shows = {} if person is None else {person: boxes}
    number = hash((camera, person, identity)) % 1000
    return Piece(camera, number, identity, (number,), shows, person, ambiguous)


def test_a_track_shows_whom_most_of_its_boxes_overlap() -> None:
    truth = labels([0, 1, 2, 3], [1, 1, 1, 2], [HERE, HERE, HERE, HERE])
    tracks = labels([0, 1, 2, 3], [7, 7, 7, 7], [HERE] * 4)
    found = FoundBoxes(tracks, np.full(4, 30), np.array([11, 11, 12, 12]))
    (only,) = pieces(
        "hall", found, truth, matched(tracks, truth), {12: Claim("ambiguous", 0.5, True, None, 0)}
    )
    assert (only.person, only.shows, only.tracklets) == (1, {1: 3, 2: 1}, (11, 12))
    assert only.ambiguous and only.identity == 30


def test_a_track_filed_under_two_identities_is_two_pieces() -> None:
    truth = labels([0, 1], [1, 2], [HERE, HERE])
    tracks = labels([0, 1], [7, 7], [HERE, HERE])
    found = pieces(
        "hall", FoundBoxes(tracks, np.array([30, 31]), np.array([1, 2])), truth, np.array([0, 1]), {}
    )
    assert [(p.identity, p.person) for p in found] == [(30, 1), (31, 2)]


def test_somebody_passing_behind_is_not_whom_a_track_shows() -> None:
    assert person_of({1: 2}, frames={0, 1, 2, 3, 4}, frames_of={1: {0, 1, 2, 3, 4}}) is None
    assert person_of({1: 3}, frames={0, 1, 2, 3, 4}, frames_of={1: {0, 1, 2, 3, 4}}) == 1


def test_pairs_by_hand() -> None:
    # person 1 is identity 5 in a and b, 6 in c; person 2 is identity 5 in b
    found = [piece("a", 1, 5), piece("b", 1, 5), piece("c", 1, 6), piece("b", 2, 5)]
    score = pair_score(found)
    assert (score.said, score.true, score.right) == (2, 3, 1)  # a-b right, a-b2 wrong; a-c and b-c missed
    assert (score.precision, score.recall) == (pytest.approx(1 / 2), pytest.approx(1 / 3))


PIECES = st.lists(
    st.builds(
        lambda camera, person, identity, unsure: piece(camera, person, identity, ambiguous=unsure),
        st.sampled_from("abc"),
        st.sampled_from([None, 1, 2, 3]),
        st.sampled_from([5, 6, 7]),
        st.booleans(),
    ),
    max_size=9,
)


@settings(deadline=None)
@given(PIECES)
def test_pairs_are_those_that_counting_one_by_one_finds(found: list[Piece]) -> None:
    pairs = [
        (a, b)
        for a, b in combinations(found, 2)
        if a.camera != b.camera and a.person is not None and b.person is not None
    ]
    said = [(a, b) for a, b in pairs if a.identity == b.identity and not a.ambiguous and not b.ambiguous]
    score = pair_score(found)
    assert score.said == len(said)
    assert score.true == sum(a.person == b.person for a, b in pairs)
    assert score.right == sum(a.person == b.person for a, b in said)


def test_an_ambiguous_piece_claims_no_pair_but_its_pairs_exist() -> None:
    found = [piece("a", 1, 5), piece("b", 1, 5, ambiguous=True)]
    score, filed = pair_score(found), filed_pair_score(found)
    assert (score.said, score.true, score.precision, score.recall) == (0, 1, None, 0.0)
    assert (filed.said, filed.right, filed.recall) == (1, 1, 1.0)


def test_pieces_that_show_nobody_known_are_in_no_pair() -> None:
    assert pair_score([piece("a", None, 5), piece("b", 1, 5)]).said == 0


def test_purity_and_completeness_by_hand() -> None:
    found = [piece("a", 1, 5, boxes=6), piece("b", 1, 6, boxes=4), piece("b", 2, 5, boxes=2)]
    score = identity_score(found)
    assert score.purity == pytest.approx((6 + 4) / 12)  # of identity 5 the 2 boxes of person 2 are wrong
    assert score.completeness == pytest.approx((6 + 2) / 12)  # person 1's 4 boxes are elsewhere
    assert (score.identities, score.people, score.track_purity) == (2, 2, 1.0)


def test_splits_and_merges_name_tracklets_the_largest_part_first() -> None:
    found = [piece("a", 1, 5, boxes=3), piece("b", 1, 6, boxes=9), piece("b", 2, 6, boxes=2)]
    (split,), (merge,) = splits(found), merges(found)
    assert (split.person, list(split.tracklets)) == (1, [6, 5])
    assert (merge.identity, list(merge.tracklets)) == (6, [1, 2])
    assert split.tracklets[6] == found[1].tracklets


def test_a_track_that_goes_from_one_person_to_another_is_listed() -> None:
    mixed = Piece("hall", 7, 5, (1,), {1: 20, 2: 10}, 1)
    clean = Piece("hall", 8, 5, (2,), {1: 20, 2: 1}, 1)
    assert [(jump.track, jump.boxes) for jump in jumps([mixed, clean])] == [(7, {1: 20, 2: 10})]
