"""Opens a camera's recording, a film, many clips or a folder of pictures, as frames with source time."""

from __future__ import annotations

import stat
from pathlib import Path

from pipeline.cameras.clip_source import ClipSource, clips_fingerprint
from pipeline.cameras.clips import find
from pipeline.cameras.containers import fingerprint
from pipeline.cameras.frames import Frame, Grid, Repairs, Source, SourceError, SourceInfo
from pipeline.cameras.picture_folders import FolderSource, folder_fingerprint
from pipeline.cameras.video_file import VideoSource
from pipeline.config import CameraConfig, is_pattern

__all__ = [
    "Frame",
    "Grid",
    "Repairs",
    "Source",
    "SourceError",
    "SourceInfo",
    "open_source",
    "source_fingerprint",
]


def open_source(camera: CameraConfig, *, threads: int = 1) -> Source:
    """The camera's recording, opened and its first frame decoded; use it in a `with` statement.

    Args:
        camera: a video file, or a folder, list or pattern of clips or of pictures.
        threads: for decoding; 0: as many as there are cores.

    Raises:
        SourceError: missing, not permitted, empty, no video in it, nothing in it can be decoded, or live.
    """
    if (path := single_file(camera)) is not None:
        return VideoSource(camera, path, threads)
    found = find(camera)
    if found.clips:
        return ClipSource(camera, found.clips, threads, found.notes)
    source = FolderSource(camera, found.pictures)
    source.notes = (*found.notes, *source.notes)
    return source


def source_fingerprint(camera: CameraConfig) -> str:
    """What names the content of a camera's recording, without decoding it: `SourceInfo.fingerprint`.

    Raises:
        SourceError: missing, not permitted, a folder without clips and pictures, or live.
    """
    path = single_file(camera)
    found = None if path else find(camera)
    try:
        if path:
            return fingerprint(path)
        assert found is not None
        return clips_fingerprint(found.clips) if found.clips else folder_fingerprint(found.pictures)
    except OSError as error:
        raise SourceError(f"{camera.place}: {(error.strerror or str(error)).lower()}") from error


def single_file(camera: CameraConfig) -> Path | None:
    """The camera's file; None where it is a folder, a list or a pattern.

    Raises:
        SourceError: missing, not permitted, neither file nor folder, or live.
    """
    if "://" in camera.source:
        scheme = camera.source.partition("://")[0]
        raise SourceError(f"camera {camera.name}: live ({scheme}://): there is no recording to read")
    if camera.clips or is_pattern(camera.source):
        return None
    path = Path(camera.source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{path}: {reason.lower()}") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise SourceError(f"{path}: neither a file nor a folder")
    return path if stat.S_ISREG(mode) else None
