"""What training minimises; every function is one term, without its weight."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def batch_hard_triplet(distances: Tensor, people: Tensor, *, margin: float, relative: bool = False) -> Tensor:
    """Hinge on the farthest crop of the same person and the nearest of another, mean over the batch.

    [FPR] Eq. 6; Hermans et al. 2017. The diagonal, a crop against itself, is left out.

    Args:
        distances: (B, B); row: probe. Need not be symmetric.
        people: (B,) the person of each crop.
        margin: in units of the distance, or of the mean distance of two people where `relative`.
        relative: nothing is gained by drawing all crops together. Otherwise a network that begins with the
            farthest of the same person further than the nearest of another often does just that, and stays
            there: the loss is the margin, whatever it learns.

    Raises:
        ValueError: a crop without another of its person, or a batch of one person.
    """
    same = people[:, None] == people[None, :]
    positive = same & ~torch.eye(len(people), dtype=torch.bool, device=people.device)
    if not positive.any(1).all() or same.all(1).any():
        raise ValueError("every crop needs another one of its person and one of somebody else in the batch")
    if relative:
        distances = distances / distances[~same].mean().clamp(min=1e-6)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    return functional.relu(farthest - nearest + margin).mean()


def euclidean(vectors: Tensor) -> Tensor:
    """(B, B) distances between the directions of (B, D) vectors, 0..2."""
    unit = functional.normalize(vectors, dim=1)
    squared = 2 - 2 * unit @ unit.T
    return squared.clamp(min=1e-8).sqrt()  # a root at 0 has no slope


def foreground_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of (B, N) foreground logits with labels in 0..1: sum over cells, mean over the batch.

    [FPR] Eq. 9 with its sign put right.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)


def direction_loss(vectors: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine between (B, D) vectors and the teacher's, mean over the batch."""
    return (1 - functional.cosine_similarity(vectors, teacher, dim=1)).mean()


def relation_loss(vectors: Tensor, teacher: Tensor) -> Tensor:
    """Mean square difference of the two (B, B) matrices of cosines: who resembles whom."""
    ours, theirs = (functional.normalize(v, dim=1) for v in (vectors, teacher))
    return (ours @ ours.T - theirs @ theirs.T).square().mean()


def map_loss(features: Tensor, projection: Tensor, teacher: Tensor, weight: Tensor) -> Tensor:
    """1 - cosine between map positions and the teacher's, both on the teacher's leading directions.

    Args:
        features: (B, K, h, w) map.
        projection: (Q, K) orthonormal rows.
        teacher: (B, h, w, Q) the teacher's unit positions on the projection.
        weight: (B, h, w) >= 0; 0 where the picture no longer shows what the teacher saw.
    """
    ours = torch.einsum("bkhw,qk->bhwq", features, projection)
    misfit = 1 - functional.cosine_similarity(ours, teacher, dim=3, eps=1e-4)
    return (misfit * weight).sum() / weight.sum().clamp(min=1e-6)


def profile_loss(distances: Tensor, reference: Tensor) -> Tensor:
    """Mean square difference of two (B, B) distance matrices, each row standardised without its diagonal."""
    ours, theirs = (standardized_rows(matrix) for matrix in (distances, reference))
    return (ours - theirs).square().mean()


def standardized_rows(distances: Tensor) -> Tensor:
    """(B, B - 1) distances to the others, each row of mean 0 and deviation 1."""
    others = ~torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    rows = distances[others].view(len(distances), -1)
    return (rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True).clamp(min=1e-6)
