"""Makes the person detector that ships: a COCO detector's head cut to one class, fine-tuned where that helps."""

from __future__ import annotations

import copy
import hashlib
import logging
import math
import tarfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.config import DetectorConfig
from pipeline.detect import (
    PADDING,
    PERSON,
    Detections,
    Detector,
    OpenvinoNetwork,
    keep_class,
    load_pickled,
    person_class,
)

EXPORT_SIZE_PX = 640
"""Size of the example that the network is traced with; height and width stay free."""
EVALUATION_SIZES_PX = (512, 640)
IOUS = np.arange(0.5, 1.0, 0.05)
"""COCO's thresholds."""
RECALLS = np.linspace(0, 1, 101)
"""COCO's points of the precision-recall curve."""
COCO_MAX_BOXES = 100
BACKBONE_LAYERS = 11
"""Layers 0..10 of yolo11: the backbone."""
SMALLEST_HALVED = 64
"""Values from which on an ONNX weight is stored as float16; smaller ones hold shapes and strides."""

log = logging.getLogger(__name__)


class TrainingDataError(ValueError):
    """The archive does not hold images and labels as expected; the message names what is wrong."""


@dataclass(frozen=True)
class Sample:
    """One labelled image, still encoded."""

    name: str
    jpeg: bytes
    boxes: NDArray[np.float32]  # (N, 4) xyxy, fractions of width and height

    def image(self) -> NDArray[np.uint8]:
        """The (H, W, 3) RGB image."""
        decoded = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        if decoded is None:
            raise TrainingDataError(f"{self.name}: not a readable image")
        return decoded.astype(np.uint8, copy=False)


@dataclass(frozen=True)
class Recipe:
    """How the detector is fine-tuned."""

    epochs: int = 8
    batch: int = 16
    size_px: int = 448
    learning_rate: float = 2e-4
    weight_decay: float = 5e-4
    ema: float = 0.995
    """Share of the old average kept at each step."""
    coarse: float = 0.3
    """Share of the images that are shrunk to a third and enlarged again, as an old camera shows people."""
    frozen_layers: int = BACKBONE_LAYERS
    seed: int = 0


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's AP of one class."""

    ap50: float
    ap: float
    """Mean over the IoU thresholds 0.50, 0.55, ... 0.95."""


def read_samples(archive: Path, split: str) -> list[Sample]:
    """The images of one split of a .tar.gz with images/SPLIT/NAME.jpg and labels/SPLIT/NAME.txt, by name.

    A label line is: class, then centre x, centre y, width, height as fractions of the image.

    Raises:
        TrainingDataError: not such an archive, or the split is empty.
    """
    images: dict[str, bytes] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(archive) as files:
            for member in files:
                path, file = Path(member.name), files.extractfile(member)
                if file is None or path.parent.name != split:
                    continue
                if path.parent.parent.name == "images":
                    images[path.stem] = file.read()
                elif path.parent.parent.name == "labels":
                    labels[path.stem] = file.read().decode()
    except (OSError, tarfile.TarError) as error:
        raise TrainingDataError(f"{archive}: not a readable .tar.gz") from error
    if not images:
        raise TrainingDataError(f"{archive}: no images/{split}/")
    return [Sample(name, images[name], parse_labels(labels.get(name, ""))) for name in sorted(images)]


def parse_labels(text: str) -> NDArray[np.float32]:
    """(N, 4) xyxy fractions of YOLO label lines."""
    rows = np.array([line.split()[1:5] for line in text.splitlines() if line.strip()], np.float32).reshape(-1, 4)
    return np.hstack([rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2]).astype(np.float32)


def without_copies(samples: list[Sample], held_out: list[Sample]) -> list[Sample]:
    """The samples whose picture is not among the held-out ones, byte for byte or as a thumbnail."""
    known = {fingerprint for sample in held_out for fingerprint in fingerprints(sample)}
    return [sample for sample in samples if not known.intersection(fingerprints(sample))]


