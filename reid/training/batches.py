"""Training batches: pictures of one size with people, occluders and what the teacher saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from reid.data.augment import STRIDE, Augmented, Window, augment, block_means, random_window
from reid.data.datasets import Sample
from reid.masks import read_mask
from reid.training.recipe import Recipe
from reid.training.samplers import PeopleSampler, numbered
from reid.training.teacher import TeacherCache

NORM_QUANTILE = 0.95
"""A position whose vector is as long as this quantile of its crop's counts as surely the person."""


@dataclass(frozen=True)
class Batch:
    """One training batch; B = people * crops."""

    inputs: tuple[Tensor, ...]
    """What the network takes: (B, 3, H, W) uint8 RGB, or a foreign network's (B, K, h, w) maps and
    (B, D) embeddings."""
    people: Tensor  # (B,) int64 0-based number of the person
    visible: Tensor  # (B, h, w) share of each map position that no occluder covers
    foreground: Tensor  # (B, h, w) label: how much of the position shows the person, 0..1
    teacher: Tensor | None = None  # (B, D) embedding of the whole, uncovered crop
    teacher_map: Tensor | None = None  # (B, h, w, Q)
    projection: Tensor | None = None  # (Q, K) orthonormal rows: the directions of `teacher_map`

    def to(self, device: torch.device) -> Batch:
        """The same on a device, pictures and maps channels last."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: moved_to(device, v) for name, v in given.items() if isinstance(v, Tensor)}
        return replace(self, inputs=tuple(moved_to(device, v) for v in self.inputs), **moved)


def moved_to(device: torch.device, value: Tensor) -> Tensor:
    """The tensor on a device, four axes in the order the convolutions like."""
    layout = torch.channels_last if value.ndim == 4 else torch.contiguous_format
    return value.to(device, non_blocking=True, memory_format=layout)


class Batches(Protocol):
    """The batch of each step; item `step` depends on the recipe's seed and `step` alone."""

    recipe: Recipe
    people: NDArray[np.int64]
    """(S,) number of each sample's person."""
    people_count: int
    cache: TeacherCache | None

    def __getitem__(self, step: int, /) -> Batch:
        """The batch of a step."""


class TrainingBatches(Dataset[Batch]):
    """Batches of pictures."""

    def __init__(self, samples: Sequence[Sample], cache: TeacherCache | None, recipe: Recipe) -> None:
        """Number the people and prepare the sampler."""
        identities = [sample.identity for sample in samples]
        self.samples, self.cache, self.recipe = samples, cache, recipe
        self.sampler = PeopleSampler(identities, people=recipe.people, crops=recipe.crops, seed=recipe.seed)
        self.people = numbered(identities)
        self.people_count = int(self.people.max()) + 1

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        cv2.setNumThreads(0)  # loader processes share the cores with training
        rng = np.random.default_rng((self.recipe.seed, 1, step))
        indices = self.sampler.batch(step)
        size, box = self.size(rng), self.recipe.model.box
        windows = [random_window(size, rng, box=box) for _ in indices]
        pictures = [self.picture(index, window, rng) for index, window in zip(indices, windows, strict=True)]
        visible = np.stack([1 - picture.covered for picture in pictures])
        shown = list(zip(indices, windows, pictures, strict=True))
        foreground = np.stack([seen(self.foreground(index), w, p) for index, w, p in shown])
        images = np.stack([picture.image for picture in pictures])
        batch = Batch(
            inputs=(torch.from_numpy(images).permute(0, 3, 1, 2),),
            people=torch.from_numpy(self.people[indices]),
            visible=torch.from_numpy(visible),
            foreground=torch.from_numpy(foreground * visible),
        )
        if self.cache is None:
            return batch
        box = self.recipe.model.box
        maps = np.stack([seen(coarser(self.cache.maps[index], box), w, p) for index, w, p in shown])
        return replace(
            batch,
            teacher=torch.from_numpy(self.cache.embeddings[indices].astype(np.float32)),
            teacher_map=torch.from_numpy(maps.astype(np.float32)),
            projection=torch.from_numpy(self.cache.projection),
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Height and width in px of this batch's crops."""
        shares = np.array([size.share for size in self.recipe.sizes])
        chosen = self.recipe.sizes[int(rng.choice(len(shares), p=shares / shares.sum()))]
        return chosen.height, chosen.width

    def picture(self, index: int, window: Window, rng: np.random.Generator) -> Augmented:
        """A sample as training shows it, perhaps behind a piece of somebody else's crop."""
        other = somebody_else(self.people, index, rng)
        image, patch = self.samples[index].image, self.samples[other].image
        recipe = self.recipe
        return augment(
            image,
            patch,
            window,
            occlusion=recipe.occlusion,
            rng=rng,
            box=recipe.model.box,
            strength=recipe.augmentation,
        )

    def foreground(self, index: int) -> NDArray[np.float32]:
        """(h, w) label of the uncovered crop: its mask, else the teacher's activation, else all of it."""
        box = self.recipe.model.box
        if self.recipe.masks is not None:
            return mask_label(Path(self.recipe.masks), self.samples[index], box)
        if self.cache is not None:
            return foreground_stand_in(coarser(self.cache.norms[index], box))
        return block_means(np.ones(box, np.float32))


def somebody_else(people: NDArray[np.int64], index: int, rng: np.random.Generator) -> int:
    """The number of a sample of another person."""
    other = int(rng.integers(len(people)))
    while people[other] == people[index]:
        other = int(rng.integers(len(people)))
    return other


def seen(grid: NDArray[np.floating], window: Window, picture: Augmented) -> NDArray[np.floating]:
    """The part of a crop's full (h, w, ...) map that the picture shows, mirrored with it."""
    part: NDArray[np.floating] = grid[window.cells]
    return part[:, ::-1] if picture.flipped else part


def coarser(grid: NDArray[np.floating], box: tuple[int, int]) -> NDArray[np.floating]:
    """(h, w, ...) of a student's box from the map of a teacher's larger one: means of blocks."""
    factor = grid.shape[0] * STRIDE // box[0]
    if factor == 1:
        return grid
    rows, columns = grid.shape[0] // factor, grid.shape[1] // factor
    blocks = grid.astype(np.float32).reshape(rows, factor, columns, factor, *grid.shape[2:])
    return np.asarray(blocks.mean((1, 3)), np.float32)


def foreground_stand_in(norms: NDArray[np.floating]) -> NDArray[np.float32]:
    """(h, w) in 0..1 from the lengths of a map's positions: long where the network sees the person."""
    lengths = norms.astype(np.float32)
    longest = max(float(np.quantile(lengths, NORM_QUANTILE)), 1e-6)
    return np.asarray(np.minimum(lengths / longest, 1), np.float32)


def mask_label(folder: Path, sample: Sample, box: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) share of the person in each map position, from the crop's mask.

    Raises:
        MaskMissing: see `reid.masks`.
    """
    mask = read_mask(folder, sample).astype(np.float32)
    return block_means(np.asarray(cv2.resize(mask, box[::-1], interpolation=cv2.INTER_LINEAR), np.float32))
