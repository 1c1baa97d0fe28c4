"""The demo's picture: frames of both cameras with identities, everybody's journey, and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.cameras.frames import Image
from pipeline.cameras.recordings import open_source
from pipeline.config import CameraConfig
from pipeline.demo.scene import Scene, SceneCamera
from pipeline.demo.score import Score, seconds
from pipeline.queries.pictures.drawing import Colour, Label, colour_of, draw_label

WIDTH_PX = 1840
MARGIN_PX = 40
GAP_PX = 12
FRAMES = 4
"""Pictures of each camera."""
CROP_PX = (76, 176)
"""Width and height of a crop."""
PAPER: Colour = (252, 252, 250)
INK: Colour = (28, 30, 34)
GREY: Colour = (120, 124, 130)
RED: Colour = (206, 44, 44)
PALE: Colour = (228, 229, 231)
FONT = "sans"


@dataclass(frozen=True)
class FoundTracklet:
    """One tracklet as a run stored it."""

    tracklet: int
    camera: str
    identity: int
    frames: NDArray[np.int32]  # (T,) 0-based
    boxes: NDArray[np.float32]  # (T, 4) xyxy, px


@dataclass(frozen=True)
class Result:
    """One way of linking the tracklets and how good it is."""

    name: str
    score: Score


@dataclass(frozen=True)
class Stay:
    """One tracklet's place in a journey."""

    tracklet: FoundTracklet
    crop: Image | None
    start_s: float
    """Epoch."""
    wrong: bool
    """The tracklet shows somebody else than most of this identity's do, or nobody."""


def draw_demo(
    scene: Scene,
    tracklets: Sequence[FoundTracklet],
    crops: Mapping[int, Image],
    shown: Mapping[int, int | None],
    results: Sequence[Result],
) -> Image:
    """The whole picture, (H, W, 3) RGB.

    Args:
        scene: the recordings and their truth.
        tracklets: what was found.
        crops: the best picture of each tracklet, by number.
        shown: the true person in each tracklet, by number.
        results: ours first, then what it is compared with.
    """
    found = len({t.identity for t in tracklets})
    people = len(results[0].score.people)
    title = f"{people} people, {len(scene.cameras)} cameras: where did each of them go?"
    lead = f"{len(tracklets)} tracklets were linked to {found} identities; the pipeline never saw the truth."
    strips = [banner(title, 44, 84), banner(lead, 22, 44, GREY)]
    for camera in scene.cameras:
        strips += [banner(caption(camera), 22, 58), film_strip(camera, tracklets)]
    strips += [banner("Journeys found", 30, 76)]
    strips += journey_rows(scene, tracklets, crops, shown)
    strips += [banner("Score against the truth", 30, 70), score_table(results), blank(MARGIN_PX)]
    return np.concatenate(strips)


def blank(height: int) -> Image:
    """An empty strip across the picture."""
    return np.full((height, WIDTH_PX, 3), PAPER, np.uint8)


def write(
    image: Image, text: str, corner: tuple[int, int], size: int, ink: Colour = INK, weight: int = 400
) -> None:
    """Write one line into `image`, in place; corner: left end of the base line, size: letter height in px."""
    cv2.putText(image, text, corner, ink, cv2.FontFace(FONT), size, weight)


def banner(text: str, size: int, height: int, ink: Colour = INK) -> Image:
    """A line of text across the picture."""
    strip = blank(height)
    write(strip, text, (MARGIN_PX, height - 16), size, ink, 600 if ink == INK else 400)
    return strip


def caption(camera: SceneCamera) -> str:
    """A camera in one line."""
    width, height = camera.size
    return f"{camera.name}    {width} x {height}, {camera.fps:g} fps, from {camera.start:%H:%M:%S} UTC"


def film_strip(camera: SceneCamera, tracklets: Sequence[FoundTracklet]) -> Image:
    """Frames of one camera side by side with everybody found in them."""
    labels = labels_by_frame(camera, tracklets)
    width = (WIDTH_PX - 2 * MARGIN_PX - (FRAMES - 1) * GAP_PX) // FRAMES
    height = round(width * camera.size[1] / camera.size[0])
    strip = blank(height)
    wanted = busy_frames(labels, round(camera.truth[-1].frame) + 1 if camera.truth else 1)
    with open_source(CameraConfig(name=camera.name, source=str(camera.video))) as source:
        pictures = {frame.index: frame.image.copy() for frame in source if frame.index in wanted}
    for column, index in enumerate(sorted(pictures)):
        image = pictures[index]
        for label in labels.get(index, []):
            draw_label(image, label)
        left = MARGIN_PX + column * (width + GAP_PX)
        small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        time = camera.start + timedelta(seconds=index / camera.fps)
        cv2.rectangle(small, (0, height - 26), (92, height), INK, cv2.FILLED)
        write(small, f"{time:%H:%M:%S}", (8, height - 7), 16, PAPER)
        strip[:, left : left + width] = small
    return strip


def labels_by_frame(camera: SceneCamera, tracklets: Sequence[FoundTracklet]) -> dict[int, list[Label]]:
    """Everybody found in each frame of a camera."""
    labels: dict[int, list[Label]] = {}
    for tracklet in tracklets:
        if tracklet.camera == camera.name:
            for frame, (x0, y0, x1, y1) in zip(
                tracklet.frames.tolist(), tracklet.boxes.tolist(), strict=True
            ):
                labels.setdefault(frame, []).append(Label((x0, y0, x1, y1), tracklet.identity, False))
    return labels


