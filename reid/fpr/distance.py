"""The FPR distance for serving: a gallery prepared once, then one matrix product for any number of probes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reid.fpr.forms import RESIDUAL_CHANNELS, Quantised
from reid.fpr.gallery import RIDGE as RIDGE
from reid.fpr.gallery import Cells as Cells
from reid.fpr.gallery import GalleryTooLargeError as GalleryTooLargeError
from reid.fpr.gallery import Images, Storage
from reid.fpr.gallery import PreparedGallery as PreparedGallery
from reid.fpr.gallery import prepare as prepare
from reid.fpr.int8 import QuantisedBlock, quantised
from reid.fpr.lengths import exact_lengths, explaining_lengths, residual_lengths
from reid.fpr.probes import Foreground as Foreground
from reid.fpr.probes import Probe, ProbeBlock, blocks_of, check_probe
from reid.fpr.vnni import load_kernel

if TYPE_CHECKING:
    from reid.fpr.differentiable import fpr_distance as fpr_distance

Precision = Literal["auto", "exact", "fast", "gpu", "tf32"]
BLOCK_IMAGES = 8
"""Gallery images of one matrix product: its float32 result is squared before it leaves the cache."""
KERNEL_IMAGES = 32
"""Images that the compiled kernel, which keeps no such result, is called with."""
NEAR_PAIR = 0.25
"""The fast path computes pairs nearer than this again: 8 bits are too coarse for two pictures of a moment."""


def __getattr__(name: str) -> Any:
    """`fpr_distance`, the differentiable form, imported only when asked for: serving needs no torch."""
    if name == "fpr_distance":
        from reid.fpr.differentiable import fpr_distance

        return fpr_distance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def best_storage() -> Storage:
    """What `prepare` should store for the fastest search on this machine."""
    return "float32" if load_kernel() is None else "int8"


def resolved(precision: Precision, gallery: PreparedGallery) -> Precision:
    """The path that is taken: `auto` follows what the gallery stores.

    Raises:
        ValueError: no such path, or one that the gallery was not prepared for.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision = {precision!r}, must be one of {', '.join(get_args(Precision))}")
    native: Precision = "fast" if gallery.storage == "int8" else "exact"
    if precision == "auto":
        return native
    if precision in ("exact", "fast") and precision != native:
        stored = "int8" if precision == "fast" else "float32"
        raise ValueError(
            f"{precision} needs storage={stored!r}, the gallery was prepared as {gallery.storage}"
        )
    return precision


def distance(
    probes: Sequence[Probe],
    gallery: PreparedGallery,
    *,
    rows: Sequence[int] | NDArray[np.intp] | None = None,
    precision: Precision = "auto",
) -> NDArray[np.float32]:
    """How badly each gallery image explains each probe: 0 fully, 1 not at all ([FPR] Eq. 3-5). Not symmetric.

    Args:
        probes: (N_p, C) unit cells and their (N_p,) foreground >= 0 (divided by its sum here).
        gallery: what `prepare` returned.
        rows: the images to compare with; None: all; `reid.fpr.nearest` looks for the nearest alone.
        precision: the path, see `resolved`.

    Returns:
        (P, G) float32, within 1e-6 of float64 from a float32 gallery.

    Raises:
        ValueError: another C, empty, NaN or infinite, or a probe without foreground on a cell with length.
    """
    weighted = [(cells, foreground[None]) for cells, foreground in probes]
    result: NDArray[np.float32] = weighted_distances(weighted, gallery, rows=rows, precision=precision)[0]
    return result


def weighted_distances(
    probes: Sequence[Probe],
    gallery: PreparedGallery,
    *,
    rows: Sequence[int] | NDArray[np.intp] | None = None,
    precision: Precision = "auto",
) -> NDArray[np.float32]:
    """(W, P, G) distances as `distance`, under W weightings at once: each probe brings (W, N_p) of them.

    Raises:
        ValueError: as `distance`.
    """
    chosen = chosen_rows(probes, gallery, rows)
    path = resolved(precision, gallery)
    for cells, foreground in probes:
        check_probe(cells, foreground, gallery.channels)
    shape = (len(probes[0][1]), len(probes), len(chosen))
    if path in ("gpu", "tf32"):
        from reid.fpr.cuda import cuda_blocks

        return filled(shape, cuda_blocks(list(blocks_of(probes)), gallery, chosen, half=path))
    return filled(shape, cpu_blocks(list(blocks_of(probes)), gallery, chosen))


