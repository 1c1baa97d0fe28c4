"""Who a tracklet is filed under, given how likely each known identity is."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pipeline.config import MatcherConfig
from pipeline.linking.match import Candidate, Matcher
from pipeline.linking.site import Place
from pipeline.messages import Embedding, TrackletKey
from pipeline.records import StoredCrop, StoredTracklet

SECOND = 1_000_000_000
DOOR, HALL, YARD = 1, 2, 3
PLACES = {
    DOOR: Place("door", True, frozenset({"yard"})),
    HALL: Place("hall", True),
    YARD: Place("yard", True),
}
SETTINGS = MatcherConfig()
UNKNOWN = {n: Place(place.camera, False, place.overlaps) for n, place in PLACES.items()}


class LookGallery:
    """Knows identities by the mean of a look in 0..1; the probability falls with the difference."""

    def __init__(self) -> None:
        self.looks: dict[int, list[float]] = {}

    def append(self, identity: int, embeddings: Sequence[Embedding]) -> None:
        self.looks.setdefault(identity, []).extend(float(e.pooled[0]) for e in embeddings)

    def remove(self, identity: int) -> None:
        self.looks.pop(identity, None)

    def candidates(
        self, embeddings: Sequence[Embedding], allowed: Callable[[int], bool], shortlist: int
    ) -> list[Candidate]:
        look = np.mean([e.pooled[0] for e in embeddings])
        distances = {i: abs(float(np.mean(x) - look)) for i, x in self.looks.items() if allowed(i)}
        ranked = sorted(distances.items(), key=lambda item: item[1])[:shortlist]
        return [Candidate(i, d, max(0.0, 1 - 2 * d)) for i, d in ranked]


def matcher(places: dict[int, Place] = PLACES, settings: MatcherConfig = SETTINGS) -> Matcher:
    numbers = itertools.count(1)
    return Matcher(settings, places, LookGallery(), lambda: next(numbers), part_ns=10 * SECOND, model="m")


ROWS = itertools.count(1)


def seen(
    look: float | None, recording: int, start_s: float, end_s: float, track: int = 0, part: int = 0
) -> StoredTracklet:
    row = next(ROWS)
    one = Embedding(np.ones((1, 1), np.float16), np.ones(1, np.float16), np.array([look or 0], np.float16))
    crops = () if look is None else (StoredCrop(row, 0, 1.0, one),)
    key = TrackletKey(recording, track or row, part)
    return StoredTracklet(
        row, key, PLACES[recording].camera, int(start_s * SECOND), int(end_s * SECOND), "m", crops
    )


def test_the_same_look_later_in_another_camera_is_linked_and_another_look_is_new() -> None:
    m = matcher()
    first, second, third = (
        m.update(t) for t in (seen(0.1, DOOR, 0, 5), seen(0.12, HALL, 9, 12), seen(0.9, HALL, 20, 25))
    )
    assert (first.state, second.state, third.state) == ("new", "linked", "new")
    assert first.identity == second.identity != third.identity
    assert second.distance is not None and second.probability is not None and second.probability > 0.9
    assert third.runner_up == first.identity and third.distance is None


def test_nobody_is_in_two_places_at_once() -> None:
    m = matcher()
    first = m.update(seen(0.1, DOOR, 0, 10))
    assert m.update(seen(0.1, HALL, 5, 11)).identity != first.identity
    assert m.update(seen(0.1, DOOR, 8, 12)).identity != first.identity


def test_overlapping_cameras_may_see_a_person_at_once() -> None:
    m = matcher()
    first = m.update(seen(0.1, DOOR, 0, 9))
    assert m.update(seen(0.1, YARD, 2, 9.5)).identity == first.identity


def test_unknown_clocks_do_not_tell_who_was_elsewhere() -> None:
    m = matcher(UNKNOWN)
    first = m.update(seen(0.1, DOOR, 0, 10))
    assert m.update(seen(0.1, HALL, 5, 11)).identity == first.identity
    assert m.update(seen(0.1, DOOR, 8, 12)).identity != first.identity


def test_two_likely_people_make_a_link_ambiguous_and_it_teaches_nothing() -> None:
    m = matcher()
    for look in (0.30, 0.6):
        m.update(seen(look, DOOR, 0, 5))
    between = m.update(seen(0.44, HALL, 20, 25))
    assert between.state == "ambiguous" and between.runner_up is not None
    assert m.update(seen(0.30, HALL, 40, 45)).probability > 0.99


def test_parts_of_a_track_share_its_identity_whatever_they_look_like() -> None:
    m = matcher()
    first = m.update(seen(0.1, DOOR, 0, 10, track=5))
    m.update(seen(0.11, HALL, 2, 10.1))
    later = m.update(seen(0.8, DOOR, 10, 20, track=5, part=1))
    assert later.identity == first.identity


def test_who_is_learnt_anew_looks_like_the_tracklets_named_and_like_no_other() -> None:
    m = matcher()
    wrong, right = seen(0.1, DOOR, 0, 5, track=4), seen(0.9, DOOR, 10, 15)
    one, other = m.update(wrong).identity, m.update(right).identity
    m.learn_anew(one, [])
    m.learn_anew(other, [wrong])
    assert m.update(seen(0.9, HALL, 20, 25)).state == "new"
    assert m.update(seen(0.12, HALL, 30, 35)).identity == other
    assert m.update(seen(0.5, DOOR, 5, 9, track=4, part=1)).identity == other


def test_a_tracklet_without_crops_is_somebody_new_and_recognises_nobody() -> None:
    m = matcher()
    blank = m.update(seen(None, DOOR, 0, 5))
    assert blank.state == "new"
    assert m.update(seen(0.0, HALL, 10, 15)).identity != blank.identity


def test_a_restored_matcher_answers_like_the_one_before() -> None:
    story = [seen(0.1, DOOR, 0, 5), seen(0.9, HALL, 8, 12), seen(0.12, HALL, 20, 25)]
    whole, before, after = matcher(), matcher(), matcher()
    for tracklet in story[:2]:
        after.restore(tracklet, before.update(tracklet))
    answers = [whole.update(tracklet) for tracklet in story]
    assert after.update(story[2]).identity == answers[2].identity


def test_who_left_after_a_cut_part_may_be_seen_elsewhere_at_once() -> None:
    m = matcher()
    first = m.update(seen(0.1, DOOR, 0, 9.96, track=5))
    m.update(seen(0.1, DOOR, 10, 12, track=5, part=1))
    assert m.update(seen(0.1, HALL, 13, 15)).identity == first.identity


def test_who_was_cut_in_the_middle_of_a_presence_is_not_seen_elsewhere_meanwhile() -> None:
    m = matcher()
    first = m.update(seen(0.1, DOOR, 0, 9.96, track=5))
    assert m.update(seen(0.1, HALL, 10, 13)).identity != first.identity


def test_a_newcomer_of_a_live_camera_is_still_there_after_the_first_short_part() -> None:
    live = {n: replace(place, first_part_ns=SECOND) for n, place in PLACES.items()}
    m = matcher(live)
    first = m.update(seen(0.1, DOOR, 0, 1, track=5))
    assert m.update(seen(0.1, DOOR, 2, 4)).identity != first.identity
    assert m.update(seen(0.1, DOOR, 20, 24)).identity == first.identity


def test_who_was_seen_long_ago_and_seldom_is_forgotten_first() -> None:
    m = matcher(settings=MatcherConfig(identities=2))
    often = m.update(seen(0.1, DOOR, 0, 5)).identity
    m.update(seen(0.1, DOOR, 20, 25))
    m.update(seen(0.9, DOOR, 30, 35))
    m.update(seen(0.5, DOOR, 100, 105))
    assert set(m.known) == set(m.gallery.looks) and len(m.known) == 2
    assert m.update(seen(0.1, DOOR, 200, 205)).identity == often
    assert m.update(seen(0.9, DOOR, 300, 305)).state == "new"


def test_tracks_that_have_ended_leave_the_memory() -> None:
    m = matcher()
    for hour in range(400):
        m.update(seen(0.1, DOOR, 3600 * hour, 3600 * hour + 5))
    assert len(m.tracks) <= 257


def test_what_is_kept_of_a_regular_does_not_grow_with_the_visits() -> None:
    m, sizes = matcher(), []
    for hour in range(800):
        m.update(seen(0.1, DOOR, 3600 * hour, 3600 * hour + 5))
        sizes.append(len(pickle.dumps((m.known, m.tracks))))
    assert max(sizes[400:]) <= 1.05 * max(sizes[:400])
    assert [known.tracks for known in m.known.values()] == [800]


def test_parts_of_a_track_count_as_one_visit_also_when_others_of_the_person_lie_between() -> None:
    m = matcher(UNKNOWN)
    first = m.update(seen(0.1, DOOR, 0, 10, track=5)).identity
    m.update(seen(0.1, HALL, 3, 12))
    m.update(seen(0.1, DOOR, 10, 20, track=5, part=1))
    assert m.known[first].tracks == 2
