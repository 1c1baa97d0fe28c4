"""Queries and galleries: protocols, joined sets, folders, people held out and covered."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid.data.samples import DatasetChanged, DatasetMissing, DatasetRefused, Sample
from reid.scoring.benchmarks import (
    Benchmark,
    Queries,
    benchmarks_of,
    by_person_and_camera,
    cover,
    folder_benchmark,
    foreign,
    heldout,
    joined,
    limited,
    partial_reid,
)

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared"))
NOBODY: frozenset[str] = frozenset()


def picture(person: int, camera: int) -> Sample:
    """A person is a colour; a camera changes its brightness."""
    colour = np.random.default_rng(person).integers(30, 220, 3) * (0.8 + 0.1 * camera)
    _, encoded = cv2.imencode(".png", np.full((64, 32, 3), colour, np.uint8))
    return Sample(f"made/test/{person}_{camera}.png", person, camera, encoded.tobytes())


def save(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(picture(1, 1).encoded)


def test_a_subset_of_the_queries_is_named_as_one() -> None:
    benchmark = Benchmark("made", [picture(p, 1) for p in range(5)], [picture(1, 2)])
    assert limited(benchmark, 2).name == "made (2 of 5 queries)"
    assert [s.pid for s in limited(benchmark, 2).queries] == [0, 2]
    assert limited(benchmark, None) is limited(benchmark, 5) is benchmark


def test_joined_data_sets_share_one_gallery_and_no_identity() -> None:
    one = Benchmark("one", [picture(0, 1)], [picture(0, 2), picture(7, 2)])
    both = joined([one, Benchmark("two", [picture(0, 1)], [picture(0, 2)])])
    assert (both.name, [s.pid for s in both.queries]) == ("one + two", [0, 8])
    assert [s.pid for s in both.gallery] == [0, 7, 8]


def test_a_folder_asks_only_for_people_whom_two_cameras_saw(tmp_path: Path) -> None:
    save(tmp_path, "anna_1_a.png", "anna_1_b.png", "anna_2_a.png", "bert_1_a.png")
    benchmark = folder_benchmark(tmp_path)
    assert [(s.pid, s.camera) for s in benchmark.queries] == [(0, 1), (0, 2)]
    assert len(benchmark.gallery) == 4


def test_people_with_one_picture_each_cannot_be_scored(tmp_path: Path) -> None:
    save(tmp_path, "anna_1.png", "bert_2.png")
    with pytest.raises(DatasetChanged, match="nobody in it is seen by two cameras"):
        folder_benchmark(tmp_path)


def test_a_folder_is_the_root_itself_or_named(tmp_path: Path) -> None:
    save(tmp_path, "anna_1.png", "anna_2.png")
    for name in ("folder", f"folder:{tmp_path}"):
        (benchmark,) = benchmarks_of(name, tmp_path, Queries.PARTIAL, NOBODY)
        assert len(benchmark.queries) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dukemtmc", "withdrawn"),
        ("market1501+DukeMTMC-reID", "withdrawn"),
        ("occluded_duke", "withdrawn"),
        ("msmt17", "known: con_reid"),
        ("foreign+market1501", "stands alone"),
        ("con_reid", "no queries and gallery"),
        ("heldout+market1501", "stands alone"),
        ("+", "no data set named"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_is_read(name: str, reason: str) -> None:
    with pytest.raises(DatasetRefused, match=reason):
        benchmarks_of(name, Path("/nowhere"), Queries.PARTIAL, NOBODY)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_stated_share_of_a_picture_is_covered(share: float) -> None:
    mine = picture(1, 1)
    covered = cover(mine, picture(2, 1), share, np.random.default_rng(0))
    assert (covered.image != mine.image).any(2).mean() == pytest.approx(share, abs=0.02)
    assert cover(mine, picture(2, 1), 0, np.random.default_rng(0)) is mine


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_crops_of_one_pixel_can_be_covered(size: tuple[int, int]) -> None:
    _, png = cv2.imencode(".png", np.zeros((*size, 3), np.uint8))
    tiny = Sample("made/test/tiny.png", 1, 1, png.tobytes())
    assert cover(tiny, tiny, 0.5, np.random.default_rng(0)).image.shape[:2] == size


def test_groups_number_people_across_data_sets() -> None:
    one, other = picture(7, 1), Sample("else/train/x.png", 7, 1, b"")
    groups = by_person_and_camera([one, other, picture(7, 1), picture(7, 2)])
    found = [(group[0].pid, group[0].camera, len(group)) for group in groups]
    assert found == [(0, 1, 2), (1, 1, 1), (0, 2, 1)]


def test_on_a_foreign_site_each_camera_asks_with_a_persons_first_crop() -> None:
    crops = [picture(person, camera) for person in range(3) for camera in (1, 2) for _ in range(2)]
    whole, half = foreign(crops, 0.0), foreign(crops, 0.5)
    assert [(s.pid, s.camera) for s in whole.queries] == [(p, c) for p in range(3) for c in (1, 2)]
    assert (
        [s.encoded for s in half.gallery] == [s.encoded for s in whole.gallery] == [s.encoded for s in crops]
    )
    assert all(a.encoded != b.encoded for a, b in zip(half.queries, whole.queries, strict=True))


def test_held_out_people_of_whom_there_is_no_picture_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="no picture of the 0 people"):
        heldout(tmp_path, NOBODY, 0.5)


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
