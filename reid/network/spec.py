"""What builds a network: plain values that travel inside its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

IMAGE_MEAN = (123.675, 116.28, 103.53)  # ImageNet, RGB in 0..255
IMAGE_STD = (58.395, 57.12, 57.375)
Runtime = Literal["auto", "torch", "openvino", "openvino-bf16", "onnxruntime"]
"""What runs a network."""
Precision = Literal["f32", "bf16"]
"""What OpenVINO computes in."""
Backbone = Literal["omni_scale", "omni_scale_bn", "resnet50", "resnet50_ibn_a", "foreign"]


@dataclass(frozen=True)
class ForeignSpec:
    """A network of somebody else's that serves as the FCN, and how it wants its pictures."""

    network: str
    """Its name, told where its file is missing."""
    map_name: str
    """The node or tensor with its last spatial map."""
    channels: int
    """Of the map."""
    embedding: int
    """Length of the network's own pooled vector."""
    colours: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = IMAGE_MEAN
    std: tuple[float, float, float] = IMAGE_STD
    """What is taken off the pixels (0..255), and what they are divided by then; in the order of `colours`."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything that builds the network; it travels inside the checkpoint."""

    name: str = "fpr_small"
    backbone: Backbone = "omni_scale"
    """`omni_scale` has its norms folded away and needs given weights; `_bn` is to train from scratch."""
    width: float = 1.0
    """Factor on the backbone's channels; 1.0 is 2 million weights of `omni_scale`, 24 of `resnet50`."""
    cell_channels: int | None = 112
    """70 cells of a 256x128 crop in fp16 are 15,680 bytes; None: the backbone's own channels."""
    kernels: tuple[int, ...] = (2, 4, 6, 8)
    """Pyramid windows in map positions, stride 2; clipped to the map of small crops."""
    pooled_dim: int | None = 256
    """Length of the learnt pooled vector; None: the plain mean of the map."""
    box: tuple[int, int] = (256, 128)
    """Height and width in px of a whole body's crop; half bodies are as wide and less high."""
    multiple: int = 16
    """The height of the network's input is a multiple of this, px."""
    foreign: ForeignSpec | None = None
    """Set where `backbone` is `foreign`: the file then holds only a head."""


def unknown_keys(written: Mapping[str, Any]) -> list[str]:
    """Keys of a spec as it was written, nested ones by their path, that no `ModelSpec` has."""
    foreign = written.get("foreign")
    inside = foreign if isinstance(foreign, Mapping) else {}
    known, known_inside = ({field.name for field in fields(kind)} for kind in (ModelSpec, ForeignSpec))
    return [*(key for key in written if key not in known)] + [
        f"foreign.{key}" for key in inside if key not in known_inside
    ]