def fingerprints(sample: Sample) -> tuple[str, str]:
    """Hashes of the file and of an 8x8 difference thumbnail, which survives recompression."""
    grey = cv2.resize(cv2.cvtColor(sample.image(), cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    brighter = np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()
    return hashlib.sha256(sample.jpeg).hexdigest(), brighter


def average_precision(found: list[Detections], truth: list[NDArray[np.float32]]) -> AveragePrecision:
    """COCO's average precision of one class: greedy matching by confidence, 101-point interpolation.

    Args:
        found: the boxes of each image.
        truth: (M, 4) xyxy labelled boxes of each image, px.
    """
    confidences = np.concatenate([detections.confidences[:COCO_MAX_BOXES] for detections in found])
    hits = np.concatenate([match(d.boxes[:COCO_MAX_BOXES], t) for d, t in zip(found, truth, strict=True)])
    hits = hits[np.argsort(-confidences, kind="stable")]  # (N, thresholds)
    total = sum(len(boxes) for boxes in truth)
    if not total or not len(hits):
        return AveragePrecision(0.0, 0.0)
    correct = np.cumsum(hits, axis=0)
    recall, precision = correct / total, correct / np.arange(1, len(hits) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    aps = [area_under(recall[:, i], precision[:, i]) for i in range(len(IOUS))]
    return AveragePrecision(float(aps[0]), float(np.mean(aps)))


def area_under(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Mean of a falling precision curve at COCO's recall points; 0 beyond its end."""
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.mean(np.append(precision, 0.0)[places]))


def match(boxes: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, thresholds): whether each box, best first, takes a labelled box that no better one has taken."""
    hits = np.zeros((len(boxes), len(IOUS)), bool)
    ious = iou_matrix(boxes, truth)
    for column, threshold in enumerate(IOUS):
        free = np.ones(len(truth), bool)
        for row in range(len(boxes)):
            overlaps = np.where(free, ious[row], -1)
            if free.any() and overlaps.max() >= threshold:
                free[overlaps.argmax()] = False
                hits[row, column] = True
    return hits


def iou_matrix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, M) intersection over union of (N, 4) and (M, 4) xyxy boxes."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = sides.clip(0).prod(axis=2)  # (N, M)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return (shared / np.maximum(union, 1e-9)).astype(np.float32)


def evaluate(weights: Path, samples: list[Sample], *, size_px: int, threads: int) -> AveragePrecision:
    """AP of an exported detector, in float32, on the samples."""
    settings = DetectorConfig(size_px=size_px, confidence=0.001, iou=0.7)
    detector = Detector(OpenvinoNetwork(weights, threads=threads, precision="f32"), settings)
    found, truth = [], []
    for sample in samples:
        image = sample.image()
        found += detector.detect([image])
        truth.append(sample.boxes * np.tile(image.shape[1::-1], 2).astype(np.float32))
    return average_precision(found, truth)


def floor(start: Path) -> Any:
    """The ultralytics detector in `start` with its head cut to the person class."""
    model = load_pickled(start)
    return keep_class(model, person_class(model.names, start))


def fine_tune(model: Any, samples: list[Sample], recipe: Recipe, report: Callable[[int, float], None]) -> Any:
    """The moving average of a one-class ultralytics detector trained on the samples; BatchNorm stays as it is.

    Args:
        model: changed in place.
        report: called with the epoch and its mean loss.
    """
    import torch
    from ultralytics.cfg import get_cfg

    torch.manual_seed(recipe.seed)
    generator = np.random.default_rng(recipe.seed)
    model.args = get_cfg()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for parameter in model.model[: recipe.frozen_layers].parameters():
        parameter.requires_grad_(False)
    model.model[-1].dfl.requires_grad_(False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, recipe.learning_rate, weight_decay=recipe.weight_decay)
    average = copy.deepcopy(model).eval()
    steps = recipe.epochs * math.ceil(len(samples) / recipe.batch)
    step = 0
    for epoch in range(recipe.epochs):
        losses = []
        for batch in batches(samples, recipe, generator):
            train_mode(model)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate_at(step / steps)
            loss = model(batch)[0].sum() / len(batch["img"])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 10.0)
            optimizer.step()
            step += 1
            blend(average, model, keep=min(recipe.ema, step / (step + 10)))
            losses.append(loss.item())
        report(epoch, float(np.mean(losses)))
    return average


def train_mode(model: Any) -> None:
    """Training mode, but with BatchNorm's statistics left alone: batches are small."""
    import torch

    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def rate_at(progress: float) -> float:
    """Share of the learning rate at a fraction of the training: 5% linear rise, then half a cosine."""
    return min(1.0, progress / 0.05) * (0.5 + 0.5 * math.cos(math.pi * progress))


def blend(average: Any, model: Any, *, keep: float) -> None:
    """Move the average's weights towards the model's."""
    current = model.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.mul_(keep).add_(current[name].detach(), alpha=1 - keep)


def batches(samples: list[Sample], recipe: Recipe, generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    """One epoch of augmented batches as ultralytics' loss takes them."""
    import torch

    order = generator.permutation(len(samples))
    for start in range(0, len(order), recipe.batch):
        views = [augment(samples[i], recipe, generator) for i in order[start : start + recipe.batch]]
        boxes = np.concatenate([view.boxes for view in views])
        owners = np.concatenate([np.full(len(view.boxes), i) for i, view in enumerate(views)])
        centres = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])
        pixels = np.stack([view.image for view in views]).transpose(0, 3, 1, 2)  # (B, 3, S, S)
        yield {
            "img": torch.from_numpy(pixels.astype(np.float32) / 255),
            "batch_idx": torch.from_numpy(owners.astype(np.float32)),
            "cls": torch.zeros(len(boxes), 1),
            "bboxes": torch.from_numpy(centres.astype(np.float32)),
        }


@dataclass(frozen=True)
class View:
    """A square training picture."""

    image: NDArray[np.uint8]  # (S, S, 3)
    boxes: NDArray[np.float32]  # (N, 4) xyxy, fractions of S


def augment(sample: Sample, recipe: Recipe, generator: np.random.Generator) -> View:
    """The sample at a random scale and place, maybe mirrored, coarse or at another brightness."""
    image, size = sample.image(), recipe.size_px
    height, width = image.shape[:2]
    scale = size / max(height, width) * generator.uniform(0.6, 1.4)
    left, top = (generator.uniform(0, size - scale * side) for side in (width, height))
    move = np.array([[scale, 0, left], [0, scale, top]], np.float32)
    if generator.random() < recipe.coarse:
        small = cv2.resize(image, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    border = (PADDING, PADDING, PADDING)
    canvas = cv2.warpAffine(image, move, (size, size), flags=cv2.INTER_LINEAR, borderValue=border)
    canvas = np.clip(canvas * generator.uniform(0.6, 1.4), 0, 255).astype(np.uint8)
    boxes = sample.boxes * np.tile([width, height], 2) * scale + np.tile([left, top], 2)
    full = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    boxes = boxes.clip(0, size)
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes = boxes[(np.prod(sides, axis=1) > 0.2 * full) & (sides.min(axis=1) > 2)] / size
    if generator.random() < 0.5:
        canvas, boxes = canvas[:, ::-1], np.column_stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]])
    return View(np.ascontiguousarray(canvas), boxes.astype(np.float32))


