"""What a store says: every box with its track and the identity it is filed under, by camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.boxes import first_in_frame
from pipeline.evaluate.labels import Labels, Mask, Numbers
from pipeline.queries.boxes import recording_boxes
from pipeline.store.database import Store
from pipeline.store.identity_claims import claims_by_end
from pipeline.store.lookups import chosen
from pipeline.store.recordings import newest_recordings


@dataclass(frozen=True)
class FoundBoxes:
    """The boxes of one camera's newest recording."""

    tracks: Labels
    """Boxes whose ids are tracks."""
    identities: Numbers  # (B,) negative where nobody was claimed
    tracklets: Numbers  # (B,)

    def where(self, mask: Mask) -> FoundBoxes:
        """The boxes of a (B,) mask."""
        return FoundBoxes(self.tracks.where(mask), self.identities[mask], self.tracklets[mask])

    @property
    def people(self) -> Labels:
        """Boxes whose ids are identities."""
        return self.tracks.named(self.identities)


@dataclass(frozen=True)
class Claim:
    """What the store says about one tracklet."""

    state: str
    probability: float | None
    decided: bool
    """The program decided: no operator did, and it does not repeat what it said of an earlier part."""
    runner_up: int | None
    end_ns: int


def read_found(store: Store, version: int | None = None) -> dict[str, FoundBoxes]:
    """What was found in the newest recording of every camera, by name.

    Args:
        store: any open store.
        version: an identity version; None for the newest.
    """
    number = chosen(store, version)
    newest = newest_recordings(store)
    return {camera: read_recording(store, recording, number) for camera, recording in newest.items()}


def read_recording(store: Store, recording: int, version: int) -> FoundBoxes:
    """What was found in one recording, one box for each track and frame."""
    frames, tracks, people, tracklets, boxes = recording_boxes(store, recording, version)
    identities = np.where(people > 0, people, -first_tracklets(tracks, tracklets))
    found = FoundBoxes(Labels(frames, tracks, boxes), identities, tracklets)
    return found.where(first_in_frame(np.stack([frames, tracks], axis=1)))


def first_tracklets(tracks: Numbers, tracklets: Numbers) -> Numbers:
    """(B,) the lowest tracklet number of each box's track: it names the track in the whole store."""
    known, track = np.unique(tracks, return_inverse=True)
    lowest = np.full(len(known), np.iinfo(np.int64).max)
    np.minimum.at(lowest, track, tracklets)
    return np.asarray(lowest[track], np.int64)


def one_box_each(labels: Labels) -> Labels:
    """The labels, in which an id that is twice in a frame keeps its first box.

    The second boxes of an id get a new one together, the third ones another.
    """
    _, key = np.unique(np.stack([labels.frames, labels.ids], axis=1), axis=0, return_inverse=True)
    order = np.argsort(key, kind="stable")
    place = np.arange(len(key)) - np.searchsorted(key[order], key[order])
    nth = np.zeros(len(key), np.int64)
    nth[order] = place
    more = nth > 0
    ids = labels.ids.copy()
    _, fresh = np.unique(np.stack([ids, nth], axis=1)[more], axis=0, return_inverse=True)
    ids[more] = labels.ids.min(initial=0) - 1 - fresh
    return labels.named(ids)


def read_claims(store: Store, version: int | None = None) -> dict[int, Claim]:
    """What is said about each tracklet, by number, in order of their end."""
    return {
        said.tracklet: Claim(
            said.state,
            said.probability,
            not {"same_track", "correction"} & (said.evidence or {}).keys(),
            said.runner_up,
            end_ns,
        )
        for said, end_ns in claims_by_end(store, chosen(store, version))
    }
