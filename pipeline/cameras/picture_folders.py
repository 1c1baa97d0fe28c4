"""A folder of pictures as a source: at the times in their names or EXIF, else one frame period apart."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from pipeline.cameras.exif import exif_time_ns
from pipeline.cameras.frames import (
    MOST_PIXELS,
    SECOND_NS,
    Frame,
    Image,
    Repairs,
    Source,
    SourceError,
    SourceInfo,
)
from pipeline.cameras.name_times import NameTimes
from pipeline.cameras.shapes import letterbox, true_size, upright
from pipeline.config import CameraConfig
from pipeline.encoded_images import decode_image
from pipeline.time_zones import zone_named

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
DEFAULT_FPS = 25.0
"""Of a folder whose camera has no `fps` and whose pictures have no times: the usual rate in the field."""


class FolderSource(Source):
    """The pictures of a folder, read when their turn comes.

    Args:
        camera: how its pictures and times are meant.
        paths: in natural order.

    Raises:
        SourceError: none of them can be decoded.
    """

    def __init__(self, camera: CameraConfig, paths: Sequence[Path]) -> None:
        self.camera = camera
        self.repairs = Repairs()
        stamps = None if camera.fps else times_of(camera, paths)
        if stamps is None:
            self.timed = [(path, period_ns(camera, index)) for index, path in enumerate(paths)]
            fps = camera.fps or DEFAULT_FPS
            if not camera.fps:
                self.notes = (
                    f"the pictures have no times: taken for {DEFAULT_FPS:g} a second; `fps:` says another",
                )
        else:
            self.timed = in_order(zip(paths, stamps, strict=True), self.repairs)
            fps = usual_rate([offset for _, offset in self.timed])
        self.pictures = self.read()
        self.first = next(self.pictures, None)
        if self.first is None:
            raise SourceError(f"{camera.place}: none of its {len(paths)} pictures can be decoded")
        height, width = self.first.image.shape[:2]
        try:
            mark = folder_fingerprint(paths)
        except OSError as error:
            raise SourceError(f"{camera.place}: {(error.strerror or str(error)).lower()}") from error
        duration_s = self.timed[-1][1] / SECOND_NS + 1 / fps
        self.info = SourceInfo(width, height, fps, len(self.timed), duration_s, mark)

    def __iter__(self) -> Iterator[Frame]:
        """The pictures in order; one that cannot be decoded leaves its moment empty."""
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
        for path, offset_ns in self.timed:
            image = read_picture(path)
            if image is None:
                self.repairs.skipped += 1
                continue
            image = shaped(image, self.camera)
            size = size or (image.shape[1], image.shape[0])
            if (image.shape[1], image.shape[0]) != size:
                self.repairs.resized += 1
                image = letterbox(image, *size)
            yield Frame(index, self.camera.start_ns + offset_ns, partial(np.asarray, image))
            index += 1


def shaped(image: Image, camera: CameraConfig) -> Image:
    """A picture with square pixels, upright."""
    if camera.pixel_shape:
        size = true_size(image.shape[1], image.shape[0], camera.pixel_shape)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return upright(image, camera.rotation)


def period_ns(camera: CameraConfig, index: int) -> int:
    """Time from the first picture to one that is so many frame periods later."""
    return int(index * SECOND_NS / (camera.fps or DEFAULT_FPS))


def times_of(camera: CameraConfig, paths: Sequence[Path]) -> list[int] | None:
    """UTC epoch ns of each picture by its name or else by its EXIF; None where one has neither."""
    zone = zone_named(camera.timezone)
    names = NameTimes(camera.name_time, zone)
    by_name = [found.time_ns for path in paths if (found := names.of(path))]
    if len(by_name) == len(paths):
        return by_name
    by_exif: list[int] = []
    for path in paths:
        if (time_ns := exif_time_ns(path, zone)) is None:
            return None
        by_exif.append(time_ns)
    return by_exif


def in_order(stamped: Iterator[tuple[Path, int]], repairs: Repairs) -> list[tuple[Path, int]]:
    """The pictures in order of time, from the first one's on; those of one moment are spread evenly."""
    ordered = sorted(stamped, key=lambda one: one[1])
    begins = ordered[0][1]
    moments: dict[int, list[Path]] = {}
    for path, time_ns in ordered:
        moments.setdefault(time_ns - begins, []).append(path)
    offsets = list(moments)
    spread: list[tuple[Path, int]] = []
    for offset, following in zip(offsets, [*offsets[1:], offsets[-1] + SECOND_NS], strict=True):
        same = moments[offset]
        step_ns = min(following - offset, SECOND_NS) // len(same)
        repairs.time_stamps += len(same) - 1
        spread += [(path, offset + number * step_ns) for number, path in enumerate(same)]
    return spread


def usual_rate(offsets: Sequence[int]) -> float:
    """Pictures a second, by the usual distance between two."""
    return SECOND_NS / float(np.median(np.diff(offsets))) if len(offsets) > 1 else DEFAULT_FPS


def natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """A sort key that compares runs of digits as numbers."""
    runs = re.findall(r"\d+|\D+", path.stem)
    return [(int(run), "") if run.isdecimal() else (-1, run) for run in runs], path.name


def read_picture(path: Path) -> Image | None:
    """(H, W, 3) RGB with the file's own orientation applied; None where it cannot be decoded."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return decode_image(data) if pixels_of(data) <= MOST_PIXELS else None


def pixels_of(data: bytes) -> int:
    """How many pixels a picture says that it has, before any is decoded; 0 where that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)  # ours is asked for instead
            with PIL.Image.open(BytesIO(data), formats=("JPEG", "PNG")) as picture:
                return picture.width * picture.height
    except PIL.Image.DecompressionBombError:
        return MOST_PIXELS + 1
    except (OSError, ValueError, SyntaxError):
        return 0


def folder_fingerprint(paths: Sequence[Path]) -> str:
    """sha256 of names, sizes and the bytes of the first and last picture."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}/{path.stat().st_size}\n".encode())
    for path in (paths[0], paths[-1]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
