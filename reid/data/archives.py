"""Image files of a folder, a tar or a zip, read into memory; nothing is unpacked to disk."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from reid.data.samples import DatasetChanged, DatasetMissing

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
ARCHIVE_SUFFIXES = (".tar.gz", ".tar", ".zip")


def read_images(places: Sequence[Path]) -> list[tuple[str, bytes]]:
    """(name inside, bytes) of each image of the first place that exists, sorted by name.

    Args:
        places: a folder (read with its subfolders), or the same name plus one of ARCHIVE_SUFFIXES.

    Raises:
        DatasetMissing: none of them is there, or no image is in it.
        DatasetChanged: an archive that cannot be read.
    """
    for place in places:
        if place.is_dir():
            return some(place, read_folder(place))
        for archive in (place.with_name(place.name + suffix) for suffix in ARCHIVE_SUFFIXES):
            if archive.is_file():
                return some(archive, read_archive(archive))
    looked = " or ".join(f"{place}[/ | .tar.gz | .zip]" for place in places)
    raise DatasetMissing(f"no such folder or archive: {looked}; give the folder that holds the data sets")


def read_folder(folder: Path, pattern: str = "**/*") -> list[tuple[str, bytes]]:
    """(relative name, bytes) of each image in a folder; `*` leaves out its subfolders."""
    paths = sorted(path for path in folder.glob(pattern) if is_image(path.name) and path.is_file())
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]


def read_archive(path: Path) -> list[tuple[str, bytes]]:
    """(name, bytes) of each image in a tar or zip, sorted by name.

    Raises:
        DatasetMissing: no such file.
        DatasetChanged: damaged.
    """
    if not path.is_file():
        raise DatasetMissing(f"{path}: no such archive; give the folder that holds the data sets")
    try:
        return sorted(read_zip(path) if path.suffix == ".zip" else read_tar(path))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise DatasetChanged(f"{path}: damaged archive ({error}); fetch it again") from error


def read_tar(path: Path) -> list[tuple[str, bytes]]:
    """The images of a tar, compressed or not."""
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.isfile() and is_image(member.name)]
        return [(m.name, stream.read()) for m in members if (stream := archive.extractfile(m))]


def read_zip(path: Path) -> list[tuple[str, bytes]]:
    """The images of a zip."""
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist() if is_image(name)]


def is_image(name: str) -> bool:
    """Whether a file's name says that it is a picture; the resource forks of macOS do not count."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.rpartition("/")[2].startswith("._")


def some(place: Path, found: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The images found.

    Raises:
        DatasetMissing: there are none.
    """
    if not found:
        raise DatasetMissing(f"{place}: no images in it")
    return found
