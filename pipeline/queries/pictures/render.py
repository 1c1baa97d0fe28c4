"""Draws what the store knows: each recording as a video with identities, each person as a sheet of crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from pipeline.atomic_files import replaced_file
from pipeline.cameras.frames import Image, Source
from pipeline.cameras.recordings import SourceError, open_source, source_fingerprint
from pipeline.queries.people import people as everybody
from pipeline.queries.pictures.contact_sheets import RenderError, write_sheet
from pipeline.queries.pictures.drawing import (
    BLACK,
    Label,
    draw_label,
    draw_text,
    letters_px,
    when,
)
from pipeline.queries.pictures.people_in_frames import Footage, footage, frame_labels
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.lookups import check_camera, check_person

__all__ = ["NotAFolderError", "RenderError", "Rendered", "render", "render_camera"]

VIDEO_CLOCK_HZ = 90_000
"""Unit of time stamps in the videos written: MPEG's own."""
QUALITY = {"preset": "veryfast", "crf": "23"}


class NotAFolderError(RenderError, kind="wrong input"):
    """What is drawn cannot go there: it is a file."""


@dataclass(frozen=True)
class Rendered:
    """What was written, and what could not be."""

    videos: tuple[Path, ...]
    sheets: tuple[Path, ...]
    problems: tuple[str, ...]
    """One line for each recording or picture left out or cut short."""
    unpictured: tuple[int, ...] = ()
    """People without a sheet, because no picture of them was kept."""


class LabelsByFrame(Protocol):
    """Who to draw in each frame."""

    def at(self, frame: int) -> Iterator[Label]:
        """Everybody in one frame, 0-based."""


