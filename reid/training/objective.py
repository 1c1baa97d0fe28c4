"""What a recipe minimises: the terms of its loss by their names in `LossWeights`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import msgspec
import torch
from torch import Tensor
from torch.nn import functional

from reid.fpr.differentiable import fpr_distance
from reid.network.model import FPROutput, pyramid, pyramid_means
from reid.training.batches import Batch
from reid.training.losses import (
    batch_hard_triplet,
    direction_loss,
    euclidean,
    foreground_loss,
    map_loss,
    profile_loss,
    relation_loss,
)
from reid.training.recipe import Recipe
from reid.training.trainee import Named


@dataclass(frozen=True)
class Judged:
    """A batch with what the network said about it."""

    named: Named
    batch: Batch
    recipe: Recipe

    @property
    def output(self) -> FPROutput:
        """What the network itself says."""
        return self.named.output

    @cached_property
    def foreground(self) -> Tensor:
        """(B, N) probability that a cell shows the person."""
        return self.output.foreground.sigmoid()

    @cached_property
    def distances(self) -> Tensor:
        """(B, B) FPR distances; row: probe."""
        return fpr_distance(self.output.cells, self.foreground, self.output.cells)

    @cached_property
    def labels(self) -> Tensor:
        """(B, N) foreground labels of the cells, 0..1."""
        return self.thresholded(pyramid_means(self.batch.foreground, self.recipe.model.kernels))

    def thresholded(self, shares: Tensor) -> Tensor:
        """Labels from shares of foreground."""
        limit = self.recipe.foreground_threshold
        return shares if limit is None else (shares > limit).float()


def loss_terms(judged: Judged) -> dict[str, Tensor]:
    """Each term that the recipe gives a weight, unweighted."""
    factors = msgspec.structs.asdict(judged.recipe.losses)
    return {name: TERMS[name](judged) for name, factor in factors.items() if factor}


def identity(judged: Judged) -> Tensor:
    """Who it is, by the pooled vector."""
    return named(judged, judged.named.logits)


def foreground_identity(judged: Judged) -> Tensor:
    """Who it is, by the cells that show the person."""
    return named(judged, judged.named.foreground_logits)


def named(judged: Judged, logits: Tensor) -> Tensor:
    """Cross-entropy of a classifier."""
    smoothing = judged.recipe.label_smoothing
    return functional.cross_entropy(logits.float(), judged.batch.people, label_smoothing=smoothing)


def pooled_triplet(judged: Judged) -> Tensor:
    """Hardest pairs by the pooled vectors."""
    distances = euclidean(judged.output.pooled.float())
    return hardest(judged, distances, judged.recipe.margin)


def fpr_triplet(judged: Judged) -> Tensor:
    """Hardest pairs by the FPR distance itself, [FPR] Eq. 6."""
    return hardest(judged, judged.distances, judged.recipe.fpr_margin)


def hardest(judged: Judged, distances: Tensor, margin: float) -> Tensor:
    """The batch-hard triplet loss of (B, B) distances, as the recipe wants it."""
    relative = judged.recipe.triplet == "relative"
    return batch_hard_triplet(distances, judged.batch.people, margin=margin, relative=relative)


def cell_foreground(judged: Judged) -> Tensor:
    """The generator's labels on the cells, [FPR] Eq. 9."""
    return foreground_loss(judged.output.foreground, judged.labels)


def map_foreground(judged: Judged) -> Tensor:
    """The same on the positions of the map, which weight the pooled vector."""
    labels = judged.thresholded(judged.batch.foreground.flatten(1))
    return foreground_loss(judged.output.map_foreground.flatten(1), labels)


def teacher_direction(judged: Judged) -> Tensor:
    """The teacher's embeddings."""
    return direction_loss(judged.output.pooled.float(), taught(judged.batch.teacher))


def teacher_relation(judged: Judged) -> Tensor:
    """Who resembles whom by the teacher."""
    return relation_loss(judged.output.pooled.float(), taught(judged.batch.teacher))


def teacher_map(judged: Judged) -> Tensor:
    """The teacher's map where the person shows."""
    batch = judged.batch
    projection, seen = taught(batch.projection), taught(batch.teacher_map)
    return map_loss(judged.output.map.float(), projection, seen, batch.foreground)


def reduced_distance(judged: Judged) -> Tensor:
    """What the reduction of the cells' channels changes about who is near whom."""
    with torch.no_grad():
        cells = functional.normalize(pyramid(judged.output.map.float(), judged.recipe.model.kernels), dim=1)
        whole = cells.transpose(1, 2).contiguous()
        distances = fpr_distance(whole, judged.foreground, whole)
    return profile_loss(judged.distances, distances)


def taught(value: Tensor | None) -> Tensor:
    """What the teacher said.

    Raises:
        ValueError: the batch has no teacher.
    """
    if value is None:
        raise ValueError("a term compares with a teacher, and the batch has none")
    return value


TERMS: dict[str, Callable[[Judged], Tensor]] = {
    "identity": identity,
    "pooled_triplet": pooled_triplet,
    "fpr_triplet": fpr_triplet,
    "foreground_identity": foreground_identity,
    "foreground": cell_foreground,
    "map_foreground": map_foreground,
    "teacher_direction": teacher_direction,
    "teacher_relation": teacher_relation,
    "teacher_map": teacher_map,
    "reduced_distance": reduced_distance,
}
