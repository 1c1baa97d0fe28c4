"""The FPR network: omni-scale backbone, pyramid cells, foreground probability and a pooled vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE_MEAN = (123.675, 116.28, 103.53)  # ImageNet, RGB in 0..255
IMAGE_STD = (58.395, 57.12, 57.375)
CHANNELS = (64, 256, 384, 512)  # stem and the three stages of OSNet x1.0 (Zhou et al., ICCV 2019)
GATE_REDUCTION = 16
GATE_GROUPS = 16  # linear context transform (Ruan et al., 2020)
PYRAMID_STRIDE = 2
LEAST_WIDTH = 0.5
"""Below it a gate's group would have one channel, and nothing to be normalised with."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything that builds the network; it travels inside the checkpoint."""

    name: str = "fpr_small"
    backbone: str = "omni_scale"
    width: float = 1.0
    """Factor on the backbone's channels; 1.0 is 2 million weights."""
    cell_channels: int = 112
    """70 cells of a 256x128 crop in fp16 are 15,680 bytes."""
    kernels: tuple[int, ...] = (2, 4, 6, 8)
    """Pyramid windows in map positions, stride 2; clipped to the map of small crops."""
    pooled_dim: int = 256
    box: tuple[int, int] = (256, 128)
    """Height and width in px of a whole body's crop; half bodies are as wide and less high."""
    multiple: int = 16
    """The height of the network's input is a multiple of this, px."""


@dataclass(frozen=True)
class FPROutput:
    """What the network says about a batch of equal size."""

    cells: Tensor  # (B, N, C) of unit length, levels in the order of the kernels, rows first
    foreground: Tensor  # (B, N) logit of the probability that a cell shows the person
    pooled: Tensor  # (B, D) not normalised
    map: Tensor  # (B, K, h, w) the backbone's last map, >= 0
    map_foreground: Tensor  # (B, h, w) the same logit for each position of the map