def silent(_camera: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


def render(
    store: Store,
    out: Path,
    *,
    cameras: Sequence[str] | None = None,
    people: Sequence[int] | None = None,
    version: int | None = None,
    progress: Callable[[str, int, int | None], None] = silent,
    threads: int = 1,
) -> Rendered:
    """Write OUT/CAMERA.mp4 for each recording and OUT/P7.jpg for each person. Audited.

    Args:
        store: any open store.
        out: a folder, made if missing; files of the same name are replaced.
        cameras: only these; None for all.
        people: only these; None for all, and for tracklets nobody is linked to yet.
        version: an identity version; None for the newest.
        progress: called with camera, frames done and frames expected (None: unknown).
        threads: for decoding and encoding; 0: as many as there are cores.

    Raises:
        UnknownCameraError, UnknownPersonError: not in the store.
        NotAFolderError: OUT is a file.
        RenderError: the folder cannot be made.
    """
    for camera in cameras or ():
        check_camera(store, camera)
    for person in people or ():
        check_person(store, person, version=version)
    make_folder(out)
    audit(store, "export", str(out.resolve()), {"format": "render", "people": list(people or ())})
    videos: list[Path] = []
    problems: list[str] = []
    recordings = footage(store, cameras)
    for item, path in zip(recordings, video_paths(out, recordings), strict=True):
        try:
            labels = frame_labels(store, item.recording, people, version=version)
            problems += render_recording(item, labels, path, progress=progress, threads=threads)
            videos.append(path)
        except (SourceError, RenderError) as error:
            problems.append(f"{item.camera.name}: {error}")
    sheets: list[Path] = []
    unpictured: list[int] = []
    for someone in everybody(store, version=version):
        if people is not None and someone.person not in people:
            continue
        try:
            path = out / f"P{someone.person}.jpg"
            written = write_sheet(store, someone, path, cameras, version=version)
        except RenderError as error:
            problems.append(str(error))
            continue
        sheets += written
        if not written and (cameras is None or set(cameras) & set(someone.cameras)):
            unpictured.append(someone.person)
    return Rendered(tuple(videos), tuple(sheets), tuple(problems), tuple(unpictured))


def make_folder(out: Path) -> None:
    """Make the folder for what is drawn.

    Raises:
        NotAFolderError: it, or what it would lie in, is a file.
        RenderError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotAFolderError(f"{out}: is a file: give a folder") from error
    except OSError as error:
        raise RenderError(f"{out}: this folder cannot be made: {error.strerror}") from error


def video_paths(out: Path, recordings: Sequence[Footage]) -> list[Path]:
    """A file for each recording: the camera's name, with the recording's number where it has several."""
    names = [item.camera.name for item in recordings]
    return [
        out / (f"{name}.mp4" if names.count(name) == 1 else f"{name}-{item.recording}.mp4")
        for name, item in zip(names, recordings, strict=True)
    ]


def render_recording(
    item: Footage,
    labels: LabelsByFrame,
    path: Path,
    *,
    progress: Callable[[str, int, int | None], None],
    threads: int,
) -> list[str]:
    """Draw one recording; what went wrong on the way, one line each.

    Raises:
        SourceError: the source is gone, is another recording now, or cannot be read.
        RenderError: the video cannot be written.
    """
    camera = item.camera
    if item.fingerprint is not None and source_fingerprint(camera) != item.fingerprint:
        raise SourceError(f"{camera.source}: not the recording that was read: the file has changed since")
    with open_source(camera, threads=threads) as source:
        render_camera(
            source,
            labels,
            path,
            name=camera.name,
            clock_known=item.clock_known,
            progress=progress,
            threads=threads,
        )
    return [f"{camera.name}: {source.shortfall}"] if source.shortfall else []


def render_camera(
    source: Source,
    labels: LabelsByFrame,
    path: Path,
    *,
    name: str,
    clock_known: bool,
    progress: Callable[[str, int, int | None], None] = silent,
    threads: int = 1,
) -> int:
    """How many frames were written to an H.264 video with boxes, identities and the time.

    Args:
        source: an open recording.
        labels: who to draw in each frame.
        path: the video; it appears when it is complete.
        name: the camera's, for the caption.
        clock_known: whether the caption shows UTC, or the time since the first frame.
        progress: called with name, frames done and frames expected.
        threads: of the encoder.

    Raises:
        RenderError: the video cannot be written.
        SourceError: a frame cannot be converted.
    """
    written = 0
    with video_writer(path, source, threads) as write:
        for frame in source:
            if written == 0:
                first_ns = frame.time_ns
            image = even(frame.image)
            for label in labels.at(frame.index):
                draw_label(image, label)
            time_text = when(frame.time_ns, frame.time_ns - first_ns, clock_known=clock_known)
            draw_text(image, f"{name}  {time_text}", (0, image.shape[0]), letters_px(image), BLACK)
            write(image, frame.time_ns - first_ns)
            written += 1
            progress(name, written, source.info.frames)
    return written


@contextmanager
def video_writer(path: Path, source: Source, threads: int) -> Iterator[Callable[[Image, int], None]]:
    """A function that adds an image at a time (ns) to a video; the file gets its name when all went well.

    Raises:
        RenderError: it cannot be written.
    """
    try:
        with (
            replaced_file(path) as part,
            av.open(f"file:{part}", "w", format="mp4", options={"movflags": "faststart"}) as container,
        ):
            stream = container.add_stream("libx264", rate=round_rate(source.info.fps), options=dict(QUALITY))
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = source.info.width + source.info.width % 2, source.info.height
            stream.height += stream.height % 2
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, VIDEO_CLOCK_HZ)
            stream.codec_context.thread_count = threads
            last = -1

            def write(image: Image, time_ns: int) -> None:
                nonlocal last
                last = max(last + 1, time_ns * VIDEO_CLOCK_HZ // 1_000_000_000)
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts, picture.time_base = last, Fraction(1, VIDEO_CLOCK_HZ)
                container.mux(stream.encode(picture))

            yield write
            container.mux(stream.encode(None))
    except (FFmpegError, OSError) as error:
        raise RenderError(f"{path}: cannot be written: {error.strerror}") from error


def round_rate(fps: float) -> Fraction:
    """A frame rate as the fraction it stands for, such as 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


def even(image: Image) -> Image:
    """A copy with an even number of rows and columns, as H.264 wants: the last ones are repeated."""
    height, width = image.shape[:2]
    bordered = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(bordered, np.uint8)
