"""YOLO networks: ONNX files on OpenVINO, ultralytics' models on torch."""

from __future__ import annotations

import ast
import functools
import importlib
import logging
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MendableError
from pipeline.tracking.letterbox import PADDING, Image, Shape
from reid.cache_folder import cache_or_temporary
from reid.network.openvino_core import openvino_core

PERSON = "person"
BOX_ROWS = 4
"""Rows cx, cy, w, h of an output; the scores of the classes follow."""
MAX_SHAPES = 8
"""Compiled networks kept, one for each input shape."""
CUDA_BATCH = 8
"""Fixed, so that who shares a batch never changes a box; short batches are filled with grey."""

log = logging.getLogger(__name__)


class DetectorError(MendableError, RuntimeError):
    """The detector cannot be loaded; the message says what to do."""


class Network(Protocol):
    """A YOLO detector at any input shape, or at one."""

    person: int
    """Row of the output that holds the person's score."""
    fixed: Shape | None
    """The only shape it takes; None: any multiple of 32."""

    def run(self, canvases: list[Image]) -> list[NDArray[np.float32]]:
        """One (4 + classes, A) output for each (H, W, 3) canvas; all canvases have one shape.

        Rows: cx, cy, w, h in pixels of the canvas, then each class's score in 0..1.
        """
        ...


class OpenvinoNetwork:
    """An .onnx file on the CPU, one image per inference."""

    def __init__(self, path: Path, *, threads: int, precision: str | None = None) -> None:
        """Read the file.

        Args:
            precision: "f32" or "bf16"; None leaves it to the processor.

        Raises:
            DetectorError: not a YOLO detector with a class `person`.
        """
        self.settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        if precision is not None:
            self.settings["INFERENCE_PRECISION_HINT"] = precision
        try:
            self.model = openvino_core().read_model(path)
        except RuntimeError as error:
            raise DetectorError(f"{path}: not a readable ONNX file: export or fetch it again") from error
        pixels, output = self.model.input(0).partial_shape, self.model.output(0).partial_shape
        if pixels.rank != 4 or output.rank != 3 or output[1].is_dynamic or output[1].get_length() <= BOX_ROWS:
            raise DetectorError(f"{path}: not a bare YOLO detector: export it with nms=False, end2end=False")
        self.person = BOX_ROWS + person_class(onnx_names(self.model), path)
        free = pixels[2].is_dynamic or pixels[3].is_dynamic
        self.fixed: Shape | None = None if free else (pixels[2].get_length(), pixels[3].get_length())
        self.jobs = min(2, threads)
        self.compiled = functools.lru_cache(maxsize=MAX_SHAPES)(self.compile)

    def compile(self, shape: Shape) -> Any:
        """A queue of inference requests for (1, H, W, 3) uint8 input."""
        import openvino

        model = self.model.clone()
        model.reshape([1, 3, *shape])
        steps = openvino.preprocess.PrePostProcessor(model)
        steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
        steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        compiled = openvino_core().compile_model(steps.build(), "CPU", self.settings)
        return openvino.AsyncInferQueue(compiled, self.jobs)

    def run(self, canvases: list[Image]) -> list[NDArray[np.float32]]:
        """See `Network.run`."""
        outputs: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(canvases)
        queue = self.compiled(canvases[0].shape[:2])

        def keep(request: Any, index: int) -> None:
            outputs[index] = request.get_output_tensor(0).data[0].astype(np.float32)

        queue.set_callback(keep)
        for index, canvas in enumerate(canvases):
            queue.start_async({0: canvas[None]}, index)
        queue.wait_all()
        return outputs


class TorchNetwork:
    """An ultralytics model: fixed batches in half precision on CUDA, one image at a time on the CPU."""

    def __init__(self, model: Any, *, device: str, threads: int) -> None:
        """Take a fused model.

        Raises:
            DetectorError: it has no class `person`.
        """
        import torch

        torch.set_num_threads(threads)  # ultralytics sets its own
        self.batch = CUDA_BATCH if device == "cuda" else 1
        self.dtype = torch.float16 if device == "cuda" else torch.float32
        self.device = device
        self.person = BOX_ROWS + person_class(model.names, Path(getattr(model, "pt_path", "weights")))
        self.fixed: Shape | None = None
        self.model = model.to(device, self.dtype, memory_format=torch.channels_last).eval()

    def run(self, canvases: list[Image]) -> list[NDArray[np.float32]]:
        """See `Network.run`."""
        outputs: list[NDArray[np.float32]] = []
        for start in range(0, len(canvases), self.batch):
            outputs += self.run_batch(canvases[start : start + self.batch])
        return outputs

    def run_batch(self, canvases: list[Image]) -> list[NDArray[np.float32]]:
        """The same for at most one batch."""
        import torch

        batch = np.full((self.batch, *canvases[0].shape), PADDING, np.uint8)
        batch[: len(canvases)] = canvases
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)  # (B, 3, H, W)
            output = self.model(pixels.to(self.dtype) / 255)[0].float().cpu().numpy()  # (B, 4 + classes, A)
        return list(output[: len(canvases)])


