"""What an operator changes while a matcher is at work counts for the next tracklet."""

from __future__ import annotations

import msgspec

from pipeline.constraints import Constraints
from pipeline.linking.follow_corrections import follow, forget_rivals, rivals
from pipeline.records import LinkedTracklet, Sighting
from tests.pipeline.linking.test_look_back import EASY, STRICT, Scene


def corrected(scene: Scene, people: set[int], said: Constraints = Constraints(), **moved: int) -> None:  # noqa: B008
    """What a store holds of these people, with tracklets (t7=1) filed elsewhere, handed to the matcher."""
    for name, person in moved.items():
        number = int(name[1:])
        scene.claims[number] = Sighting(number, person, "linked", probability=1.0, evidence={"correction": 1})
    held = [LinkedTracklet(scene.story[n], c) for n, c in scene.claims.items() if c.identity in people]
    follow(scene.matcher, people, sorted(held, key=lambda one: one.tracklet.due_ns), said)


def test_after_a_merge_the_next_part_of_either_is_filed_under_the_kept_number() -> None:
    scene = Scene(STRICT)
    first, second = scene.see(1, 0.0, track=1), scene.see(2, 1.0, camera=1, track=2)
    kept, gone = scene.claims[first].identity, scene.claims[second].identity
    assert kept != gone
    corrected(scene, {kept, gone}, Constraints(must=frozenset({(first, second)})), **{f"t{second}": kept})
    parts = [scene.see(1, 10.0, track=1, part=1), scene.see(2, 10.0, camera=1, track=2, part=1)]
    assert [scene.claims[part].identity for part in parts] == [kept, kept]


def test_after_a_merge_somebody_seen_again_is_nobody_but_the_kept_one() -> None:
    scene = Scene(EASY)
    first, second = scene.see(1, 0.0), scene.see(2, 0.5, camera=1)
    kept, gone = scene.claims[first].identity, scene.claims[second].identity
    corrected(scene, {kept, gone}, **{f"t{second}": kept})
    later = [scene.see(1, 2.6), scene.see(2, 4.8, camera=1)]
    assert {scene.claims[number].identity for number in later} == {kept}
    assert gone not in scene.matcher.matcher.known and gone not in scene.matcher.settled


def test_after_a_split_the_next_part_of_the_track_goes_with_the_new_person() -> None:
    scene = Scene(EASY)
    first, second = scene.see(1, 0.0, track=1), scene.see(1, 20.0, track=2)
    together = scene.claims[first].identity
    assert scene.claims[second].identity == together
    apart = scene.matcher.matcher.new_identity()
    said = Constraints(cannot=frozenset({(first, second)}))
    corrected(scene, {together, apart}, said, **{f"t{second}": apart})
    assert scene.claims[scene.see(1, 23.0, track=2, part=1)].identity == apart


def test_no_later_look_changes_what_an_operator_said() -> None:
    scene = Scene(EASY)
    first, second = scene.see(1, 0.0), scene.see(1, 5.0, camera=1)
    together, apart = scene.claims[first].identity, scene.matcher.matcher.new_identity()
    said = Constraints(cannot=frozenset({(first, second)}))
    corrected(scene, {together, apart}, said, **{f"t{second}": apart})
    for step in range(12):
        scene.see(1, 10.0 + 5 * step, camera=2)
    scene.keep(scene.matcher.advance(200_000_000_000))
    assert scene.claims[second].identity == apart and scene.claims[first].identity == together


def test_nobody_is_linked_with_an_erased_person_and_nothing_of_them_is_kept() -> None:
    scene = Scene(EASY)
    number = scene.see(1, 0.0, track=1)
    other = scene.see(2, 0.5, camera=1)
    person, rival = scene.claims[number].identity, scene.claims[other].identity
    claim = msgspec.structs.replace(scene.matcher.said[other], runner_up=person, runner_up_distance=0.1)
    scene.matcher.said[other] = claim
    del scene.claims[number], scene.story[number]
    corrected(scene, {person})
    assert rivals(scene.matcher) == {person}
    forget_rivals(scene.matcher, {person})
    again = scene.see(1, 3.0, track=1, part=1)
    assert scene.claims[again].identity not in {person}
    memory = scene.matcher
    assert number not in memory.recent | memory.said | memory.read | memory.pairs.known
    assert person not in {*memory.settled, *memory.matcher.known, *memory.tracks.values(), *rivals(memory)}
    assert rival in memory.matcher.known


def test_walks_are_not_learnt_twice() -> None:
    scene = Scene(EASY)
    for step in range(6):
        scene.see(1, 30.0 * step, camera=step % 2)
    scene.keep(scene.matcher.advance(400_000_000_000))
    before = repr(scene.matcher.transit)
    corrected(scene, {scene.claims[1].identity})
    assert repr(scene.matcher.transit) == before
