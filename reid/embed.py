"""Crops of any size to what the matcher compares: pyramid cells, foreground probability, pooled vector."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from reid.model import FPRNet, ModelSpec
from reid.weights import WeightsError, load_weights, read_notes

CPU_BATCH = 1
"""One at a time is as fast on a CPU, and who shares a batch cannot change a result."""
GPU_BATCH = 64
LEAST_PX = 32
"""Least height of the network's input."""
Image = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class CropEmbedding:
    """What the FPR network says about one crop; a 256x128 crop has 70 cells."""

    cells: NDArray[np.float16]  # (N, C), each of unit length
    foreground: NDArray[np.float16]  # (N,) probability that a cell shows the person
    pooled: NDArray[np.float16]  # (D,) of unit length


class Embedder:
    """A trained network, ready for crops."""

    def __init__(self, net: FPRNet, *, model_id: str, terms: str, calibration: dict[str, Any] | None) -> None:
        """Wrap a network that already lies on its device."""
        self.net = net.eval().requires_grad_(False)
        self.model_id = model_id
        """Name and first 12 hex digits of the file's SHA-256: embeddings of other weights never compare."""
        self.terms = terms
        self.calibration = calibration
        self.device: str = net.reduction.weight.device.type
        self.backbone = compile_for_cpu(net) if self.device == "cpu" else net.backbone

    def embed(self, crops: Sequence[Image], /) -> list[CropEmbedding]:
        """One embedding for each crop, in their order.

        Args:
            crops: (H, W, 3) uint8 RGB, any sizes; see `fitted_size`.

        Raises:
            ValueError: a crop is empty or no (H, W, 3) uint8 array.
        """
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, crop in enumerate(crops):
            check_crop(crop)
            by_size[fitted_size(crop.shape[0], crop.shape[1], self.net.spec)].append(index)
        found: dict[int, CropEmbedding] = {}
        limit = GPU_BATCH if self.device == "cuda" else CPU_BATCH
        for size, indices in by_size.items():
            for start in range(0, len(indices), limit):
                batch = indices[start : start + limit]
                found.update(zip(batch, self.embed_batch([fit(crops[i], size) for i in batch]), strict=True))
        return [found[index] for index in range(len(crops))]

    @torch.inference_mode()
    def embed_batch(self, fitted: Sequence[Image]) -> list[CropEmbedding]:
        """Embeddings of crops that have one size, in one pass."""
        images = torch.from_numpy(np.stack(fitted)).to(self.device).permute(0, 3, 1, 2)
        with torch.autocast("cuda", torch.float16, enabled=self.device == "cuda"):
            output = self.net.heads(self.backbone(images))
        foreground, pooled = output.foreground.sigmoid(), functional.normalize(output.pooled.float(), dim=1)
        arrays = (to_float16(tensor) for tensor in (output.cells, foreground, pooled))
        return [CropEmbedding(*row) for row in zip(*arrays, strict=True)]


def load_embedder(weights: Path, *, device: str = "auto", backbone: Path | None = None) -> Embedder:
    """A network from a checkpoint of `reid.train`.

    Args:
        device: `cpu`, `cuda`, or `auto`: CUDA where there is one.
        backbone: a foreign network's file, for checkpoints that are only a head.

    Raises:
        WeightsError: the file is missing or of another kind, or a backbone is given to a whole network.
    """
    if backbone is not None:
        raise WeightsError(
            f"{weights} is a whole network and takes no backbone: remove reid.backbone ({backbone})"
        )
    notes = read_notes(weights)
    net = load_weights(weights)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with weights.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model_id = f"{notes.spec.name}-{digest[:12]}"
    return Embedder(net, model_id=model_id, terms=notes.terms, calibration=notes.calibration)


def compile_for_cpu(net: FPRNet) -> Callable[[Tensor], Tensor]:
    """The backbone run by OpenVINO in float32: the same map to 1e-5, in half of torch's time on a CPU.

    It uses as many threads as torch is set to when the network is loaded.
    """
    import openvino  # here: a GPU machine needs none of it

    example = torch.zeros(1, 3, *net.spec.box, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and what the converter reads best
        traced = torch.jit.trace(net.backbone, example, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced, example_input=example)
    model.reshape([-1, 3, -1, -1])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    return lambda images: torch.from_numpy(compiled(images.contiguous().numpy())[0])


def fitted_size(height: int, width: int, spec: ModelSpec) -> tuple[int, int]:
    """Height and width in px that a crop is resized to: the box's width, the aspect kept up to its height.

    So a half body has the scale it has in a whole one, which reconstruction needs: FPR's rank-1 on held-out
    half bodies is 86, and 67 when they are stretched to the whole box. Crops taller than the box are squeezed
    into it, as in training: rank-1 on CUHK03's tight boxes is 72, and 49 when their aspect is kept.
    """
    tall, wide = spec.box
    proportional = round(height * wide / width / spec.multiple) * spec.multiple
    return min(max(proportional, LEAST_PX), tall), wide


def fit(crop: Image, size: tuple[int, int]) -> Image:
    """The crop resized to (height, width)."""
    shrinking = crop.shape[0] > size[0]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, size[::-1], interpolation=method), np.uint8)


def check_crop(crop: Image) -> None:
    """Refuse what is no picture."""
    if crop.ndim != 3 or crop.shape[2] != 3 or crop.dtype != np.uint8 or 0 in crop.shape:
        raise ValueError(f"a crop must be (H, W, 3) uint8, got {crop.shape} {crop.dtype}")


def to_float16(tensor: Tensor) -> NDArray[np.float16]:
    """The tensor as an array on the CPU."""
    return tensor.to("cpu", torch.float16).numpy()
