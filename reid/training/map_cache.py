"""A foreign network's maps of every training crop, seen in several views, computed once and kept on disk."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from reid.data.augment import STRIDE, Augmented, Window, augment, random_window
from reid.data.datasets import Sample
from reid.network.foreign import ForeignNetwork
from reid.training.batches import Batch, foreground_stand_in, mask_label, seen, somebody_else
from reid.training.recipe import MapCache, Recipe
from reid.training.samplers import PeopleSampler, numbered
from reid.training.teacher import TeacherCache

OCCLUSION = {"whole": 0.0, "covered": 1.0, "cut": 0.3}
"""How likely each view has something in front."""
CUT_SHARE = (0.3, 0.75)
"""A half body's share of the height."""
FILES = ("maps", "embeddings", "visible", "foreground")
NOTES = "cache.json"


class MapsStale(ValueError):
    """The cache on disk is of other crops, of another network, or unfinished."""


@dataclass(frozen=True)
class CachedMaps:
    """What the network said about S crops in V views; large arrays stay on disk until read."""

    maps: NDArray[np.float16]  # (S, V, C, h, w)
    embeddings: NDArray[np.float16]  # (S, V, D)
    visible: NDArray[np.float16]  # (S, V, h, w) share of each position that no occluder covers
    foreground: NDArray[np.float16]  # (S, V, h, w) label: how much of the position shows the person


class MapBatches(Dataset[Batch]):
    """Batches of maps; item `step` depends on the recipe's seed and `step` alone."""

    cache: TeacherCache | None = None

    def __init__(self, samples: Sequence[Sample], cached: CachedMaps, recipe: Recipe) -> None:
        """Number the people and prepare the sampler.

        Raises:
            ValueError: the recipe has no map_cache.
        """
        identities = [sample.identity for sample in samples]
        self.cached, self.recipe = cached, recipe
        self.shares = np.array(cache_of(recipe).shares)
        self.sampler = PeopleSampler(identities, people=recipe.people, crops=recipe.crops, seed=recipe.seed)
        self.people = numbered(identities)
        self.people_count = int(self.people.max()) + 1

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step, each crop in one of its views."""
        indices = np.array(self.sampler.batch(step))
        rng = np.random.default_rng((self.recipe.seed, 1, step))
        views = rng.choice(len(self.shares), len(indices), p=self.shares / self.shares.sum())
        maps, embeddings, visible, foreground = (
            torch.from_numpy(np.stack([array[i, v] for i, v in zip(indices, views, strict=True)])).float()
            for array in (getattr(self.cached, name) for name in FILES)
        )
        people = torch.from_numpy(self.people[indices])
        return Batch((maps, embeddings), people, visible=visible, foreground=foreground)


def cache_of(recipe: Recipe) -> MapCache:
    """The recipe's map cache.

    Raises:
        ValueError: it has none.
    """
    if recipe.map_cache is None:
        raise ValueError("the recipe has no map_cache")
    return recipe.map_cache


def spread(samples: Sequence[Sample], most: int | None) -> list[Sample]:
    """Up to `most` samples, the first few of every person."""
    if most is None or len(samples) <= most:
        return list(samples)
    turns: dict[str, int] = defaultdict(int)
    ranked = []
    for index, sample in enumerate(samples):
        ranked.append((turns[sample.identity], index))
        turns[sample.identity] += 1
    return [samples[index] for _, index in sorted(sorted(ranked)[:most], key=lambda pair: pair[1])]


def write_maps(samples: Sequence[Sample], network: ForeignNetwork, recipe: Recipe) -> Iterator[int]:
    """Ask the network about all samples and keep its answers; yields the number done."""
    folder, views = Path(cache_of(recipe).folder), cache_of(recipe).views
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTES).unlink(missing_ok=True)
    people = numbered([sample.identity for sample in samples])
    arrays: dict[str, NDArray[np.float16]] = {}
    for index in range(len(samples)):
        pictures = [picture(samples, people, index, view, recipe) for view in range(len(views))]
        answer = network.run([shown.image for shown, _ in pictures])
        grid = answer.maps.shape[2:]
        row = {
            "maps": answer.maps,
            "embeddings": answer.embeddings,
            "visible": np.stack([1 - resized(shown.covered, grid) for shown, _ in pictures]),
        }
        labels = [
            label(answer.maps[view], pictures[view], grid, samples[index], recipe)
            for view in range(len(views))
        ]
        row["foreground"] = np.stack(labels) * row["visible"]
        for name, value in row.items():
            if name not in arrays:
                shape = (len(samples), *value.shape)
                arrays[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float16, shape)
            arrays[name][index] = value
        yield index + 1
    arrays.clear()  # closes the files
    (folder / NOTES).write_text(json.dumps(notes(samples, recipe)))


def load_maps(samples: Sequence[Sample], recipe: Recipe) -> CachedMaps:
    """The network's answers for `samples`, in their order.

    Raises:
        MapsStale: nothing there, an unfinished run, other samples or another network.
    """
    folder = Path(cache_of(recipe).folder)
    path = folder / NOTES
    if not path.is_file() or json.loads(path.read_text()) != notes(samples, recipe):
        raise MapsStale(f"{folder}: no finished cache of these {len(samples)} crops; delete it and run again")
    return CachedMaps(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in FILES))


def notes(samples: Sequence[Sample], recipe: Recipe) -> dict[str, object]:
    """What a cache was made of."""
    cache, foreign = cache_of(recipe), recipe.model.foreign
    made_by = [
        cache.network,
        foreign.map_name if foreign else "",
        list(cache.views),
        recipe.seed,
        recipe.masks,
        recipe.occlusion > 0,
    ]
    return {"made by": made_by, "crops": [sample.name for sample in samples]}


def picture(
    samples: Sequence[Sample], people: NDArray[np.int64], index: int, view: int, recipe: Recipe
) -> tuple[Augmented, Window]:
    """A sample as one view shows it, and what of its whole body that is."""
    rng = np.random.default_rng((recipe.seed, view, index))
    kind, box = cache_of(recipe).views[view], recipe.model.box
    other = samples[somebody_else(people, index, rng)]
    height = box[0]
    if kind == "cut":
        low, high = (round(share * box[0] / STRIDE) for share in CUT_SHARE)
        height = STRIDE * int(rng.integers(low, high + 1))
    window = random_window((height, box[1]), rng, box=box)
    occlusion = OCCLUSION[kind] if recipe.occlusion else 0.0
    shown = augment(samples[index].image, other.image, window, occlusion=occlusion, rng=rng, box=box)
    return shown, window


def label(
    features: NDArray[np.float32],
    shown: tuple[Augmented, Window],
    grid: tuple[int, ...],
    sample: Sample,
    recipe: Recipe,
) -> NDArray[np.float32]:
    """(h, w) of one view's map that shows the person: its mask, else the activation."""
    if recipe.masks is None:
        return foreground_stand_in(np.linalg.norm(features, axis=0))
    whole = mask_label(Path(recipe.masks), sample, recipe.model.box)
    return resized(np.ascontiguousarray(seen(whole, shown[1], shown[0]), np.float32), grid)


def resized(grid: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """A small map stretched to (h, w)."""
    stretched = cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(stretched, np.float32)
