"""Makes the person detector that ships: a COCO detector's head cut to one class, fine-tuned if that helps."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import DetectorConfig
from pipeline.tracking.detect import Detector
from pipeline.tracking.training.average_precision import AveragePrecision, average_precision
from pipeline.tracking.training.person_samples import LabelledImage, augment
from pipeline.tracking.yolo import (
    PERSON,
    OpenvinoNetwork,
    keep_class,
    load_checkpoint,
    person_class,
    ultralytics,
)

EXPORT_SIZE_PX = 640
"""Size of the example that the network is traced with; height and width stay free."""
FREE_AXES = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}
EVALUATION_SIZES_PX = (512, 640)
BACKBONE_LAYERS = 11
"""Layers 0..10 of yolo11: the backbone."""
SMALLEST_HALVED = 64
"""Values from which on an ONNX weight is stored as float16; smaller ones hold shapes and strides."""


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


def evaluate(weights: Path, samples: list[LabelledImage], *, size_px: int, threads: int) -> AveragePrecision:
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
    model = load_checkpoint(start)
    return keep_class(model, person_class(model.names, start))


def fine_tune(
    model: Any, samples: list[LabelledImage], recipe: Recipe, report: Callable[[int, float], None]
) -> Any:
    """The moving average of a one-class ultralytics detector during training; BatchNorm stays as it is.

    Args:
        model: changed in place.
        report: called with the epoch and its mean loss.
    """
    import torch

    torch.manual_seed(recipe.seed)
    generator = np.random.default_rng(recipe.seed)
    model.args = ultralytics("cfg").get_cfg()
    trained = unfrozen(model, recipe.frozen_layers)
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


def unfrozen(model: Any, frozen_layers: int) -> list[Any]:
    """The weights to train; those of the first layers, and the fixed ones of the head, need no gradient."""
    model.requires_grad_(True)
    model.model[:frozen_layers].requires_grad_(False)
    model.model[-1].dfl.requires_grad_(False)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


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
            value.lerp_(current[name].detach(), 1 - keep)


def batches(
    samples: list[LabelledImage], recipe: Recipe, generator: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """One epoch of augmented batches as ultralytics' loss takes them."""
    import torch

    order = generator.permutation(len(samples))
    for start in range(0, len(order), recipe.batch):
        chosen = [samples[i] for i in order[start : start + recipe.batch]]
        views = [augment(s, generator, size_px=recipe.size_px, coarse=recipe.coarse) for s in chosen]
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
    """Write a fused one-class detector as ONNX: images (B, 3, H, W) in 0..1 -> output0 (B, 5, A), px."""
    import onnx
    import torch

    head = model.model[-1]
    head.export, head.dynamic, head.format = True, True, "onnx"
    with warnings.catch_warnings():  # tracing is deprecated; its successor needs onnxscript
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, EXPORT_SIZE_PX, EXPORT_SIZE_PX),),
            str(path),
            input_names=["images"],
            output_names=["output0"],
            dynamic_axes=FREE_AXES,
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
    """The same ONNX network with its large float32 weights stored as float16, cast back when read."""
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


def measured(
    model: Any, samples: list[LabelledImage], out: Path, *, threads: int
) -> tuple[AveragePrecision, ...]:
    """The exported model's AP at each of the evaluation sizes; `out` holds it afterwards."""
    path = save_detector(copy.deepcopy(model), out)
    return tuple(evaluate(path, samples, size_px=size, threads=threads) for size in EVALUATION_SIZES_PX)