def ultralytics(module: str) -> Any:
    """A module of ultralytics, which is told to look nothing up, install nothing and unpickle no code."""
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
    if "YOLO_CONFIG_DIR" not in os.environ:
        os.environ["YOLO_CONFIG_DIR"] = str(cache_or_temporary())
    return importlib.import_module(f"ultralytics.{module}")


def load_checkpoint(path: Path) -> Any:
    """The ultralytics detector in a .pt file, not fused, in evaluation mode.

    A .pt file is a pickle: only the classes on ultralytics' own list are read from it, no other code runs.

    Raises:
        DetectorError: not an ultralytics detector.
    """
    tasks = ultralytics("nn.tasks")
    try:
        model = tasks.load_checkpoint(path)[0]
    except Exception as error:  # a damaged pickle raises anything
        raise DetectorError(f"{path}: not an ultralytics checkpoint") from error
    if type(model) is not tasks.DetectionModel:
        raise DetectorError(f"{path}: a {type(model).__name__}, not an ultralytics detector")
    model.end2end = False
    return model


def load_shipped(path: Path) -> Any:
    """The fused one-class network that `tracking.training.train_detector` wrote, in evaluation mode.

    Raises:
        DetectorError: not such a file.
    """
    import safetensors

    tasks = ultralytics("nn.tasks")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            architecture = file.metadata()["architecture"]
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        model = keep_class(tasks.DetectionModel(architecture, verbose=False), 0).fuse(verbose=False)
        model.load_state_dict(weights)
    except (TypeError, KeyError, safetensors.SafetensorError, RuntimeError, OSError) as error:
        raise DetectorError(
            f"{path}: not weights of this detector: make it with `python -m pipeline.cli.train_detector`"
        ) from error
    return model.eval()


def keep_class(model: Any, row: int) -> Any:
    """The same ultralytics detector with only class `row` left in its head, named person."""
    import torch

    head = model.model[-1]
    for branch in head.cv3:
        full = branch[-1]
        branch[-1] = torch.nn.Conv2d(full.in_channels, 1, 1)
        branch[-1].weight.data = full.weight.data[row : row + 1].clone()
        branch[-1].bias.data = full.bias.data[row : row + 1].clone()
    head.nc, head.no = 1, 1 + 4 * head.reg_max
    model.names, model.nc = {0: PERSON}, 1
    return model


def download(name: str) -> Path:
    """A model that ultralytics has released, fetched once into the cache folder.

    Raises:
        DetectorError: not released by ultralytics, or no network.
    """
    downloads = ultralytics("utils.downloads")
    if name not in downloads.GITHUB_ASSETS_NAMES:
        raise DetectorError(f"detector.weights: no file {name}, nor does ultralytics release such a model")
    path = cache_or_temporary() / name
    if path.is_file():
        return path
    log.info("downloading %s", name)
    offline = os.environ.pop("YOLO_OFFLINE", None)
    try:
        downloads.attempt_download_asset(path)
    except Exception as error:  # it raises whatever its network library does
        raise DetectorError(f"detector.weights: {name} is no file, and downloading it failed") from error
    finally:
        if offline is not None:
            os.environ["YOLO_OFFLINE"] = offline
    return path


def onnx_names(model: Any) -> dict[int, str]:
    """The class names that ultralytics wrote into an .onnx file; COCO's first where there are none."""
    try:
        names: dict[int, str] = ast.literal_eval(model.get_rt_info(["framework", "names"]).astype(str))
    except (RuntimeError, ValueError, SyntaxError):
        return {0: PERSON}
    return names


def person_class(names: dict[int, str], path: Path) -> int:
    """The index of the class `person`.

    Raises:
        DetectorError: there is none.
    """
    for index, name in names.items():
        if name == PERSON:
            return index
    raise DetectorError(f"{path}: no class {PERSON!r} among {', '.join(list(names.values())[:5])}, ...")
