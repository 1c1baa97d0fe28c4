"""Frames to person boxes: OpenVINO on the CPU, torch on CUDA or for a user's own ultralytics weights."""

from __future__ import annotations

import ast
import ctypes.util
import functools
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config import DetectorConfig

PERSON = "person"
STRIDE_PX = 32
"""Coarsest stride of the YOLO networks: both sides of the input are multiples of it."""
PADDING = 114
"""Grey of the letterbox's bars, as in YOLO's training."""
MAX_CANDIDATES = 3000
"""Boxes above the confidence threshold that NMS looks at, best first."""
MAX_BOXES = 300
"""Boxes kept of one image, as in ultralytics."""
MAX_SHAPES = 8
"""Compiled networks kept, one for each input shape."""
CUDA_BATCH = 8
"""Fixed, so that who shares a batch never changes a box; short batches are filled with grey."""
REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fpr-reid"
"""Downloaded models and ultralytics' own settings."""

Image = NDArray[np.uint8]
Shape = tuple[int, int]
log = logging.getLogger(__name__)


class DetectorError(RuntimeError):
    """The detector cannot be loaded; the message says what to do."""


@dataclass(frozen=True)
class Detections:
    """The people in one image, most confident first."""

    boxes: NDArray[np.float32]  # (N, 4) xyxy, px of the original image
    confidences: NDArray[np.float32]  # (N,) in 0..1, descending


class Network(Protocol):
    """A YOLO network at any input shape, or at one."""

    person: int
    """Row of the output that holds the person's score."""
    fixed: Shape | None
    """Height and width of the only shape it takes."""

    def run(self, canvases: list[Image]) -> list[NDArray[np.float32]]:
        """One (4 + classes, A) array (rows cx, cy, w, h, scores; px) for each (H, W, 3) canvas of one shape."""
        ...


class Detector:
    """People in images of any size."""

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
            check_image(image)
            groups.setdefault(self.input_shape(image), []).append(index)
        found: dict[int, Detections] = {}
        for shape, indices in groups.items():
            placements = [place(images[i], shape) for i in indices]
            canvases = [letterbox(images[i], p, shape) for i, p in zip(indices, placements, strict=True)]
            for i, placement, output in zip(indices, placements, self.network.run(canvases), strict=True):
                found[i] = self.select(output, placement)
        return [found[i] for i in range(len(images))]

    def input_shape(self, image: Image) -> Shape:
        """Height and width at which the network sees an image."""
        return self.network.fixed or input_shape(*image.shape[:2], size_px=self.settings.size_px)

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


