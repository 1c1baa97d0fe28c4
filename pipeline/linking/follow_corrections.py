"""Lets a matcher that is at work take over what an operator changed: merged, split, put back or erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import msgspec

from pipeline.constraints import Constraints
from pipeline.linking.look_back import LookBack, next_look_ns
from pipeline.linking.walking_times import told
from pipeline.records import LinkedTracklet, Sighting


def follow(
    memory: LookBack, people: Collection[int], held: Iterable[LinkedTracklet], said: Constraints
) -> None:
    """From now on these people are what is `held` of them, and nothing else.

    What an operator said of a tracklet is settled: no later look changes it. A look that was begun is given
    up, for it began with people as they were; the next one is due as usual.

    Args:
        memory: the matcher, with nothing half done.
        people: everybody who lost or gained tracklets; who is erased is among them, and holds none.
        held: their tracklets with their claims, in the order of linking.
        said: what operators said so far.
    """
    memory.site = replace(memory.site, said=said)
    memory.open, memory.read = None, {}
    forget_people(memory, people)
    # Walks between tracklets that are known are learnt already: of those read again nothing is learnt twice.
    walks, memory.transit = memory.transit, told(memory.site.settings.transit)
    for known in held:
        memory.restore(known.tracklet, known.sighting)
    memory.transit = walks
    memory.recent = dict(sorted(memory.recent.items(), key=lambda item: (item[1].due_ns, item[0])))
    memory.pairs.keep(set(memory.recent))
    memory.look_ns = next_look_ns(memory.newest_ns) if memory.recent else None


def forget_people(memory: LookBack, people: Collection[int]) -> None:
    """Forget what people look like, where they were, and which tracks are theirs."""
    for person in people:
        memory.matcher.learn_anew(person, ())
        memory.settled.pop(person, None)
    for number in [number for number, claim in memory.said.items() if claim.identity in people]:
        del memory.recent[number], memory.said[number]
    memory.tracks = {track: person for track, person in memory.tracks.items() if person not in people}
    matcher = memory.matcher
    matcher.tracks = {name: t for name, t in matcher.tracks.items() if t.identity not in people}


def people_named(memory: LookBack) -> set[int]:
    """Everybody who is remembered in any way."""
    tracks = {track.identity for track in memory.matcher.tracks.values()} | set(memory.tracks.values())
    known = memory.matcher.known.keys() | memory.settled.keys()
    return tracks | known | {claim.identity for claim in memory.said.values()} | rivals(memory)


def rivals(memory: LookBack) -> set[int]:
    """Everybody whom a claim that may still be written names as the next best."""
    first = [track.first for track in memory.matcher.tracks.values() if track.first]
    return {claim.runner_up for claim in (*first, *memory.said.values()) if claim.runner_up is not None}


def forget_rivals(memory: LookBack, gone: Collection[int]) -> None:
    """Let no claim name these people as the next best: the store does not know them any more."""
    memory.said = {number: without_rival(claim, gone) for number, claim in memory.said.items()}
    for track in memory.matcher.tracks.values():
        track.first = track.first and without_rival(track.first, gone)


def without_rival(claim: Sighting, gone: Collection[int]) -> Sighting:
    """The claim, without its next best where that is one of these."""
    if claim.runner_up not in gone:
        return claim
    return msgspec.structs.replace(claim, runner_up=None, runner_up_distance=None, runner_up_probability=None)
