"""The FPR distance for serving: a gallery prepared once, then one matrix product for any number of probes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from reid.fpr_torch import fpr_distance as fpr_distance

Cells = NDArray[np.floating[Any]]  # (N, C)
Foreground = NDArray[np.floating[Any]]  # (N,), or (W, N) where a name says weighted
Probe = tuple[Cells, Foreground]

RIDGE = 0.01  # [FPR] section 4.2
NEAR_DUPLICATE = 1e-3
"""Below this share of unexplained squared length a cell's residual is computed again directly: float32
cancellation would make it wrong by more than about 1e-5 (people differ by some 1e-2)."""
BLOCK_IMAGES = 16  # gallery images and
BLOCK_CELLS = 1024  # probe cells of one matrix product: its (16 * 70, 1024) float32 result is 4.6 MB


def __getattr__(name: str) -> Any:
    """`fpr_distance`, the differentiable form, imported only when asked for: serving needs no torch."""
    if name == "fpr_distance":
        from reid.fpr_torch import fpr_distance

        return fpr_distance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class PreparedGallery:
    """Images in the form that explains probes fastest; rows are stable, removed ones are used again.

    An image costs 6 M C bytes (70 cells of 112 channels: 47 KB): Q' in float32, and the cells in float16.
    Images with fewer cells are padded with zero cells, which explain nothing.

    Args:
        channels: C of every image.
        ridge: b > 0 of Eq. 3.
    """

    def __init__(self, channels: int, *, ridge: float = RIDGE) -> None:
        if channels < 1 or not ridge > 0:
            raise ValueError(f"channels = {channels} must be >= 1, ridge = {ridge} must be > 0")
        self.ridge = ridge
        self.size = 0
        self.free: list[int] = []
        self.bases = np.zeros((0, 0, channels), np.float32)  # (capacity, M, C)
        self.cells = np.zeros((0, 0, channels), np.float16)  # (capacity, M, C)

    def __len__(self) -> int:
        """Rows in use, with the removed ones that wait to be used again."""
        return self.size

    @property
    def channels(self) -> int:
        """C of every image."""
        return self.bases.shape[2]

    @property
    def memory_bytes(self) -> int:
        """What the arrays occupy, room to grow included."""
        return self.bases.nbytes + self.cells.nbytes

    def append(self, cells: Cells) -> int:
        """The row where an image of (M, C) unit cells was filed; amortised constant time.

        Raises:
            ValueError: not (M, C), another C, empty, NaN or infinite.
        """
        row = self.free.pop() if self.free else self.size
        try:
            self.replace(row, cells)
        except ValueError:
            if row < self.size:
                self.free.append(row)
            raise
        self.size = max(self.size, row + 1)
        return row

    def replace(self, row: int, cells: Cells) -> None:
        """File another image under a row.

        Raises:
            ValueError: as `append`.
        """
        check_cells(cells, self.channels)
        self.bases, self.cells = (with_room(array, row + 1, len(cells)) for array in (self.bases, self.cells))
        self.bases[row], self.cells[row] = 0, 0
        self.cells[row, : len(cells)] = cells
        self.bases[row, : len(cells)] = explaining_basis(self.cells[row, : len(cells)], self.ridge)

    def remove(self, row: int) -> None:
        """Forget an image: the row explains nothing (distance 1) until `append` uses it again."""
        if not 0 <= row < self.size or row in self.free:
            raise ValueError(f"no row {row} among {self.size}")
        self.bases[row], self.cells[row] = 0, 0
        self.free.append(row)


def prepare(cells: Sequence[Cells], *, ridge: float = RIDGE) -> PreparedGallery:
    """The images of (M_i, C) unit cells, ready to explain probes.

    Raises:
        ValueError: no images, or as `PreparedGallery.append`.
    """
    if not cells:
        raise ValueError("a gallery needs at least one image")
    gallery = PreparedGallery(cells[0].shape[-1], ridge=ridge)
    for image in cells:
        gallery.append(image)
    return gallery


def distance(
    probes: Sequence[Probe], gallery: PreparedGallery, *, rows: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """How badly each gallery image explains each probe: 0 fully, 1 not at all ([FPR] Eq. 3-5). Not symmetric.

    Args:
        probes: (N_p, C) unit cells and their (N_p,) foreground >= 0 (divided by its sum here).
        gallery: what `prepare` returned.
        rows: the images to compare with; None: all.

    Returns:
        (P, G) float32; a cell is within 1e-5 of the exact value, see NEAR_DUPLICATE.

    Raises:
        ValueError: another C, empty, NaN or infinite, or a probe without foreground on a cell with length.
    """
    weighted = [(cells, foreground[None]) for cells, foreground in probes]
    result: NDArray[np.float32] = weighted_distances(weighted, gallery, rows=rows)[0]
    return result


def weighted_distances(
    probes: Sequence[Probe], gallery: PreparedGallery, *, rows: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """(W, P, G) distances as `distance`, under W weightings at once: each probe brings (W, N_p) of them.

    Raises:
        ValueError: as `distance`.
    """
    chosen = np.arange(len(gallery)) if rows is None else np.asarray(rows, np.intp)
    if not probes or not len(chosen):
        raise ValueError(f"nothing to compare: {len(probes)} probes, {len(chosen)} gallery images")
    if chosen.min() < 0 or chosen.max() >= len(gallery):
        raise ValueError(f"rows must be in 0..{len(gallery) - 1}, got {chosen.min()}..{chosen.max()}")
    for cells, foreground in probes:
        check_probe(cells, foreground, gallery.channels)
    distances = np.empty((len(probes[0][1]), len(probes), len(chosen)), np.float32)
    for first, last in blocks_of_probes(probes):
        x = np.concatenate([cells for cells, _ in probes[first:last]]).astype(np.float32)  # (N, C)
        h = np.concatenate([weights(foreground) for _, foreground in probes[first:last]], axis=1)  # (W, N)
        starts = np.cumsum([0] + [len(cells) for cells, _ in probes[first : last - 1]])
        for start in range(0, len(chosen), BLOCK_IMAGES):
            images = chosen[start : start + BLOCK_IMAGES]
            lengths = residual_lengths(x, gallery, images)  # (B, N)
            for weighting, row in enumerate(h):
                block = np.add.reduceat(lengths * row, starts, axis=1)  # (B, probes)
                distances[weighting, first:last, start : start + len(images)] = block.T
    return distances


def residual_lengths(
    x: NDArray[np.float32], gallery: PreparedGallery, images: NDArray[np.intp]
) -> NDArray[Any]:
    """(B, N) length of what each image leaves unexplained of each of the (N, C) probe cells."""
    whole = np.einsum("nc,nc->n", x, x)
    bases = gallery.bases[images]  # (B, M, C)
    products = bases.reshape(-1, x.shape[1]) @ x.T  # (B * M, N)
    np.square(products, out=products)
    squared = whole - products.reshape(*bases.shape[:2], -1).sum(1)  # (B, N)
    duplicate = squared < NEAR_DUPLICATE * whole
    lengths: NDArray[Any] = np.sqrt(np.maximum(squared, 0))
    for image in np.flatnonzero(duplicate.any(1)):
        near = duplicate[image]
        lengths[image, near] = exact_lengths(x[near], gallery.cells[images[image]], gallery.ridge)
    return lengths


def exact_lengths(x: NDArray[np.float32], cells: Cells, ridge: float) -> NDArray[np.float64]:
    """(N,) residual lengths ||x - Y w|| in float64, without cancellation."""
    y = cells.astype(np.float64)  # (M, C)
    gram = y @ y.T + ridge * np.eye(len(y))
    weights = np.linalg.solve(gram, y @ x.T)  # (M, N)
    lengths: NDArray[np.float64] = np.linalg.norm(x - weights.T @ y, axis=1)
    return lengths


def explaining_basis(cells: Cells, ridge: float) -> NDArray[np.float64]:
    """(M, C) Q' of an image: ||Q'x||^2 is what it explains of ||x||^2.

    With A = (Y'Y + bI)^-1, e = x - Y A Y'x has ||e||^2 = ||x||^2 - x'Y A (Y'Y + 2bI) A Y'x, and so
    Y'Y + 2bI = T'T gives Q' = T A Y'. No division by singular values: cells may repeat or be zero.
    """
    y = cells.astype(np.float64)  # (M, C), the transpose of the paper's Y
    gram, unit = y @ y.T, np.eye(len(y))
    doubled = np.linalg.cholesky(gram + 2 * ridge * unit)  # lower: T'
    basis: NDArray[np.float64] = doubled.T @ np.linalg.solve(gram + ridge * unit, y)
    return basis


def blocks_of_probes(probes: Sequence[Probe]) -> Iterator[tuple[int, int]]:
    """Ranges of consecutive probes with about BLOCK_CELLS cells together."""
    first, cells = 0, 0
    for last, (probe, _) in enumerate(probes):
        if cells and cells + len(probe) > BLOCK_CELLS:
            yield first, last
            first, cells = last, 0
        cells += len(probe)
    yield first, len(probes)


def weights(foreground: Foreground) -> NDArray[np.float32]:
    """(W, N) foreground with rows that sum to 1."""
    wide = foreground.astype(np.float32)
    normalized: NDArray[np.float32] = wide / wide.sum(1, keepdims=True)
    return normalized


def with_room(array: NDArray[Any], rows: int, cells: int) -> NDArray[Any]:
    """The array itself where it has room, otherwise a larger copy; rows double: appending stays cheap."""
    capacity, width, channels = array.shape
    if rows <= capacity and cells <= width:
        return array
    larger = np.zeros(
        (max(rows, capacity if rows <= capacity else 2 * capacity), max(cells, width), channels)
    )
    larger = larger.astype(array.dtype)
    larger[:capacity, :width] = array
    return larger


def check_cells(cells: Cells, channels: int) -> None:
    """Refuse cells that cannot be compared."""
    if cells.ndim != 2 or cells.shape[1] != channels:
        raise ValueError(f"cells are {cells.shape}, must be (M, {channels}): from the same network?")
    if not len(cells):
        raise ValueError("an image without cells")
    if not np.isfinite(cells).all():
        raise ValueError("cells hold NaN or infinity")


def check_probe(cells: Cells, foreground: Foreground, channels: int) -> None:
    """Refuse a probe whose distance would mean nothing: all-zero cells are explained by anything."""
    check_cells(cells, channels)
    if foreground.shape[1:] != cells.shape[:1]:
        raise ValueError(f"foreground has {foreground.shape[1:]} cells, must have {cells.shape[:1]}")
    if not np.isfinite(foreground).all() or (foreground < 0).any():
        raise ValueError("foreground must be finite and >= 0")
    if not (foreground[:, cells.any(1)].sum(1) > 0).all():
        raise ValueError("a probe needs foreground on a cell that is not zero")