@dataclass(frozen=True)
class Placement:
    """Where an image lies on its canvas."""

    height: int
    width: int
    scaled_height: int
    scaled_width: int
    top: int
    left: int

    def original(self, centres: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes on the canvas as boxes in the original image, clipped to it.

        Args:
            centres: (4, N) rows cx, cy, w, h in canvas pixels.

        Returns:
            (N, 4) xyxy.
        """
        cx, cy, w, h = centres
        x = (np.stack([cx - w / 2, cx + w / 2]) - self.left) * (self.width / self.scaled_width)
        y = (np.stack([cy - h / 2, cy + h / 2]) - self.top) * (self.height / self.scaled_height)
        x, y = x.clip(0, self.width), y.clip(0, self.height)
        return np.stack([x[0], y[0], x[1], y[1]], axis=1).astype(np.float32)


def load_detector(settings: DetectorConfig, *, threads: int) -> Detector:
    """The detector that the settings name, ready to run.

    `settings.weights` is an .onnx file, an ultralytics .pt file, or the name of an ultralytics model such as
    yolo11s.pt, which is downloaded once. Relative paths are tried from the current directory, then from the
    repository. A .pt file is a pickle: only ultralytics' own allow-listed classes are read from it.

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
        network: Network = TorchNetwork(load_pickled(path).fuse(verbose=False), device=device, threads=threads)
    elif device == "cuda" and path.with_suffix(".safetensors").is_file():
        network = TorchNetwork(load_shipped(path.with_suffix(".safetensors")), device=device, threads=threads)
    elif settings.device == "cuda":
        raise DetectorError(f"{path.name}: CUDA needs a .pt file, or a .safetensors file beside the .onnx")
    else:
        network = OpenvinoNetwork(path, threads=threads)
    return Detector(network, settings)


def check_image(image: Image) -> None:
    """Refuse what is not an (H, W, 3) uint8 image with at least one pixel."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"image is {image.dtype} {image.shape}, not uint8 (H, W, 3)")


def input_shape(height: int, width: int, *, size_px: int) -> Shape:
    """The smallest canvas in multiples of STRIDE_PX for an image whose longer side becomes `size_px`."""
    scale = size_px / max(height, width)
    rows, columns = (max(1, -(-round(side * scale) // STRIDE_PX)) * STRIDE_PX for side in (height, width))
    return rows, columns


def place(image: Image, shape: Shape) -> Placement:
    """The image as large as fits in the middle of a canvas of `shape`."""
    height, width = image.shape[:2]
    scale = min(shape[0] / height, shape[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    return Placement(height, width, rows, columns, (shape[0] - rows) // 2, (shape[1] - columns) // 2)


def letterbox(image: Image, placement: Placement, shape: Shape) -> Image:
    """The (H, W, 3) canvas of `shape` that holds the image as placed, grey around it."""
    size = (placement.scaled_height, placement.scaled_width)
    # Linear is what YOLO was trained with; beyond a halving it skips pixels.
    method = cv2.INTER_LINEAR if 2 * size[0] >= placement.height else cv2.INTER_AREA
    scaled = image if image.shape[:2] == size else cv2.resize(image, size[::-1], interpolation=method)
    if size == shape:
        return np.ascontiguousarray(scaled)
    canvas = np.full((*shape, 3), PADDING, np.uint8)
    top, left = placement.top, placement.left
    canvas[top : top + size[0], left : left + size[1]] = scaled
    return canvas


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


class OpenvinoNetwork:
    """An .onnx file on the CPU, one image per inference."""

    def __init__(self, path: Path, *, threads: int, precision: str | None = None) -> None:
        """Read the file.

        Args:
            precision: "f32" or "bf16"; None leaves it to the processor.

        Raises:
            DetectorError: not a YOLO detector with a class `person`.
        """
        import openvino

        self.core = openvino.Core()
        self.core.set_property("CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})
        if precision is not None:
            self.core.set_property("CPU", {"INFERENCE_PRECISION_HINT": precision})
        try:
            self.model = self.core.read_model(path)
        except RuntimeError as error:
            raise DetectorError(f"{path}: not a readable ONNX file; export it again or fetch it anew") from error
        shape = self.model.input(0).partial_shape
        output = self.model.output(0).partial_shape
        if shape.rank != 4 or output.rank != 3 or output[1].is_dynamic:
            raise DetectorError(f"{path}: not a YOLO detector without NMS; export it with nms=False, end2end=False")
        rows = output[1].get_length() - 4
        self.person = 4 + person_class(openvino_names(self.model, rows), path)
        sides = None if shape[2].is_dynamic or shape[3].is_dynamic else (shape[2], shape[3])
        self.fixed: Shape | None = None if sides is None else (sides[0].get_length(), sides[1].get_length())
        self.jobs = min(2, threads)
        self.compiled = functools.lru_cache(maxsize=MAX_SHAPES)(self.compile)

    def compile(self, shape: Shape) -> Any:
        """A queue of inference requests for (1, H, W, 3) uint8 input."""
        import openvino

        model = self.model.clone()
        model.reshape([1, 3, *shape])
        steps = openvino.preprocess.PrePostProcessor(model)
        source = steps.input()
        source.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
        source.preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
        source.model().set_layout(openvino.Layout("NCHW"))
        return openvino.AsyncInferQueue(self.core.compile_model(steps.build(), "CPU"), self.jobs)

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
    """An ultralytics model, in batches of CUDA_BATCH and half precision on CUDA, one by one on the CPU."""

    def __init__(self, model: Any, *, device: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)  # ultralytics sets its own
        self.batch = CUDA_BATCH if device == "cuda" else 1
        self.dtype = torch.float16 if device == "cuda" else torch.float32
        self.device = device
        self.person = 4 + person_class(model.names, Path(str(getattr(model, "pt_path", "weights"))))
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
            pixels = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)  # (B, 3, H, W), channels last
            output = self.model(pixels.to(self.dtype) / 255)[0].float().cpu().numpy()  # (B, 4 + classes, A)
        return list(output[: len(canvases)])


def find_weights(weights: str) -> Path:
    """The file, from the current directory, then the repository, then ultralytics' releases.

    Raises:
        DetectorError: nowhere to be found, or of an unknown kind.
    """
    if Path(weights).suffix not in (".onnx", ".pt"):
        raise DetectorError(f"detector.weights: {weights}: an .onnx or a .pt file is needed")
    for path in (Path(weights), REPOSITORY / weights):
        if path.is_file():
            return path
    return download(weights)


def download(name: str) -> Path:
    """A released ultralytics model, kept in the user's cache.

    Raises:
        DetectorError: not released by ultralytics, or no network.
    """
    ultralytics_offline()
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if name not in GITHUB_ASSETS_NAMES:
        raise DetectorError(f"detector.weights: no file {name} here or in {REPOSITORY}, nor an ultralytics model")
    path = CACHE / name
    if path.is_file():
        return path
    log.info("downloading %s", name)
    offline = os.environ.pop("YOLO_OFFLINE", None)
    try:
        attempt_download_asset(path)
    except Exception as error:  # it raises whatever its network library does
        raise DetectorError(f"cannot download {name}: fetch it by hand and give its path as detector.weights") from error
    finally:
        if offline is not None:
            os.environ["YOLO_OFFLINE"] = offline
    return path


def ultralytics_offline() -> None:
    """Tell ultralytics, before its first import, to look nothing up, install nothing and unpickle no code."""
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
    CACHE.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(CACHE))


def load_pickled(path: Path) -> Any:
    """The ultralytics detector in a .pt file, not fused, in evaluation mode.

    Raises:
        DetectorError: not an ultralytics detector.
    """
    ultralytics_offline()
    from ultralytics.nn.tasks import DetectionModel, load_checkpoint

    try:
        model = load_checkpoint(path)[0]
    except Exception as error:  # a damaged pickle raises anything
        raise DetectorError(f"{path}: not an ultralytics checkpoint") from error
    if type(model) is not DetectionModel:
        raise DetectorError(f"{path}: a {type(model).__name__}, not an ultralytics detector")
    model.end2end = False
    return model


def load_shipped(path: Path) -> Any:
    """The one-class network whose fused weights `pipeline.train_detector` wrote.

    Raises:
        DetectorError: not such a file.
    """
    ultralytics_offline()
    from safetensors import SafetensorError, safe_open
    from ultralytics.nn.tasks import DetectionModel

    try:
        with safe_open(path, framework="pt") as file:
            architecture = (file.metadata() or {})["architecture"]
            weights = {name: file.get_tensor(name).float() for name in file.keys()}
        model = keep_class(DetectionModel(architecture, verbose=False), 0).fuse(verbose=False)
        model.load_state_dict(weights)
    except (KeyError, SafetensorError, RuntimeError, OSError) as error:
        raise DetectorError(f"{path}: not weights of this detector; run pipeline.train_detector again") from error
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


def openvino_names(model: Any, classes: int) -> dict[int, str]:
    """The class names that ultralytics wrote into an .onnx file; COCO's order where there are none."""
    try:
        names: dict[int, str] = ast.literal_eval(model.get_rt_info(["framework", "names"]).astype(str))
    except (RuntimeError, ValueError, SyntaxError):
        return {0: PERSON} | {index: str(index) for index in range(1, classes)}
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


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda`; torch is imported only where a CUDA driver is installed.

    Raises:
        DetectorError: CUDA is demanded and torch has none.
    """
    if wanted == "cpu" or (wanted == "auto" and ctypes.util.find_library("cuda") is None):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise DetectorError("detector.device: torch finds no CUDA device here; use cpu or auto")
    return "cpu"
