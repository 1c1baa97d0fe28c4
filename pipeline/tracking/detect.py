"""Frames to person boxes."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config import DetectorConfig
from pipeline.shipped_files import shipped
from pipeline.tracking.letterbox import Image, Placement, Shape, canvas_shape, letterbox, place
from pipeline.tracking.yolo import (
    DetectorError,
    Network,
    OpenvinoNetwork,
    TorchNetwork,
    download,
    load_checkpoint,
    load_shipped,
)

__all__ = ["Detections", "Detector", "DetectorError", "load_detector"]

MAX_CANDIDATES = 3000
"""Boxes above the confidence threshold that NMS looks at, best first."""
MAX_BOXES = 300
"""Boxes kept of one image, as in ultralytics."""


@dataclass(frozen=True)
class Detections:
    """The people in one image, most confident first."""

    boxes: NDArray[np.float32]  # (N, 4) xyxy, px of the original image
    confidences: NDArray[np.float32]  # (N,) in 0..1, descending


class Detector:
    """Finds people in images of any size."""

    def __init__(self, network: Network, settings: DetectorConfig) -> None:
        self.network = network
        self.settings = settings

    def detect(self, images: list[Image]) -> list[Detections]:
        """The people in each image, in the order of the images.

        A box depends on its own image only, never on the other images of the call.

        Args:
            images: (H, W, 3) uint8 RGB each; sizes may differ.

        Raises:
            ValueError: an image is not (H, W, 3) uint8 with at least one pixel.
        """
        groups: dict[Shape, list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault(self.input_shape(image), []).append(index)
        found: dict[int, Detections] = {}
        for shape, indices in groups.items():
            placements = [place(images[i], shape) for i in indices]
            canvases = [letterbox(images[i], p, shape) for i, p in zip(indices, placements, strict=True)]
            for i, placement, output in zip(indices, placements, self.network.run(canvases), strict=True):
                found[i] = self.select(output, placement)
        return [found[i] for i in range(len(images))]

    def input_shape(self, image: Image) -> Shape:
        """Height and width at which the network sees an image.

        Raises:
            ValueError: see `detect`.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ValueError(f"image is {image.dtype} {image.shape}, not uint8 (H, W, 3)")
        return self.network.fixed or canvas_shape(*image.shape[:2], size_px=self.settings.size_px)

    def select(self, output: NDArray[np.float32], placement: Placement) -> Detections:
        """The boxes that pass the confidence threshold and NMS, in pixels of the original image.

        Args:
            output: (4 + classes, A), see `Network.run`.
        """
        scores = output[self.network.person]
        candidates = np.flatnonzero(scores >= self.settings.confidence)
        order = candidates[np.argsort(-scores[candidates], kind="stable")][:MAX_CANDIDATES]
        boxes = placement.original(output[:4, order])
        kept = suppress(boxes, self.settings.iou)[:MAX_BOXES]
        return Detections(boxes[kept], scores[order[kept]])


def load_detector(settings: DetectorConfig, *, threads: int) -> Detector:
    """The detector that the settings name, ready to run.

    `settings.weights` is an .onnx file, an ultralytics .pt file, or the name of an ultralytics model such as
    yolo11s.pt, which is downloaded once. Relative paths are tried from the current directory, then among the
    files that ship with this program. Of a .pt file only ultralytics' own classes are unpickled. An .onnx
    file runs on the CPU; on CUDA its twin with the suffix .safetensors runs in its place.

    Args:
        threads: compute threads, at least 1.

    Raises:
        DetectorError: missing or unreadable weights, no class `person`, or no CUDA where it is demanded.
        ValueError: threads below 1.
    """
    if threads < 1:
        raise ValueError(f"threads = {threads}, at least 1")
    path = find_weights(settings.weights)
    device = choose_device(settings.device)
    if path.suffix == ".pt":
        model = load_checkpoint(path).fuse(verbose=False)
        return Detector(TorchNetwork(model, device=device, threads=threads), settings)
    twin = path.with_suffix(".safetensors")
    if device == "cuda" and twin.is_file():
        return Detector(TorchNetwork(load_shipped(twin), device=device, threads=threads), settings)
    if settings.device == "cuda":
        raise DetectorError(f"detector.weights: {path.name} runs on the CPU only: give a .pt file for CUDA")
    return Detector(OpenvinoNetwork(path, threads=threads), settings)


def find_weights(weights: str) -> Path:
    """The file, from the current directory, then what ships with this program, then ultralytics' releases.

    Raises:
        DetectorError: nowhere to be found, or of an unknown kind.
    """
    if Path(weights).suffix not in (".onnx", ".pt"):
        raise DetectorError(f"detector.weights: {weights}: an .onnx or a .pt file is needed")
    path = shipped(weights)
    if path.is_file():
        return path
    if path.suffix == ".onnx":
        raise DetectorError(f"detector.weights: no file {weights}, neither here nor among what ships")
    return download(weights)


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda`; torch is imported only where a CUDA driver is installed.

    Raises:
        DetectorError: CUDA is demanded and torch has none.
    """
    if wanted == "cpu" or (wanted == "auto" and not cuda_driver()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise DetectorError("detector.device: torch finds no CUDA device here: use cpu or auto")
    return "cpu"


def cuda_driver() -> bool:
    """Whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


def suppress(boxes: NDArray[np.float32], iou: float) -> NDArray[np.intp]:
    """Rows of the boxes that no better box overlaps by more than `iou` (greedy non-maximum suppression).

    Args:
        boxes: (N, 4) xyxy, best first.

    Returns:
        (K,) ascending.
    """
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(int(best))
        sides = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2])
        shared = np.prod(sides.clip(0), axis=1)
        left = rest[shared <= iou * (areas[best] + areas[rest] - shared)]
    return np.array(kept, np.intp)
