"""A training small enough for a test: people of one colour each, made-up masks, teacher and network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import torch
from torch import nn

from reid.data.datasets import Sample
from reid.export import onnx_file
from reid.network.foreign import ForeignNetwork
from reid.network.model import make_backbone
from reid.network.spec import ForeignSpec, ModelSpec
from reid.train import fit
from reid.training.batches import Batches, TrainingBatches
from reid.training.initialise import begin
from reid.training.map_cache import MapBatches, load_maps, write_maps
from reid.training.recipe import CropSize, LossWeights, Recipe
from reid.training.teacher import PROJECTED, TeacherCache
from reid.training.trainee import Trainee

PEOPLE, CROPS = 6, 4
FOREIGN = ForeignSpec("tiny", "map", channels=24, embedding=8)


def tiny_recipe(**changes: object) -> Recipe:
    """Three steps of 3 people x 2 crops on a network of the least width."""
    plain = Recipe(
        terms="test",
        data=("folder:none",),
        heldout="none",
        steps=3,
        sizes=(CropSize(64, 64, 1),),
        model=ModelSpec(name="tiny", width=0.5),
        losses=LossWeights(identity=1.0, pooled_triplet=1.0, fpr_triplet=1.0, foreground=0.02),
        people=3,
        crops=2,
    )
    return msgspec.structs.replace(plain, **changes)


def tiny_samples() -> list[Sample]:
    """People who differ in colour."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(PEOPLE * CROPS):
        colour = np.random.default_rng(number // CROPS).integers(0, 256, 3)
        image = np.clip(colour + rng.normal(0, 20, (64, 32, 3)), 0, 255).astype(np.uint8)
        encoded = cv2.imencode(".png", image)[1].tobytes()
        samples.append(Sample(f"folder/all/{number}.png", number // CROPS, number % 2, encoded))
    return samples


def tiny_teacher(channels: int) -> TeacherCache:
    """Answers of nobody's network."""
    rng, count = np.random.default_rng(0), PEOPLE * CROPS
    maps = rng.normal(0, 1, (count, 16, 8, PROJECTED)).astype(np.float16)
    return TeacherCache(
        embeddings=rng.normal(0, 1, (count, 256)).astype(np.float16),
        maps=maps,
        norms=np.abs(maps[..., 0]),
        projection=np.linalg.qr(rng.normal(0, 1, (channels, PROJECTED)))[0].T.astype(np.float32),
    )


def tiny_batches(recipe: Recipe, folder: Path) -> Batches:
    """The batches of a recipe whose masks and maps, if it wants any, are below `folder`."""
    samples = tiny_samples()
    if recipe.map_cache is not None:
        network = tiny_network(folder / "tiny.onnx")
        assert recipe.model.foreign is not None
        list(write_maps(samples, ForeignNetwork(network, recipe.model.foreign, recipe.model.box), recipe))
        return MapBatches(samples, load_maps(samples, recipe), recipe)
    if recipe.masks is not None:
        write_masks(Path(recipe.masks), samples)
    cache = tiny_teacher(make_backbone(recipe.model).channels) if recipe.teacher else None
    return TrainingBatches(samples, cache, recipe)


def write_masks(folder: Path, samples: list[Sample]) -> None:
    """Everybody in the middle of their crop."""
    mask = np.zeros((64, 32), np.uint8)
    mask[:, 8:24] = 255
    for sample in samples:
        path = folder / Path(sample.name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask)


class TinyNetwork(nn.Module):
    """Somebody else's network: a map of 24 channels at stride 16, and an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.layer = (
            nn.Conv2d(3, FOREIGN.channels, 16, 16),
            nn.Linear(24, FOREIGN.embedding),
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding and map."""
        features = self.convolution(images).relu()
        return self.layer(features.mean((2, 3))), features


def tiny_network(path: Path) -> Path:
    """The ONNX file of a `TinyNetwork`."""
    torch.manual_seed(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(onnx_file(TinyNetwork(), (128, 64), ("embedding", "map")))
    return path


def run(
    batches: Batches,
    out: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    trainee: Trainee | None = None,
    device: str = "cpu",
) -> Path:
    """Train a copy of the trainee, or a new one, by the recipe of the batches; returns the weights."""
    fresh = begin(batches.recipe, batches, Path("none")) if trainee is None else copy.deepcopy(trainee)
    stopped = stop_at(stop_after) if stop_after is not None else lambda: False
    return fit(
        fresh,
        batches,
        out,
        device=torch.device(device),
        hours=None,
        resume=resume,
        loaders=0,
        stopped=stopped,
    )


def stop_at(steps: int) -> Callable[[], bool]:
    """Asked once before each step: whether `steps` are done."""
    asked = iter(range(steps))
    return lambda: next(asked, None) is None
