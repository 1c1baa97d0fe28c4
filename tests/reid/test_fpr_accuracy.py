"""What counts as too large a change on the fast path."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.fpr_accuracy import Accuracy, Scores, accuracy, missed
from reid.data.samples import Sample
from reid.scoring.benchmarks import Benchmark
from reid.scoring.embeddings import CachedEmbedding, Embeddings
from reid.sets.baselines import CellGrid

SAME = Scores("fpr", 270, 270, 80.0, 80.0)
FOUND = Accuracy("partial_reid, partial queries", 0.0, 300, 300, 1e-4, 1e-5, 0.999, [SAME])


def test_nothing_is_missed_where_nothing_changes() -> None:
    assert missed([FOUND]) == []


@pytest.mark.parametrize(("dataset", "queries"), [("partial_reid", 2), ("market1501", 1)])
def test_partial_reid_may_lose_one_query_and_others_a_tenth_of_a_point(dataset: str, queries: int) -> None:
    lost = replace(FOUND, dataset=dataset, scores=[replace(SAME, rank1_fast=270 - queries)])
    one_less = replace(FOUND, scores=[replace(SAME, rank1_fast=269)])
    assert missed([one_less]) == [] and f"rank-1 changes by {queries / 3:.3f} points" in missed([lost])[0]


def test_the_error_and_the_map_are_named_with_their_limits() -> None:
    worse = replace(FOUND, max_error=4e-4, scores=[replace(SAME, map_fast=80.06)])
    assert [line.split(", ")[-1] for line in missed([worse])] == [
        "partial queries: largest error 0.0004 (<= 0.0003)",
        "fpr: mAP changes by 0.060 points (<= 0.05)",
    ]


class Noise:
    """A network that sees, in every crop of one colour, the same 20 random cells."""

    def embed(self, crops: list[NDArray[np.uint8]], /) -> list[CachedEmbedding]:
        return [self.one(int(crop[0, 0, 0])) for crop in crops]

    def one(self, colour: int) -> CachedEmbedding:
        raw = np.random.default_rng(colour // 10).random((20, 112)) + colour % 10 / 100
        cells = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)
        return CachedEmbedding(cells, np.ones(20, np.float16), cells[0])


def picture(person: int, camera: int) -> Sample:
    encoded = cv2.imencode(".png", np.full((128, 64, 3), 10 * person + camera, np.uint8))[1].tobytes()
    return Sample(f"made/test/{person}_{camera}.png", person, camera, encoded)


def test_both_paths_are_compared_on_the_same_queries() -> None:
    made = Benchmark("made", [picture(p, 1) for p in range(9)], [picture(p, 2) for p in range(9)])
    found = accuracy(made, Embeddings(Noise(), "noise", CellGrid()))
    assert (found.queries, found.gallery) == (9, 9) and 0 < found.mean_error <= found.max_error < 1e-3
    assert [(s.method, s.rank1_exact, s.rank1_fast) for s in found.scores] == [("fpr", 9, 9), ("fused", 9, 9)]
