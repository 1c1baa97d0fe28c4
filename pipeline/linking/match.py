"""Tracklets to identities: shortlist by pooled vector, decision by FPR distance, gates of time and place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from pipeline.config import MatcherConfig
from pipeline.linking.site import Place
from pipeline.linking.two_places_at_once import clock_slack_ns, exclusive, share_time
from pipeline.messages import Embedding
from pipeline.records import Sighting, SightingState, StoredTracklet

CUT_SLACK_NS = 300_000_000
"""A part within this of the full length was cut: frames are at most this far apart at 3 Hz and more."""
TRACKS_SWEPT = 256
"""Tracks remembered before those that have ended are dropped."""
TRACK_PARTS_KEPT = 4
"""A track that has had no part for so many part lengths has ended: its next one would have come."""
PRESENCES_KEPT = 64
"""Latest presences of an identity that later tracklets are gated by."""


@dataclass(frozen=True, slots=True)
class Presence:
    """One stay of an identity."""

    recording: int
    start_ns: int
    end_ns: int
    track: int = -1
    cut: bool = False
    """Whether it ends where a long presence is cut: most likely it goes on."""


@dataclass(slots=True)
class Known:
    """What the matcher remembers of an identity besides its exemplars."""

    tracks: int = 0
    """In how many it was seen."""
    presences: list[Presence] = field(default_factory=list)

    def staleness_ns(self, now_ns: int) -> float:
        """Time since it was last seen, divided by how often it was: who comes often comes back."""
        return (now_ns - max(presence.end_ns for presence in self.presences)) / self.tracks

    def add(self, here: Presence) -> None:
        """Remember one more presence; a track whose earlier parts are remembered is not counted again."""
        seen = any((there.recording, there.track) == (here.recording, here.track) for there in self.presences)
        self.tracks += not seen
        self.presences = [ended(there, here) for there in self.presences[-PRESENCES_KEPT + 1 :]]
        self.presences.append(here)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An identity that a probe might show."""

    identity: int
    distance: float
    """Fused set-to-set distance; small = same."""
    probability: float
    """Calibrated probability that it is the same person."""


@dataclass(slots=True)
class TrackState:
    """How one track's parts have been answered so far."""

    identity: int
    first: Sighting | None
    """The first answer; None where that was before this matcher."""
    end_ns: int = 0
    """When its last part ended."""


def ended(presence: Presence, later: Presence) -> Presence:
    """A presence that was cut, no longer guessed to go on once the next part of its track is known."""
    if presence.cut and (presence.recording, presence.track) == (later.recording, later.track):
        return replace(presence, end_ns=min(presence.end_ns, later.start_ns - 1), cut=False)
    return presence


def same_as_before(track: TrackState, tracklet: int) -> Sighting:
    """A later part's sighting: what was said of the track before."""
    if track.first is None or track.first.identity != track.identity:
        return Sighting(tracklet, track.identity, "linked", evidence={"same_track": True})
    evidence = {**(track.first.evidence or {}), "same_track": True}
    return msgspec.structs.replace(track.first, tracklet=tracklet, evidence=evidence)


class Gallery(Protocol):
    """Exemplars of every identity, and how likely a probe shows each."""

    def append(self, identity: int, embeddings: Sequence[Embedding]) -> None:
        """Let an identity's exemplars learn from more crops of the same person."""

    def remove(self, identity: int) -> None:
        """Forget an identity."""

    def candidates(
        self, embeddings: Sequence[Embedding], allowed: Callable[[int], bool], shortlist: int
    ) -> list[Candidate]:
        """The most likely of the allowed identities, best first."""


