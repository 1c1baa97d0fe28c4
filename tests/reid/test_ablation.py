"""Ideas beyond the paper on people whose cells are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid.ablation import (
    GROUPS,
    Case,
    as_row,
    backward,
    by_group,
    gated,
    nearest_mean,
    open_case,
    redrawn,
    spoiled,
    trainings,
    twice_as_high,
    upper_half,
)
from reid.data.samples import Sample
from reid.scoring.benchmarks import Benchmark
from reid.scoring.embeddings import Embeddings
from reid.sets.baselines import CellGrid


@dataclass(frozen=True)
class Crop:
    cells: NDArray[Any]
    foreground: NDArray[Any]
    pooled: NDArray[Any]


class Colours:
    """Cells are the colours of an 8 x 4 grid; half bodies have fewer rows."""

    def embed(self, crops: list[NDArray[np.uint8]], /) -> list[Crop]:
        return [self.one(crop) for crop in crops]

    def one(self, crop: NDArray[np.uint8]) -> Crop:
        rows = 8 if len(crop) > crop.shape[1] else 4
        small = cv2.resize(crop, (4, rows), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float32)
        unit = (small + 1) / np.linalg.norm(small + 1, axis=1, keepdims=True)
        pooled = unit.mean(0) / np.linalg.norm(unit.mean(0))
        return Crop(unit.astype(np.float16), np.full(len(unit), 0.8), pooled)


def sample(person: int, camera: int, number: int) -> Sample:
    colour = np.random.default_rng(person).integers(30, 220, 3) * (0.8 + 0.1 * camera)
    picture = np.clip(colour + np.random.default_rng(number).integers(0, 9, (64, 32, 3)), 0, 255)
    png = cv2.imencode(".png", picture.astype(np.uint8))[1].tobytes()
    return Sample(f"made/test/{person}_{camera}_{number}.png", person, camera, png)


@pytest.fixture(scope="module")
def case() -> Case:
    gallery = [sample(p, 2, n) for p in range(5) for n in range(3)]
    benchmark = Benchmark("made", [sample(p, 1, 9) for p in range(5)], gallery)
    return open_case(Embeddings(Colours(), "colours", CellGrid((2,), 8)), benchmark)


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_gives_a_row_for_each_idea(group: str, case: Case) -> None:
    rows = [as_row(result) for result in GROUPS[group](case)]
    assert len(rows) >= 3
    assert len({row["idea"] for row in rows}) == len(rows)
    assert all(0 <= float(row["mAP"]) <= 100 for row in rows)
    assert all(float(row["gain_low"]) <= float(row["gain_mean"]) <= float(row["gain_high"]) for row in rows)


def test_gating_by_an_even_foreground_only_grows_the_ridge(case: Case) -> None:
    np.testing.assert_array_equal(gated(case).argmin(1), case.fpr.argmin(1))


def test_backward_is_forward_with_the_roles_exchanged(case: Case) -> None:
    turned = replace(case, probes=case.gallery, gallery=case.probes, fpr=case.fpr.T)
    np.testing.assert_allclose(backward(turned).T, case.fpr, atol=1e-6)


def test_a_group_is_as_far_as_the_nearest_half_of_its_crops() -> None:
    distances = np.array([[4.0, 1.0, 2.0, 9.0]])
    assert by_group(distances, [[0, 1, 2, 3], [3]], nearest_mean).tolist() == [[1.5, 9]]


def test_half_bodies_and_stretched_ones_have_the_sizes_they_say() -> None:
    half = redrawn(sample(1, 1, 1), upper_half)
    assert half.image.shape == (32, 32, 3)
    assert redrawn(half, twice_as_high).image.shape == (64, 32, 3)


def test_a_training_gains_nothing_over_itself_and_something_over_noise(case: Case) -> None:
    noise = replace(case, fpr=np.random.default_rng(0).random(case.fpr.shape, np.float32))
    assert [result.gain.mean for result in trainings(case, case)] == [0, 0, 0]
    assert [result.gain.mean > 0 for result in trainings(case, noise)] == [False, True, True]


def test_spoiled_queries_are_the_same_people_in_worse_pictures(case: Case) -> None:
    spoilt = spoiled(case.benchmark)
    assert [sample.pid for sample in spoilt.queries] == [sample.pid for sample in case.benchmark.queries]
    assert any(
        not np.array_equal(new.image, old.image)
        for new, old in zip(spoilt.queries, case.benchmark.queries, strict=True)
    )
    assert spoilt.gallery == case.benchmark.gallery and spoilt.name.endswith("poor cameras")
