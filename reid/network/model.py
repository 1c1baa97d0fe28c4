"""The FPR network: omni-scale backbone, pyramid cells, foreground probability and a pooled vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.network.omni_scale import OmniScale
from reid.network.resnet import HalfInstanceNorm, ResNet50
from reid.network.spec import Backbone as Backbone
from reid.network.spec import ForeignSpec as ForeignSpec
from reid.network.spec import ModelSpec as ModelSpec

STRIDE = 16
"""Pixels to a position of every backbone's map."""
PYRAMID_STRIDE = 2


@dataclass(frozen=True)
class FPROutput:
    """What the network says about a batch of equal size."""

    cells: Tensor  # (B, N, C) of unit length, levels in the order of the kernels, rows first
    foreground: Tensor  # (B, N) logit of the probability that a cell shows the person
    pooled: Tensor  # (B, D) not normalised
    map: Tensor  # (B, K, h, w) the backbone's last map, >= 0
    map_foreground: Tensor  # (B, h, w) the same logit for each position of the map


class PyramidHead(nn.Module):
    """From a map to what FPR compares: pyramid cells, their foreground, and a pooled vector brought along."""

    def __init__(self, spec: ModelSpec, channels: int) -> None:
        """Random weights for maps of `channels`."""
        super().__init__()
        self.spec = spec
        self.foreground = nn.Conv1d(channels, 2, 1)  # one 1x1 convolution for all levels, [FPR] section 3.2
        self.reduction: nn.Module = nn.Identity()
        self.cell_channels = spec.cell_channels or channels
        if spec.cell_channels is not None:
            self.reduction = nn.Linear(channels, spec.cell_channels, bias=False)

    def describe(self, features: Tensor, pooled: Tensor, map_foreground: Tensor) -> FPROutput:
        """What the head says about a (B, K, h, w) map with its pooled vector and foreground."""
        level_cells = pyramid(features, self.spec.kernels)  # (B, K, N)
        unit = functional.normalize(level_cells.float(), dim=1)
        return FPROutput(
            cells=functional.normalize(self.reduction(unit.transpose(1, 2)).float(), dim=2),
            foreground=self.foreground_logit(unit),
            pooled=pooled,
            map=features,
            map_foreground=map_foreground,
        )

    def map_foreground(self, features: Tensor) -> Tensor:
        """(B, h, w) logit that a position of the (B, K, h, w) map shows the person."""
        unit = functional.normalize(features.float().flatten(2), dim=1)  # (B, K, h * w)
        return self.foreground_logit(unit).view(-1, *features.shape[2:])

    def foreground_logit(self, unit: Tensor) -> Tensor:
        """(B, N) logit of the softmax's person channel for (B, K, N) cells of unit length."""
        two = self.foreground(unit).float()
        return cast(Tensor, two[:, 1] - two[:, 0])


