"""How a training begins: the teacher's weights, its people as classes, its directions as cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from reid.batches import Batch, TrainingBatches
from reid.model import FPRNet, FPROutput, LightConv, OmniBlock, pyramid, pyramid_means
from reid.recipe import Recipe

INDEX_OPERANDS = ("Reshape", "MVN", "ReduceMean", "Gather", "Concat", "Subtract")
"""Operations whose constants are axes, shapes or the image mean, not weights."""


LOGIT_SCALE = 20.0
"""First logits of the classifier: this times the cosine with each person's mean."""
FIRST_BATCHES = 8
FIRST_CROPS = 24
"""Batches, and crops of each, whose cells set the first reduction and foreground layer."""
FIRST_STEPS = 150
FIRST_RATE = 0.1


class InitialWeightsMismatch(ValueError):
    """The file holds another network than person-reidentification-retail-0277."""


class Trainee(nn.Module):
    """The network with what only training needs: the neck and the classifier ([BoT], Luo et al. 2019)."""

    def __init__(self, net: FPRNet, people: int) -> None:
        super().__init__()
        self.net = net
        self.neck = nn.BatchNorm1d(net.spec.pooled_dim)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(net.spec.pooled_dim, people, bias=False)

    def forward(self, images: Tensor) -> tuple[FPROutput, Tensor]:
        """What the network says, and (B, people) logits."""
        output = self.net(images)
        return output, self.classifier(self.neck(output.pooled))


def begin(recipe: Recipe, batches: TrainingBatches, shared: Path) -> Trainee:
    """The network before the first step: the teacher's weights, people as classes, directions as cells."""
    people = int(batches.people.max()) + 1
    trainee = Trainee(FPRNet(recipe.model), people)
    if recipe.begin_as_teacher:
        initialise_from_openvino(trainee.net, shared / recipe.teacher)
        begin_classifier(trainee, batches.cache.embeddings, batches.people)
    begin_heads(trainee.net, batches)
    for part in recipe.frozen:
        trainee.net.backbone.get_submodule(part).requires_grad_(False)
    return trainee


@torch.no_grad()
def begin_classifier(
    trainee: Trainee, embeddings: np.ndarray[Any, Any], people: np.ndarray[Any, Any]
) -> None:
    """Each person's class vector becomes the mean of the teacher's standardised embeddings of that person."""
    given = torch.from_numpy(embeddings.astype(np.float32))
    standard = (given - given.mean(0)) / given.std(0).clamp(min=1e-6)
    sums = torch.zeros_like(trainee.classifier.weight).index_add_(0, torch.from_numpy(people), standard)
    length = standard.norm(dim=1).mean()
    trainee.classifier.weight.copy_(functional.normalize(sums, dim=1) * LOGIT_SCALE / length)


