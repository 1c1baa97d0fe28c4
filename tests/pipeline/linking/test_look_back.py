"""Looking back while a run goes on: what is corrected, until when, and at which cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import MatcherConfig
from pipeline.constraints import Constraints
from pipeline.linking.gallery import FprGallery
from pipeline.linking.look_back import COMPARED, KEPT, MOST_RECENT, TAKES_NS, LookBack
from pipeline.linking.match import Matcher
from pipeline.linking.site import Place, Site
from pipeline.messages import Embedding, TrackletKey
from pipeline.records import Sighting, StoredCrop, StoredTracklet
from reid.sets.tracklets import Calibration
from tests.crops import PAIRS

SECOND = 1_000_000_000
CAMERAS = ("door", "hall", "yard")
STRICT = Calibration(-4.0, -8.0, -4.0, 0.0, 0.0, -40.0, 1.0, 0.6)
"""The matcher alone finds nobody again."""
EASY = Calibration(0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 1.0, 0.6)
"""The matcher alone takes anybody for anybody."""


class Scene:
    """A matcher that looks back, and every tracklet it was given, as a store would keep them."""

    def __init__(
        self, calibration: Calibration, settings: MatcherConfig | None = None, said: Constraints | None = None
    ) -> None:
        self.story: dict[int, StoredTracklet] = {}
        self.claims: dict[int, Sighting] = {}
        chosen, numbers = settings or MatcherConfig(), itertools.count(1)
        places = {number: Place(name, True) for number, name in enumerate(CAMERAS)}
        gallery = FprGallery(8, calibration)
        matcher = Matcher(chosen, places, gallery, lambda: next(numbers), part_ns=10 * SECOND, model="m")
        site = Site(places, said or Constraints(), chosen, PAIRS, "m")
        self.matcher = LookBack(matcher, site, self.recall)

    def recall(self, ids: Sequence[int]) -> Iterator[StoredTracklet]:
        return (self.story[number] for number in sorted(ids))

    def see(self, person: int, start_s: float, camera: int = 0, track: int = 0, part: int = 0) -> int:
        """The number of one more tracklet of 2 s."""
        row = len(self.story) + 1
        key = TrackletKey(camera, track or row, part)
        times = (int(start_s * SECOND), int((start_s + 2) * SECOND))
        crops = tuple(StoredCrop(0, 0, 1.0, look(person, seed)) for seed in (row, -row % 1000))
        self.story[row] = StoredTracklet(row, key, CAMERAS[camera], *times, "m", crops)
        self.keep(self.matcher.update(self.story[row]))
        return row

    def keep(self, claims: Sequence[Sighting]) -> None:
        self.claims |= {claim.tracklet: claim for claim in claims}

    def people(self) -> set[frozenset[int]]:
        """Which tracklets are together."""
        names = {claim.identity for claim in self.claims.values()}
        return {frozenset(t for t, c in self.claims.items() if c.identity == name) for name in names}


def look(person: int, seed: int) -> Embedding:
    """A crop of a person, a little different each time."""
    own, noise = np.random.default_rng(person), np.random.default_rng((person, seed))

    def drawn(*shape: int) -> np.ndarray:
        mixed = own.standard_normal(shape) + 0.15 * noise.standard_normal(shape)
        return (mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)).astype(np.float16)

    return Embedding(drawn(6, 32), np.full(6, 0.5, np.float16), drawn(32))


def walk_through(scene: Scene) -> list[int]:
    """Two people, one after the other, through all cameras."""
    return [scene.see(person, 30 * camera + 10 * person, camera) for camera in range(3) for person in (1, 2)]


APART = {frozenset({1, 3, 5}), frozenset({2, 4, 6})}


def test_people_whom_the_matcher_did_not_recognise_are_put_together() -> None:
    scene = Scene(STRICT)
    walk_through(scene)
    assert len(scene.people()) > 2
    scene.keep(scene.matcher.advance(200 * SECOND))
    assert scene.people() == APART


def test_strangers_whom_the_matcher_put_together_are_taken_apart_and_its_gallery_follows() -> None:
    scene = Scene(EASY)
    walk_through(scene)
    scene.keep(scene.matcher.advance(100 * SECOND))
    assert scene.people() == APART
    known = scene.matcher.matcher.known
    assert set(known) == {claim.identity for claim in scene.claims.values()}


def test_a_claim_is_provisional_until_it_is_old_and_says_what_it_was_first() -> None:
    scene = Scene(STRICT)
    first, *_, last = walk_through(scene)
    was = scene.claims[last].identity
    scene.keep(scene.matcher.advance(100 * SECOND))
    assert scene.claims[last].evidence["provisional"] and scene.claims[last].evidence["first"] == was
    scene.keep(scene.matcher.advance(140 * SECOND))
    assert "provisional" not in (scene.claims[first].evidence or {})
    assert scene.claims[last].evidence["provisional"]


def test_what_is_settled_stays_and_still_recognises() -> None:
    scene = Scene(STRICT, MatcherConfig(look_back_s=20.0))
    scene.see(1, 0)
    scene.keep(scene.matcher.advance(60 * SECOND))
    before = scene.claims[1].identity
    again, stranger = scene.see(1, 100, camera=1), scene.see(2, 104, camera=1)
    scene.keep(scene.matcher.advance(200 * SECOND))
    assert (
        scene.claims[1].identity == before == scene.claims[again].identity != scene.claims[stranger].identity
    )


def test_later_parts_follow_a_track_whose_first_is_settled() -> None:
    scene = Scene(EASY, MatcherConfig(look_back_s=15.0))
    rows = [scene.see(person, 10 * part, track=7, part=part) for part, person in enumerate((1, 1, 2, 3, 4))]
    scene.keep(scene.matcher.advance(None))
    assert {scene.claims[row].identity for row in rows} == {scene.claims[rows[0]].identity}


def test_an_operators_word_holds() -> None:
    scene = Scene(STRICT, said=Constraints(frozenset({(1, 2)}), frozenset({(1, 3)})))
    walk_through(scene)
    scene.keep(scene.matcher.advance(None))
    together = next(group for group in scene.people() if 1 in group)
    assert 2 in together and 3 not in together


def test_looking_again_without_anything_new_changes_nothing() -> None:
    scene = Scene(STRICT)
    walk_through(scene)
    scene.keep(scene.matcher.advance(90 * SECOND))
    assert scene.matcher.advance(95 * SECOND) == []


def passers_by(steps_s: Sequence[float]) -> tuple[list[Sighting], set[frozenset[int]]]:
    """All that is said of people who come and go for 200 s, where the watermark also stops in between."""
    scene = Scene(EASY, MatcherConfig(look_back_s=20.0))
    for number in range(24):
        start_s = 9 * number if number % 3 else 9 * number - 4
        for moment_s in sorted(s for s in steps_s if 9 * number - 6 < s <= start_s + 2):
            scene.keep(scene.matcher.advance(round(moment_s * SECOND)))
        scene.see(number % 4, start_s, camera=number % 3)
    scene.keep(scene.matcher.advance(300 * SECOND))
    return sorted(scene.claims.values(), key=lambda claim: claim.tracklet), scene.people()


def test_a_watermark_that_jumps_says_what_one_that_creeps_does() -> None:
    coarse = passers_by([])
    assert passers_by([0.5 * step for step in range(420)]) == coarse


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 210), max_size=60))
def test_where_the_watermark_stops_changes_nothing(steps_s: list[float]) -> None:
    assert passers_by(steps_s) == passers_by([])


def test_memory_is_bounded() -> None:
    scene = Scene(STRICT, MatcherConfig(identities=20))
    for number in range(MOST_RECENT + 10):
        scene.see(number, 0.01 * number)
    assert len(scene.matcher.recent) == len(scene.matcher.said) == MOST_RECENT
    for number in range(60):
        scene.see(number, 1000 + 300 * number, camera=number % 3)
    assert len(scene.matcher.settled) <= 21 and len(scene.matcher.recent) == 1
    assert all(len(one.newest) <= KEPT for one in scene.matcher.settled.values())
    assert len(scene.matcher.pairs.gallery) <= 2 + KEPT * COMPARED


def test_a_look_is_answered_a_while_after_it_begins_and_meanwhile_others_are_answered() -> None:
    scene = Scene(STRICT)
    walk_through(scene)  # the last one ends at 82 s
    apart = scene.people()
    scene.keep(scene.matcher.advance(85 * SECOND))
    assert scene.matcher.open and scene.people() == apart
    meanwhile = scene.see(3, 84)
    assert scene.claims[meanwhile].identity
    scene.keep(scene.matcher.advance(85 * SECOND + TAKES_NS))
    assert not scene.matcher.open
    assert scene.people() == {*APART, frozenset({meanwhile})}


def test_a_part_that_comes_while_a_look_is_thought_over_follows_its_track() -> None:
    scene = Scene(EASY)
    rows = [scene.see(1, 0, camera=0), scene.see(2, 10, camera=1, track=7)]
    scene.keep(scene.matcher.advance(15 * SECOND))
    rows.append(scene.see(2, 14, camera=1, track=7, part=1))
    assert len(scene.people()) == 1
    scene.keep(scene.matcher.advance(15 * SECOND + TAKES_NS))
    assert scene.people() == {frozenset({rows[0]}), frozenset(rows[1:])}


def test_thinking_ahead_changes_no_answer() -> None:
    ahead, at_once = Scene(STRICT), Scene(STRICT)
    for scene in (ahead, at_once):
        walk_through(scene)
        scene.keep(scene.matcher.advance(85 * SECOND))
    assert ahead.matcher.open
    assert sum(1 for _ in ahead.matcher.open.thinking) > 0
    for scene in (ahead, at_once):
        scene.keep(scene.matcher.advance(100 * SECOND))
    assert ahead.claims == at_once.claims


def test_a_matcher_that_is_closing_looks_no_more() -> None:
    scene = Scene(STRICT)
    walk_through(scene)
    apart = scene.people()
    scene.keep(scene.matcher.advance(85 * SECOND))
    scene.matcher.looks = False
    scene.keep(scene.matcher.advance(100 * SECOND))
    scene.keep(scene.matcher.advance(None))
    assert scene.people() == apart and not scene.matcher.recent


def test_a_matcher_that_is_restored_goes_on_as_the_one_before() -> None:
    whole, first, second = Scene(STRICT), Scene(STRICT), Scene(STRICT)
    walk_through(whole)
    walk_through(first)
    for row, tracklet in first.story.items():
        second.matcher.restore(tracklet, first.claims[row])
        second.story[row] = tracklet
    second.claims = dict(first.claims)
    for scene in (whole, second):
        scene.keep(scene.matcher.advance(None))
    assert whole.people() == second.people()
    assert msgspec.json.encode(list(whole.claims.values()))  # evidence is plain JSON