class FPRNet(PyramidHead):
    """The whole network of a `ModelSpec`."""

    def __init__(self, spec: ModelSpec) -> None:
        """Random weights.

        Raises:
            ValueError: a backbone this version does not know, or one too narrow.
        """
        backbone = make_backbone(spec)
        super().__init__(spec, backbone.channels)
        self.backbone = backbone
        grid = tuple(side // STRIDE for side in spec.box)
        self.pool: PositionPool | MeanPool = MeanPool()
        if spec.pooled_dim is not None:
            self.pool = PositionPool(backbone.channels, spec.pooled_dim, grid)
        self.pooled_channels = spec.pooled_dim or backbone.channels

    def forward(self, images: Tensor) -> FPROutput:
        """Cells, foreground and pooled vectors of (B, 3, H, W) RGB images in 0..255, uint8 or float."""
        return self.heads(self.backbone(images))

    def heads(self, features: Tensor) -> FPROutput:
        """The same from the backbone's (B, K, h, w) map."""
        foreground = self.map_foreground(features)
        return self.describe(features, self.pool(features, foreground.sigmoid()), foreground)


class ForeignHead(PyramidHead):
    """FPR on the map of a network that is not ours; its own embedding serves as the pooled vector."""

    def __init__(self, spec: ModelSpec) -> None:
        """Random weights.

        Raises:
            ValueError: the spec names no foreign network.
        """
        if spec.foreign is None:
            raise ValueError("a head needs `foreign`: the network whose map it reads")
        super().__init__(spec, spec.foreign.channels)
        self.pooled_channels = spec.foreign.embedding

    def forward(self, features: Tensor, embedding: Tensor) -> FPROutput:
        """Cells and foreground of (B, K, h, w) maps; pooled is the (B, D) embedding itself."""
        return self.describe(features, embedding.float(), self.map_foreground(features))


def make_backbone(spec: ModelSpec) -> OmniScale | ResNet50:
    """The fully convolutional part, random weights.

    Raises:
        ValueError: unknown, or too narrow.
    """
    match spec.backbone:
        case "omni_scale":
            return OmniScale(spec.width, nn.Identity)
        case "omni_scale_bn":
            return OmniScale(spec.width, nn.BatchNorm2d)
        case "resnet50":
            return ResNet50(spec.width, nn.BatchNorm2d)
        case "resnet50_ibn_a":
            return ResNet50(spec.width, HalfInstanceNorm)
    raise ValueError(
        f"backbone {spec.backbone!r} (known: omni_scale, omni_scale_bn, resnet50, resnet50_ibn_a)"
    )


def pyramid(features: Tensor, kernels: tuple[int, ...]) -> Tensor:
    """(B, K, N) max-pooled cells of a (B, K, h, w) map >= 0, all levels side by side.

    A window larger than the map sees all of it: the map is continued by zeros, which are no maximum.
    """
    height, width = features.shape[2:]
    levels = [
        functional.max_pool2d(
            functional.pad(features, (0, missing(k, width), 0, missing(k, height))), k, PYRAMID_STRIDE
        )
        for k in kernels
    ]
    return torch.cat([level.flatten(2) for level in levels], 2)


def missing(kernel: int, side: int | Tensor) -> int:
    """How many positions a map's side is shorter than a window; `side` is a tensor while traced."""
    if isinstance(side, Tensor):
        return cast(int, (kernel - side).clamp(min=0))
    return max(kernel - side, 0)


def pyramid_means(grid: Tensor, kernels: tuple[int, ...]) -> Tensor:
    """(B, N) mean of a (B, h, w) map of numbers over each cell's window, in the order of `pyramid`."""
    height, width = grid.shape[1:]
    levels = [
        functional.avg_pool2d(grid[:, None], (min(k, height), min(k, width)), PYRAMID_STRIDE) for k in kernels
    ]
    return torch.cat([level.flatten(1) for level in levels], 1)


def is_traced() -> bool:
    """Whether an exporter is watching, for whom sizes are not yet known."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


class PositionPool(nn.Module):
    """A pooled vector: map positions weighted by place and by foreground, then one layer."""

    def __init__(self, channels: int, dim: int, grid: tuple[int, ...]) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.full((channels, *grid), 1.0 / (grid[0] * grid[1])))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.layer = nn.Linear(channels, dim)
        self.activation = nn.PReLU()

    def forward(self, features: Tensor, foreground: Tensor) -> Tensor:
        """(B, D) from a (B, K, h, w) map and its (B, h, w) foreground probability."""
        size = features.shape[2:]
        place: Tensor = self.place
        if is_traced() or place.shape[1:] != size:
            place = stretched(place, size)
        share = foreground / foreground.mean((1, 2), keepdim=True).clamp(min=1e-6)
        weighted = torch.einsum("bkhw,khw,bhw->bk", features.float(), place, share)
        return cast(Tensor, self.activation(self.layer(weighted + self.shift)))


def stretched(place: Tensor, size: torch.Size) -> Tensor:
    """(K, h, w) weights of places for a map of another size, with about the same sum."""
    area = place[0].numel() / (size[0] * size[1])
    return functional.interpolate(place[None], size, mode="bilinear", align_corners=False)[0] * area


class MeanPool(nn.Module):
    """A pooled vector without weights: the mean of the map."""

    def forward(self, features: Tensor, foreground: Tensor) -> Tensor:
        """(B, K) from a (B, K, h, w) map; its foreground is not asked."""
        return features.float().mean((2, 3))
