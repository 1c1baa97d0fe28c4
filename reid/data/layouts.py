"""Data sets in the layouts they were published in: who and which camera each picture shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reid.data.archives import read_archive, read_folder, read_images, some
from reid.data.samples import DatasetChanged, DatasetMissing, DatasetRefused, Sample

MARKET_COUNTS = {"train": 12_936, "query": 3_368, "gallery": 15_913}
"""Images of Market-1501 after the junk (identity -1) is dropped."""
MARKET_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
MARKET_NAME = re.compile(r"(-?\d+)_c(\d+)")
CON_REID_FOLDERS = {"train": ("bounding_box_train",), "test": ("query", "bounding_box_test")}
CUHK03_NAME = re.compile(r"(\d+)_(\d+)")
CUHK01_COUNT = 3_884
"""971 people, two cameras, two crops each."""
CUHK03_VIEWS = 5
"""Images 00-04 of a person come from one camera, 05-09 from the other."""
CUHK03_NP_COUNTS = {"train": 7_365, "query": 1_400, "gallery": 5_332}
"""The new protocol (Zhong et al., CVPR 2017), detected boxes; 767 people to train, 700 to test."""
CUHK03_NP_SPLIT = "cuhk03_new_protocol_config_detected.mat"
PARTIAL_SPLITS = ("partial", "occluded", "whole")
PARTIAL_COUNT = 300
ILIDS_FOLDERS = {"query": "Probe", "gallery": "Gallery"}
ILIDS_COUNT = 119
OCCLUDED_FOLDERS = {"query": "occluded_body_images", "gallery": "whole_body_images"}
OCCLUDED_COUNT = 1_000
NUMBER = re.compile(r"(\d+)")
FOLDER_NAME = re.compile(r"([^_]+)_c?(\d+)")


def load_market1501(data: Path, split: str) -> list[Sample]:
    """Market-1501 without its junk images; distractors are kept with identity 0.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("market1501", split, MARKET_COUNTS)
    places = [data / "market1501", data]
    return market_layout("market1501", places, split, MARKET_COUNTS[split])


def market_layout(dataset: str, folders: Sequence[Path], split: str, count: int) -> list[Sample]:
    """A data set whose folders and file names are those of Market-1501."""
    places = [folder / MARKET_FOLDERS[split] for folder in folders]
    found = [named(f"{dataset}/{split}", file, raw, MARKET_NAME) for file, raw in read_images(places)]
    samples = [sample for sample in found if sample.pid >= 0]
    check_count(places[0], samples, count)
    return samples


