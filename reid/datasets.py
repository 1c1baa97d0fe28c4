"""Person crops with identity and camera, read from the public data sets into memory."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MARKET_COUNTS = {"train": 12_936, "query": 3_368, "gallery": 15_913}
"""Images of Market-1501 after the junk (identity -1) is dropped."""
MARKET_ARCHIVES = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
MARKET_NAME = re.compile(r"(-?\d+)_c(\d+)")
CON_REID_FOLDERS = {"train": ("bounding_box_train",), "test": ("query", "bounding_box_test")}
CUHK03_NAME = re.compile(r"(\d+)_(\d+)")
CUHK03_VIEWS = 5
"""Images 00-04 of a person come from one camera, 05-09 from the other."""
PARTIAL_SPLITS = ("partial", "occluded", "whole")
PARTIAL_COUNT = 300
FOLDER_NAME = re.compile(r"([^_]+)_c?(\d+)")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".bmp")


class DatasetMissing(FileNotFoundError):
    """A data set's archive or folder is not there."""


class DatasetChanged(ValueError):
    """A data set does not hold what its publication says, or a file name has no identity in it."""


class DatasetRefused(ValueError):
    """A data set that this project does not touch, or does not know."""


@dataclass(frozen=True)
class Sample:
    """One crop of one person; the picture is decoded when it is asked for."""

    name: str
    """`dataset/split/file`: unique over all data sets."""
    pid: int
    """Identity within its `dataset/split` namespace, see `identity`; 0 for Market-1501's distractors."""
    camera: int
    encoded: bytes
    """The image file as it was read: JPEG, PNG or TIFF."""

    @property
    def identity(self) -> str:
        """The person, unique over all data sets: `dataset/split/pid`."""
        return f"{self.name.rsplit('/', 1)[0]}/{self.pid}"

    @property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB.

        Raises:
            DatasetChanged: the bytes are no image.
        """
        bgr = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise DatasetChanged(f"{self.name}: not an image")
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def load_dataset(data: Path, name: str) -> list[Sample]:
    """The samples of `name`, such as `market1501/train` or `partial_reid/occluded`.

    Args:
        data: the folder that holds `market1501/`, `partial_reid/` and `reid_extra/`.
        name: see `LOADERS`; `folder:PATH` for a folder of `pid_camera_*.jpg`.

    Raises:
        DatasetMissing: the archive or folder is not there.
        DatasetChanged: other images than published.
        DatasetRefused: a withdrawn or unknown data set.
    """
    dataset, _, split = name.partition("/")
    if name.startswith("folder:"):
        return load_folder(Path(name.removeprefix("folder:")))
    if "duke" in dataset.lower():
        raise DatasetRefused(
            "DukeMTMC was withdrawn by its authors in 2019 because people were filmed without consent: "
            "it is not read here; use market1501"
        )
    if dataset not in LOADERS:
        raise DatasetRefused(f"no data set {name!r} (known: {', '.join(sorted(LOADERS))})")
    return LOADERS[dataset](data, split)


def load_market1501(data: Path, split: str) -> list[Sample]:
    """Market-1501 without its junk images; distractors are kept with identity 0.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `load_dataset`.
    """
    check_split("market1501", split, MARKET_COUNTS)
    archive = data / "market1501" / f"{MARKET_ARCHIVES[split]}.tar.gz"
    found = [named(f"market1501/{split}", file, raw, MARKET_NAME) for file, raw in read_archive(archive)]
    samples = [sample for sample in found if sample.pid >= 0]
    check_count(archive, samples, MARKET_COUNTS[split])
    return samples


def load_con_reid(data: Path, split: str) -> list[Sample]:
    """Con-ReID (a building site): `train`, or `test` with its query and test folders together.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `load_dataset`.
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
        DatasetMissing, DatasetChanged, DatasetRefused: see `load_dataset`.
    """
    check_split("cuhk03_pair1", split, ("train", "val"))
    samples = []
    for file, raw in read_archive(data / "reid_extra" / "cuhk03_pair1.tar.gz"):
        folder, _, base = file.rpartition("/")
        if folder.rpartition("/")[2] == split:
            sample = named(f"cuhk03_pair1/{split}", base, raw, CUHK03_NAME)
            samples.append(replace(sample, camera=sample.camera // CUHK03_VIEWS + 1))
    return samples


def load_partial_reid(data: Path, split: str) -> list[Sample]:
    """Partial-REID: `partial` and `occluded` are queries (camera 0), `whole` the gallery (camera 1).

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `load_dataset`.
    """
    check_split("partial_reid", split, PARTIAL_SPLITS)
    folder = data / "partial_reid" / f"{split}_body_images"
    camera = int(split == "whole")
    found = [
        named(f"partial_reid/{split}", path.name, path.read_bytes(), CUHK03_NAME) for path in images(folder)
    ]
    check_count(folder, found, PARTIAL_COUNT)
    return [replace(sample, camera=camera) for sample in found]


def load_folder(folder: Path) -> list[Sample]:
    """A folder of your own: `PERSON_CAMERA_anything.jpg`; people are numbered in the order of their names.

    Raises:
        DatasetMissing: no such folder, or no images in it.
        DatasetChanged: a file name without person and camera.
    """
    paths = images(folder)
    matches = [FOLDER_NAME.match(path.name) for path in paths]
    for path, match in zip(paths, matches, strict=True):
        if match is None:
            raise DatasetChanged(f"{path.name}: name it PERSON_CAMERA_anything.jpg")
    people = sorted({match[1] for match in matches if match})
    return [
        Sample(f"{folder.name}/all/{path.name}", people.index(match[1]), int(match[2]), path.read_bytes())
        for path, match in zip(paths, matches, strict=True)
        if match
    ]


def load_training(data: Path, names: Iterable[str], heldout: frozenset[str]) -> list[Sample]:
    """Everything that may be trained on: the data sets named, without the people held out.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `load_dataset`; a test set is refused.
    """
    samples: list[Sample] = []
    for name in names:
        if not (name.endswith("/train") or name.startswith("folder:")):
            raise DatasetRefused(f"{name}: never trained on, it is for testing")
        samples += load_dataset(data, name)
    return [sample for sample in samples if sample.identity not in heldout]


def load_heldout(data: Path, heldout: frozenset[str]) -> list[Sample]:
    """All crops of the people held out from every training, for choices and calibration.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `load_dataset`.
    """
    names = sorted({identity.rpartition("/")[0] for identity in heldout})
    return [s for name in names for s in load_dataset(data, name) if s.identity in heldout]


def read_heldout(path: Path) -> frozenset[str]:
    """The identities (`dataset/split/pid`) in a list, one a line; `#` starts a comment.

    Raises:
        DatasetMissing: no such file.
    """
    if not path.is_file():
        raise DatasetMissing(
            f"{path}: no list of held-out identities; the repository's is configs/reid/heldout.txt"
        )
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return frozenset(line for line in lines if line)


def read_archive(path: Path) -> list[tuple[str, bytes]]:
    """(name, bytes) of each image in a tar, sorted by name; nothing is unpacked to disk."""
    if not path.is_file():
        raise DatasetMissing(f"{path}: no such archive; set SHARED_DATA to the folder that holds data/")
    with tarfile.open(path) as archive:
        members = [m for m in archive if m.isfile() and Path(m.name).suffix.lower() in IMAGE_SUFFIXES]
        read = [(m.name, stream.read()) for m in members if (stream := archive.extractfile(m))]
    return sorted(read)


def images(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name."""
    if not folder.is_dir():
        raise DatasetMissing(f"{folder}: no such folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DatasetMissing(f"{folder}: no images in it")
    return found


def named(prefix: str, file: str, raw: bytes, pattern: re.Pattern[str]) -> Sample:
    """The sample whose file name starts with identity and camera."""
    base = file.rpartition("/")[2]
    match = pattern.match(base)
    if match is None:
        raise DatasetChanged(f"{prefix}/{base}: no identity in the name")
    return Sample(f"{prefix}/{base}", int(match[1]), int(match[2]), raw)


def check_split(dataset: str, split: str, known: Iterable[str]) -> None:
    """Refuse a split that the data set does not have."""
    if split not in known:
        raise DatasetRefused(f"no split {split!r} of {dataset} (known: {', '.join(known)})")


def check_count(source: Path, samples: list[Sample], expected: int) -> None:
    """Refuse a data set with other than its published number of images."""
    if len(samples) != expected:
        raise DatasetChanged(f"{source}: {len(samples)} images, {expected} published; fetch it again")


LOADERS: dict[str, Callable[[Path, str], list[Sample]]] = {
    "market1501": load_market1501,
    "partial_reid": load_partial_reid,
    "cuhk03_pair1": load_cuhk03_pair1,
    "con_reid": load_con_reid,
}
