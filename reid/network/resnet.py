"""ResNet-50 without its fully connected layer, last stage at stride 1, in torchvision's key layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.network.spec import IMAGE_MEAN, IMAGE_STD

BLOCKS = (3, 4, 6, 3)  # ResNet-50 (He et al., CVPR 2016)
STRIDES = (1, 2, 2, 1)  # of the stages; the last is 2 in a classifier
EXPANSION = 4
Norm = Callable[[int], nn.Module]


class ResNet50(nn.Module):
    """ResNet-50 up to its last map, at stride 16."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: float, first_norm: Norm) -> None:
        """Random weights.

        Args:
            width: factor on the channels.
            first_norm: of the first convolution in each block of the first three stages: `nn.BatchNorm2d`,
                or `HalfInstanceNorm` for IBN-a.

        Raises:
            ValueError: narrower than 4 channels.
        """
        super().__init__()
        stem = round(64 * width)
        if stem < 4:
            raise ValueError(f"width = {width}, must be >= {4 / 64}")
        self.channels = 8 * EXPANSION * stem
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        inputs, stages = stem, []
        for number, (blocks, stride) in enumerate(zip(BLOCKS, STRIDES, strict=True)):
            middle = stem << number
            norm = nn.BatchNorm2d if number == len(BLOCKS) - 1 else first_norm
            stages.append(stage(inputs, middle, blocks, stride, norm))
            inputs = middle * EXPANSION
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, images: Tensor) -> Tensor:
        """(B, K, H / 16, W / 16) map of (B, 3, H, W) RGB images in 0..255."""
        x = functional.relu(self.bn1(self.conv1((images.float() - self.mean) / self.std)))
        x = functional.max_pool2d(x, 3, 2, 1)
        return cast(Tensor, self.layer4(self.layer3(self.layer2(self.layer1(x)))))


def stage(inputs: int, middle: int, blocks: int, stride: int, norm: Norm) -> nn.Sequential:
    """Bottlenecks of which the first has the stride."""
    first = Bottleneck(inputs, middle, stride, norm)
    return nn.Sequential(first, *(Bottleneck(middle * EXPANSION, middle, 1, norm) for _ in range(blocks - 1)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolution around a shortcut."""

    def __init__(self, inputs: int, middle: int, stride: int, norm: Norm) -> None:
        super().__init__()
        outputs = middle * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(inputs, middle, 1, bias=False), norm(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3, self.bn3 = nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4 middle, h / stride, w / stride) from (B, inputs, h, w)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class HalfInstanceNorm(nn.Module):
    """IBN-a (Pan et al., ECCV 2018): instance norm on one half of the channels, batch norm on the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = channels // 2
        self.IN = nn.InstanceNorm2d(self.first, affine=True)  # the names published weights have
        self.BN = nn.BatchNorm2d(channels - self.first)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) from the same."""
        return torch.cat([self.IN(x[:, : self.first]), self.BN(x[:, self.first :])], 1)
