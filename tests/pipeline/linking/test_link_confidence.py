"""What is stated of a link once groups are made: looks and times both count, and so does who is elsewhere."""

from __future__ import annotations

import numpy as np

from pipeline.config import MatcherConfig
from pipeline.linking.cluster import TIME_LIMIT, Evidence, Walks
from pipeline.linking.link_confidence import claims_of_groups
from pipeline.linking.walking_times import Told, Transit
from pipeline.messages import TrackletKey
from pipeline.records import Sighting, StoredTracklet

PROMPT, LATE = 20.0, 95.0
"""Seconds from the door to the hall."""
USUAL = Transit({("door", "hall"): Told(PROMPT, 2.0)})


def stated(
    looks: float, gap_s: float, transit: Transit = USUAL, *, rival_is_elsewhere: bool = False
) -> Sighting:
    """The claim of somebody in the hall to be the first of two who came through the door at 0 s."""
    start_s = np.array([0.0, 1.0, gap_s])
    odds = np.array([[0.0, -9.0, looks], [-9.0, 0.0, looks], [looks, looks, 0.0]])
    cannot = np.zeros((3, 3), np.bool_)
    cannot[1, 2] = cannot[2, 1] = rival_is_elsewhere
    found = Evidence(odds, cannot, [], start_s, start_s, ["door", "door", "hall"], [0, 0, 0])
    rows = [StoredTracklet(n, TrackletKey(n, 1, 0), "door", 0, 0, "m", ()) for n in range(3)]
    return claims_of_groups(rows, {0: 1, 1: 2, 2: 1}, Walks(found, transit), MatcherConfig())[2]


def probability(claim: Sighting) -> float:
    assert claim.probability is not None
    return claim.probability


def test_a_usual_walking_time_makes_a_link_more_probable_and_an_odd_one_less() -> None:
    usual, unknown, odd = stated(0.5, PROMPT), stated(0.5, PROMPT, Transit()), stated(0.5, LATE)
    assert probability(usual) > probability(unknown) > probability(odd)
    assert (usual.evidence or {})["times"] > 0 > (odd.evidence or {})["times"]


def test_times_alone_move_a_probability_by_no_more_than_their_limit() -> None:
    sure = Transit({("door", "hall"): Told(PROMPT, 0.01)})
    assert (stated(0.5, PROMPT, sure).evidence or {})["times"] == TIME_LIMIT


def test_who_is_elsewhere_is_no_rival() -> None:
    one_of_two, only_one = stated(2.0, PROMPT), stated(2.0, PROMPT, rival_is_elsewhere=True)
    assert one_of_two.state == "ambiguous" and one_of_two.runner_up == 2
    assert only_one.state == "linked" and only_one.runner_up is None
    assert probability(only_one) > probability(one_of_two)
