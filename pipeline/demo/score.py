"""Compares what a run found with what is true of the demo's scene."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.demo.film import TruthBox
from pipeline.demo.scene import Scene, SceneCamera

LEAST_IOU = 0.5
"""Overlap from which a found box counts as a person's; the field's custom."""
LEAST_VISIBILITY = 0.25
"""Where less of a person can be seen, neither finding nor missing them counts."""
VISIT_GAP_S = 5.0
"""A longer absence from a camera ends a visit."""


@dataclass(frozen=True)
class FoundTracklet:
    """One tracklet as a run stored it."""

    tracklet: int
    camera: str
    identity: int
    frames: NDArray[np.int32]  # (T,) 0-based
    boxes: NDArray[np.float32]  # (T, 4) xyxy, px


@dataclass(frozen=True)
class PersonScore:
    """What became of one true person."""

    person: int
    visits: tuple[str, ...]
    """Cameras in order of time."""
    identity: int | None
    """The identity most of the person's tracklets got."""
    found: tuple[str, ...]
    """The cameras of that identity in order of time."""
    purity: float
    """Share of that identity's boxes that show this person."""
    splits: int
    """Further identities this person's tracklets got."""
    strangers: int
    """Tracklets of that identity that show somebody else, or nobody."""

    @property
    def whole(self) -> bool:
        """Whether every visit was found, under one identity that holds nobody else."""
        return self.visits == self.found and not self.splits and not self.strangers


@dataclass(frozen=True)
class LinkScore:
    """Pairs of tracklets of different cameras that were said to show the same person."""

    right: int
    said: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the said pairs that are right."""
        return self.right / self.said if self.said else 0.0

    @property
    def recall(self) -> float:
        """Share of the true pairs that were said."""
        return self.right / self.true if self.true else 0.0


@dataclass(frozen=True)
class Score:
    """How good a run's identities are."""

    people: tuple[PersonScore, ...]
    links: LinkScore
    idf1: float
    """Over both cameras together: one identity counts for one person."""
    merges: int
    """Identities that hold tracklets of two or more people, each counted beyond the first person."""
    identities: int
    strays: int
    """Tracklets that show nobody for most of their boxes."""

    @property
    def whole_journeys(self) -> int:
        """People whose journey is right from the first to the last visit."""
        return sum(person.whole for person in self.people)


