"""Prepared galleries on disk, mapped: only what is compared is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from reid.fpr.gallery import (
    CHUNK,
    RIDGE,
    Cells,
    PreparedGallery,
    Storage,
    empty_gallery,
    most_cells,
)

HEADER = "gallery.json"
FORMAT = 1


class GalleryFileError(ValueError):
    """A folder that is no gallery of this version."""


def save_gallery(gallery: PreparedGallery, folder: Path) -> None:
    """Write a gallery into a new folder, one array a file, to be opened by `open_gallery`.

    Raises:
        ValueError: nothing to save.
        FileExistsError: the folder is there.
    """
    if not len(gallery):
        raise ValueError("an empty gallery cannot be saved")
    folder.mkdir(parents=True)
    width = max(chunk["cells"].shape[1] for chunk in gallery.chunks)
    with_header(folder, gallery)
    for name, mapped in mapped_arrays(folder, gallery, len(gallery), width).items():
        for number, chunk in enumerate(gallery.chunks):
            part = mapped[number * CHUNK : (number + 1) * CHUNK]
            inner = tuple(slice(length) for length in chunk[name].shape[1:])
            part[(slice(None), *inner)] = chunk[name][: len(part)]
        mapped.flush()


def prepare_on_disk(
    cells: Sequence[Cells], folder: Path, *, ridge: float = RIDGE, storage: Storage = "float32"
) -> PreparedGallery:
    """As `prepare`, for galleries beyond memory: written to a new folder chunk by chunk, opened mapped.

    Raises:
        ValueError: as `prepare`.
        FileExistsError: the folder is there.
    """
    template = empty_gallery(cells, ridge, storage)
    width = most_cells(cells)
    folder.mkdir(parents=True)
    arrays = mapped_arrays(folder, template, len(cells), width)
    images = iter(cells)
    for start in range(0, len(cells), CHUNK):
        part = PreparedGallery(
            template.channels, ridge=ridge, storage=storage, directions=template.directions
        )
        for image in islice(images, CHUNK):
            part.append(image)
        for name, array in part.chunks[0].items():
            inner = tuple(slice(length) for length in array.shape[1:])
            arrays[name][(slice(start, start + len(part)), *inner)] = array[: len(part)]
    for mapped in arrays.values():
        mapped.flush()
    template.size = len(cells)
    with_header(folder, template)
    return open_gallery(folder)


def mapped_arrays(
    folder: Path, gallery: PreparedGallery, images: int, width: int
) -> dict[str, np.memmap[Any, np.dtype[Any]]]:
    """New, empty files for the arrays of so many images."""
    if gallery.storage == "int8" and gallery.directions is None:
        raise ValueError("an int8 gallery without images has no directions yet")
    shapes = gallery.arrays_of(np.zeros((1, width, gallery.channels), np.float16))
    return {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", array.dtype, (images, *array.shape[1:]))
        for name, array in shapes.items()
    }


def with_header(folder: Path, gallery: PreparedGallery) -> None:
    """Write what the arrays do not say."""
    header = {
        "format": FORMAT,
        "channels": gallery.channels,
        "ridge": gallery.ridge,
        "storage": gallery.storage,
        "free": list(gallery.free),
        "directions": None if gallery.directions is None else gallery.directions.tolist(),
    }
    (folder / HEADER).write_text(json.dumps(header))


def open_gallery(folder: Path) -> PreparedGallery:
    """A saved gallery, mapped: only what is compared is read. Changes stay in memory, not in the files.

    Raises:
        GalleryFileError: not a gallery of this version.
    """
    try:
        header = json.loads((folder / HEADER).read_text())
        if header["format"] != FORMAT:
            raise GalleryFileError(f"{folder}: a gallery of format {header['format']}, not {FORMAT}")
        directions = header["directions"] and np.array(header["directions"], np.float32)
        gallery = PreparedGallery(
            header["channels"], ridge=header["ridge"], storage=header["storage"], directions=directions
        )
        arrays = {
            path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in folder.glob("*.npy")
        }
        gallery.size = len(arrays["cells"])
        gallery.free = dict.fromkeys(header["free"])
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise GalleryFileError(f"{folder}: not a saved gallery: {error}") from error
    gallery.chunks = [
        {name: array[start : start + CHUNK] for name, array in arrays.items()}
        for start in range(0, gallery.size, CHUNK)
    ]
    return gallery
