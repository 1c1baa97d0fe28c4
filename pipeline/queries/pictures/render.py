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
import msgspec
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from pipeline.atomic_files import replaced_file
from pipeline.cameras.frames import Image, Source
from pipeline.cameras.recordings import SourceError, open_source, source_fingerprint
from pipeline.queries.filters import EVERYTHING, Filters, check_filters
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
from pipeline.queries.snapshot import snapshot
from pipeline.store.audit import audit
from pipeline.store.database import Store

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
    filters: Filters = EVERYTHING,
    *,
    version: int | None = None,
    limit: int | None = None,
    progress: Callable[[str, int, int | None], None] = silent,
    threads: int = 1,
) -> Rendered:
    """Write OUT/CAMERA.mp4 for each recording and OUT/P7.jpg for each person. Audited.

    Args:
        store: any open store.
        out: a folder, made if missing; files of the same name are replaced.
        filters: which cameras, people and times; without people, tracklets nobody is linked to yet as well.
        version: an identity version; None for the newest.
        limit: at most so many people, the first to appear; None for all.
        progress: called with camera, frames done and frames expected (None: unknown).
        threads: for decoding and encoding; 0: as many as there are cores.

    Raises:
        UnknownCameraError, UnknownPersonError: not in the store.
        NotAFolderError: OUT is a file.
        RenderError: the folder cannot be made.
    """
    with snapshot(store, version) as at:
        check_filters(at, filters)
    make_folder(out)
    audit(store, "export", str(out.resolve()), {"format": "render", "people": list(filters.people)})
    shown = everybody(store, filters, version=at.version, limit=limit).people
    if limit is not None:
        if not shown:
            return Rendered((), (), ())
        filters = msgspec.structs.replace(filters, people=tuple(one.person for one in shown))
    videos, problems = render_videos(store, out, filters, at.version, progress=progress, threads=threads)
    sheets: list[Path] = []
    unpictured: list[int] = []
    for someone in shown:
        try:
            written = write_sheet(store, someone, out / f"P{someone.person}.jpg", filters, at.version)
        except RenderError as error:
            problems.append(str(error))
            continue
        sheets += written
        if not written:
            unpictured.append(someone.person)
    return Rendered(tuple(videos), tuple(sheets), tuple(problems), tuple(unpictured))


def render_videos(
    store: Store,
    out: Path,
    filters: Filters,
    version: int,
    *,
    progress: Callable[[str, int, int | None], None],
    threads: int,
) -> tuple[list[Path], list[str]]:
    """A video for each recording that was seen at the times asked for; and what could not be drawn."""
    videos: list[Path] = []
    problems: list[str] = []
    recordings = footage(store, filters, version)
    for item, path in zip(recordings, video_paths(out, recordings), strict=True):
        try:
            labels = frame_labels(store, item.recording, filters, version)
            problems += render_recording(
                item, labels, path, filters=filters, progress=progress, threads=threads
            )
            videos.append(path)
        except (SourceError, RenderError) as error:
            problems.append(f"{item.camera.name}: {error}")
    return videos, problems


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
    filters: Filters,
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
            filters=filters,
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
    filters: Filters = EVERYTHING,
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
        filters: whose times the frames are limited to.
        progress: called with name, frames done and frames expected.
        threads: of the encoder.

    Raises:
        RenderError: the video cannot be written.
        SourceError: a frame cannot be converted.
    """
    written = 0
    with video_writer(path, source, threads) as write:
        for frame in source:
            if filters.to_ns is not None and frame.time_ns > filters.to_ns:
                break
            if filters.from_ns is not None and frame.time_ns < filters.from_ns:
                continue
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
