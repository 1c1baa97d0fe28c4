"""The evaluation on pictures whose colours are their features."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid.datasets import Sample
from reid.evaluate import (
    Benchmark,
    Item,
    Queries,
    by_person_and_camera,
    cover,
    embed,
    evaluate,
    heldout,
    limited,
    partial_reid,
    render,
    standardized,
)

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared"))


@dataclass(frozen=True)
class Colours:
    """An embedding whose cells are the colours of an 8 x 4 grid."""

    cells: NDArray[np.float16]
    foreground: NDArray[np.float16]
    pooled: NDArray[np.float16]


class ColourEmbedder:
    """Colours as features; black is background."""

    def embed(self, crops: list[NDArray[np.uint8]], /) -> list[Colours]:
        return [self.embed_one(crop) for crop in crops]

    def embed_one(self, crop: NDArray[np.uint8]) -> Colours:
        small = cv2.resize(crop, (4, 8), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float32) + 1
        mean = small.mean(0)
        return Colours(
            (small / np.linalg.norm(small, axis=1, keepdims=True)).astype(np.float16),
            (small.sum(1) / small.sum(1).max()).astype(np.float16),
            (mean / np.linalg.norm(mean)).astype(np.float16),
        )


def picture(person: int, camera: int) -> Sample:
    """A person is a colour; a camera changes its brightness."""
    colour = np.random.default_rng(person).integers(30, 220, 3) * (0.8 + 0.1 * camera)
    _, encoded = cv2.imencode(".png", np.full((64, 32, 3), colour, np.uint8))
    return Sample(f"made/test/{person}_{camera}.png", person, camera, encoded.tobytes())


def quiet(items: Sequence[Item], name: str) -> Iterable[Item]:
    return items


def test_people_who_differ_in_colour_are_all_found() -> None:
    benchmark = Benchmark("made", [picture(p, 1) for p in range(5)], [picture(p, 2) for p in range(5)])
    gallery = embed(ColourEmbedder(), benchmark.gallery, quiet, "gallery")
    evaluation = evaluate(ColourEmbedder(), benchmark, gallery, quiet)
    assert (evaluation.queries, evaluation.gallery) == (5, 5)
    assert {score.distance: score.rank1.mean for score in evaluation.scores} == {
        "pooled": 1,
        "dsr": 1,
        "fpr": 1,
        "fused": 1,
    }
    assert render(evaluation).row_count == 4


def test_standardized_distances_keep_each_querys_order() -> None:
    distances = np.random.default_rng(0).random((3, 9), np.float32)
    result = standardized(distances)
    np.testing.assert_array_equal(result.argsort(1), distances.argsort(1))
    np.testing.assert_allclose(result.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(result.std(1), 1, atol=1e-5)


def test_a_subset_of_the_queries_is_named_as_one() -> None:
    benchmark = Benchmark("made", [picture(p, 1) for p in range(5)], [picture(1, 2)])
    assert limited(benchmark, 2).name == "made (first 2 of 5 queries)"
    assert len(limited(benchmark, 2).queries) == 2
    assert limited(benchmark, None) is limited(benchmark, 5) is benchmark


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_stated_share_of_a_picture_is_covered(share: float) -> None:
    mine = picture(1, 1)
    covered = cover(mine, picture(2, 1), share, np.random.default_rng(0))
    assert (covered.image != mine.image).any(2).mean() == pytest.approx(share, abs=0.02)
    assert cover(mine, picture(2, 1), 0, np.random.default_rng(0)) is mine


def test_groups_number_people_across_data_sets() -> None:
    one, other = picture(7, 1), Sample("else/train/x.png", 7, 1, b"")
    groups = by_person_and_camera([one, other, picture(7, 1), picture(7, 2)])
    assert [(group[0].pid, group[0].camera, len(group)) for group in groups] == [
        (0, 1, 2),
        (1, 1, 1),
        (0, 2, 1),
    ]


def test_partial_reid_asks_with_300_parts_for_300_whole_bodies() -> None:
    if not (SHARED / "data" / "partial_reid").is_dir():
        pytest.skip(f"needs Partial-REID under {SHARED}/data (set SHARED_DATA)")
    benchmark = partial_reid(SHARED / "data", Queries.OCCLUDED)
    assert (len(benchmark.queries), len(benchmark.gallery)) == (300, 300)
    assert {sample.pid for sample in benchmark.queries} == {sample.pid for sample in benchmark.gallery}


def test_held_out_queries_and_gallery_share_no_picture() -> None:
    if not (SHARED / "data" / "reid_extra").is_dir():
        pytest.skip(f"needs CUHK03 pair 1 under {SHARED}/data (set SHARED_DATA)")
    benchmark = heldout(SHARED / "data", frozenset(f"cuhk03_pair1/val/{pid}" for pid in range(5)), 0.5)
    assert len(benchmark.queries) >= 2
    assert not {sample.name for sample in benchmark.queries} & {sample.name for sample in benchmark.gallery}
