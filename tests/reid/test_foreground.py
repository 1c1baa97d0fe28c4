"""The foreground's quality as a number: independent AUC, windows, occluders."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid.data.samples import Sample
from reid.foreground import auc, measure, window_shares
from reid.network.model import pyramid_means
from reid.scoring.embeddings import Embeddings
from reid.sets.baselines import CellGrid

GRID = CellGrid()


@dataclass(frozen=True)
class Crop:
    cells: NDArray[np.float32]
    foreground: NDArray[np.float32]
    pooled: NDArray[np.float32]


class Bright:
    """A network whose foreground is the brightness of a cell's window."""

    def embed(self, crops: list[NDArray[np.uint8]], /) -> list[Crop]:
        maps = [cv2.resize(crop.mean(2), (8, 16), interpolation=cv2.INTER_AREA) / 255 for crop in crops]
        return [Crop(np.zeros((70, 1), np.float32), GRID.window_means(m), np.ones(1)) for m in maps]


def sample(number: int, body: int) -> Sample:
    """A dark picture with a bright body of so many columns in the middle."""
    picture = np.zeros((128, 64, 3), np.uint8)
    picture[:, 32 - body // 2 : 32 + body // 2] = 255
    return Sample(f"made/test/{number}.png", number, 1, cv2.imencode(".png", picture)[1].tobytes())


def test_auc_is_the_chance_that_a_positive_scores_higher() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.3
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels] for n in scores[~labels]]
    assert auc(scores, labels) == pytest.approx(np.mean(pairs))


def test_auc_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="3 positive and 0 negative"):
        auc(np.arange(3.0), np.ones(3, np.bool_))


@pytest.mark.parametrize("height", [16, 6, 2])
def test_window_means_are_those_of_the_networks_pyramid(height: int) -> None:
    import torch

    share = np.random.default_rng(0).random((height, 8))
    theirs = pyramid_means(torch.from_numpy(share)[None], (2, 4, 6, 8))[0].numpy()
    np.testing.assert_allclose(GRID.window_means(share), theirs, atol=1e-12)


def test_a_mask_of_everything_fills_every_window() -> None:
    assert (window_shares(np.ones((7, 3), np.bool_), GRID, 70) == 1).all()


def test_a_network_that_sees_the_person_is_perfect_against_masks() -> None:
    samples = [sample(i, 16) for i in range(4)]
    masks = [s.image[..., 0] > 0 for s in samples]
    found = measure(Embeddings(Bright(), "bright", GRID), samples, masks)
    assert [one.against for one in found] == ["person masks", "pasted people", "pasted textures"]
    assert found[0].auc == 1
    assert all(0 <= one.auc <= 1 for one in found)
