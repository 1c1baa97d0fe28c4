"""While a run goes on: looks at the recent past again, all at once, and corrects who was filed under whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.linking.cluster import grouped_into_people
from pipeline.linking.keep_numbers import keep_numbers
from pipeline.linking.link_confidence import claims_of_groups
from pipeline.linking.match import Matcher
from pipeline.linking.pausable_work import Steps, finished
from pipeline.linking.same_person_evidence import Appearances, appearances_of, gather_ahead, gather_evidence
from pipeline.linking.site import Site
from pipeline.linking.walking_times import told
from pipeline.records import Sighting, StoredTracklet
from reid.sets.affinity import FprPairs, mean_vector
from reid.sets.tracklets import unit

EVERY_NS = 5_000_000_000
"""Event time between two looks."""
TAKES_NS = 2_500_000_000
"""Event time from the beginning of a look to its answer: a live matcher thinks meanwhile, beside its work."""
MOST_RECENT = 256
"""Tracklets that may still be corrected; beyond it the oldest are settled early."""
KEPT = 4
"""Settled tracklets that stand for an identity: the newest of each of its latest cameras."""
CROPS_RECALLED = 2
"""Of each of them, the best."""
COMPARED = 24
"""Identities not seen lately that are looked at again: those most like anybody recent."""

Track = tuple[int, int]
"""Recording and track."""


@dataclass
class Settled:
    """What is remembered of an identity's tracklets that can no longer change."""

    looks: NDArray[np.float64]
    """(D,) sum of the mean pooled vectors."""
    newest: dict[str, int] = field(default_factory=dict)
    """By camera, the latest last."""
    last: StoredTracklet | None = None
    """Without its crops: where a walk begins."""


@dataclass(frozen=True)
class Look:
    """A look back that has begun and is still to be answered."""

    answer_ns: int
    """When its answer counts."""
    beside: Mapping[int, StoredTracklet]
    """Settled tracklets."""
    rows: Sequence[StoredTracklet]
    """These and all that were recent."""
    shown: Appearances
    """How they look."""
    thinking: Iterator[None]
    """Nearly all of its work; it changes nothing."""


