"""The batches of a recipe; what others say about the crops is asked for first, once, where it is missing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from reid.data.datasets import Sample
from reid.network.foreign import ForeignNetwork
from reid.training.batches import Batches, TrainingBatches
from reid.training.map_cache import CachedMaps, MapBatches, MapsStale, cache_of, load_maps, spread, write_maps
from reid.training.recipe import Recipe, RecipeError
from reid.training.teacher import Teacher, TeacherCache, TeacherStale, cache_teacher, load_cache

log = logging.getLogger("reid.train")


def make_batches(recipe: Recipe, samples: list[Sample], shared: Path) -> Batches:
    """The batches of a recipe: pictures, or a foreign network's maps."""
    if recipe.map_cache is not None:
        chosen = spread(samples, recipe.map_cache.most_crops)
        return MapBatches(chosen, cached_maps(recipe, chosen, shared), recipe)
    return TrainingBatches(samples, teacher_cache(recipe, samples, shared), recipe)


def teacher_cache(recipe: Recipe, samples: Sequence[Sample], shared: Path) -> TeacherCache | None:
    """The teacher's answers from disk, computed first where they are missing; None without a teacher."""
    if recipe.teacher is None or recipe.teacher_cache is None:
        return None
    folder = Path(recipe.teacher_cache)
    try:
        return load_cache(folder, samples)
    except TeacherStale:
        log.info("asking the teacher about %d crops, once", len(samples))
        for done in cache_teacher(samples, Teacher(shared / recipe.teacher), folder):
            if done % 4000 < 16:
                log.info("teacher: %d of %d crops", done, len(samples))
    return load_cache(folder, samples)


def cached_maps(recipe: Recipe, samples: Sequence[Sample], shared: Path) -> CachedMaps:
    """The foreign network's maps from disk, computed first where they are missing."""
    try:
        return load_maps(samples, recipe)
    except MapsStale:
        foreign, path = recipe.model.foreign, shared / cache_of(recipe).network
        if foreign is None:
            raise RecipeError("a map_cache needs model.foreign") from None
        log.info("asking %s about %d crops, once", path.name, len(samples))
        network = ForeignNetwork(path, foreign, recipe.model.box, precision="bf16")
        for done in write_maps(samples, network, recipe):
            if done % 500 == 0:
                log.info("%s: %d of %d crops", path.name, done, len(samples))
    return load_maps(samples, recipe)
