"""The files of a camera that is many: found in folders and by patterns, dated by their names, in order."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.cameras.frames import SourceError
from pipeline.cameras.name_times import NameTimes
from pipeline.cameras.picture_folders import PICTURE_SUFFIXES, natural_order
from pipeline.config import CameraConfig
from pipeline.time_zones import zone_named

FILM_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".asf"}
    | {".wmv", ".3gp", ".3g2", ".dav", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".mxf"}
    | {".ogv", ".vob"}
)
PLAIN_SUFFIXES = frozenset(
    {
        ".txt",
        ".json",
        ".xml",
        ".log",
        ".csv",
        ".idx",
        ".db",
        ".sqlite",
        ".thm",
        ".lrv",
        ".srt",
        ".vtt",
        ".nfo",
    }
    | {
        ".md",
        ".html",
        ".yaml",
        ".yml",
        ".ini",
        ".gif",
        ".bmp",
        ".webp",
        ".wav",
        ".mp3",
        ".aac",
        ".zip",
        ".part",
    }
    | {".tmp", ".m3u8", ".m3u", ".ffconcat", ".pdf"}
)
"""What lies beside clips and is known to be none: GoPro's .lrv and .thm are small copies for its display."""
MAGIC_BYTES = 16
SHOWN = 3
"""Names given as examples in one line."""


@dataclass(frozen=True)
class Clip:
    """One film of a camera."""

    path: Path
    size_bytes: int
    start_ns: int | None = None
    """UTC epoch by its name; None where it says nothing."""


@dataclass(frozen=True)
class Found:
    """What lies in the places of a camera."""

    clips: tuple[Clip, ...] = ()
    """In the order they are read in; either all have a start or none."""
    pictures: tuple[Path, ...] = ()
    """In natural order; none where there are clips."""
    notes: tuple[str, ...] = ()
    """What was left out, and what is not certain: one line each."""


@dataclass
class Heap:
    """Files as they are found."""

    films: list[tuple[Path, int]] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def find(camera: CameraConfig) -> Found:
    """The clips, or else the pictures, of a camera that is a folder, a list or a pattern.

    Args:
        camera: its `source` or `clips`, `name_time` and `timezone`.

    Raises:
        SourceError: there are none, or the places cannot be read.
    """
    heap = Heap()
    for place in camera.clips or (camera.source,):
        gather(os.path.abspath(place), heap)
    if not heap.films and not heap.pictures:
        why = heap.unreadable[0] if heap.unreadable else "no clips and no pictures in it"
        raise SourceError(f"{camera.place}: {why}" if not heap.unreadable else why)
    notes = [*heap.unreadable]
    if heap.others:
        notes.append(f"left out, neither clip nor picture: {some(heap.others)}")
    if not heap.films:
        return Found(pictures=tuple(sorted(set(heap.pictures), key=by_folder)), notes=tuple(notes))
    if heap.pictures:
        notes.append(f"left out, pictures beside clips: {some(heap.pictures)}")
    clips, said = dated(sorted(set(heap.films), key=lambda film: str(film[0])), camera)
    return Found(clips=clips, notes=(*notes, *said))


def gather(place: str, heap: Heap) -> None:
    """Put the files of one place where they belong."""
    paths = (
        [place]
        if os.path.exists(place) or not glob.has_magic(place)
        else sorted(glob.glob(place, recursive=True))
    )
    if not paths:
        heap.unreadable.append(f"{place}: no file fits this pattern")
    for path in paths:
        try:
            for entry, size in files_under(Path(path)):
                sort_in(entry, size, heap)
        except OSError as error:
            heap.unreadable.append(f"{path}: {(error.strerror or str(error)).lower()}")


def files_under(path: Path) -> Iterator[tuple[Path, int]]:
    """A file, or all files in a folder and its folders, with their sizes; hidden ones are not looked at.

    Raises:
        OSError: it is missing, or a folder cannot be listed.
    """
    if not path.is_dir():
        yield path, path.stat().st_size
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from files_under(Path(entry.path))
            elif entry.is_file():
                yield Path(entry.path), entry.stat().st_size


def sort_in(path: Path, size: int, heap: Heap) -> None:
    """Put a file where its name, or else its first bytes, say that it belongs."""
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        heap.pictures.append(path)
    elif suffix in FILM_SUFFIXES or (suffix not in PLAIN_SUFFIXES and looks_like_film(path)):
        heap.films.append((path, size))
    else:
        heap.others.append(path)


def looks_like_film(path: Path) -> bool:
    """Whether a file begins like a container of video."""
    try:
        with path.open("rb") as file:
            head = file.read(MAGIC_BYTES)
    except OSError:
        return False
    starts = (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"DHAV", b"\x00\x00\x01\xba", b"\x00\x00\x00\x01")
    return head[4:8] == b"ftyp" or head.startswith(starts) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def dated(films: Sequence[tuple[Path, int]], camera: CameraConfig) -> tuple[tuple[Clip, ...], list[str]]:
    """The films in order of their starts, or of their names where these hold no times; and what to tell."""
    names = name_times(camera)
    found = [(path, size, names.of(path)) for path, size in films]
    undated = [path for path, _, time in found if time is None]
    if 2 * len(undated) > len(found):
        in_order = sorted(films, key=lambda film: by_folder(film[0]))
        return tuple(Clip(path, size) for path, size in in_order), undated_words(undated, camera)
    notes = (
        [f"left out, no time in their names: {some(undated)}; `name_time:` says another form"]
        if undated
        else []
    )
    if odd := [path for path, _, time in found if time and not time.exists]:
        notes.append(f"named after an hour that clocks leave out, taken as if they did not: {some(odd)}")
    if repeated := [path for path, _, time in found if time and not time.once]:
        notes.append(f"named after an hour that clocks show twice, taken for the first: {some(repeated)}")
    clips = [Clip(path, size, time.time_ns) for path, size, time in found if time]
    # Of two that begin at once the larger is the better view of the same.
    return tuple(sorted(clips, key=lambda clip: (clip.start_ns or 0, -clip.size_bytes))), notes


def name_times(camera: CameraConfig) -> NameTimes:
    """What finds times in the names of a camera's files.

    Raises:
        SourceError: its `name_time` cannot be meant.
    """
    try:
        return NameTimes(camera.name_time, zone_named(camera.timezone))
    except ValueError as error:
        raise SourceError(f"camera {camera.name}: name_time {camera.name_time!r}: {error}") from error


def undated_words(undated: Sequence[Path], camera: CameraConfig) -> list[str]:
    """What to tell of clips whose names hold no times."""
    if len(undated) == 1 and not camera.name_time:
        return []
    fit = f"`name_time` {camera.name_time!r} does not fit" if camera.name_time else "no times in the names"
    return [f"{fit} ({some(undated)}): read one after the other in the order of their names"]


def by_folder(path: Path) -> tuple[object, ...]:
    """A sort key: folders and names in natural order."""
    return *(natural_order(Path(part)) for part in path.parts[:-1]), natural_order(path)


def some(paths: Sequence[Path]) -> str:
    """How many, and the first few names."""
    names = ", ".join(path.name for path in sorted(paths)[:SHOWN])
    return f"{len(paths)} ({names}{', ...' if len(paths) > SHOWN else ''})"
