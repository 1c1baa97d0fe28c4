"""Loaders of person crops."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from reid.data.datasets import (
    DatasetChanged,
    DatasetMissing,
    DatasetRefused,
    check_trained,
    load_dataset,
    load_folder,
    load_heldout,
    load_training,
    read_heldout,
)

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared"))
HELDOUT = Path(__file__).parents[2] / "configs/reid/heldout.txt"


def jpeg(value: int) -> bytes:
    return cv2.imencode(".png", np.full((8, 4, 3), value, np.uint8))[1].tobytes()


def write_archive(path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(jpeg(7))
            archive.addfile(entry, io.BytesIO(jpeg(7)))


def shared(name: str) -> Path:
    data = SHARED / "data"
    if not (data / name).exists():
        pytest.skip(f"{name} is not in SHARED_DATA")
    return data


@pytest.mark.parametrize(("split", "count"), [("train", 12_936), ("query", 3_368), ("gallery", 15_913)])
def test_market1501_has_its_published_images(split: str, count: int) -> None:
    samples = load_dataset(shared("market1501"), f"market1501/{split}")
    assert len(samples) == count
    assert min(sample.pid for sample in samples) >= 0
    assert samples[0].image.shape == (128, 64, 3)


def test_nobody_held_out_is_trained_on() -> None:
    data, heldout = shared("reid_extra"), read_heldout(HELDOUT)
    training = load_training(data, ["cuhk03_pair1/train", "con_reid/train"], heldout)
    assert not {sample.identity for sample in training} & heldout


def test_the_list_holds_out_100_people_of_market1501() -> None:
    heldout = read_heldout(HELDOUT)
    assert sum(identity.startswith("market1501/train/") for identity in heldout) == 100
    assert len(load_heldout(shared("market1501"), heldout)) > 5_000


def test_partial_reid_queries_and_gallery_are_different_cameras() -> None:
    data = shared("partial_reid")
    splits = {
        split: load_dataset(data, f"partial_reid/{split}") for split in ("partial", "occluded", "whole")
    }
    assert {split: (len(s), s[0].camera) for split, s in splits.items()} == {
        "partial": (300, 0),
        "occluded": (300, 0),
        "whole": (300, 1),
    }


def test_cuhk03_tells_its_two_cameras_apart(tmp_path: Path) -> None:
    write_archive(tmp_path / "reid_extra/cuhk03_pair1.tar.gz", ["train/0003_04.jpg", "train/0003_05.jpg"])
    assert [s.camera for s in load_dataset(tmp_path, "cuhk03_pair1/train")] == [1, 2]


def test_an_incomplete_market1501_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path / "market1501/query.tar.gz", ["query/0001_c1s1_1.jpg", "query/-1_c1s1_2.jpg"])
    with pytest.raises(DatasetChanged, match="1 images, 3368 published"):
        load_dataset(tmp_path, "market1501/query")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"market1501/query\[/ \| \.tar\.gz"):
        load_dataset(tmp_path, "market1501/query")


def test_dukemtmc_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DatasetRefused, match="withdrawn"):
        load_dataset(tmp_path, "DukeMTMC-reID/train")


def test_an_unknown_data_set_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DatasetRefused, match="known: con_reid, cuhk01, cuhk03_np, cuhk03_pair1, market1501"):
        load_dataset(tmp_path, "msmt17/train")


@pytest.mark.parametrize("name", ["market1501/query", "market1501/gallery", "partial_reid/whole"])
def test_a_test_set_is_never_trained_on(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetRefused, match="never trained on"):
        load_training(tmp_path, [name], frozenset())


@pytest.mark.parametrize("name", ["cuhk01/train", "cuhk01/test", "folder:crops/CUHK01"])
def test_the_foreign_site_is_never_trained_on(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetRefused, match="foreign site"):
        load_training(tmp_path, [name], frozenset())


def test_no_recipe_names_the_foreign_site() -> None:
    for recipe in HELDOUT.parent.glob("*.yaml"):
        for name in msgspec.yaml.decode(recipe.read_bytes())["data"]:
            check_trained(name)


def test_the_foreign_site_has_its_published_images() -> None:
    samples = load_dataset(shared("reid_extra/cuhk01.tar.gz"), "cuhk01/test")
    assert len({sample.identity for sample in samples}) == 971
    assert {sample.camera for sample in samples} == {1, 2}


def test_a_folder_of_your_own_is_read_by_its_file_names(tmp_path: Path) -> None:
    for name in ("anna_1_a.png", "anna_2_b.png", "bert_1.png"):
        (tmp_path / name).write_bytes(jpeg(9))
    assert [(s.pid, s.camera) for s in load_folder(tmp_path)] == [(0, 1), (0, 2), (1, 1)]


def test_a_file_without_a_person_in_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.png").write_bytes(jpeg(9))
    with pytest.raises(DatasetChanged, match=r"holiday\.png: name it PERSON_CAMERA"):
        load_folder(tmp_path)


def test_pictures_are_rgb(tmp_path: Path) -> None:
    red = np.zeros((8, 4, 3), np.uint8)
    red[..., 2] = 255
    (tmp_path / "anna_1.png").write_bytes(cv2.imencode(".png", red)[1].tobytes())
    assert load_folder(tmp_path)[0].image[0, 0].tolist() == [255, 0, 0]
