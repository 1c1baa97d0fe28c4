"""A folder of numbered pictures as a source: natural order, one frame period apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.cameras.frames import (
    Frame,
    Image,
    Repairs,
    Source,
    SourceClock,
    SourceError,
    SourceInfo,
    letterbox,
    upright,
)
from pipeline.config import CameraConfig

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
DEFAULT_FPS = 25.0
"""Of a folder whose camera has no `fps`: the usual rate of picture sequences in the field."""


class FolderSource(Source):
    """The pictures of a folder, read when their turn comes.

    Args:
        camera: whose `source` is a folder.

    Raises:
        SourceError: it cannot be listed, holds no pictures, or none of them can be decoded.
    """

    def __init__(self, camera: CameraConfig) -> None:
        self.camera = camera
        self.repairs = Repairs()
        self.paths = list_pictures(Path(camera.source))
        fps = camera.fps or DEFAULT_FPS
        rate = Fraction(fps).limit_denominator(1_000_000)
        self.clock = SourceClock(camera.start_ns, rate, Fraction(1), self.repairs)
        self.pictures = self.read()
        self.first = next(self.pictures, None)
        if self.first is None:
            raise SourceError(f"{camera.source}: none of its {len(self.paths)} pictures can be decoded")
        height, width = self.first.image.shape[:2]
        try:
            mark = folder_fingerprint(self.paths)
        except OSError as error:
            raise SourceError(f"{camera.source}: {(error.strerror or str(error)).lower()}") from error
        self.info = SourceInfo(width, height, fps, len(self.paths), len(self.paths) / fps, mark)

    def __iter__(self) -> Iterator[Frame]:
        """The pictures in natural order; one that cannot be decoded leaves its moment empty."""
        if self.first is not None:
            first, self.first = self.first, None
            yield first
        yield from self.pictures

    def close(self) -> None:
        """Nothing is held open between pictures."""
        self.pictures.close()

    def read(self) -> Generator[Frame]:
        """The pictures that can be decoded, each fitted into the size of the first."""
        size: tuple[int, int] | None = None
        index = 0
        for path in self.paths:
            time_ns = self.clock.time_ns(None)
            image = read_picture(path)
            if image is None:
                self.repairs.skipped += 1
                continue
            image = upright(image, self.camera.rotation)
            size = size or (image.shape[1], image.shape[0])
            if (image.shape[1], image.shape[0]) != size:
                self.repairs.resized += 1
                image = letterbox(image, *size)
            yield Frame(index, time_ns, partial(np.asarray, image))
            index += 1


def list_pictures(folder: Path) -> list[Path]:
    """The pictures in a folder in natural order: 2.jpg comes before 10.jpg.

    Raises:
        SourceError: it cannot be listed or holds none.
    """
    try:
        paths = [
            path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()
        ]
    except OSError as error:
        raise SourceError(
            f"{folder}: this folder cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
    paths = [path for path in paths if not path.name.startswith(".")]
    if not paths:
        raise SourceError(f"{folder}: no pictures ({', '.join(PICTURE_SUFFIXES)}) in this folder")
    return sorted(paths, key=natural_order)


def natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """A sort key that compares runs of digits as numbers."""
    runs = re.findall(r"\d+|\D+", path.stem)
    return [(int(run), "") if run.isdecimal() else (-1, run) for run in runs], path.name


def read_picture(path: Path) -> Image | None:
    """(H, W, 3) RGB with the file's own orientation applied; None where it cannot be decoded."""
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def folder_fingerprint(paths: list[Path]) -> str:
    """sha256 of names, sizes and the bytes of the first and last picture."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}/{path.stat().st_size}\n".encode())
    for path in (paths[0], paths[-1]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
