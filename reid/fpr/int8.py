"""How much each gallery image leaves of each probe cell, from 8 bits: a compiled kernel, else float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.fpr.forms import LEVELS, Quantised
from reid.fpr.vnni import PANEL, Kernel, load_kernel


@dataclass(frozen=True)
class QuantisedProbes:
    """Cells as x = U s + t z: s along the gallery's common directions, z in 8 bits; padded to panels."""

    basis: NDArray[np.int8]  # (N, C) z
    parts: NDArray[np.float32]  # (N, K) s / t
    whole: NDArray[np.float32]  # (N,) ||s||^2 + ||t z||^2
    squares: NDArray[np.float32]  # (N,) t^2
    count: int
    """Cells without the padding."""


def quantised(cells: NDArray[np.float32], directions: NDArray[np.float32]) -> QuantisedProbes:
    """(N, C) cells in 8 bits; (K, C) directions as the gallery's."""
    count, channels = cells.shape
    along = cells @ directions.T  # (N, K)
    rest = cells - along @ directions
    largest = np.maximum(rest.max(1, keepdims=True), -rest.min(1, keepdims=True))
    scales = np.maximum(largest, 1e-12) / np.float32(LEVELS)  # (N, 1)
    rest /= scales
    np.rint(rest, out=rest)
    squares = np.square(scales[:, 0])
    whole = np.square(along).sum(1) + squares * np.einsum("nc,nc->n", rest, rest)
    wide = -count % PANEL
    basis = np.zeros((count + wide, channels + -channels % 4), np.int8)
    basis[:count, :channels] = rest
    parts = np.pad(along / scales, ((0, wide), (0, 0)))
    return QuantisedProbes(basis, parts, np.pad(whole, (0, wide)), np.pad(squares, (0, wide)), count)


class QuantisedBlock:
    """Probe cells laid out for whichever kernel this machine has."""

    def __init__(self, probes: QuantisedProbes) -> None:
        """Lay them out."""
        self.probes = probes
        self.kernel: Kernel | None = load_kernel()
        self.panels = None if self.kernel is None else panels(probes)

    def lengths(self, images: Quantised) -> NDArray[np.float32]:
        """(B, N) lengths that the images leave of the cells."""
        probes = self.probes
        if self.kernel is None or self.panels is None:
            return float_lengths(probes, images)[:, : probes.count]
        return self.kernel.lengths(images, *self.panels, probes.whole, probes.squares)[:, : probes.count]


def float_lengths(probes: QuantisedProbes, images: Quantised) -> NDArray[np.float32]:
    """(B, N) lengths as the kernel's, by float32 products of the same 8-bit numbers."""
    count, directions = len(images.basis), images.triangle.shape[1]
    scaled = images.basis * images.scales[..., None]  # (B, 2 K + M, C)
    products = scaled.reshape(-1, scaled.shape[2]) @ probes.basis.T.astype(np.float32)
    products = products.reshape(count, scaled.shape[1], -1)  # (B, 2 K + M, N)
    linear = products[:, : 2 * directions].reshape(count, directions, 2, -1)
    crossed = np.einsum("bkin,nk->bn", linear, probes.parts)
    along = (images.triangle.reshape(-1, directions) @ probes.parts.T).reshape(count, directions, -1)
    explained = crossed + np.square(products[:, 2 * directions :]).sum(1) + np.square(along).sum(1)
    lengths: NDArray[np.float32] = np.sqrt(np.maximum(probes.whole - explained * probes.squares, 0))
    return lengths


def panels(probes: QuantisedProbes) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(N / 64, C / 4, 64, 4) z + 128 and (N / 64, K, 64) s / t: what one instruction reads lies together."""
    cells, channels = probes.basis.shape
    shifted = probes.basis.view(np.uint8) ^ np.uint8(128)
    fours = shifted.reshape(cells // PANEL, PANEL, channels // 4, 4).transpose(0, 2, 1, 3)
    parts = probes.parts.reshape(cells // PANEL, PANEL, -1).transpose(0, 2, 1)
    return np.ascontiguousarray(fours), np.ascontiguousarray(parts)