@dataclass(frozen=True)
class Overlap:
    """Whom a tracklet shows."""

    counts: Mapping[int, int]
    """Boxes by person."""
    boxes: int
    """Boxes that count at all."""

    @property
    def person(self) -> int | None:
        """Who is in most of the boxes that count, if that is at least half of them."""
        person, count = max(self.counts.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
        return person if count and 2 * count >= self.boxes else None


def overlaps(scene: Scene, tracklets: Sequence[FoundTracklet]) -> dict[int, Overlap]:
    """Whom each tracklet shows, by number.

    A found box shows a person when it overlaps their whole body, or the part of it that can be seen, by
    LEAST_IOU. Frames in which less than LEAST_VISIBILITY of a person can be seen do not count for or
    against.
    """
    truths = {camera.name: by_frame(camera) for camera in scene.cameras}
    return {t.tracklet: people_in(t, truths[t.camera]) for t in tracklets}


def score(scene: Scene, tracklets: Sequence[FoundTracklet], shows: Mapping[int, Overlap]) -> Score:
    """How well identities agree with the truth.

    Args:
        scene: the truth.
        tracklets: what was found, every box of it.
        shows: from `overlaps`; it does not depend on the identities.
    """
    shown = {number: overlap.person for number, overlap in shows.items()}
    return Score(
        people=tuple(person_score(scene, person, tracklets, shows) for person in persons(scene)),
        links=link_score(tracklets, shown),
        idf1=global_idf1(scene, tracklets, shows),
        merges=count_merges(tracklets, shown),
        identities=len({t.identity for t in tracklets}),
        strays=sum(person is None for person in shown.values()),
    )


def persons(scene: Scene) -> list[int]:
    """Everybody who can be seen at all."""
    return sorted({t.person for camera in scene.cameras for t in camera.truth if counts(t)})


def counts(truth: TruthBox) -> bool:
    """Whether enough of the person can be seen."""
    return truth.visibility >= LEAST_VISIBILITY


def by_frame(camera: SceneCamera) -> dict[int, list[TruthBox]]:
    """A camera's truth by frame."""
    frames: dict[int, list[TruthBox]] = defaultdict(list)
    for truth in camera.truth:
        frames[truth.frame].append(truth)
    return frames


def people_in(tracklet: FoundTracklet, truth: Mapping[int, Sequence[TruthBox]]) -> Overlap:
    """Whom a tracklet shows, box by box; a box that shows only somebody hardly visible does not count."""
    shows: Counter[int] = Counter()
    boxes = 0
    for frame, bbox in zip(tracklet.frames.tolist(), tracklet.boxes, strict=True):
        people = [t for t in truth.get(frame, ()) if overlap_iou(bbox, t) >= LEAST_IOU]
        clear = [t.person for t in people if counts(t)]
        shows.update(clear)
        boxes += bool(clear) or not people
    return Overlap(shows, boxes)


def overlap_iou(bbox: NDArray[np.float32], truth: TruthBox) -> float:
    """Intersection over union with the whole body or with its visible part, whichever is more."""
    return max(iou(bbox.tolist(), truth.bbox), iou(bbox.tolist(), truth.visible))


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two xyxy boxes, 0..1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def person_score(
    scene: Scene, person: int, tracklets: Sequence[FoundTracklet], shows: Mapping[int, Overlap]
) -> PersonScore:
    """What became of one person."""
    mine: Counter[int] = Counter()
    for tracklet in tracklets:
        if shows[tracklet.tracklet].person == person:
            mine[tracklet.identity] += shows[tracklet.tracklet].counts[person]
    visits = true_visits(scene, person)
    if not mine:
        return PersonScore(person, visits, None, (), 0.0, 0, 0)
    identity = min(mine, key=lambda number: (-mine[number], number))
    same = [t for t in tracklets if t.identity == identity]
    boxes = sum(shows[t.tracklet].boxes for t in same)
    purity = sum(shows[t.tracklet].counts.get(person, 0) for t in same) / boxes
    strangers = sum(shows[t.tracklet].person != person for t in same)
    found = found_visits(scene, same)
    return PersonScore(person, visits, identity, found, min(1.0, purity), len(mine) - 1, strangers)


def true_visits(scene: Scene, person: int) -> tuple[str, ...]:
    """The cameras a person walked through."""
    seen = [
        (seconds(camera, truth.frame), camera.name)
        for camera in scene.cameras
        for truth in camera.truth
        if truth.person == person and counts(truth)
    ]
    return visits(seen)


def found_visits(scene: Scene, tracklets: Iterable[FoundTracklet]) -> tuple[str, ...]:
    """The cameras some tracklets lead through."""
    cameras = {camera.name: camera for camera in scene.cameras}
    seen = [(seconds(cameras[t.camera], frame), t.camera) for t in tracklets for frame in t.frames.tolist()]
    return visits(seen)


def visits(seen: Iterable[tuple[float, str]]) -> tuple[str, ...]:
    """The stays in front of cameras, by when each began; a gap of VISIT_GAP_S makes two of one."""
    begun: list[tuple[float, str]] = []
    by_camera = sorted(seen, key=lambda item: (item[1], item[0]))
    for camera, group in groupby(by_camera, key=lambda item: item[1]):
        last = -np.inf
        for time_s, _ in group:
            if time_s - last > VISIT_GAP_S:
                begun.append((time_s, camera))
            last = time_s
    return tuple(camera for _, camera in sorted(begun))


def seconds(camera: SceneCamera, frame: int) -> float:
    """When a frame was taken, in epoch seconds."""
    return camera.start.timestamp() + frame / camera.fps


def link_score(tracklets: Sequence[FoundTracklet], shown: Mapping[int, int | None]) -> LinkScore:
    """Pairs across cameras; a tracklet that shows nobody makes every pair with it wrong."""
    right = said = true = 0
    for a, b in combinations(tracklets, 2):
        if a.camera == b.camera:
            continue
        same = shown[a.tracklet] is not None and shown[a.tracklet] == shown[b.tracklet]
        right += same and a.identity == b.identity
        said += a.identity == b.identity
        true += same
    return LinkScore(right, said, true)


def count_merges(tracklets: Sequence[FoundTracklet], shown: Mapping[int, int | None]) -> int:
    """How many people too many the identities hold."""
    people: dict[int, set[int]] = defaultdict(set)
    for tracklet in tracklets:
        person = shown[tracklet.tracklet]
        if person is not None:
            people[tracklet.identity].add(person)
    return sum(len(held) - 1 for held in people.values())


def global_idf1(scene: Scene, tracklets: Sequence[FoundTracklet], shows: Mapping[int, Overlap]) -> float:
    """IDF1 with identities across cameras (Ristani et al. 2016): 2 IDTP / (true boxes + found boxes)."""
    people = persons(scene)
    identities = sorted({t.identity for t in tracklets})
    shared = np.zeros((len(people), len(identities)))
    for tracklet in tracklets:
        for person, count in shows[tracklet.tracklet].counts.items():
            shared[people.index(person), identities.index(tracklet.identity)] += count
    rows, columns = linear_sum_assignment(-shared)
    true = sum(counts(truth) for camera in scene.cameras for truth in camera.truth)
    found = sum(overlap.boxes for overlap in shows.values())
    return float(2 * shared[rows, columns].sum() / (true + found)) if true + found else 0.0
