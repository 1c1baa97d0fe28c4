"""The terms of the loss against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from reid.fpr.differentiable import fpr_distance
from reid.training.losses import (
    batch_hard_triplet,
    direction_loss,
    euclidean,
    foreground_loss,
    map_loss,
    profile_loss,
    relation_loss,
)

PEOPLE = torch.tensor([0, 0, 1, 1])


def test_the_triplet_takes_the_farthest_own_and_the_nearest_other() -> None:
    distances = torch.tensor(
        [[9.0, 0.5, 0.4, 0.9], [0.2, 9, 0.9, 0.9], [0.9, 0.9, 9, 0.1], [0.9, 0.9, 0.1, 9]]
    )
    assert batch_hard_triplet(distances, PEOPLE, margin=0.3).item() == pytest.approx(0.4 / 4)


def test_people_far_apart_cost_nothing() -> None:
    distances = (PEOPLE[:, None] != PEOPLE[None]).float()
    assert batch_hard_triplet(distances, PEOPLE, margin=0.3).item() == 0


@pytest.mark.parametrize("people", [[0, 0, 0, 0], [0, 0, 1, 2]])
def test_a_batch_without_triplets_is_refused(people: list[int]) -> None:
    with pytest.raises(ValueError, match="every crop needs"):
        batch_hard_triplet(torch.rand(4, 4), torch.tensor(people), margin=0.3)


def test_relative_triplets_gain_nothing_by_drawing_everybody_together() -> None:
    distances = torch.rand(4, 4, generator=torch.Generator().manual_seed(0)) + 0.5
    losses = {
        relative: [
            batch_hard_triplet(size * distances, PEOPLE, margin=0.3, relative=relative).item()
            for size in (1.0, 0.1, 0.01)
        ]
        for relative in (False, True)
    }
    assert losses[False][0] > losses[False][1] > losses[False][2] > 0.3
    assert losses[True] == pytest.approx([losses[True][0]] * 3, rel=1e-5)


def test_distances_between_directions_ignore_length_and_have_a_slope_at_zero() -> None:
    vectors = torch.tensor([[1.0, 0], [5, 0], [0, 2]], requires_grad=True)
    distances = euclidean(vectors)
    assert distances[0, 1].item() < 1e-3
    assert distances[0, 2].item() == pytest.approx(math.sqrt(2))
    distances.sum().backward()
    assert vectors.grad is not None and vectors.grad.isfinite().all()


def test_the_foreground_loss_sums_over_cells_and_averages_over_crops() -> None:
    assert foreground_loss(torch.zeros(3, 7), torch.ones(3, 7)).item() == pytest.approx(7 * math.log(2))


def test_a_perfect_pupil_pays_nothing() -> None:
    teacher = torch.randn(5, 8)
    assert direction_loss(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    assert relation_loss(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-6)


def test_relations_survive_a_rotation() -> None:
    teacher, rotation = torch.randn(5, 8), torch.linalg.qr(torch.randn(8, 8)).Q
    assert relation_loss(teacher @ rotation, teacher).item() == pytest.approx(0, abs=1e-6)


def test_covered_positions_do_not_count_in_the_map() -> None:
    features = torch.randn(2, 6, 4, 2)
    teacher = features.permute(0, 2, 3, 1).clone()
    teacher[:, 2:] = torch.randn(2, 2, 2, 6)
    weight = torch.ones(2, 4, 2)
    weight[:, 2:] = 0
    assert map_loss(features, torch.eye(6), teacher, weight).item() == pytest.approx(0, abs=1e-5)


def test_the_gradient_of_the_fpr_triplet_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    raw = torch.randn(4, 5, 6, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)

    def loss(raw: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        cells = functional.normalize(raw, dim=2)
        return batch_hard_triplet(fpr_distance(cells, logits.sigmoid(), cells), PEOPLE, margin=5.0)

    assert torch.autograd.gradcheck(loss, (raw, logits), eps=1e-6, atol=1e-6)


def test_the_fpr_triplet_of_repeated_cells_has_a_finite_gradient() -> None:
    cells = torch.ones(4, 3, 6, requires_grad=True)
    unit = functional.normalize(cells, dim=2)
    batch_hard_triplet(fpr_distance(unit, torch.ones(4, 3), unit), PEOPLE, margin=0.3).backward()
    assert cells.grad is not None and cells.grad.isfinite().all()


def test_distances_of_the_same_order_and_spacing_have_the_same_profile() -> None:
    reference = torch.rand(5, 5)
    assert profile_loss(2 * reference + 1, reference).item() == pytest.approx(0, abs=1e-6)
    assert profile_loss(-reference, reference).item() > 1
