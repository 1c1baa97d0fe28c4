"""The FPR distance as a differentiable function of cells and foreground, for training and as a reference."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 0.01  # [FPR] section 4.2


def fpr_distance(probe: Tensor, foreground: Tensor, gallery: Tensor, *, ridge: float = RIDGE) -> Tensor:
    """How badly each gallery image explains each probe: 0 fully, 1 not at all. Not symmetric.

    w = (Y'Y + bI)^-1 Y'x ([FPR] Eq. 3);  d = sum_n h_n ||x_n - Y w_n|| / sum_n h_n ([FPR] Eq. 5).
    The residual's length comes without w: ||e||^2 = ||x||^2 - ||Q'x||^2. A square root at 0 has no slope, so
    ten machine epsilons stand under it: a probe that is its own gallery gets about 1e-3 in float32, not 0.

    Args:
        probe: (P, N, C) float32 or float64 pyramid cells, each of unit length. A zero cell adds 0.
        foreground: (P, N) probability that a cell shows the person, >= 0; divided by its sum here.
        gallery: (G, M, C) pyramid cells. M may differ from N; their order and zero cells do not matter.
        ridge: b > 0, keeps the Gram matrix invertible when cells repeat.

    Returns:
        (P, G) distances of the inputs' widest dtype, at least float32.

    Raises:
        ValueError: shapes do not fit, something is empty, NaN or infinite, the ridge is not positive,
            or a probe has no foreground.
    """
    check_operands(probe, foreground, gallery, ridge)
    dtype = torch.promote_types(torch.promote_types(probe.dtype, gallery.dtype), torch.float32)
    with torch.autocast(probe.device.type, enabled=False):
        x, h, y = probe.to(dtype), foreground.to(dtype), gallery.to(dtype)
        h = normalized_foreground(h)
        squared = x.square().sum(2)[:, None] - explained(x, explaining_basis(y, ridge))  # (P, G, N)
        lengths = (squared.clamp(min=0) + 10 * torch.finfo(dtype).eps).sqrt()
        return torch.einsum("pn,pgn->pg", h, lengths)


def check_operands(probe: Tensor, foreground: Tensor, gallery: Tensor, ridge: float) -> None:
    """Refuse operands that cannot be compared."""
    if probe.ndim != 3 or gallery.ndim != 3:
        raise ValueError(f"cells must be (images, N, C), got {tuple(probe.shape)}, {tuple(gallery.shape)}")
    if probe.shape[2] != gallery.shape[2]:
        raise ValueError(f"probe has C = {probe.shape[2]}, gallery C = {gallery.shape[2]}: same network?")
    if foreground.shape != probe.shape[:2]:
        raise ValueError(f"foreground is {tuple(foreground.shape)}, must be {tuple(probe.shape[:2])}")
    if 0 in probe.shape or 0 in gallery.shape:
        raise ValueError(f"nothing to compare: probe {tuple(probe.shape)}, gallery {tuple(gallery.shape)}")
    if not ridge > 0:
        raise ValueError(f"ridge = {ridge}, must be > 0")
    for name, values in (("probe", probe), ("foreground", foreground), ("gallery", gallery)):
        if not values.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinity")


def normalized_foreground(foreground: Tensor) -> Tensor:
    """(P, N) foreground with rows that sum to 1.

    Raises:
        ValueError: a negative weight, or a row without any.
    """
    totals = foreground.sum(1, keepdim=True)
    if (foreground < 0).any() or (totals <= 0).any():
        raise ValueError("foreground must be >= 0 and > 0 somewhere in each probe")
    return foreground / totals


def explaining_basis(gallery: Tensor, ridge: float) -> Tensor:
    """(G, M, C) Q' of each gallery image: ||Q'x||^2 is what it explains of ||x||^2.

    Y'Y + bI = R'R and Y'Y + 2bI = T'T give Q' = T R^-1 R^-T Y'.
    """
    gram = gallery @ gallery.mT  # (G, M, M)
    unit = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    root: Tensor = torch.linalg.cholesky(gram + ridge * unit)
    doubled: Tensor = torch.linalg.cholesky(gram + 2 * ridge * unit)
    return doubled.mT @ torch.cholesky_solve(gallery, root)


def explained(probe: Tensor, basis: Tensor) -> Tensor:
    """(P, G, N) squared length of each probe cell that each gallery image explains."""
    images, cells, channels = probe.shape
    products = basis.reshape(-1, channels) @ probe.reshape(-1, channels).mT  # (G * M, P * N)
    lengths = products.view(basis.shape[0], basis.shape[1], -1).square().sum(1)  # (G, P * N)
    return lengths.view(basis.shape[0], images, cells).movedim(0, 1)
