"""Crops of any size to what the matcher compares: pyramid cells, foreground probability, pooled vector.

embedder = load_embedder(Path("weights/fpr_small.safetensors"))
embeddings = embedder.embed([crop, ...])       # (H, W, 3) uint8 RGB
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from reid.export import onnxruntime_backbone, openvino_backbone
from reid.network.foreign import ForeignMismatch, ForeignNetwork
from reid.network.model import ForeignHead, FPRNet, FPROutput, pyramid
from reid.network.spec import ModelSpec, Precision
from reid.network.spec import Runtime as Runtime
from reid.network.weights import WeightsError, load_weights, model_id, read_notes

CPU_BATCH = 1
"""One at a time is as fast on a CPU, and who shares a batch cannot change a result."""
GPU_BATCH = 64
ON_CUDA = ("auto", "torch")
LEAST_PX = 32
"""Least height of the network's input."""
Image = NDArray[np.uint8]  # (H, W, 3) RGB
HALF: Runtime = "openvino-bf16"
"""Half of the time where the CPU has units for it (AMX); cells err by 1e-3."""


@dataclass(frozen=True)
class CropEmbedding:
    """What the FPR network says about one crop; a 256x128 crop has 70 cells."""

    cells: NDArray[np.float16]  # (N, C), each of unit length
    foreground: NDArray[np.float16]  # (N,) probability that a cell shows the person
    pooled: NDArray[np.float16]  # (D,) of unit length


class Describer(Protocol):
    """A network on its device: what it says about crops, which it fits to its input itself."""

    def batches(self, crops: Sequence[Image]) -> Iterator[list[int]]:
        """The numbers of the crops that go through the network together."""

    def describe(self, crops: Sequence[Image]) -> FPROutput:
        """The answer for one such batch."""


class Embedder:
    """A trained network, ready for crops."""

    def __init__(
        self,
        describer: Describer,
        *,
        model_id: str,
        terms: str,
        calibration: dict[str, Any] | None,
        device: str,
    ) -> None:
        """Wrap a network that already lies on its device."""
        self.describer = describer
        self.model_id = model_id
        """Name and fingerprint of the weights: embeddings of other weights never compare."""
        self.terms = terms
        self.calibration = calibration
        self.device = device

    def embed(self, crops: Sequence[Image], /) -> list[CropEmbedding]:
        """One embedding for each crop, in their order.

        Args:
            crops: (H, W, 3) uint8 RGB, any sizes; see `fitted_size`.

        Raises:
            ValueError: a crop is empty or no (H, W, 3) uint8 array.
        """
        for crop in crops:
            check_crop(crop)
        found: dict[int, CropEmbedding] = {}
        for numbers in self.describer.batches(crops):
            found.update(zip(numbers, self.embed_batch([crops[n] for n in numbers]), strict=True))
        return [found[number] for number in range(len(crops))]

    @torch.inference_mode()
    def embed_batch(self, crops: Sequence[Image]) -> list[CropEmbedding]:
        """Embeddings of crops that go through the network together."""
        output = self.describer.describe(crops)
        foreground, pooled = output.foreground.sigmoid(), functional.normalize(output.pooled.float(), dim=1)
        arrays = (to_float16(tensor) for tensor in (output.cells, foreground, pooled))
        return [CropEmbedding(*row) for row in zip(*arrays, strict=True)]


class OwnNetwork:
    """A whole network of ours; crops keep their aspect and share a batch by their fitted size."""

    def __init__(self, net: FPRNet, backbone: Callable[[Tensor], Tensor], device: str) -> None:
        """Wrap a network and what runs its backbone: itself, or OpenVINO, or ONNX Runtime."""
        self.net, self.backbone, self.device = net, backbone, device
        self.limit = GPU_BATCH if device == "cuda" else CPU_BATCH

    def batches(self, crops: Sequence[Image]) -> Iterator[list[int]]:
        """Crops of one fitted size, a few at a time."""
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, crop in enumerate(crops):
            by_size[fitted_size(crop.shape[0], crop.shape[1], self.net.spec)].append(number)
        for numbers in by_size.values():
            yield from (numbers[start : start + self.limit] for start in range(0, len(numbers), self.limit))

    def describe(self, crops: Sequence[Image]) -> FPROutput:
        """The answer for crops of one fitted size."""
        size = fitted_size(crops[0].shape[0], crops[0].shape[1], self.net.spec)
        fitted = np.stack([fit(crop, size) for crop in crops])
        images = torch.from_numpy(fitted).to(self.device).permute(0, 3, 1, 2)
        with torch.autocast("cuda", torch.float16, enabled=self.device == "cuda"):
            return self.net.heads(self.backbone(images))


