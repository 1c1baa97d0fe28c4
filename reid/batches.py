"""Training batches: pictures of one size with people, occluders and what the teacher saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from reid.augment import Augmented, Window, augment, random_window
from reid.datasets import Sample
from reid.recipe import Recipe
from reid.samplers import PeopleSampler
from reid.teacher import TeacherCache

NORM_QUANTILE = 0.95
"""A position whose vector is as long as this quantile of its crop's counts as surely the person."""


@dataclass(frozen=True)
class Batch:
    """One training batch; B = people * crops."""

    images: Tensor  # (B, 3, H, W) uint8 RGB
    people: Tensor  # (B,) int64 0-based number of the person
    visible: Tensor  # (B, h, w) share of each map position that no occluder covers
    foreground: Tensor  # (B, h, w) label: the teacher's stand-in for the person, times `visible`
    teacher: Tensor  # (B, D) embedding of the whole, uncovered crop
    teacher_map: Tensor  # (B, h, w, Q)

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(**{name: value.to(device, non_blocking=True) for name, value in vars(self).items()})


class TrainingBatches(Dataset[Batch]):
    """The batch of each step; item `step` depends on the recipe's seed and `step` alone."""

    def __init__(self, samples: Sequence[Sample], cache: TeacherCache, recipe: Recipe) -> None:
        """Number the people and prepare the sampler."""
        identities = [sample.identity for sample in samples]
        self.samples, self.cache, self.recipe = samples, cache, recipe
        self.sampler = PeopleSampler(identities, people=recipe.people, crops=recipe.crops, seed=recipe.seed)
        numbers = {identity: number for number, identity in enumerate(sorted(set(identities)))}
        self.people = np.array([numbers[identity] for identity in identities])

    def __len__(self) -> int:
        """Steps of the recipe."""
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        cv2.setNumThreads(0)  # loader processes share the cores with training
        rng = np.random.default_rng((self.recipe.seed, 1, step))
        indices = self.sampler.batch(step)
        size = self.size(rng)
        windows = [random_window(size, rng) for _ in indices]
        pictures = [self.picture(index, window, rng) for index, window in zip(indices, windows, strict=True)]
        visible = np.stack([1 - picture.covered for picture in pictures])
        maps = [self.seen(self.cache.maps, *key) for key in zip(indices, windows, pictures, strict=True)]
        norms = [
            self.seen(foreground_stand_in(self.cache.norms[index])[None], 0, window, picture)
            for index, window, picture in zip(indices, windows, pictures, strict=True)
        ]
        return Batch(
            images=torch.from_numpy(
                np.stack([picture.image for picture in pictures]).transpose(0, 3, 1, 2).copy()
            ),
            people=torch.from_numpy(self.people[indices]),
            visible=torch.from_numpy(visible),
            foreground=torch.from_numpy(np.stack(norms) * visible),
            teacher=torch.from_numpy(self.cache.embeddings[indices].astype(np.float32)),
            teacher_map=torch.from_numpy(np.stack(maps).astype(np.float32)),
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Height and width in px of this batch's crops."""
        shares = np.array([size.share for size in self.recipe.sizes])
        chosen = self.recipe.sizes[int(rng.choice(len(shares), p=shares / shares.sum()))]
        return chosen.height, chosen.width

    def picture(self, index: int, window: Window, rng: np.random.Generator) -> Augmented:
        """A sample as training shows it, perhaps behind a piece of somebody else's crop."""
        other = int(rng.integers(len(self.samples)))
        while self.people[other] == self.people[index]:
            other = int(rng.integers(len(self.samples)))
        image, patch = self.samples[index].image, self.samples[other].image
        return augment(image, patch, window, occlusion=self.recipe.occlusion, rng=rng)

    def seen(
        self, grids: NDArray[np.floating], index: int, window: Window, picture: Augmented
    ) -> NDArray[np.floating]:
        """The part of a (S, 16, 8, ...) map of sample `index` that the picture shows, mirrored with it."""
        grid: NDArray[np.floating] = grids[index][window.cells]
        return grid[:, ::-1] if picture.flipped else grid


def foreground_stand_in(norms: NDArray[np.float16]) -> NDArray[np.float32]:
    """(16, 8) in 0..1 from the lengths of the teacher's positions: long where it sees the person."""
    lengths = norms.astype(np.float32)
    longest = max(float(np.quantile(lengths, NORM_QUANTILE)), 1e-6)
    return np.asarray(np.minimum(lengths / longest, 1), np.float32)
