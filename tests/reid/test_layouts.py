"""Published layouts that are not at hand, on small made-up copies; archives and folders alike."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from reid.data import layouts
from reid.data.archives import read_images
from reid.data.datasets import load_dataset
from reid.data.samples import DatasetChanged, DatasetMissing

PNG = cv2.imencode(".png", np.full((8, 4, 3), 7, np.uint8))[1].tobytes()


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published counts, cut down to what the copies here hold."""
    monkeypatch.setattr(layouts, "MARKET_COUNTS", {"train": 2, "query": 2, "gallery": 2})
    monkeypatch.setattr(layouts, "CUHK03_NP_COUNTS", {"train": 2, "query": 1, "gallery": 2})
    monkeypatch.setattr(layouts, "ILIDS_COUNT", 2)
    monkeypatch.setattr(layouts, "OCCLUDED_COUNT", 2)


def test_market1501_is_read_from_folders_too_and_loses_its_junk(tmp_path: Path) -> None:
    write(tmp_path / "market1501/query", "0001_c1s1_1.jpg", "0002_c6s1_1.jpg", "-1_c1s1_2.jpg")
    samples = load_dataset(tmp_path, "market1501/query")
    assert [(s.pid, s.camera) for s in samples] == [(1, 1), (2, 6)]


def test_the_root_may_be_market1501_itself(tmp_path: Path) -> None:
    write(tmp_path / "query", "0001_c1s1_1.jpg", "0002_c6s1_1.jpg")
    assert len(load_dataset(tmp_path, "market1501/query")) == 2


def test_occluded_reid_takes_people_from_folders(tmp_path: Path) -> None:
    write(tmp_path / "occluded_reid/occluded_body_images", "001/001_01.tif", "020/020_01.tif")
    write(tmp_path / "occluded_reid/whole_body_images", "001/001_01.jpg", "020/020_01.jpg")
    queries = load_dataset(tmp_path, "occluded_reid/query")
    gallery = load_dataset(tmp_path, "occluded_reid/gallery")
    assert [(s.pid, s.camera) for s in queries] == [(1, 0), (20, 0)]
    assert [(s.pid, s.camera) for s in gallery] == [(1, 1), (20, 1)]


def test_partial_ilids_numbers_its_files(tmp_path: Path) -> None:
    write(tmp_path / "partial_ilids", "Probe/1.jpg", "Probe/119.jpg", "Gallery/1.jpg", "Gallery/119.jpg")
    assert [s.pid for s in load_dataset(tmp_path, "partial_ilids/query")] == [1, 119]
    assert {s.camera for s in load_dataset(tmp_path, "partial_ilids/gallery")} == {1}


def test_cuhk03_np_reads_the_published_split(tmp_path: Path) -> None:
    files = ["1_001_1_01.png", "1_001_2_06.png", "1_002_1_01.png"]
    write(tmp_path / "cuhk03_np/images_detected", *files)
    table = {"query_idx": [1], "gallery_idx": [2, 3], "train_idx": [2, 3]}
    table |= {"labels": [1, 1, 2], "camId": [1, 2, 1], "filelist": np.array(files, object)}
    savemat(tmp_path / "cuhk03_np" / layouts.CUHK03_NP_SPLIT, table)
    assert [(s.pid, s.camera) for s in load_dataset(tmp_path, "cuhk03_np/query")] == [(1, 1)]
    assert [(s.pid, s.camera) for s in load_dataset(tmp_path, "cuhk03_np/gallery")] == [(1, 2), (2, 1)]


def test_a_picture_that_the_split_names_and_nobody_has_is_told(tmp_path: Path) -> None:
    write(tmp_path / "cuhk03_np/images_detected", "1_001_1_01.png")
    table = {
        "query_idx": [2],
        "labels": [1, 1],
        "camId": [1, 2],
        "filelist": np.array(["a.png", "b.png"], object),
    }
    savemat(tmp_path / "cuhk03_np" / layouts.CUHK03_NP_SPLIT, table)
    with pytest.raises(DatasetMissing, match=r"no b\.png"):
        load_dataset(tmp_path, "cuhk03_np/query")


def test_cuhk03_np_is_read_in_market1501s_layout_as_well(tmp_path: Path) -> None:
    write(tmp_path / "cuhk03_np/detected/query", "0003_c1_1.png")
    (sample,) = load_dataset(tmp_path, "cuhk03_np/query")
    assert (sample.identity, sample.camera) == ("cuhk03_np/query/3", 1)


def test_cuhk03_np_without_split_or_folders_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"config_detected\.mat beside images_detected"):
        load_dataset(tmp_path, "cuhk03_np/query")


@pytest.mark.parametrize(
    ("dataset", "file"),
    [
        ("occluded_reid/query", "occluded_reid/occluded_body_images/nobody/1.tif"),
        ("partial_ilids/query", "partial_ilids/Probe/first.jpg"),
        ("market1501/query", "market1501/query/holiday.jpg"),
    ],
)
def test_a_wrong_layout_names_the_file_that_does_not_fit(tmp_path: Path, dataset: str, file: str) -> None:
    write(tmp_path, file)
    with pytest.raises(DatasetChanged, match="no identity in the name"):
        load_dataset(tmp_path, dataset)


def test_too_few_images_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "partial_ilids/Probe", "1.jpg")
    with pytest.raises(DatasetChanged, match="1 images, 2 published"):
        load_dataset(tmp_path, "partial_ilids/query")


def test_folder_zip_and_tar_hold_the_same(tmp_path: Path) -> None:
    write(tmp_path / "folder", "b/2.png", "a/1.png")
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        for name in ("b/2.png", "a/1.png", "__MACOSX/a/._1.png", "readme.txt"):
            archive.writestr(name, PNG)
    with tarfile.open(tmp_path / "tarred.tar.gz", "w:gz") as tar:
        for name in ("b/2.png", "a/1.png"):
            entry = tarfile.TarInfo(name)
            entry.size = len(PNG)
            tar.addfile(entry, io.BytesIO(PNG))
    read = [read_images([tmp_path / name]) for name in ("folder", "zipped", "tarred")]
    assert read[0] == read[1] == read[2] == [("a/1.png", PNG), ("b/2.png", PNG)]


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "query.tar.gz").write_bytes(b"not a tar at all")
    with pytest.raises(DatasetChanged, match="damaged archive"):
        read_images([tmp_path / "query"])


def test_an_empty_folder_has_no_images(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="no images in it"):
        read_images([tmp_path])