def save_detector(model: Any, folder: Path) -> Path:
    """Write `person_detector.onnx` and `person_detector.safetensors`, both with float16 weights.

    Args:
        model: a one-class ultralytics detector; it is fused in place.

    Returns:
        The .onnx file.
    """
    from safetensors.torch import save

    model = model.eval().fuse(verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "person_detector.onnx"
    save_onnx(model, path)
    weights = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    metadata = {"architecture": Path(model.yaml["yaml_file"]).name, "classes": PERSON}
    path.with_suffix(".safetensors").write_bytes(save(weights, metadata))
    return path


def save_onnx(model: Any, path: Path) -> None:
    """Write a fused one-class detector as ONNX: images (B, 3, H, W) in 0..1 -> output0 (B, 5, A) in pixels."""
    import onnx
    import torch

    head = model.model[-1]
    head.export, head.dynamic, head.format = True, True, "onnx"
    with warnings.catch_warnings():  # the tracing exporter is deprecated, but the new one needs one more package
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, EXPORT_SIZE_PX, EXPORT_SIZE_PX),),
            str(path),
            input_names=["images"],
            output_names=["output0"],
            dynamic_axes={"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}},
            opset_version=17,
            dynamo=False,
        )
    head.export, head.dynamic = False, False
    network = halve_weights(onnx.load(path))
    network.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5
    network.metadata_props.add(key="names", value=repr({0: PERSON}))
    onnx.checker.check_model(network)
    onnx.save(network, path)


def halve_weights(network: Any) -> Any:
    """The same ONNX network with its large float32 weights stored as float16 and cast back when it is loaded."""
    import onnx

    casts = []
    for tensor in network.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for position, node in enumerate(casts):
        network.graph.node.insert(position, node)
    return network


def main(
    start: Annotated[Path, typer.Option(help="ultralytics .pt file with a class person")],
    data: Annotated[Path, typer.Option(help=".tar.gz with images/ and labels/, each with train/ and val/")],
    out: Annotated[Path, typer.Option(help="folder for person_detector.onnx and .safetensors")],
    epochs: Annotated[int, typer.Option(help="0: only cut the head")] = Recipe.epochs,
    frozen_layers: Annotated[int, typer.Option(help="first layers that stay as they are")] = Recipe.frozen_layers,
    learning_rate: float = Recipe.learning_rate,
    threads: int = 1,
) -> None:
    """Cut, fine-tune, measure on val, and write the better of the two."""
    import torch

    console = Console()
    base = floor(start)
    torch.set_num_threads(threads)
    held_out = read_samples(data, "val")
    samples = without_copies(read_samples(data, "train"), held_out)
    console.print(f"{len(samples)} images to train on, {len(held_out)} to decide on")
    recipe = Recipe(epochs=epochs, frozen_layers=frozen_layers, learning_rate=learning_rate)
    models = {"floor": base}
    if epochs:
        tuned = copy.deepcopy(base)
        models["fine-tuned"] = fine_tune(
            tuned, samples, recipe, lambda epoch, loss: console.print(f"epoch {epoch + 1}: loss {loss:.3f}")
        )
    choose(models, held_out, out, console, threads=threads)


def choose(
    models: dict[str, Any], samples: list[Sample], out: Path, console: Console, *, threads: int
) -> None:
    """Write the model with the best mean AP over the evaluation sizes, and show every model's."""
    table = Table("model", *(f"AP50 / AP at {size}" for size in EVALUATION_SIZES_PX))
    scores: dict[str, float] = {}
    for name, model in models.items():
        path = save_detector(copy.deepcopy(model), out)
        found = [evaluate(path, samples, size_px=size, threads=threads) for size in EVALUATION_SIZES_PX]
        scores[name] = float(np.mean([score.ap for score in found]))
        table.add_row(name, *(f"{score.ap50:.4f} / {score.ap:.4f}" for score in found))
    best = max(scores, key=lambda name: scores[name])
    save_detector(models[best], out)
    console.print(table, f"{best} is in {out}")


if __name__ == "__main__":
    typer.run(main)
