"""Makes the demo's scene: two recordings of people who walk from one camera to the other, and the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.demo.clothes import OUTFITS, SPRITE_HEIGHT_PX, Sprite, dress
from pipeline.demo.film import Film, TruthBox, develop
from pipeline.demo.people import Picture, cut_people, enlarge
from pipeline.demo.stage import PLACES, Stage

SECONDS = 40.0
START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
CRF = 23
"""Quality of the recordings; smaller is better."""


@dataclass(frozen=True)
class SceneCamera:
    """One recording and what is true about it."""

    name: str
    video: Path
    start: datetime
    fps: float
    size: tuple[int, int]
    """Width, height, px."""
    truth: tuple[TruthBox, ...]


@dataclass(frozen=True)
class Scene:
    """Recordings with known truth."""

    cameras: tuple[SceneCamera, ...]


def make_scene(out: Path, *, seed: int = 0, seconds: float = SECONDS) -> Scene:
    """Write `<camera>.mp4`, `gt_<camera>.txt` and `visible_<camera>.txt` for each camera.

    Both text files are in MOT format: frame from 1, person, x, y, width, height, 1, -1, visibility. `gt`
    holds whole bodies cut at the picture's border, `visible` the box around what is not hidden; persons are
    the same in all cameras.

    Args:
        out: folder, created when missing.
        seed: of rooms, cloth and noise.
        seconds: length of each recording.

    Raises:
        PhotographError: see `demo.people.load_photograph`.
        ValueError: `seconds` is not positive.
    """
    if seconds <= 0:
        raise ValueError(f"seconds {seconds}: must be positive")
    out.mkdir(parents=True, exist_ok=True)
    people = cut_people()
    sprites = {person: dress(outfit, people, seed=seed + person) for person, outfit in OUTFITS.items()}
    return Scene(tuple(record(place, sprites, out, seed=seed, seconds=seconds) for place in PLACES))


def record(place: Stage, sprites: dict[int, Sprite], out: Path, *, seed: int, seconds: float) -> SceneCamera:
    """Film one camera: writes its recording and its truth."""
    rng = np.random.default_rng([seed, len(place.name), *place.name.encode()])
    room = place.build(place.lens, rng)
    film = Film(place, room, {person: seen_by(place, sprite) for person, sprite in sprites.items()}, rng)
    truth: list[TruthBox] = []
    video = out / f"{place.name}.mp4"
    frames = round(seconds * place.fps)
    write_video(video, film.frames(frames, truth), place.fps)
    write_mot(out / f"gt_{place.name}.txt", [(t.frame, t.person, t.bbox, t.visibility) for t in truth])
    write_mot(
        out / f"visible_{place.name}.txt", [(t.frame, t.person, t.visible, t.visibility) for t in truth]
    )
    size = (place.lens.width, place.lens.height)
    return SceneCamera(
        place.name, video, START + timedelta(seconds=place.start_s), place.fps, size, tuple(truth)
    )


def seen_by(place: Stage, sprite: Sprite) -> Sprite:
    """The person in a camera's colours, about as large as the camera sees anybody."""
    scale = min(1.0, place.lens.focal_px * 1.9 / 4.4 / SPRITE_HEIGHT_PX)
    images = tuple(develop(enlarge(image, scale).astype(np.float32) * 0.94, place) for image in sprite.images)
    return Sprite(images, tuple(enlarge(alpha, scale) for alpha in sprite.alphas))


def write_video(path: Path, frames: Iterator[Picture], fps: float) -> None:
    """Encode (H, W, 3) RGB pictures of even size as H.264, the same bytes every time.

    That takes one thread, OpenCV for the colours (swscale's differed from run to run) and x264 without
    macroblock tree and weighted prediction (on AVX-512 their result differed, too).
    """
    rate = Fraction(fps).limit_denominator(1000)
    options = {"preset": "veryfast", "crf": str(CRF), "weightp": "0", "mbtree": "0"}
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        for number, image in enumerate(frames):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))


def write_mot(path: Path, rows: list[tuple[int, int, tuple[float, float, float, float], float]]) -> None:
    """Write rows of 0-based frame, person, xyxy box and visibility in MOT format."""
    lines = [
        f"{frame + 1},{person},{x0:.0f},{y0:.0f},{x1 - x0:.0f},{y1 - y0:.0f},1,-1,{visibility:.3f}\n"
        for frame, person, (x0, y0, x1, y1), visibility in rows
    ]
    path.write_text("".join(lines), encoding="utf-8")