class Matcher:
    """Files tracklets under identities; they must come in order of their end (`end_ns`).

    The answer depends on that order alone: not on workers, messages or batches. A tracklet that comes too
    late is compared with the gallery as it is by then.
    """

    def __init__(
        self,
        settings: MatcherConfig,
        places: Mapping[int, Place],
        gallery: Gallery,
        new_identity: Callable[[], int],
        *,
        part_ns: int,
        model: str,
    ) -> None:
        """Start with nobody known.

        Args:
            settings: thresholds.
            places: by recording.
            gallery: empty.
            new_identity: makes a number for a person not seen before.
            part_ns: length of the parts that long presences are cut into.
            model: whose embeddings are compared; crops embedded by another one show nobody.
        """
        self.settings, self.places, self.gallery = settings, places, gallery
        self.new_identity, self.part_ns, self.model = new_identity, part_ns, model
        self.slack_ns = clock_slack_ns(settings)
        self.known: dict[int, Known] = {}
        self.tracks: dict[tuple[int, int], TrackState] = {}

    def update(self, probe: StoredTracklet) -> Sighting:
        """Whom one more tracklet shows; a later part of a track shows whom the first one did."""
        track = self.tracks.get(probe.whole_track)
        sighting = self.begin(probe) if track is None else same_as_before(track, probe.id)
        self.learn(probe, sighting.identity, trusted=sighting.state != "ambiguous")
        self.forget(probe.end_ns)
        return sighting

    def restore(self, probe: StoredTracklet, sighting: Sighting) -> None:
        """Learn a tracklet that has been answered before."""
        track = self.tracks.setdefault(probe.whole_track, TrackState(sighting.identity, None))
        track.identity = sighting.identity
        self.learn(probe, sighting.identity, trusted=sighting.state != "ambiguous")
        self.forget(probe.end_ns)

    def learn_anew(self, identity: int, tracklets: Sequence[StoredTracklet]) -> None:
        """Forget what was learnt of an identity: it is the person of these tracklets, or nobody any more."""
        if self.known.pop(identity, None) is not None:
            self.gallery.remove(identity)
        for tracklet in tracklets:
            if track := self.tracks.get(tracklet.whole_track):
                self.tracks[tracklet.whole_track] = TrackState(identity, None, track.end_ns)
            self.learn(tracklet, identity, trusted=True)

    def forget(self, now_ns: int) -> None:
        """Bound the memory: drop tracks that have ended, and the identity least likely to come back."""
        oldest_ns = now_ns - TRACK_PARTS_KEPT * self.part_ns
        if len(self.tracks) > TRACKS_SWEPT:
            self.tracks = {name: track for name, track in self.tracks.items() if track.end_ns >= oldest_ns}
        while len(self.known) > self.settings.identities:
            stale = max(
                self.known, key=lambda identity: (self.known[identity].staleness_ns(now_ns), -identity)
            )
            del self.known[stale]
            self.gallery.remove(stale)

    def begin(self, probe: StoredTracklet) -> Sighting:
        """Answer the first part of a track."""
        candidates = self.candidates(self.crops(probe), self.presence(probe))
        state = self.judge(candidates)
        identity = self.new_identity() if state == "new" else candidates[0].identity
        sighting = self.sighting(probe.id, identity, state, candidates)
        self.tracks[probe.whole_track] = TrackState(identity, sighting)
        return sighting

    def candidates(self, embeddings: Sequence[Embedding], stay: Presence) -> list[Candidate]:
        """Who may be there at this time, most likely first."""
        if not embeddings:
            return []

        def allowed(identity: int) -> bool:
            return not any(self.conflict(presence, stay) for presence in self.known[identity].presences)

        return self.gallery.candidates(embeddings, allowed, self.settings.shortlist)

    def conflict(self, a: Presence, b: Presence) -> bool:
        """Whether one person cannot have made both presences."""
        if a.recording == b.recording:
            return share_time(a.start_ns, a.end_ns, b.start_ns, b.end_ns)
        if not share_time(a.start_ns, a.end_ns, b.start_ns, b.end_ns, self.slack_ns):
            return False
        return exclusive(self.places[a.recording], self.places[b.recording])

    def crops(self, probe: StoredTracklet) -> tuple[Embedding, ...]:
        """The tracklet's embeddings, where they are of the model that is compared."""
        return probe.embeddings if probe.model == self.model else ()

    def presence(self, probe: StoredTracklet) -> Presence:
        """When and where a probe was. A part that was cut means the person was most likely still there."""
        first_ns = self.places[probe.key.recording].first_part_ns
        part_ns = first_ns if first_ns and probe.key.part == 0 else self.part_ns
        cut = part_ns - (probe.end_ns - probe.start_ns) <= CUT_SLACK_NS
        return Presence(
            probe.key.recording,
            probe.start_ns,
            probe.end_ns + (self.part_ns // 2 if cut else 0),
            probe.key.track,
            cut,
        )

    def judge(self, candidates: list[Candidate]) -> SightingState:
        """linked, ambiguous (a runner-up is as likely), or new."""
        if not candidates or candidates[0].probability < self.settings.link_probability:
            return "new"
        runner_up = candidates[1].probability if len(candidates) > 1 else 0.0
        return "linked" if candidates[0].probability - runner_up >= self.settings.margin else "ambiguous"

    def learn(self, probe: StoredTracklet, identity: int, *, trusted: bool) -> None:
        """Remember that the identity was there and, where the link is `trusted`, what it looked like."""
        if track := self.tracks.get(probe.whole_track):
            track.end_ns = max(track.end_ns, probe.end_ns)
        self.known.setdefault(identity, Known()).add(self.presence(probe))
        if trusted and self.crops(probe):
            self.gallery.append(identity, self.crops(probe))

    def sighting(
        self, tracklet: int, identity: int, state: SightingState, candidates: list[Candidate]
    ) -> Sighting:
        """The claim with its evidence: how near the identity is, and the next best (of a new one: best)."""
        best = candidates[0] if state != "new" else None
        others = [c for c in candidates if c.identity != identity]
        runner_up = others[0] if others else None
        return Sighting(
            tracklet,
            identity,
            state,
            distance=best.distance if best else None,
            probability=best.probability if best else None,
            runner_up=runner_up.identity if runner_up else None,
            runner_up_distance=runner_up.distance if runner_up else None,
            runner_up_probability=runner_up.probability if runner_up else None,
        )
