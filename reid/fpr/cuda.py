"""The FPR distance on a GPU: fp16 or TF32 products, squared and summed in one pass where that compiles.

Written without a GPU at hand: compared with the CPU only by tests marked `gpu`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.fpr.forms import RESIDUAL_CHANNELS
from reid.fpr.gallery import Images, PreparedGallery
from reid.fpr.lengths import NEAR_DUPLICATE, exact_lengths
from reid.fpr.probes import ProbeBlock

BLOCK_IMAGES = 256
"""Gallery images of one matrix product."""
Kind = Literal["gpu", "tf32"]
Lengths = Callable[[Tensor, Tensor], Tensor]


class NoGpuError(ValueError):
    """A GPU path was asked for on a machine without CUDA."""


def cuda_blocks(
    blocks: Sequence[ProbeBlock], gallery: PreparedGallery, rows: NDArray[np.intp], *, half: Kind
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.float32]]]:
    """First probe, places among the rows, and (W, B, P) distances, block by block.

    Args:
        half: `gpu` for fp16 products, `tf32` for TF32.

    Raises:
        NoGpuError: no CUDA device.
        ValueError: an int8 gallery, which only the CPU's kernel reads.
    """
    if gallery.storage == "int8":
        raise ValueError("a GPU needs storage='float32' or 'float16', this gallery stores int8")
    if not torch.cuda.is_available():
        raise NoGpuError("no CUDA device: use precision='auto'")
    yield from device_blocks(blocks, gallery, rows, device=torch.device("cuda"), half=half)


def device_blocks(
    blocks: Sequence[ProbeBlock],
    gallery: PreparedGallery,
    rows: NDArray[np.intp],
    *,
    device: torch.device,
    half: Kind,
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.float32]]]:
    """As `cuda_blocks`, on any device."""
    dtype = torch.float16 if half == "gpu" else torch.float32
    before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, half == "tf32"
    try:
        cells = [torch.from_numpy(block.cells).to(device) for block in blocks]
        for places, images in gallery.blocks(rows, BLOCK_IMAGES):
            form = torch.from_numpy(np.array(images.form)).to(device, dtype)  # (B, C or M, C)
            for block, x in zip(blocks, cells, strict=True):
                lengths = form_lengths(x, form, gallery.channels).cpu().numpy()
                if gallery.channels > RESIDUAL_CHANNELS:
                    mend_duplicates(lengths, block, images, gallery.ridge)
                yield block.first, places, block.mean(lengths)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def form_lengths(cells: Tensor, form: Tensor, channels: int) -> Tensor:
    """(B, N) float32 lengths that (B, R, C) forms leave of (N, C) cells."""
    squares = fused()(cells.to(form.dtype), form)
    if channels <= RESIDUAL_CHANNELS:
        return squares.sqrt()
    return (cells.to(form.dtype).float().square().sum(1) - squares).clamp(min=0).sqrt()


def squared_products(cells: Tensor, form: Tensor) -> Tensor:
    """(B, N) float32 sums over R of (form @ cells')^2."""
    products = form.flatten(0, 1) @ cells.mT  # (B * R, N)
    return products.view(*form.shape[:2], -1).float().square().sum(1)


@cache
def fused() -> Lengths:
    """`squared_products` compiled, so that squares and sums need no second pass over memory; or as it is."""
    if not torch.cuda.is_available():
        return squared_products
    compiled = torch.compile(squared_products, dynamic=True, mode="max-autotune-no-cudagraphs")
    try:
        compiled(torch.zeros(64, 64, device="cuda").half(), torch.zeros(2, 64, 64, device="cuda").half())
    except Exception as error:  # no compiler, an old GPU: torch raises many kinds
        warnings.warn(f"not fused, {type(error).__name__}: the GPU path is slower", stacklevel=2)
        return squared_products
    return compiled


def mend_duplicates(lengths: NDArray[np.float32], block: ProbeBlock, images: Images, ridge: float) -> None:
    """Compute cells that are nearly explained again, in float64 and in place."""
    whole = np.einsum("nc,nc->n", block.cells, block.cells)
    near = np.square(lengths) < NEAR_DUPLICATE * whole
    for image in np.flatnonzero(near.any(1)):
        chosen = near[image]
        lengths[image, chosen] = exact_lengths(block.cells[chosen], images.cells[image], ridge)
