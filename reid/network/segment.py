"""A person's mask in a crop, by an ultralytics segmentation network; used for training only."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.cache_folder import cache_or_temporary
from reid.network.torchvision_ops import ensure_torchvision_ops

PADDING = 0.25
"""Of the crop's side, added on each side: the network was trained on people with surroundings."""
LONGEST_PX = 480
"""Longest side of the padded picture; with PADDING it makes a 64x128 crop 2.5 times as large."""
GREY = 114  # what ultralytics fills with
MULTIPLE = 32
LEAST_CONFIDENCE = 0.1
PERSON_ROW = 4
"""Of the output: the score of COCO's first class. Above it cx, cy, w, h; below the other scores."""
COEFFICIENTS = 32
"""Last rows of the output: what the mask is a sum of prototypes with."""
QUIET = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
}
"""ultralytics looks nothing up, installs nothing and unpickles no code."""
Image = NDArray[np.uint8]  # (H, W, 3) RGB
Mask = NDArray[np.bool_]  # (H, W), true where the person is


class SegmenterError(ValueError):
    """The file holds no ultralytics segmentation network with the class person."""


@dataclass(frozen=True)
class Placement:
    """Where a crop lies on the network's input, px."""

    top: int
    left: int
    height: int
    width: int


class Segmenter:
    """A segmentation network, ready for crops."""

    def __init__(self, path: Path, *, device: str = "cpu") -> None:
        """Load an ultralytics .pt file such as yolov8n-seg.pt.

        Raises:
            SegmenterError: missing, or another kind of network.
        """
        threads = torch.get_num_threads()
        self.model = load_network(path).to(device).eval()
        self.device = device
        torch.set_num_threads(threads)  # ultralytics sets its own

    def mask(self, crop: Image) -> Mask:
        """(H, W) where the crop's person is; nowhere, if nobody is found."""
        canvas, placement = on_canvas(crop)
        pixels = torch.from_numpy(canvas).to(self.device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            predictions, prototypes = self.model(pixels)[0]
        return person_mask(predictions[0], prototypes[0], placement, (crop.shape[0], crop.shape[1]))


def on_canvas(crop: Image) -> tuple[Image, Placement]:
    """The crop in the middle of a grey picture of the network's size."""
    height, width = crop.shape[:2]
    scale = LONGEST_PX / (1 + 2 * PADDING) / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    padded = [round(side * (1 + 2 * PADDING)) for side in (tall, wide)]
    canvas = np.full((*(-(-side // MULTIPLE) * MULTIPLE for side in padded), 3), GREY, np.uint8)
    top, left = (canvas.shape[0] - tall) // 2, (canvas.shape[1] - wide) // 2
    resized = cv2.resize(crop, (wide, tall), interpolation=cv2.INTER_CUBIC)
    canvas[top : top + tall, left : left + wide] = resized
    return canvas, Placement(top, left, tall, wide)


def person_mask(predictions: Tensor, prototypes: Tensor, placement: Placement, size: Sequence[int]) -> Mask:
    """(H, W) mask of the person whose box fills the crop best, weighted by confidence.

    Args:
        predictions: (rows, A): box, scores of the classes, coefficients; see PERSON_ROW.
        prototypes: (COEFFICIENTS, h, w) of the whole canvas at a quarter of its size.
        placement: of the crop on the canvas.
        size: H and W of the crop.
    """
    boxes, confidence = xyxy(predictions[:4]), predictions[PERSON_ROW]
    chosen = int((confidence * overlap(boxes, placement)).argmax())
    if confidence[chosen] < LEAST_CONFIDENCE:
        return np.zeros((size[0], size[1]), np.bool_)
    logits = torch.einsum("k,khw->hw", predictions[-COEFFICIENTS:, chosen], prototypes)
    shape = (4 * logits.shape[1], 4 * logits.shape[0])
    whole = np.asarray(cv2.resize(logits.cpu().numpy(), shape, interpolation=cv2.INTER_LINEAR))
    left, top, right, bottom = (round(side) for side in boxes[:, chosen].tolist())
    inside = np.zeros(whole.shape, np.bool_)
    inside[max(top, 0) : bottom, max(left, 0) : right] = True
    mask = (whole > 0) & inside
    rows = slice(placement.top, placement.top + placement.height)
    columns = slice(placement.left, placement.left + placement.width)
    shrunk = cv2.resize(
        mask[rows, columns].astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_AREA
    )
    return np.asarray(shrunk >= 0.5, np.bool_)


def xyxy(boxes: Tensor) -> Tensor:
    """(4, A) left, top, right, bottom from centre x, centre y, width, height."""
    centre, half = boxes[:2], boxes[2:] / 2
    return torch.cat([centre - half, centre + half])


def overlap(boxes: Tensor, placement: Placement) -> Tensor:
    """(A,) intersection over union of each (4, A) box with the crop."""
    crop = (placement.left, placement.top, placement.left + placement.width, placement.top + placement.height)
    width = (boxes[2].clamp(max=crop[2]) - boxes[0].clamp(min=crop[0])).clamp(min=0)
    height = (boxes[3].clamp(max=crop[3]) - boxes[1].clamp(min=crop[1])).clamp(min=0)
    common = width * height
    areas = (boxes[2] - boxes[0]) * (boxes[3] - boxes[1]) + placement.width * placement.height
    return common / (areas - common).clamp(min=1)


def load_network(path: Path) -> Any:
    """The segmentation network of a .pt file; only classes on ultralytics' own list are read from the pickle.

    Raises:
        SegmenterError: missing, or another kind of network.
    """
    if not path.is_file():
        raise SegmenterError(f"{path}: no such file; masks need ultralytics' yolov8n-seg.pt or the like")
    quiet = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    for name, value in {
        **quiet,
        "ULTRALYTICS_SAFE_LOAD": "1",
        "YOLO_CONFIG_DIR": str(cache_or_temporary()),
    }.items():
        os.environ.setdefault(name, value)
    ensure_torchvision_ops()
    tasks = importlib.import_module("ultralytics.nn.tasks")
    try:
        model = tasks.load_checkpoint(path)[0]
    except Exception as error:  # a damaged pickle raises anything
        raise SegmenterError(f"{path}: not an ultralytics checkpoint") from error
    if type(model) is not tasks.SegmentationModel or model.names[0] != "person":
        raise SegmenterError(
            f"{path}: a {type(model).__name__}, not a segmentation network with class person"
        )
    return model
