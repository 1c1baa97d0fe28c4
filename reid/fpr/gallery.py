"""Gallery images prepared once; rows are stable, removed ones are used again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import psutil
from numpy.typing import NDArray

from reid.fpr.forms import (
    RESIDUAL_CHANNELS,
    Quantised,
    common_directions,
    explaining_form,
    quantised_form,
    residual_form,
)

Array = NDArray[np.floating[Any]]
Cells = Array  # (M, C)
Storage = Literal["float32", "float16", "int8"]

RIDGE = 0.01  # [FPR] section 4.2
CHUNK = 256
"""Images that lie side by side. Growing copies at most one chunk: adding stays as cheap as at first."""
SAMPLED = 256
"""Images whose cells the common directions of an int8 gallery are computed from."""


class GalleryTooLargeError(MemoryError):
    """More images than memory holds; the message names the bytes."""


@dataclass(frozen=True)
class Images:
    """Some images of one gallery, ready for a matrix product."""

    cells: NDArray[np.float16]  # (B, M, C)
    form: NDArray[np.floating[Any]] | Quantised  # S (B, C, C), Q' (B, M, C) or Q' in 8 bits


class PreparedGallery:
    """Images in the form that explains probes fastest; `image_bytes` says what each costs.

    Images with fewer cells than others are padded with zero cells, which explain nothing.
    """

    def __init__(
        self,
        channels: int,
        *,
        ridge: float = RIDGE,
        storage: Storage = "float32",
        directions: NDArray[np.float32] | None = None,
    ) -> None:
        """An empty gallery.

        Args:
            channels: C of every image.
            ridge: b > 0 of Eq. 3.
            storage: of the prepared form: float32 exact to 1e-6, float16 to 4e-5, int8 for the fast path.
            directions: (K, C) of int8; None: those of the first image (see `common_directions`).
        """
        if channels < 1 or not ridge > 0:
            raise ValueError(f"channels = {channels} must be >= 1, ridge = {ridge} must be > 0")
        if storage not in get_args(Storage):
            raise ValueError(f"storage = {storage!r}, must be one of {', '.join(get_args(Storage))}")
        self.channels = channels
        self.ridge = ridge
        self.storage: Storage = storage
        self.directions = directions
        self.size = 0
        self.free: dict[int, None] = {}  # ordered: the row removed last is used first
        self.chunks: list[dict[str, NDArray[Any]]] = []

    def __len__(self) -> int:
        """Rows in use, with the removed ones that wait to be used again."""
        return self.size

    @property
    def memory_bytes(self) -> int:
        """What the arrays occupy, room to grow included (less than one chunk)."""
        return sum(array.nbytes for chunk in self.chunks for array in chunk.values())

    def append(self, cells: Cells) -> int:
        """The row where an image of (M, C) unit cells was filed; amortised constant time.

        Raises:
            ValueError: not (M, C), another C, empty, NaN or infinite.
            GalleryTooLargeError: no memory for another chunk.
        """
        check_cells(cells, self.channels)
        row = next(reversed(self.free), self.size)
        self.write(row, cells)
        self.free.pop(row, None)
        self.size = max(self.size, row + 1)
        return row

    def replace(self, row: int, cells: Cells) -> None:
        """File another image under a row in use.

        Raises:
            ValueError: as `append`, or no such row.
        """
        check_cells(cells, self.channels)
        self.check_row(row)
        self.write(row, cells)

    def remove(self, row: int) -> None:
        """Forget an image: the row explains nothing (distance 1) until `append` uses it again."""
        self.check_row(row)
        self.write(row, np.zeros((1, self.channels), np.float16))
        self.free[row] = None

    def check_row(self, row: int) -> None:
        """Refuse a row that holds no image."""
        if not 0 <= row < self.size or row in self.free:
            raise ValueError(f"no row {row} among {self.size}")

    def write(self, row: int, cells: Cells) -> None:
        """Put an image where there may not be room yet."""
        rounded = np.asarray(cells, np.float16)
        if self.storage == "int8" and self.directions is None:
            self.directions = common_directions(rounded)
        number, place = divmod(row, CHUNK)
        if number == len(self.chunks):
            self.chunks.append({})
        chunk = self.chunks[number]
        width = max(len(cells), chunk["cells"].shape[1] if chunk else 0)
        padded = np.zeros((1, width, self.channels), np.float16)
        padded[0, : len(cells)] = rounded
        for name, value in self.arrays_of(padded).items():
            chunk[name] = with_room(chunk.get(name), place, value.shape[1:], value.dtype)
            chunk[name][place] = 0
            chunk[name][place][tuple(slice(length) for length in value.shape[1:])] = value[0]

    def arrays_of(self, cells: NDArray[np.float16]) -> dict[str, NDArray[Any]]:
        """What is stored of (B, M, C) images, by name."""
        if self.storage == "int8":
            assert self.directions is not None
            form = quantised_form(cells, self.ridge, self.directions)
            return {"cells": cells, **vars(form)}
        build = residual_form if self.channels <= RESIDUAL_CHANNELS else explaining_form
        return {"cells": cells, "form": build(cells, self.ridge).astype(self.storage)}

    def blocks(self, rows: NDArray[np.intp], most: int) -> Iterator[tuple[NDArray[np.intp], Images]]:
        """Places among `rows` and the images there, at most `most` at once."""
        numbers = rows // CHUNK
        order = np.argsort(numbers, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            chunk = self.chunks[numbers[places[0]]]
            for start in range(0, len(places), most):
                some = places[start : start + most]
                yield some, images_of(chunk, rows[some] % CHUNK)


def images_of(chunk: dict[str, NDArray[Any]], places: NDArray[np.intp]) -> Images:
    """Some images of a chunk; neighbours are not copied."""
    first, last = int(places[0]), int(places[-1])
    neighbours = last - first + 1 == len(places) and (np.diff(places) == 1).all()
    chosen: slice | NDArray[np.intp] = slice(first, last + 1) if neighbours else places
    arrays = {name: array[chosen] for name, array in chunk.items()}
    cells = arrays.pop("cells")
    return Images(cells, arrays["form"] if "form" in arrays else Quantised(**arrays))


def prepare(cells: Sequence[Cells], *, ridge: float = RIDGE, storage: Storage = "float32") -> PreparedGallery:
    """The images of (M_i, C) unit cells, ready to explain probes.

    Raises:
        ValueError: no images, or as `PreparedGallery.append`.
        GalleryTooLargeError: they need more memory than is free: see `prepare_on_disk`.
    """
    gallery = empty_gallery(cells, ridge, storage)
    check_memory(len(cells), most_cells(cells), gallery.channels, storage)
    for image in cells:
        gallery.append(image)
    return gallery


def empty_gallery(cells: Sequence[Cells], ridge: float, storage: Storage) -> PreparedGallery:
    """A gallery for these images, with their common directions where they are needed."""
    if not cells:
        raise ValueError("a gallery needs at least one image")
    channels = cells[0].shape[-1]
    sample = cells[:: -(-len(cells) // SAMPLED)]
    for image in sample:
        check_cells(image, channels)
    directions = common_directions(np.concatenate(sample)) if storage == "int8" else None
    return PreparedGallery(channels, ridge=ridge, storage=storage, directions=directions)


def most_cells(cells: Iterable[Cells]) -> int:
    """Cells of the image that has most."""
    return max(len(image) for image in cells)


def image_bytes(cells: int, channels: int, storage: Storage) -> int:
    """What one image of (cells, channels) occupies, exactly."""
    empty = np.zeros((1, cells, channels), np.float16)
    directions = common_directions(np.eye(channels)) if storage == "int8" else None
    gallery = PreparedGallery(channels, storage=storage, directions=directions)
    return sum(array.nbytes for array in gallery.arrays_of(empty).values())


def check_memory(images: int, cells: int, channels: int, storage: Storage) -> None:
    """Refuse what does not fit.

    Raises:
        GalleryTooLargeError: with both numbers of bytes.
    """
    each = image_bytes(cells, channels, storage)
    free = psutil.virtual_memory().available
    if images * each > free:
        raise GalleryTooLargeError(
            f"{images:,} images of {cells} x {channels} cells in {storage} need {images * each:,} bytes "
            f"({each:,} each), {free:,} are free: use prepare_on_disk"
            + (" or storage='int8'" if storage != "int8" else "")
        )


def with_room(
    array: NDArray[Any] | None, place: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The array itself where it has room and can be written, otherwise a larger copy."""
    if array is None:
        return np.zeros((place + 1, *shape), dtype)
    fits = place < len(array) and all(n <= m for n, m in zip(shape, array.shape[1:], strict=True))
    if fits and array.flags.writeable:
        return array
    images = len(array) if place < len(array) else min(CHUNK, max(place + 1, 2 * len(array)))
    larger = np.zeros((images, *map(max, shape, array.shape[1:])), dtype)
    larger[tuple(slice(length) for length in array.shape)] = array
    return larger


def check_cells(cells: Cells, channels: int) -> None:
    """Refuse cells that cannot be compared."""
    if cells.ndim != 2 or cells.shape[1] != channels:
        raise ValueError(f"cells are {cells.shape}, must be (M, {channels}): from the same network?")
    if not len(cells):
        raise ValueError("an image without cells")
    if not np.isfinite(cells).all():
        raise ValueError("cells hold NaN or infinity")