def begin_heads(net: FPRNet, batches: TrainingBatches) -> None:
    """The reduction keeps the cells' strongest directions; the foreground layer is fitted alone."""
    chunks = [
        first_cells(net, batches[step], bfloat16=batches.recipe.bfloat16) for step in range(FIRST_BATCHES)
    ]
    cells, labels = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    with torch.no_grad():
        vectors = torch.linalg.eigh((cells.T @ cells).double()).eigenvectors.flip(1)
        net.reduction.weight.copy_(vectors[:, : net.reduction.out_features].T)
        nn.init.zeros_(net.foreground.weight)
    optimiser = torch.optim.Adam(net.foreground.parameters(), lr=FIRST_RATE)
    for _ in range(FIRST_STEPS):
        optimiser.zero_grad()
        logits = net.foreground_logit(cells.T[None])
        functional.binary_cross_entropy_with_logits(logits[0], labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


@torch.no_grad()
def first_cells(net: FPRNet, batch: Batch, *, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """(S, K) unit pyramid cells of a batch before training, and their (S,) foreground labels."""
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=bfloat16):
        cells = pyramid(net.backbone(batch.images[:FIRST_CROPS]), net.spec.kernels).float()
    labels = pyramid_means(batch.foreground[:FIRST_CROPS], net.spec.kernels)
    return functional.normalize(cells, dim=1).transpose(1, 2).flatten(0, 1), labels.flatten()


def initialise_from_openvino(model: FPRNet, path: Path) -> None:
    """Copy the backbone's and the pooled vector's weights from an OpenVINO .xml (Apache-2.0) into `model`.

    The graph's constants come in the order of its operations; normalisation is already folded in.

    Raises:
        InitialWeightsMismatch: missing file, or constants that do not fit.
    """
    if not path.is_file():
        raise InitialWeightsMismatch(
            f"{path}: no such file; it is listed in shared/README.md under reid_peers"
        )
    constants = graph_constants(path)
    with torch.no_grad():
        try:
            fill_all(model, constants)
        except StopIteration as error:
            raise InitialWeightsMismatch(f"{path}: fewer weights than the network has") from error
    if next(constants, None) is not None:
        raise InitialWeightsMismatch(f"{path}: more weights than the network has")


def fill_all(model: FPRNet, constants: Iterator[NDArray[np.float32]]) -> None:
    """Fill backbone and pool in the order of the graph."""
    net = model.backbone
    next(constants)  # 1 / standard deviation of the image
    fill(constants, net.input_norm.weight, net.input_norm.bias, net.conv1.weight)
    fill(constants, net.conv1_norm.weight, net.conv1_norm.bias)
    for module in (*net.conv2, *net.conv3, *net.conv4, *net.conv5):
        if isinstance(module, OmniBlock):
            fill_block(module, constants)
        elif isinstance(module, nn.Conv2d):
            fill(constants, *module.parameters())
    fill(constants, model.pool.place, model.pool.shift)
    fill(constants, model.pool.layer.weight, model.pool.layer.bias)
    scale, shift = (torch.from_numpy(next(constants).ravel()) for _ in range(2))
    model.pool.layer.weight.mul_(scale[:, None])
    model.pool.layer.bias.mul_(scale).add_(shift)
    fill(constants, model.pool.activation.weight)


def fill_block(block: OmniBlock, constants: Iterator[NDArray[np.float32]]) -> None:
    """Fill one residual block; its shared gate comes once for each stream."""
    fill(constants, *block.shrink.parameters())
    for stream in block.streams:
        for light in stream.children():
            if isinstance(light, LightConv):
                fill(constants, light.across.weight, light.within.weight, light.within.bias)
        fill(constants, *block.gate.parameters())
    fill(constants, *block.grow.parameters(), *block.shortcut.parameters())


def fill(constants: Iterator[NDArray[np.float32]], *parameters: Tensor | None) -> None:
    """Fill the parameters with the next constants."""
    for parameter in parameters:
        if parameter is None:
            continue
        value = next(constants)
        if value.size != parameter.numel():
            raise InitialWeightsMismatch(f"a weight of {value.shape} where {tuple(parameter.shape)} belongs")
        parameter.copy_(torch.from_numpy(value.copy()).view_as(parameter))


def graph_constants(path: Path) -> Iterator[NDArray[np.float32]]:
    """The weights of the graph in the order of its operations."""
    import openvino  # here: only a training that starts from OpenVINO's file needs it

    for node in openvino.Core().read_model(path).get_ordered_ops():
        if node.get_type_name() in (*INDEX_OPERANDS, "Constant", "Convert", "ShapeOf"):
            continue
        for operand in node.input_values():
            value = constant_value(operand.get_node())
            if value is not None:
                yield value


def constant_value(node: Any) -> NDArray[np.float32] | None:
    """The array of a constant, also through a conversion or a reshape."""
    if node.get_type_name() == "Constant":
        return np.asarray(node.get_data(), np.float32)
    if node.get_type_name() in ("Convert", "Reshape"):
        return constant_value(node.input_value(0).get_node())
    return None
