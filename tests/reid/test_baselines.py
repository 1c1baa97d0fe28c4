"""Sliding windows and stripes on cells whose place is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from reid.sets.baselines import CellGrid, level_shape, stripe_distances, window_distances

GRID = CellGrid((2, 4, 6, 8), 8)


@dataclass(frozen=True)
class Crop:
    cells: NDArray[np.float32]
    foreground: NDArray[np.float32]
    pooled: NDArray[np.float32]


def crop(rows: NDArray[np.float32]) -> Crop:
    """A crop whose finest level has these (rows, C) cells in every column; coarser levels are zero."""
    height = 2 * len(rows)
    counts = [np.prod(level_shape(height, 8, kernel)) for kernel in GRID.kernels]
    cells = np.zeros((int(sum(counts)), rows.shape[1]), np.float32)
    cells[: counts[0]] = np.repeat(rows, 4, axis=0)
    return Crop(cells, np.ones(len(cells), np.float32), np.ones(1, np.float32))


def person(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((8, 16)).astype(np.float32)


@pytest.mark.parametrize(("height", "count"), [(16, 70), (24, 110), (8, 30), (2, 4 + 3 + 2 + 1)])
def test_the_grid_is_found_from_the_number_of_cells(height: int, count: int) -> None:
    assert GRID.finest(np.zeros((count, 5), np.float32)).shape == (height // 2, 4, 5)


def test_cells_of_no_map_are_refused() -> None:
    with pytest.raises(ValueError, match="71 cells: no map 8 wide"):
        GRID.finest(np.zeros((71, 5), np.float32))


def test_equal_crops_have_no_distance() -> None:
    crops = [crop(person(1)), crop(person(2))]
    for method in (stripe_distances, window_distances):
        distances = method(crops, crops, GRID)
        np.testing.assert_allclose(np.diag(distances), 0, atol=1e-6)
        assert distances[0, 1] > 0.1


def test_a_window_finds_a_half_body_wherever_it_is_and_stripes_do_not() -> None:
    whole, lower = person(1), crop(person(1)[4:])
    gallery = [crop(whole), crop(person(2))]
    assert window_distances([lower], gallery, GRID)[0, 0] == pytest.approx(0, abs=1e-6)
    assert window_distances(gallery, [lower], GRID)[0, 0] == pytest.approx(0, abs=1e-6)
    assert stripe_distances([lower], gallery, GRID)[0, 0] > 0.1


def test_crops_of_several_heights_keep_their_places() -> None:
    mixed = [crop(person(1)), crop(person(2)[:3]), crop(person(3)), crop(person(4)[:5])]
    together = window_distances(mixed, mixed, GRID)
    alone = [[window_distances([one], [other], GRID)[0, 0] for other in mixed] for one in mixed]
    np.testing.assert_allclose(together, alone, atol=1e-6)