def checked_distances(
    blocks: Sequence[ProbeBlock], gallery: PreparedGallery, rows: Sequence[int]
) -> NDArray[np.float32]:
    """(P, R) distances as `distance` to some rows, of probes that were checked when they were filed.

    Args:
        blocks: consecutive probes under one weighting.
        gallery: what they are compared with.
        rows: of the gallery.
    """
    count = sum(len(block.starts) for block in blocks)
    chosen = np.asarray(rows, np.intp)
    result: NDArray[np.float32] = filled((1, count, len(chosen)), cpu_blocks(blocks, gallery, chosen))[0]
    return result


def filled(shape: tuple[int, int, int], blocks: Iterable[OneBlock]) -> NDArray[np.float32]:
    """(W, P, G) distances put together from their blocks."""
    distances = np.empty(shape, np.float32)
    for first, places, block in blocks:
        distances[:, first : first + block.shape[2], places] = block.transpose(0, 2, 1)
    return distances


def chosen_rows(
    probes: Sequence[Probe], gallery: PreparedGallery, rows: Sequence[int] | NDArray[np.intp] | None
) -> NDArray[np.intp]:
    """The rows to compare with.

    Raises:
        ValueError: nothing to compare, or a row that is not there.
    """
    chosen = np.arange(len(gallery)) if rows is None else np.asarray(rows, np.intp)
    if not probes or not len(chosen):
        raise ValueError(f"nothing to compare: {len(probes)} probes, {len(chosen)} gallery images")
    if chosen.min() < 0 or chosen.max() >= len(gallery):
        raise ValueError(f"rows must be in 0..{len(gallery) - 1}, got {chosen.min()}..{chosen.max()}")
    return chosen


OneBlock = tuple[int, NDArray[np.intp], NDArray[np.float32]]
"""First probe, places among the rows, and (W, B, P) distances."""


def cpu_blocks(
    blocks: Sequence[ProbeBlock], gallery: PreparedGallery, rows: NDArray[np.intp]
) -> Iterator[OneBlock]:
    """The distances, block by block: some images stay in the cache while all probes pass."""
    packed: Sequence[ProbeBlock | QuantisedBlock] = blocks
    if gallery.directions is not None:
        packed = [QuantisedBlock(quantised(block.cells, gallery.directions)) for block in blocks]

    def compare(job: tuple[NDArray[np.intp], Images]) -> list[OneBlock]:
        places, images = job
        pairs = zip(blocks, packed, strict=True)
        return [(b.first, places, block_distances(b, p, images, gallery.ridge)) for b, p in pairs]

    if gallery.storage != "int8" or load_kernel() is None:  # numpy's matrix product has its own threads
        for job in gallery.blocks(rows, BLOCK_IMAGES):
            yield from compare(job)
        return
    with ThreadPoolExecutor(threads()) as pool:
        for found in pool.map(compare, gallery.blocks(rows, KERNEL_IMAGES)):
            yield from found


def block_distances(
    block: ProbeBlock, packed: ProbeBlock | QuantisedBlock, images: Images, ridge: float
) -> NDArray[np.float32]:
    """(W, B, P) distances of some probes to some images."""
    form = images.form
    if isinstance(form, Quantised):
        assert isinstance(packed, QuantisedBlock)
        return near_pairs_again(block, images, packed.lengths(form), ridge)
    if form.shape[1] == form.shape[2] and form.shape[2] <= RESIDUAL_CHANNELS:
        return block.mean(residual_lengths(block.cells, form))
    return block.mean(explaining_lengths(block.cells, images, form, ridge))


def threads() -> int:
    """Threads of the compiled kernel: OMP_NUM_THREADS, or one for each core we may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else len(os.sched_getaffinity(0))


def near_pairs_again(
    block: ProbeBlock, images: Images, lengths: NDArray[np.float32], ridge: float
) -> NDArray[np.float32]:
    """(W, B, P) distances, those under NEAR_PAIR computed in float64; `lengths` is overwritten there."""
    found = block.mean(lengths)
    near = np.asarray(np.less(found, NEAR_PAIR).any(0))  # (B, P)
    for image in np.flatnonzero(near.any(1)):
        cells = block.cells_of(near[image])
        lengths[image, cells] = exact_lengths(block.cells[cells], images.cells[image], ridge)
    return block.mean(lengths) if near.any() else found
