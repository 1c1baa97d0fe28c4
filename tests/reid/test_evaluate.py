"""The evaluation on pictures whose colours are their features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid import progress
from reid.data.samples import DatasetChanged, Sample
from reid.evaluate import Evaluation, as_json, evaluate, render
from reid.progress import Item
from reid.scoring.benchmarks import Benchmark
from reid.scoring.embeddings import embed
from reid.scoring.methods import METHODS, Distances, all_distances, cameras_of, shortlisted
from reid.sets.baselines import CellGrid

GRID = CellGrid((2,), 8)


@dataclass(frozen=True)
class Colours:
    """An embedding whose cells are the colours of an 8 x 4 grid."""

    cells: NDArray[np.float16]
    foreground: NDArray[np.float16]
    pooled: NDArray[np.float16]


class ColourEmbedder:
    def embed(self, crops: list[NDArray[np.uint8]], /) -> list[Colours]:
        return [self.one(crop) for crop in crops]

    def one(self, crop: NDArray[np.uint8]) -> Colours:
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


MADE = Benchmark("made", [picture(p, 1) for p in range(5)], [picture(p, 2) for p in range(5)])
CAMERAS = ["made/1"] * 5, ["made/2"] * 5


def quiet(items: Sequence[Item], name: str) -> Iterable[Item]:
    return items


def distances(benchmark: Benchmark) -> Distances:
    queries, gallery = (
        embed(ColourEmbedder(), part, quiet, "") for part in (benchmark.queries, benchmark.gallery)
    )
    cameras = cameras_of(benchmark.queries), cameras_of(benchmark.gallery)
    return all_distances(queries, gallery, GRID, quiet, hidden=np.full(len(queries), 0.4), cameras=cameras)


def evaluated(benchmark: Benchmark) -> Evaluation:
    return evaluate(benchmark, distances(benchmark))


def test_people_who_differ_in_colour_are_all_found_by_every_method() -> None:
    evaluation = evaluated(MADE)
    assert (evaluation.queries, evaluation.gallery) == (5, 5)
    assert {row.method: row.rank1.mean for row in evaluation.rows} == dict.fromkeys(METHODS, 1)
    assert render(evaluation).row_count == len(METHODS)


def test_the_json_has_a_row_for_each_method_in_percent() -> None:
    found = as_json([evaluated(MADE)], "made-1")
    assert found["dataset"] == "made"
    row = next(row for row in found["rows"] if row["method"] == "fused")
    assert (row["rank1"], row["mAP"], row["mINP"], row["rank5"]) == (100, 100, 100, 100)
    assert {"mAP_low", "mAP_high", "mAP_trapezoid", "gain_mAP", "covered"} <= set(row)


def test_published_results_stand_beside_ours() -> None:
    evaluation = evaluated(replace(MADE, name="partial_reid, partial queries"))
    published = as_json([evaluation], "made-1")["published"]
    assert {"FPR'19", "PCB'18", "retail-0277"} <= {result["method"] for result in published}
    assert render(evaluation).row_count == len(METHODS) + len(published)


def test_several_covered_shares_stand_in_one_list_of_rows() -> None:
    parts = [evaluated(replace(MADE, covered=share)) for share in (0.0, 0.5)]
    rows = as_json(parts, "made-1")["rows"]
    assert [row["covered"] for row in rows] == [0] * len(METHODS) + [50] * len(METHODS)


def test_a_shortlist_as_long_as_the_gallery_changes_no_order() -> None:
    queries, gallery = (embed(ColourEmbedder(), part, quiet, "") for part in (MADE.queries, MADE.gallery))
    whole, short = (
        all_distances(queries, gallery, GRID, quiet, hidden=np.full(5, 0.4), cameras=CAMERAS),
        shortlisted(queries, gallery, quiet, hidden=np.full(5, 0.4), count=5),
    )
    for name in ("dsr", "fpr", "fused"):
        np.testing.assert_array_equal(whole[name].argsort(1), short[f"{name}@5"].argsort(1))


def test_the_fast_path_gives_the_same_order() -> None:
    queries, gallery = (embed(ColourEmbedder(), part, quiet, "") for part in (MADE.queries, MADE.gallery))
    fast = all_distances(
        queries, gallery, GRID, quiet, hidden=np.full(5, 0.4), cameras=CAMERAS, storage="int8"
    )
    exact = distances(MADE)
    for name in ("dsr", "fpr", "fused"):
        np.testing.assert_array_equal(fast[name].argsort(1)[:, 0], exact[name].argsort(1)[:, 0])


def test_what_is_not_on_the_shortlist_follows_in_the_order_of_pooled_cosine() -> None:
    queries, gallery = (embed(ColourEmbedder(), part, quiet, "") for part in (MADE.queries, MADE.gallery))
    found = shortlisted(queries, gallery, quiet, hidden=np.full(5, 0.4), count=2)
    orders = found["pooled"].argsort(1), found["fpr@2"].argsort(1)
    np.testing.assert_array_equal(orders[0][:, 2:], orders[1][:, 2:])


def test_a_corrupt_picture_is_named() -> None:
    with pytest.raises(DatasetChanged, match=r"made/test/x\.png: not an image"):
        embed(ColourEmbedder(), [Sample("made/test/x.png", 1, 1, b"\xff\xd8 half")], quiet, "")


def test_long_work_tells_how_far_it_is_where_nobody_sees_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "TOLD_S", 0.0)
    assert list(progress.watch(["a", "b"], "distances")) == ["a", "b"]
    assert capsys.readouterr().err.splitlines() == ["distances: 0 of 2", "distances: 1 of 2"]
    monkeypatch.undo()
    assert list(progress.watch(["a", "b"], "distances")) == ["a", "b"] and not capsys.readouterr().err