def load_con_reid(data: Path, split: str) -> list[Sample]:
    """Con-ReID: `train`, or `test` (its query and gallery folders together: they look swapped).

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("con_reid", split, CON_REID_FOLDERS)
    samples = []
    for file, raw in read_archive(data / "reid_extra" / "con_reid.tar.gz"):
        folder, _, base = file.rpartition("/")
        if folder.rpartition("/")[2] in CON_REID_FOLDERS[split]:
            sample = named(f"con_reid/{split}", base, raw, MARKET_NAME)
            samples.append(replace(sample, name=f"con_reid/{split}/{folder}.{base}"))
    return samples


def load_cuhk03_pair1(data: Path, split: str) -> list[Sample]:
    """CUHK03's first camera pair, labelled boxes: `train` or `val` (different people).

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("cuhk03_pair1", split, ("train", "val"))
    samples = []
    for file, raw in read_archive(data / "reid_extra" / "cuhk03_pair1.tar.gz"):
        folder, _, base = file.rpartition("/")
        if folder.rpartition("/")[2] == split:
            sample = named(f"cuhk03_pair1/{split}", base, raw, CUHK03_NAME)
            samples.append(replace(sample, camera=sample.camera // CUHK03_VIEWS + 1))
    return samples


def load_cuhk01(data: Path, split: str) -> list[Sample]:
    """CUHK01, `test` alone: a site that nothing is ever trained on; files `PERSON_CAMERA_K.jpg`.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("cuhk01", split, ("test",))
    archive = data / "reid_extra" / "cuhk01.tar.gz"
    samples = [named("cuhk01/test", file, raw, CUHK03_NAME) for file, raw in read_archive(archive)]
    check_count(archive, samples, CUHK01_COUNT)
    return samples


def load_cuhk03_np(data: Path, split: str) -> list[Sample]:
    """CUHK03 by its new protocol, detected boxes: folders as Market-1501's, or the published .mat split.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("cuhk03_np", split, CUHK03_NP_COUNTS)
    folder = data / "cuhk03_np"
    if (folder / CUHK03_NP_SPLIT).is_file():
        samples = load_cuhk03_split(folder, split)
        check_count(folder, samples, CUHK03_NP_COUNTS[split])
        return samples
    for detected in (folder / "detected", folder):
        if (detected / MARKET_FOLDERS["query"]).is_dir():
            return market_layout("cuhk03_np", [detected], split, CUHK03_NP_COUNTS[split])
    raise DatasetMissing(
        f"{folder}: needs {CUHK03_NP_SPLIT} beside images_detected/, or detected/query/ and the like"
    )


def load_cuhk03_split(folder: Path, split: str) -> list[Sample]:
    """The pictures of `images_detected/` that the published .mat file puts into a split."""
    from scipy.io import loadmat  # here: nobody else needs it

    table = loadmat(folder / CUHK03_NP_SPLIT, squeeze_me=True, chars_as_strings=True)
    read = {name.rpartition("/")[2]: raw for name, raw in read_images([folder / "images_detected"])}
    chosen = np.atleast_1d(table[f"{split}_idx"]).astype(int) - 1  # MATLAB counts from 1
    files = [str(table["filelist"][i]) for i in chosen]
    missing = [file for file in files if file not in read]
    if missing:
        raise DatasetMissing(f"{folder}/images_detected: no {missing[0]} (and {len(missing) - 1} more)")
    people, cameras = table["labels"][chosen], table["camId"][chosen]
    return [
        Sample(f"cuhk03_np/{split}/{file}", int(person), int(camera), read[file])
        for file, person, camera in zip(files, people, cameras, strict=True)
    ]


def load_partial_reid(data: Path, split: str) -> list[Sample]:
    """Partial-REID: `partial` and `occluded` are queries (camera 0), `whole` the gallery (camera 1).

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("partial_reid", split, PARTIAL_SPLITS)
    place = data / "partial_reid" / f"{split}_body_images"
    camera = int(split == "whole")
    found = [named(f"partial_reid/{split}", file, raw, CUHK03_NAME) for file, raw in read_images([place])]
    check_count(place, found, PARTIAL_COUNT)
    return [replace(sample, camera=camera) for sample in found]


def load_partial_ilids(data: Path, split: str) -> list[Sample]:
    """Partial-iLIDS as it is public: 119 probes (camera 0), 119 in the gallery (camera 1), files `N.jpg`.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("partial_ilids", split, ILIDS_FOLDERS)
    place = data / "partial_ilids" / ILIDS_FOLDERS[split]
    read = read_images([place, data / "partial_ilids" / ILIDS_FOLDERS[split].lower()])
    samples = [numbered(f"partial_ilids/{split}", file, raw, file) for file, raw in read]
    check_count(place, samples, ILIDS_COUNT)
    return [replace(sample, camera=int(split == "gallery")) for sample in samples]


def load_occluded_reid(data: Path, split: str) -> list[Sample]:
    """Occluded-REID: 1,000 occluded queries (camera 0), 1,000 whole bodies (camera 1); a folder a person.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `reid.data.datasets.load_dataset`.
    """
    check_split("occluded_reid", split, OCCLUDED_FOLDERS)
    place = data / "occluded_reid" / OCCLUDED_FOLDERS[split]
    samples = [
        numbered(f"occluded_reid/{split}", file, raw, Path(file).parent.name)
        for file, raw in read_images([place])
    ]
    check_count(place, samples, OCCLUDED_COUNT)
    return [replace(sample, camera=int(split == "gallery")) for sample in samples]


def load_folder(folder: Path) -> list[Sample]:
    """A folder of your own: `PERSON_CAMERA_anything.jpg`; people are numbered in the order of their names.

    Raises:
        DatasetMissing: no such folder, or no images in it.
        DatasetChanged: a file name without person and camera.
    """
    if not folder.is_dir():
        raise DatasetMissing(f"{folder}: no such folder")
    read = some(folder, read_folder(folder, "*"))
    matches = [FOLDER_NAME.match(file) for file, _ in read]
    for (file, _), match in zip(read, matches, strict=True):
        if match is None:
            raise DatasetChanged(f"{file}: name it PERSON_CAMERA_anything.jpg")
    people = sorted({match[1] for match in matches if match})
    return [
        Sample(f"{folder.name}/all/{file}", people.index(match[1]), int(match[2]), raw)
        for (file, raw), match in zip(read, matches, strict=True)
        if match
    ]


def named(prefix: str, file: str, raw: bytes, pattern: re.Pattern[str]) -> Sample:
    """The sample whose file name starts with identity and camera."""
    base = file.rpartition("/")[2]
    match = pattern.match(base)
    if match is None:
        raise DatasetChanged(f"{prefix}/{base}: no identity in the name")
    return Sample(f"{prefix}/{base}", int(match[1]), int(match[2]), raw)


def numbered(prefix: str, file: str, raw: bytes, text: str) -> Sample:
    """The sample whose identity is the number that `text` (its file or folder) starts with; camera 0."""
    match = NUMBER.match(text)
    if match is None:
        raise DatasetChanged(f"{prefix}/{file}: no identity in the name {text!r}")
    return Sample(f"{prefix}/{file.replace('/', '.')}", int(match[1]), 0, raw)


def check_split(dataset: str, split: str, known: Iterable[str]) -> None:
    """Refuse a split that the data set does not have."""
    if split not in known:
        raise DatasetRefused(f"no split {split!r} of {dataset} (known: {', '.join(known)})")


def check_count(source: Path, samples: Sequence[Sample], expected: int) -> None:
    """Refuse a data set with other than its published number of images."""
    if len(samples) != expected:
        raise DatasetChanged(f"{source}: {len(samples)} images, {expected} published; fetch it again")


LOADERS: dict[str, Callable[[Path, str], list[Sample]]] = {
    "market1501": load_market1501,
    "cuhk03_np": load_cuhk03_np,
    "partial_reid": load_partial_reid,
    "partial_ilids": load_partial_ilids,
    "occluded_reid": load_occluded_reid,
    "cuhk01": load_cuhk01,
    "cuhk03_pair1": load_cuhk03_pair1,
    "con_reid": load_con_reid,
}
