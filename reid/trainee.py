"""The network with what only training needs: the neck and the classifier."""

from __future__ import annotations

from torch import Tensor, nn

from reid.model import ForeignHead, FPRNet, FPROutput


class Trainee(nn.Module):
    """The network, a batch norm behind its pooled vector, and a classifier ([BoT], Luo et al. 2019)."""

    def __init__(self, net: FPRNet | ForeignHead, people: int) -> None:
        super().__init__()
        self.net = net
        self.neck = nn.BatchNorm1d(net.pooled_channels)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(net.pooled_channels, people, bias=False)

    def forward(self, *inputs: Tensor) -> tuple[FPROutput, Tensor]:
        """What the network says about its inputs, and (B, people) logits."""
        output = self.net(*inputs)
        return output, self.classifier(self.neck(output.pooled))