class FPRNet(nn.Module):
    """The network of a `ModelSpec`."""

    def __init__(self, spec: ModelSpec) -> None:
        """Random weights.

        Raises:
            ValueError: a backbone this version does not know, or one too narrow for its gates.
        """
        super().__init__()
        if spec.backbone != "omni_scale":
            raise ValueError(f"backbone {spec.backbone!r} (known: omni_scale)")
        if spec.width < LEAST_WIDTH:
            raise ValueError(f"width = {spec.width}, must be >= {LEAST_WIDTH}")
        self.spec = spec
        self.backbone = OmniScale(spec.width)
        channels = self.backbone.channels
        self.foreground = nn.Conv1d(channels, 2, 1)  # one 1x1 convolution for all levels, [FPR] section 3.2
        self.reduction = nn.Linear(channels, spec.cell_channels, bias=False)
        self.pool = PositionPool(channels, spec.pooled_dim, tuple(side // 16 for side in spec.box))

    def forward(self, images: Tensor) -> FPROutput:
        """Cells, foreground and pooled vectors of (B, 3, H, W) RGB images in 0..255, uint8 or float."""
        return self.heads(self.backbone(images))

    def heads(self, features: Tensor) -> FPROutput:
        """The same from the backbone's (B, K, h, w) map."""
        level_cells = pyramid(features, self.spec.kernels)  # (B, K, N)
        positions = functional.normalize(features.float().flatten(2), dim=1)  # (B, K, h * w)
        map_foreground = self.foreground_logit(positions).view(-1, *features.shape[2:])
        unit = functional.normalize(level_cells.float(), dim=1)
        return FPROutput(
            cells=functional.normalize(self.reduction(unit.transpose(1, 2)).float(), dim=2),
            foreground=self.foreground_logit(unit),
            pooled=self.pool(features, map_foreground.sigmoid()),
            map=features,
            map_foreground=map_foreground,
        )

    def foreground_logit(self, unit: Tensor) -> Tensor:
        """(B, N) logit of the softmax's person channel for (B, K, N) cells of unit length."""
        two = self.foreground(unit).float()
        return cast(Tensor, two[:, 1] - two[:, 0])


def pyramid(features: Tensor, kernels: tuple[int, ...]) -> Tensor:
    """(B, K, N) max-pooled cells of a (B, K, h, w) map, all levels side by side."""
    height, width = features.shape[2:]
    levels = [
        functional.max_pool2d(features, (min(k, height), min(k, width)), PYRAMID_STRIDE) for k in kernels
    ]
    return torch.cat([level.flatten(2) for level in levels], 2)


def pyramid_means(grid: Tensor, kernels: tuple[int, ...]) -> Tensor:
    """(B, N) mean of a (B, h, w) map of numbers over each cell's window, in the order of `pyramid`."""
    height, width = grid.shape[1:]
    levels = [
        functional.avg_pool2d(grid[:, None], (min(k, height), min(k, width)), PYRAMID_STRIDE) for k in kernels
    ]
    return torch.cat([level.flatten(1) for level in levels], 1)


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
        if place.shape[1:] != size:  # another crop size: the same weights, stretched, with the same sum
            area = place[0].numel() / (size[0] * size[1])
            place = functional.interpolate(place[None], size, mode="bilinear", align_corners=False)[0] * area
        share = foreground / foreground.mean((1, 2), keepdim=True).clamp(min=1e-6)
        weighted = torch.einsum("bkhw,khw,bhw->bk", features.float(), place, share)
        return cast(Tensor, self.activation(self.layer(weighted + self.shift)))


class OmniScale(nn.Module):
    """OSNet with normalisation folded into the convolutions: stride 16, gates by context or by excitation."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: float) -> None:
        super().__init__()
        unit = 4 * GATE_GROUPS  # a block's streams have a quarter of its channels
        stem, one, two, three = (max(1, round(c * width / unit)) * unit for c in CHANNELS)
        self.channels = three
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)
        self.input_norm = nn.InstanceNorm2d(3, affine=True)
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.conv1_norm = nn.InstanceNorm2d(stem, affine=True)
        self.conv2 = stage(stem, one)
        self.conv3 = stage(one, two)
        self.conv4 = nn.Sequential(*omni_blocks(two, three))
        self.conv5 = nn.Sequential(nn.Conv2d(three, three, 1), nn.ReLU(inplace=True))

    def forward(self, images: Tensor) -> Tensor:
        """(B, K, H / 16, W / 16) map of (B, 3, H, W) RGB images in 0..255."""
        x = (images.float() - self.mean) / self.std
        x = self.conv1_norm(self.conv1(self.input_norm(x)))
        x = functional.max_pool2d(functional.relu(x), 3, 2, 1)
        return cast(Tensor, self.conv5(self.conv4(self.conv3(self.conv2(x)))))


def stage(inputs: int, outputs: int) -> nn.Sequential:
    """Two omni-scale blocks, a 1x1 convolution, and the map halved."""
    transition = (nn.Conv2d(outputs, outputs, 1), nn.ReLU(inplace=True), nn.AvgPool2d(2))
    return nn.Sequential(*omni_blocks(inputs, outputs), *transition)


def omni_blocks(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """The two blocks of a stage: one gated by excitation, one by context."""
    middle = outputs // 4
    return (
        OmniBlock(inputs, outputs, ExcitationGate(middle)),
        OmniBlock(outputs, outputs, ContextGate(middle)),
    )


class OmniBlock(nn.Module):
    """Residual block: four streams of 1 to 4 light 3x3 convolutions, gated by one shared gate and summed."""

    def __init__(self, inputs: int, outputs: int, gate: nn.Module) -> None:
        super().__init__()
        middle = outputs // 4
        self.shrink = nn.Conv2d(inputs, middle, 1)
        self.streams = nn.ModuleList(
            nn.Sequential(*(LightConv(middle) for _ in range(depth))) for depth in (1, 2, 3, 4)
        )
        self.gate = gate
        self.grow = nn.Conv2d(middle, outputs, 1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, h, w) from (B, inputs, h, w)."""
        small = functional.relu(self.shrink(x))
        mixed: Tensor | None = None
        for stream in self.streams:
            y = stream(small)
            y = y * self.gate(y.mean((2, 3)))[:, :, None, None]
            mixed = y if mixed is None else mixed + y
        return functional.relu(self.grow(mixed) + self.shortcut(x))


class LightConv(nn.Module):
    """A 3x3 convolution split into 1x1 over channels and 3x3 within each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.across = nn.Conv2d(channels, channels, 1, bias=False)
        self.within = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) from the same."""
        return functional.relu(self.within(self.across(x)))


class ExcitationGate(nn.Module):
    """A weight for each channel from two small layers on the channel means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, channels // GATE_REDUCTION)
        self.up = nn.Linear(channels // GATE_REDUCTION, channels)

    def forward(self, means: Tensor) -> Tensor:
        """(B, channels) in 0..1 from (B, channels)."""
        return cast(Tensor, self.up(functional.relu(self.down(means)))).sigmoid()


class ContextGate(nn.Module):
    """A weight for each channel from its mean, normalised among its group."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GATE_GROUPS, channels)

    def forward(self, means: Tensor) -> Tensor:
        """(B, channels) in 0..1 from (B, channels)."""
        # spelt out because OpenVINO cannot run GroupNorm on vectors
        grouped = means.view(-1, GATE_GROUPS, means.shape[1] // GATE_GROUPS)
        normal = functional.layer_norm(grouped, grouped.shape[2:], eps=self.norm.eps).flatten(1)
        return (normal * self.norm.weight + self.norm.bias).sigmoid()