class LookBack:
    """A matcher whose links are provisional for `look_back_s`: every few seconds they are decided anew.

    All recent tracklets and those that stand for settled identities are grouped as `recluster` groups a
    whole store. Like the matcher's, its answers depend on the order of the tracklets alone. Memory: the
    matcher's, MOST_RECENT tracklets, and one pooled vector and KEPT numbers for each settled identity, whose
    crops are read from the store again.
    """

    def __init__(
        self,
        matcher: Matcher,
        site: Site,
        recall: Callable[[Sequence[int]], Iterable[StoredTracklet]],
    ) -> None:
        """Nobody is known yet; `recall` reads settled tracklets again, in their order."""
        self.matcher, self.site, self.recall = matcher, site, recall
        self.recent: dict[int, StoredTracklet] = {}
        self.said: dict[int, Sighting] = {}
        """Of the recent ones."""
        self.settled: dict[int, Settled] = {}
        self.tracks: dict[Track, int] = {}
        """Identities of tracks whose earlier parts are settled and whose later ones are not."""
        self.transit = told(site.settings.transit)
        self.pairs = FprPairs()
        self.read: dict[int, StoredTracklet] = {}
        self.look_ns: int | None = None
        """When the next look is due."""
        self.open: Look | None = None
        self.newest_ns = 0
        self.looks = True
        """False: the run is closing, claims stay as they are."""

    def update(self, probe: StoredTracklet) -> list[Sighting]:
        """The claims that follow from one more tracklet: its own, and corrected ones of others."""
        return finished(self.updating(probe))

    def updating(self, probe: StoredTracklet) -> Steps[list[Sighting]]:
        """`update`, with a pause now and then."""
        found = {claim.tracklet: claim for claim in (yield from self.advancing(probe.due_ns))}
        claim = self.matcher.update(probe)
        self.file(probe, with_evidence(claim, provisional=True))
        found[probe.id] = self.said[probe.id]
        if len(self.recent) > MOST_RECENT and not self.open:
            found |= self.settle([next(iter(self.recent))])
        return list(found.values())

    def restore(self, probe: StoredTracklet, claim: Sighting) -> None:
        """Learn a tracklet that has been answered before."""
        self.matcher.restore(probe, claim)
        self.file(probe, claim)
        self.look_ns = next_look_ns(probe.due_ns)
        if not (claim.evidence or {}).get("provisional"):
            self.settle([probe.id])

    def file(self, probe: StoredTracklet, claim: Sighting) -> None:
        """Remember a recent tracklet."""
        self.recent[probe.id], self.said[probe.id] = probe, claim
        self.newest_ns = max(self.newest_ns, probe.due_ns)
        if self.look_ns is None:
            self.look_ns = next_look_ns(probe.due_ns)

    def advance(self, now_ns: int | None) -> list[Sighting]:
        """The claims that changed once nothing before this time can come any more; None: nothing at all.

        There is no last look at the end: recordings are reclustered then, and a live run closes within
        seconds, also when all distances would have to be computed anew because the matcher was started over.
        """
        return finished(self.advancing(now_ns))

    def advancing(self, now_ns: int | None) -> Steps[list[Sighting]]:
        """`advance`, with a pause now and then."""
        found: dict[int, Sighting] = {}
        while now_ns is not None and self.looks:
            if self.open and now_ns >= self.open.answer_ns:
                found |= yield from self.answer(self.open)
            elif not self.open and self.look_ns is not None and now_ns >= self.look_ns:
                found |= self.settle(self.old(self.look_ns))
                self.open, self.look_ns = self.look(self.look_ns), None
            else:
                break
        if not self.open or now_ns is None:
            found |= self.settle(self.old(now_ns))
        return list(found.values())

    def old(self, now_ns: int | None) -> list[int]:
        """The tracklets that can no longer change at a time, the oldest first; all of them for None."""
        if now_ns is None:
            return list(self.recent)
        oldest_ns = now_ns - round(self.site.settings.look_back_s * 1e9)
        old = [n for n, tracklet in self.recent.items() if tracklet.due_ns < oldest_ns]
        return sorted(old, key=lambda n: self.recent[n].due_ns)

    def look(self, now_ns: int) -> Look:
        """Begin to group everything recent anew."""
        beside, recent = self.companions(), list(self.recent.values())
        rows = [*beside.values(), *recent]
        shown = appearances_of(rows, self.site, settled=len(beside))
        thinking = gather_ahead(rows, shown, self.site, self.pairs)
        return Look(now_ns + TAKES_NS, beside, rows, shown, thinking)

    def answer(self, look: Look) -> Steps[dict[int, Sighting]]:
        """The claims that say something else than before, now that a look is to be answered."""
        # What is left of the thinking: whoever feeds us went on with it between tracklets. A run that closes
        # gives it up: it must end within seconds, and claims stay as they are.
        for _ in look.thinking:
            if not self.looks:
                return {}
            yield
        # Until the run ends nothing is settled while a look is open: its rows are all recent still.
        # What came since is not among them: `followed` sends it where its track goes.
        fixed, rows, settled = self.fixed(look.beside), look.rows, len(look.beside)
        evidence = gather_evidence(
            rows,
            self.site,
            fixed=fixed,
            shown=look.shown,
            pairs=self.pairs,
            # Who is known and not compared here could be whoever comes back all the same.
            others=len({name for name, one in self.settled.items() if one.newest} - set(fixed.values())),
            # A track that was open when the look began shows only once its part is cut, a part's length
            # later: of two boxes that met after this, one may be missing still.
            complete_ns=look.answer_ns - TAKES_NS - self.matcher.part_ns,
        )
        grouped = grouped_into_people(evidence, self.site.settings.link_probability, self.transit)
        names = self.named([[rows[row].id for row in group] for group in grouped.groups], fixed)
        said = claims_of_groups(rows, names, grouped.walks, self.site.settings, settled=settled)
        self.open = None
        found = self.take([*map(self.explained, said), *self.followed(said)], look.beside)
        # The bound on memory waited for the look: its rows had to stay.
        return found | self.settle(list(self.recent)[: max(0, len(self.recent) - MOST_RECENT)])

    def followed(self, said: Sequence[Sighting]) -> list[Sighting]:
        """New claims of parts that came after a look had begun: they go where their tracks go."""
        seen = {claim.tracklet for claim in said}
        names = {self.recent[claim.tracklet].whole_track: claim.identity for claim in said}
        later = [n for n, t in self.recent.items() if n not in seen and t.whole_track in names]
        return [
            msgspec.structs.replace(self.said[n], identity=names[self.recent[n].whole_track]) for n in later
        ]

    def companions(self) -> dict[int, StoredTracklet]:
        """Settled tracklets that the recent ones are compared with."""
        here = {claim.identity for claim in self.said.values()} | set(self.tracks.values())
        identities = sorted((here & self.settled.keys()) | set(self.alike()))
        wanted = [number for name in identities for number in self.settled[name].newest.values()]
        unread = [number for number in wanted if number not in self.read]
        known = self.read | {tracklet.id: tracklet for tracklet in self.recall(unread)}
        kept = [known[number] for number in wanted if number in known]
        self.read = {
            t.id: t for t in sorted(kept, key=lambda t: (t.due_ns, t.camera, t.key.track, t.key.part))
        }
        return self.read

    def alike(self) -> list[int]:
        """Settled identities most like any recent tracklet by mean pooled vector."""
        seen = [mean_vector(t.embeddings) for t in self.recent.values() if self.matcher.crops(t)]
        known = [name for name, settled in self.settled.items() if settled.looks.any()]
        if not seen or not known:
            return []
        means = unit(np.stack([self.settled[name].looks for name in known]))
        likeness = (means @ unit(np.stack(seen)).T).max(1)
        return [known[place] for place in np.argsort(-likeness, kind="stable")[:COMPARED]]

    def fixed(self, beside: Mapping[int, StoredTracklet]) -> dict[int, int]:
        """The identity of every tracklet in play that can have no other."""
        owners = {
            n: name for name, settled in self.settled.items() for n in settled.newest.values() if n in beside
        }
        going_on = {
            n: self.tracks[t.whole_track] for n, t in self.recent.items() if t.whole_track in self.tracks
        }
        return owners | going_on

    def named(self, groups: Sequence[Sequence[int]], fixed: Mapping[int, int]) -> dict[int, int]:
        """The identity of every tracklet: of its group's settled ones, else the one most of the group had."""
        before = {number: claim.identity for number, claim in self.said.items()} | dict(fixed)
        group_of = {number: group for group, members in enumerate(groups) for number in members}
        names = keep_numbers(group_of, before, self.matcher.new_identity, settled=fixed)
        return {number: names[group] for number, group in group_of.items()}

    def explained(self, claim: Sighting) -> Sighting:
        """The claim with what it was first."""
        before = self.said[claim.tracklet]
        first = (before.evidence or {}).get("first", before.identity)
        changed = {} if first == claim.identity else {"first": first}
        return with_evidence(claim, provisional=True, **changed)

    def take(self, said: Sequence[Sighting], beside: Mapping[int, StoredTracklet]) -> dict[int, Sighting]:
        """Let the claims count; those that say something else than before."""
        news = [claim for claim in said if claim.identity != self.said[claim.tracklet].identity]
        other = [claim for claim in said if claim.state != self.said[claim.tracklet].state]
        touched = {name for c in news for name in (c.identity, self.said[c.tracklet].identity)}
        self.said |= {claim.tracklet: claim for claim in said}
        # A gallery cannot unlearn one tracklet: its means have swallowed the crops. Whoever won or lost one
        # is learnt anew from the tracklets that stand for it and the recent ones.
        for name in sorted(touched):
            kept = self.settled[name].newest.values() if name in self.settled else ()
            mine = [n for n, claim in self.said.items() if claim.identity == name]
            tracklets = [*(beside[n] for n in kept if n in beside), *(self.recent[n] for n in mine)]
            self.matcher.learn_anew(name, tracklets)
        return {claim.tracklet: claim for claim in (*news, *other)}

    def settle(self, numbers: Sequence[int]) -> dict[int, Sighting]:
        """Let these tracklets stay where they are; their last claims."""
        found = {}
        for number in numbers:
            tracklet, claim = self.recent.pop(number), self.said.pop(number)
            self.learn(tracklet, claim.identity)
            found[number] = with_evidence(claim, provisional=None)
        if numbers:
            going_on = {tracklet.whole_track for tracklet in self.recent.values()}
            self.tracks = {track: name for track, name in self.tracks.items() if track in going_on}
        if len(self.settled) > self.site.settings.identities:
            self.settled = {n: one for n, one in self.settled.items() if n in self.matcher.known}
        return found

    def learn(self, tracklet: StoredTracklet, identity: int) -> None:
        """Remember a settled tracklet of an identity, and the walk that led to it."""
        crops = self.matcher.crops(tracklet)
        look = mean_vector(crops) if crops else np.zeros(1)
        one = self.settled.setdefault(identity, Settled(np.zeros_like(look)))
        self.tracks[tracklet.whole_track] = identity
        if not self.covered(tracklet, identity):
            if one.last is not None:
                self.learn_walk(one.last, tracklet)
            one.last = msgspec.structs.replace(tracklet, crops=())
        if crops:
            one.looks = one.looks + look
            one.newest.pop(tracklet.camera, None)
            one.newest[tracklet.camera] = tracklet.id
            for camera in list(one.newest)[:-KEPT]:
                del one.newest[camera]

    def covered(self, tracklet: StoredTracklet, identity: int) -> bool:
        """Whether it lies within a recent one of the same identity and camera: a second box on one body."""
        return any(
            other.start_ns <= tracklet.start_ns and tracklet.end_ns <= other.end_ns
            for number, other in self.recent.items()
            if other.camera == tracklet.camera and self.said[number].identity == identity
        )

    def learn_walk(self, a: StoredTracklet, b: StoredTracklet) -> None:
        """Remember how long an identity took from one tracklet to the next, where times can be compared."""
        at_once = a.camera == b.camera and b.start_ns < a.end_ns
        same_clock = self.site.clock_of(a) == self.site.clock_of(b)
        if same_clock and a.whole_track != b.whole_track and not at_once:
            self.transit.learn((a.camera, b.camera), (b.start_ns - a.end_ns) / 1e9)


def next_look_ns(time_ns: int) -> int:
    """When the first look after a time is due."""
    return (time_ns // EVERY_NS + 1) * EVERY_NS


def with_evidence(claim: Sighting, **more: Any) -> Sighting:
    """The claim with more evidence; what is None is taken away."""
    evidence = {key: value for key, value in {**(claim.evidence or {}), **more}.items() if value is not None}
    return msgspec.structs.replace(claim, evidence=evidence or None)
