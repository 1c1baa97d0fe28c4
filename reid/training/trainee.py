"""The network with what only training needs: the neck and the classifier."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reid.network.model import ForeignHead, FPRNet, FPROutput


@dataclass(frozen=True)
class Named:
    """What the network says about a batch, and who the classifiers take everybody for."""

    output: FPROutput
    logits: Tensor  # (B, people) by the pooled vectors
    foreground_logits: Tensor  # (B, people) by the mean of the cells, weighted by their foreground


class Trainee(nn.Module):
    """The network, and a batch norm and a classifier ([BoT], Luo et al. 2019) on two vectors of each crop."""

    def __init__(self, net: FPRNet | ForeignHead, people: int) -> None:
        super().__init__()
        self.net = net
        self.neck, self.classifier = (
            neck(net.pooled_channels),
            nn.Linear(net.pooled_channels, people, bias=False),
        )
        self.foreground_neck = neck(net.cell_channels)
        self.foreground_classifier = nn.Linear(net.cell_channels, people, bias=False)

    def forward(self, *inputs: Tensor) -> Named:
        """What the network says about its inputs, and who they are."""
        output = self.net(*inputs)
        return Named(
            output=output,
            logits=self.classifier(self.neck(output.pooled)),
            foreground_logits=self.foreground_classifier(self.foreground_neck(foreground_mean(output))),
        )


def neck(channels: int) -> nn.BatchNorm1d:
    """A batch norm without a shift."""
    made = nn.BatchNorm1d(channels)
    made.bias.requires_grad_(False)
    return made


def foreground_mean(output: FPROutput) -> Tensor:
    """(B, C) mean of the cells, each counted by its foreground probability."""
    share = output.foreground.sigmoid()
    share = share / share.sum(1, keepdim=True).clamp(min=1e-6)
    return torch.einsum("bn,bnc->bc", share, output.cells)
