"""What a run found against what is true of the demo's scene, by the ruler of `evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.boxes import iou_matrix
from pipeline.demo.scene import Scene, SceneCamera
from pipeline.evaluate.evaluation import Judged, judge
from pipeline.evaluate.found_boxes import FoundBoxes
from pipeline.evaluate.labels import Boxes, Labels, Numbers, common_frames, labels
from pipeline.evaluate.linking_score import PairScore, Piece, filed_pair_score, merges, pieces
from pipeline.evaluate.tracking_score import across_idf1
from pipeline.evaluate.truth import CameraTruth

LEAST_VISIBILITY = 0.25
"""Where less of a person can be seen, neither finding nor missing them counts."""
VISIT_GAP_S = 5.0
"""A longer absence from a camera ends a visit."""


@dataclass(frozen=True)
class PersonScore:
    """What became of one true person."""

    person: int
    visits: tuple[str, ...]
    """Cameras in order of time."""
    identity: int | None
    """The identity most of the person's boxes are filed under."""
    found: tuple[str, ...]
    """The cameras of that identity in order of time."""
    purity: float
    """Share of that identity's boxes that show this person."""
    splits: int
    """Further identities this person is filed under."""
    strangers: int
    """Tracks of that identity that show somebody else, or nobody."""

    @property
    def whole(self) -> bool:
        """Whether every visit was found, under one identity that holds nobody else."""
        return self.visits == self.found and not self.splits and not self.strangers


@dataclass(frozen=True)
class Score:
    """How good a run's identities are."""

    people: tuple[PersonScore, ...]
    links: PairScore
    """Ambiguous links count as they are filed."""
    idf1: float
    """Over all cameras together: one identity counts for one person."""
    merges: int
    """Identities that hold two or more people, each counted beyond the first person."""
    identities: int

    @property
    def whole_journeys(self) -> int:
        """People whose journey is right from the first to the last visit."""
        return sum(person.whole for person in self.people)


def judged(scene: Scene, found: Mapping[str, FoundBoxes]) -> list[Judged]:
    """Whom every found box shows, camera by camera.

    Args:
        scene: the truth.
        found: by camera.
    """
    nothing = FoundBoxes(labels([], [], []), np.zeros(0, np.int64), np.zeros(0, np.int64))
    both = [(camera, found.get(camera.name, nothing)) for camera in scene.cameras]
    return [judge(c.name, boxes, truth_of(c, boxes.tracks), "complete", None) for c, boxes in both]


def truth_of(camera: SceneCamera, found: Labels) -> CameraTruth:
    """A camera's truth: of each person the whole body, or what can be seen of it where found boxes fit that
    better, for a detector may draw either. Who is hardly visible counts neither way.
    """
    frames, people = [t.frame for t in camera.truth], [t.person for t in camera.truth]
    whole = labels(frames, people, [list(t.bbox) for t in camera.truth])
    visible = labels(frames, people, [list(t.visible) for t in camera.truth])
    shares = labels(frames, people, [[t.visibility] * 4 for t in camera.truth]).boxes[:, 0]
    better = closeness(visible, found) > closeness(whole, found)
    truth = Labels(whole.frames, whole.ids, np.where(better[:, None], visible.boxes, whole.boxes))
    counts = shares >= LEAST_VISIBILITY
    return CameraTruth(truth.where(counts), truth.where(~counts))


def closeness(truth: Labels, found: Labels) -> Boxes:
    """(B,) of each true box the largest overlap with any found one of its frame."""
    close = np.zeros(len(truth))
    for true, mine in common_frames(truth, found):
        if true.start < true.stop and mine.start < mine.stop:
            close[true] = iou_matrix(truth.boxes[true], found.boxes[mine]).max(1)
    return close


def refiled(boxes: Sequence[Judged], identities: Mapping[int, int]) -> list[Judged]:
    """The same boxes with their tracklets filed under other identities."""
    return [replace(one, found=replace(one.found, identities=filed(one.found, identities))) for one in boxes]


def filed(found: FoundBoxes, identities: Mapping[int, int]) -> Numbers:
    """(B,) the identity of each box, by its tracklet."""
    return np.array([identities[tracklet] for tracklet in found.tracklets.tolist()], np.int64)


def score(scene: Scene, boxes: Sequence[Judged]) -> Score:
    """How well identities agree with the truth.

    Args:
        scene: the truth.
        boxes: from `judged`, or `refiled`.
    """
    found = pieces_of(boxes)
    everybody = sorted({person for one in boxes for person in one.truth.ids.tolist()})
    return Score(
        people=tuple(person_score(scene, person, boxes, found) for person in everybody),
        links=filed_pair_score(found),
        idf1=across_idf1([(one.truth, one.people) for one in boxes]),
        merges=sum(len(merge.tracklets) - 1 for merge in merges(found)),
        identities=len({piece.identity for piece in found}),
    )


def pieces_of(boxes: Sequence[Judged]) -> list[Piece]:
    """The tracks of all cameras, each with whom it shows."""
    return [piece for one in boxes for piece in pieces(one.camera, one.found, one.truth, one.rows, {})]


def people_shown(boxes: Sequence[Judged]) -> dict[int, int | None]:
    """Whom each tracklet shows; None for nobody."""
    return {tracklet: piece.person for piece in pieces_of(boxes) for tracklet in piece.tracklets}


def person_score(scene: Scene, person: int, boxes: Sequence[Judged], found: Sequence[Piece]) -> PersonScore:
    """What became of one person."""
    mine: Counter[int] = Counter()
    for piece in found:
        if piece.person == person:
            mine[piece.identity] += piece.shows[person]
    visits = true_visits(scene, person, boxes)
    if not mine:
        return PersonScore(person, visits, None, (), 0.0, 0, 0)
    identity = min(mine, key=lambda number: (-mine[number], number))
    same = [piece for piece in found if piece.identity == identity]
    counted = sum(int((one.counts & (one.found.identities == identity)).sum()) for one in boxes)
    purity = sum(piece.shows.get(person, 0) for piece in same) / counted
    strangers = sum(piece.person != person for piece in same)
    found_as = found_visits(scene, identity, boxes)
    return PersonScore(person, visits, identity, found_as, purity, len(mine) - 1, strangers)


def true_visits(scene: Scene, person: int, boxes: Sequence[Judged]) -> tuple[str, ...]:
    """The cameras a person walked through."""
    return visits(scene, {one.camera: one.truth.frames[one.truth.ids == person].tolist() for one in boxes})


def found_visits(scene: Scene, identity: int, boxes: Sequence[Judged]) -> tuple[str, ...]:
    """The cameras an identity leads through."""
    seen = {one.camera: one.found.tracks.frames[one.found.identities == identity].tolist() for one in boxes}
    return visits(scene, seen)


def visits(scene: Scene, frames: Mapping[str, Sequence[int]]) -> tuple[str, ...]:
    """The stays in front of cameras, by when each began; a gap of VISIT_GAP_S makes two of one.

    Args:
        scene: when each camera's frames were taken.
        frames: by camera, those in which somebody is seen.
    """
    begun: list[tuple[float, str]] = []
    for camera in scene.cameras:
        last = -np.inf
        for time_s in (seconds(camera, frame) for frame in sorted(frames.get(camera.name, ()))):
            if time_s - last > VISIT_GAP_S:
                begun.append((time_s, camera.name))
            last = time_s
    return tuple(camera for _, camera in sorted(begun))


def seconds(camera: SceneCamera, frame: int) -> float:
    """When a frame was taken, in epoch seconds."""
    return camera.start.timestamp() + frame / camera.fps