class ForeignHeaded:
    """A foreign network with a head of ours; every crop is stretched to the network's input."""

    def __init__(self, head: ForeignHead, network: ForeignNetwork) -> None:
        """Wrap a head and the network it was trained on."""
        self.head, self.network = head, network

    def batches(self, crops: Sequence[Image]) -> Iterator[list[int]]:
        """One crop at a time: as fast on a CPU, and who shares a batch cannot change a result."""
        return ([number] for number in range(len(crops)))

    def describe(self, crops: Sequence[Image]) -> FPROutput:
        """The answer for any crops; a cell counts by its foreground times its length before it was made unit.

        A network that was trained to tell people apart is loud where it sees one. On held-out people behind
        occluders (50%) the product is worth 0.8 mAP over the foreground alone, and costs 0.4 in full view.
        """
        answer = self.network.run(crops)
        maps = torch.from_numpy(answer.maps)
        output: FPROutput = self.head(maps, torch.from_numpy(answer.embeddings))
        lengths = pyramid(maps, self.head.spec.kernels).norm(dim=1)  # (B, N)
        share = lengths / lengths.amax(1, keepdim=True).clamp(min=1e-6)
        return replace(output, foreground=(output.foreground.sigmoid() * share).logit(eps=1e-6))


def load_embedder(
    weights: Path, *, device: str = "auto", backbone: Path | None = None, runtime: Runtime = "auto"
) -> Embedder:
    """A network from a checkpoint of `reid.train`.

    Args:
        device: `cpu`, `cuda`, or `auto`: CUDA where there is one and the runtime runs there.
        backbone: a foreign network's file (ONNX or OpenVINO), for checkpoints that are only a head.
        runtime: what runs the backbone; `auto`: OpenVINO in float32 on a CPU, torch on CUDA.

    Raises:
        WeightsError: the file is missing or of another kind; a backbone is missing, is not the head's, or is
            given to a whole network; or a runtime cannot run it there.
    """
    check_backbone(weights, read_notes(weights).spec, backbone)
    net = load_weights(weights).requires_grad_(False)
    if device == "auto":
        fits = isinstance(net, FPRNet) and runtime in ON_CUDA
        device = "cuda" if fits and torch.cuda.is_available() else "cpu"
    if isinstance(net, FPRNet):
        describer: Describer = own_network(net, device, runtime)
    else:
        device, describer = "cpu", foreign_headed(net, backbone, runtime)
    notes = read_notes(weights)
    return Embedder(
        describer, model_id=model_id(weights), terms=notes.terms, calibration=notes.calibration, device=device
    )


def check_backbone(weights: Path, spec: ModelSpec, backbone: Path | None) -> None:
    """Refuse a backbone for a whole network, and a head without one; nothing is loaded.

    Raises:
        WeightsError: which, and what to do.
    """
    if spec.foreign is None and backbone is not None:
        raise WeightsError(
            f"{weights} is a whole network and takes no backbone: remove reid.backbone ({backbone})"
        )
    if spec.foreign is not None and backbone is None:
        network = spec.foreign.network
        raise WeightsError(
            f"{weights} is only a head for {network}: give that network's ONNX or OpenVINO file as backbone"
        )
    if spec.foreign is not None and backbone is not None and not backbone.is_file():
        network = spec.foreign.network
        raise WeightsError(f"{backbone}: no such file; the head was trained on {network}")


def own_network(net: FPRNet, device: str, runtime: Runtime) -> OwnNetwork:
    """A whole network on its device.

    Raises:
        WeightsError: see `load_embedder`.
    """
    if device == "cuda" and runtime not in ON_CUDA:
        raise WeightsError(f"runtime {runtime} runs on a CPU here, not on {device}")
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device == "cuda" or runtime == "torch":
        return OwnNetwork(net, net.backbone, device)
    if runtime == "onnxruntime":
        return OwnNetwork(net, onnxruntime_backbone(net), device)
    return OwnNetwork(net, openvino_backbone(net, precision=precision_of(runtime)), device)


def precision_of(runtime: Runtime) -> Precision:
    """What OpenVINO computes in."""
    return "bf16" if runtime == HALF else "f32"


def foreign_headed(head: ForeignHead, backbone: Path | None, runtime: Runtime) -> ForeignHeaded:
    """A head on its network.

    Raises:
        WeightsError: see `load_embedder`.
    """
    foreign = head.spec.foreign
    assert backbone is not None and foreign is not None  # see check_backbone
    if runtime not in ("auto", "openvino", HALF):
        raise WeightsError(f"runtime {runtime}: a head's network is run by OpenVINO")
    threads, precision = torch.get_num_threads(), precision_of(runtime)
    try:
        return ForeignHeaded(
            head, ForeignNetwork(backbone, foreign, head.spec.box, threads=threads, precision=precision)
        )
    except ForeignMismatch as error:
        raise WeightsError(str(error)) from error


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
