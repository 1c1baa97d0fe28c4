"""Any ReID network with a spatial map (ONNX or OpenVINO file) as the FCN of FPR, run by OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.network.openvino_core import openvino_core
from reid.network.spec import ForeignSpec, Precision

Image = NDArray[np.uint8]  # (H, W, 3) RGB


class ForeignMismatch(ValueError):
    """A foreign network's file is missing, cannot be read, or is another network than the head's."""


@dataclass(frozen=True)
class ForeignOutput:
    """What a foreign network says about B crops."""

    maps: NDArray[np.float32]  # (B, C, h, w)
    embeddings: NDArray[np.float32]  # (B, D) its own pooled vector, not normalised


class ForeignNetwork:
    """A compiled network that answers with its spatial map and its own embedding."""

    def __init__(
        self,
        path: Path,
        spec: ForeignSpec,
        box: tuple[int, int],
        *,
        threads: int = 1,
        precision: Precision = "f32",
    ) -> None:
        """Compile the network of an .onnx or .xml file for the CPU.

        Args:
            box: height and width of its input in px.
            precision: `bf16` halves the time where the processor has it; good enough to train on.

        Raises:
            ForeignMismatch: missing or unreadable file, no such map in it, or a map of other channels.
        """
        if not path.is_file():
            raise ForeignMismatch(f"{path}: no such file; the head was trained on {spec.network}")
        core = openvino_core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            raise ForeignMismatch(f"{path}: not an ONNX or OpenVINO network") from error
        found = map_output(model, spec, path)
        model.add_outputs([found])
        model.reshape([-1, 3, *box])
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        self.spec, self.box = spec, box
        self.compiled = core.compile_model(model, "CPU", settings)

    def run(self, crops: Sequence[Image]) -> ForeignOutput:
        """Maps and embeddings of (H, W, 3) uint8 RGB crops of any sizes, stretched to the network's box."""
        answer = self.compiled(np.stack([network_input(crop, self.spec, self.box) for crop in crops]))
        embeddings, maps = (np.asarray(answer[index], np.float32) for index in (0, len(answer) - 1))
        return ForeignOutput(maps, embeddings.reshape(len(crops), -1))


def network_input(crop: Image, spec: ForeignSpec, box: tuple[int, int]) -> NDArray[np.float32]:
    """(3, H, W) of an RGB crop as the network wants it."""
    method = cv2.INTER_AREA if crop.shape[0] > box[0] else cv2.INTER_LINEAR
    resized = cv2.resize(crop, box[::-1], interpolation=method).astype(np.float32)
    ordered = np.asarray(resized[..., ::-1] if spec.colours == "bgr" else resized, np.float32)
    scaled = (ordered - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)


def map_output(model: Any, spec: ForeignSpec, path: Path) -> Any:
    """The output of the graph that is the spatial map.

    `Relu 1126`, `1126` and a tensor's name all find it; '_' and ' ' are the same.
    """
    wanted = spec.map_name.replace(" ", "_")
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        names = {name, f"{node.get_type_name()} {name}"}
        for output in node.outputs():
            if wanted in {known.replace(" ", "_") for known in names | output.get_names()}:
                return checked_map(output, spec, path)
    raise ForeignMismatch(f"{path}: no spatial map {spec.map_name!r} in it; the head needs {spec.network}")


def checked_map(output: Any, spec: ForeignSpec, path: Path) -> Any:
    """The output itself, if it is a (B, C, h, w) map of the channels the head was trained on."""
    shape = output.get_partial_shape()
    if len(shape) != 4 or shape[1].is_dynamic or shape[1].get_length() != spec.channels:
        raise ForeignMismatch(
            f"{path}: {spec.map_name!r} is {shape}, the head needs (B, {spec.channels}, h, w)"
        )
    return output
