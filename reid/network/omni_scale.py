"""The omni-scale backbone: OSNet (Zhou et al., ICCV 2019), with batch norms or with them folded away."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.network.spec import IMAGE_MEAN, IMAGE_STD

Norm = Callable[[int], nn.Module]
CHANNELS = (64, 256, 384, 512)  # stem and the three stages of OSNet x1.0
GATE_REDUCTION = 16
GATE_GROUPS = 16  # linear context transform (Ruan et al., 2020)
LEAST_WIDTH = 0.5
"""Below it a gate's group would have one channel, and nothing to be normalised with."""


class OmniScale(nn.Module):
    """OSNet x1.0 at stride 16: gates by excitation or by context, instance norms in the stem."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: float, norm: Norm) -> None:
        """Random weights.

        Args:
            width: factor on the channels, >= `LEAST_WIDTH`.
            norm: `nn.Identity` for folded weights, `nn.BatchNorm2d` to train from scratch.

        Raises:
            ValueError: too narrow for the gates.
        """
        super().__init__()
        if width < LEAST_WIDTH:
            raise ValueError(f"width = {width}, must be >= {LEAST_WIDTH}")
        unit = 4 * GATE_GROUPS  # a block's streams have a quarter of its channels
        stem, one, two, three = (max(1, round(c * width / unit)) * unit for c in CHANNELS)
        self.channels = three
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)
        self.input_norm = nn.InstanceNorm2d(3, affine=True)
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.conv1_norm = nn.InstanceNorm2d(stem, affine=True)
        self.conv2 = stage(stem, one, norm)
        self.conv3 = stage(one, two, norm)
        self.conv4 = nn.Sequential(*omni_blocks(two, three, norm))
        self.conv5 = nn.Sequential(conv1x1(three, three, norm), norm(three), nn.ReLU(inplace=True))

    def forward(self, images: Tensor) -> Tensor:
        """(B, K, H / 16, W / 16) map of (B, 3, H, W) RGB images in 0..255."""
        x = (images.float() - self.mean) / self.std
        x = self.conv1_norm(self.conv1(self.input_norm(x)))
        x = functional.max_pool2d(functional.relu(x), 3, 2, 1)
        return cast(Tensor, self.conv5(self.conv4(self.conv3(self.conv2(x)))))


def conv1x1(inputs: int, outputs: int, norm: Norm) -> nn.Conv2d:
    """A 1x1 convolution; the norm behind it brings the bias, if there is one."""
    return nn.Conv2d(inputs, outputs, 1, bias=norm is nn.Identity)


def stage(inputs: int, outputs: int, norm: Norm) -> nn.Sequential:
    """Two omni-scale blocks, a 1x1 convolution, and the map halved."""
    convolution = (conv1x1(outputs, outputs, norm), norm(outputs), nn.ReLU(inplace=True))
    return nn.Sequential(*omni_blocks(inputs, outputs, norm), *convolution, nn.AvgPool2d(2))


def omni_blocks(inputs: int, outputs: int, norm: Norm) -> tuple[nn.Module, nn.Module]:
    """The two blocks of a stage: one gated by excitation, one by context."""
    middle = outputs // 4
    return (
        OmniBlock(inputs, outputs, ExcitationGate(middle), norm),
        OmniBlock(outputs, outputs, ContextGate(middle), norm),
    )


class OmniBlock(nn.Module):
    """Residual block: four streams of 1 to 4 light 3x3 convolutions, gated by one shared gate and summed."""

    def __init__(self, inputs: int, outputs: int, gate: nn.Module, norm: Norm) -> None:
        super().__init__()
        middle = outputs // 4
        self.shrink, self.shrink_norm = conv1x1(inputs, middle, norm), norm(middle)
        self.streams = nn.ModuleList(
            nn.Sequential(*(LightConv(middle, norm) for _ in range(depth))) for depth in (1, 2, 3, 4)
        )
        self.gate = gate
        self.grow, self.grow_norm = conv1x1(middle, outputs, norm), norm(outputs)
        same = inputs == outputs
        self.shortcut = nn.Identity() if same else conv1x1(inputs, outputs, norm)
        self.shortcut_norm = nn.Identity() if same else norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, h, w) from (B, inputs, h, w)."""
        small = functional.relu(self.shrink_norm(self.shrink(x)))
        mixed: Tensor | None = None
        for stream in self.streams:
            y = stream(small)
            y = y * self.gate(y.mean((2, 3)))[:, :, None, None]
            mixed = y if mixed is None else mixed + y
        return functional.relu(self.grow_norm(self.grow(mixed)) + self.shortcut_norm(self.shortcut(x)))


class LightConv(nn.Module):
    """A 3x3 convolution split into 1x1 over channels and 3x3 within each."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.across = nn.Conv2d(channels, channels, 1, bias=False)
        folded = norm is nn.Identity
        self.within = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=folded)
        self.norm = norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) from the same."""
        return functional.relu(self.norm(self.within(self.across(x))))


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
        size = self.norm.num_channels // GATE_GROUPS
        grouped = means.view(-1, GATE_GROUPS, size)
        normal = functional.layer_norm(grouped, (size,), eps=self.norm.eps).flatten(1)
        return (normal * self.norm.weight + self.norm.bias).sigmoid()
