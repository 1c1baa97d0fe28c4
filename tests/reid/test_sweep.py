"""Curves over one parameter, on cells whose levels are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reid.data.samples import Sample
from reid.network.model import FPRNet
from reid.network.spec import ModelSpec
from reid.network.weights import save_weights
from reid.scoring.benchmarks import Benchmark
from reid.scoring.embeddings import Embeddings
from reid.scoring.sweep import Parameter, SweepError, at_levels, at_ridge, level_choices, sweep, with_levels
from reid.sets.baselines import CellGrid

GRID = CellGrid((2, 4), 4, 4)  # 2x2 + 1x1 cells


@dataclass(frozen=True)
class Crop:
    cells: NDArray[np.float32]
    foreground: NDArray[np.float32]
    pooled: NDArray[np.float32]


class Seeded:
    """The finest level tells people apart, the coarse one is the same for all."""

    def embed(self, crops: list[NDArray[np.uint8]], /) -> list[Crop]:
        return [self.one(int(crop[0, 0, 0])) for crop in crops]

    def one(self, person: int) -> Crop:
        cells = np.random.default_rng(person).standard_normal((5, 8)).astype(np.float32)
        cells[4] = 1
        cells /= np.linalg.norm(cells, axis=1, keepdims=True)
        return Crop(cells, np.ones(5, np.float32), np.ones(2, np.float32))


def sample(person: int, camera: int) -> Sample:
    png = cv2.imencode(".png", np.full((4, 4, 3), person, np.uint8))[1].tobytes()
    return Sample(f"made/test/{person}_{camera}.png", person, camera, png)


MADE = Benchmark("made", [sample(p, 1) for p in range(6)], [sample(p, 2) for p in range(6)])


def network() -> Embeddings:
    return Embeddings(Seeded(), "seeded", GRID)


def test_levels_are_taken_one_by_one_and_with_all_finer_ones() -> None:
    assert level_choices(3) == [(0,), (1,), (2,), (0, 1), (0, 1, 2)]


def test_a_level_keeps_its_cells_and_their_foreground() -> None:
    crop = Seeded().one(3)
    np.testing.assert_array_equal(with_levels(crop, GRID, (1,)).cells, crop.cells[4:])
    assert len(with_levels(crop, GRID, (0, 1)).foreground) == 5


def test_the_level_that_tells_people_apart_finds_them_and_the_other_does_not() -> None:
    fine, coarse = (at_levels((level,), MADE, network()) for level in (0, 1))
    assert (fine.value, fine.rank1) == ("2", 1)
    assert coarse.rank1 < 0.5


def test_every_ridge_gives_a_point() -> None:
    points = [at_ridge(f"{ridge:g}", MADE, network(), ridge) for ridge in (1e-4, 1.0)]
    assert [(point.value, point.rank1) for point in points] == [("0.0001", 1), ("1", 1)]


def test_beta_wants_one_file() -> None:
    with pytest.raises(SweepError, match="beta needs one weights file, got 2"):
        sweep(Parameter.BETA, MADE, [Path("a"), Path("b")], backbone=None, folder=None)


def test_alpha_and_tau_have_a_point_for_each_file_in_the_order_of_their_values(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = FPRNet(ModelSpec(width=0.5))
    for number, value in enumerate((0.5, 0.0, 0.02)):
        recipe = {"losses": {"foreground": value}, "foreground_threshold": value}
        save_weights(tmp_path / f"{number}.safetensors", net, recipe=recipe, terms="")
    files = sorted(tmp_path.iterdir())
    for parameter in (Parameter.ALPHA, Parameter.TAU):
        points = sweep(parameter, MADE, files, backbone=None, folder=tmp_path / "cache")
        assert [point.value for point in points] == ["0", "0.02", "0.5"]


def test_alpha_wants_weights_whose_recipe_states_it() -> None:
    shipped = Path(__file__).parents[2] / "weights/fpr_small.safetensors"
    with pytest.raises(SweepError, match="its recipe states no tau"):
        sweep(Parameter.TAU, MADE, [shipped], backbone=None, folder=None)