def busy_frames(labels: Mapping[int, Sequence[Label]], frames: int) -> set[int]:
    """In each of FRAMES equal spans the middle one of the frames with most people."""
    chosen = set()
    for span in range(FRAMES):
        inside = range(span * frames // FRAMES, (span + 1) * frames // FRAMES)
        most = max((len(labels.get(i, ())) for i in inside), default=0)
        best = [i for i in inside if len(labels.get(i, ())) == most]
        chosen.update(best[len(best) // 2 : len(best) // 2 + 1])
    return chosen


def journey_rows(
    scene: Scene,
    tracklets: Sequence[FoundTracklet],
    crops: Mapping[int, Image],
    shown: Mapping[int, int | None],
) -> list[Image]:
    """A card for every identity by first appearance, in rows as wide as the picture."""
    cameras = {camera.name: camera for camera in scene.cameras}
    journeys: dict[int, list[Stay]] = {}
    for tracklet in tracklets:
        start_s = seconds(cameras[tracklet.camera], int(tracklet.frames[0]))
        stay = Stay(tracklet, crops.get(tracklet.tracklet), start_s, False)
        journeys.setdefault(tracklet.identity, []).append(stay)
    cards = [
        journey_card(scene, sorted(stays, key=lambda s: s.start_s), shown) for stays in journeys.values()
    ]
    order = sorted(range(len(cards)), key=lambda i: min(s.start_s for s in list(journeys.values())[i]))
    rows, left = [blank(cards[0].shape[0] + GAP_PX)] if cards else [], MARGIN_PX
    for card in (cards[i] for i in order):
        if left + card.shape[1] > WIDTH_PX - MARGIN_PX and left > MARGIN_PX:
            rows.append(blank(card.shape[0] + GAP_PX))
            left = MARGIN_PX
        room = min(card.shape[1], WIDTH_PX - left)
        rows[-1][: card.shape[0], left : left + room] = card[:, :room]
        left += card.shape[1] + 2 * GAP_PX
    return rows


def journey_card(scene: Scene, stays: Sequence[Stay], shown: Mapping[int, int | None]) -> Image:
    """One identity: its number and a crop of every stay, in order of time; wrong ones in red."""
    identity = stays[0].tracklet.identity
    owner = owner_of([shown[stay.tracklet.tracklet] for stay in stays])
    width, height = CROP_PX
    cell = width + 36
    card = np.full((height + 66, 18 + cell * len(stays), 3), PAPER, np.uint8)
    cv2.rectangle(card, (0, 0), (7, card.shape[0]), colour_of(identity), cv2.FILLED)
    label = "nobody" if owner is None else f"person {owner}"
    write(card, f"P{identity}", (18, 20), 20, INK, 700)
    write(card, label, (18 + 24 + 13 * len(str(identity)), 20), 15, GREY)
    for number, stay in enumerate(stays):
        left = 18 + number * cell
        paste(card, stay.crop, left, 28)
        person = shown[stay.tracklet.tracklet]
        wrong = person != owner or person is None
        frame = RED if wrong else PALE
        cv2.rectangle(card, (left, 28), (left + width - 1, 28 + height - 1), frame, 3 if wrong else 1)
        write(card, stay.tracklet.camera, (left, height + 45), 15, RED if wrong else INK)
        camera = next(c for c in scene.cameras if c.name == stay.tracklet.camera)
        time = camera.start + timedelta(seconds=int(stay.tracklet.frames[0]) / camera.fps)
        write(card, f"{time:%H:%M:%S}", (left, height + 62), 13, GREY)
        if number:
            tip = (left - 6, 28 + height // 2)
            cv2.arrowedLine(card, (left - 28, tip[1]), tip, GREY, 2, cv2.LINE_AA, 0, 0.35)
    return card


def owner_of(people: Sequence[int | None]) -> int | None:
    """The person most tracklets show; of equals the first."""
    known = [person for person in people if person is not None]
    return max(known, key=known.count) if known else None


def paste(card: Image, crop: Image | None, left: int, top: int) -> None:
    """Put a crop into its place, whole and not stretched."""
    width, height = CROP_PX
    card[top : top + height, left : left + width] = PALE
    if crop is None:
        return
    scale = min(width / crop.shape[1], height / crop.shape[0])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = left + (width - size[0]) // 2, top + (height - size[1]) // 2
    card[y : y + size[1], x : x + size[0]] = small


def score_table(results: Sequence[Result]) -> Image:
    """One line for each result; ours is bold."""
    heads = (
        "",
        "whole journeys",
        "links right",
        "links found",
        "IDF1 across cameras",
        "merged",
        "identities",
    )
    columns = (MARGIN_PX, 560, 800, 1000, 1190, 1470, 1620)
    table = blank(44 + 40 * len(results))
    for head, left in zip(heads, columns, strict=True):
        write(table, head, (left, 24), 17, GREY)
    cv2.line(table, (MARGIN_PX, 36), (WIDTH_PX - MARGIN_PX, 36), PALE, 1)
    for row, result in enumerate(results):
        for value, left in zip((result.name, *figures(result.score)), columns, strict=True):
            write(
                table, value, (left, 70 + 40 * row), 22, INK if row == 0 else GREY, 700 if row == 0 else 400
            )
    return table


def figures(score: Score) -> tuple[str, ...]:
    """The numbers of a score as written in a table."""
    return (
        f"{score.whole_journeys} of {len(score.people)}",
        share(score.links.precision, score.links.said) if score.links.said else "none made",
        share(score.links.recall, score.links.true),
        f"{score.idf1:.3f}",
        f"{score.merges}",
        f"{score.identities}",
    )


def share(part: float | None, whole: int) -> str:
    """'95% of 20'."""
    return f"{part or 0:.0%} of {whole}"
