"""The weights of person-reidentification-retail-0277 out of its OpenVINO graph (Apache-2.0, Intel)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid.network.model import FPRNet, PositionPool
from reid.network.omni_scale import LightConv, OmniBlock, OmniScale
from reid.network.openvino_core import openvino_core

INDEX_OPERANDS = ("Reshape", "MVN", "ReduceMean", "Gather", "Concat", "Subtract")
"""Operations whose constants are axes, shapes or the image mean, not weights."""


class InitialWeightsMismatch(ValueError):
    """The file holds another network than person-reidentification-retail-0277."""


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
    net, pool = model.backbone, model.pool
    if not isinstance(net, OmniScale) or not isinstance(pool, PositionPool):
        raise InitialWeightsMismatch(
            f"backbone {model.spec.backbone!r} cannot begin as an omni-scale network"
        )
    next(constants)  # 1 / standard deviation of the image
    fill(constants, net.input_norm.weight, net.input_norm.bias, net.conv1.weight)
    fill(constants, net.conv1_norm.weight, net.conv1_norm.bias)
    for module in (*net.conv2, *net.conv3, *net.conv4, *net.conv5):
        if isinstance(module, OmniBlock):
            fill_block(module, constants)
        elif isinstance(module, nn.Conv2d):
            fill(constants, *module.parameters())
    fill(constants, pool.place, pool.shift)
    fill(constants, pool.layer.weight, pool.layer.bias)
    scale, shift = (torch.from_numpy(next(constants).ravel()) for _ in range(2))
    pool.layer.weight.mul_(scale[:, None])
    pool.layer.bias.mul_(scale).add_(shift)
    fill(constants, pool.activation.weight)


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
    for node in openvino_core().read_model(path).get_ordered_ops():
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
