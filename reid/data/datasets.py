"""Person crops with identity and camera, by the data set's name: for training, for testing, held out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reid.data.layouts import LOADERS, load_folder
from reid.data.samples import DatasetChanged, DatasetMissing, DatasetRefused, Sample

__all__ = [
    "DatasetChanged",
    "DatasetMissing",
    "DatasetRefused",
    "Sample",
    "load_dataset",
    "load_folder",
    "load_heldout",
    "load_training",
    "read_heldout",
]
FOLDER = "folder:"
HELDOUT_LIST = Path("configs/reid/heldout.txt")
"""People kept out of every training, from the repository's root."""
FOREIGN_SITE = "cuhk01"
"""The site that choices are made on because no network of ours has seen it."""


def load_dataset(data: Path, name: str) -> list[Sample]:
    """The samples of `name`, such as `market1501/train` or `partial_reid/occluded`.

    Args:
        data: the folder that holds `market1501/`, `partial_reid/`, `reid_extra/` and so on.
        name: see `LOADERS`; `folder:PATH` for a folder of `pid_camera_*.jpg`.

    Raises:
        DatasetMissing: the archive or folder is not there.
        DatasetChanged: other images than published.
        DatasetRefused: a withdrawn or unknown data set.
    """
    dataset, _, split = name.partition("/")
    if name.startswith(FOLDER):
        return load_folder(Path(name.removeprefix(FOLDER)))
    check_known(dataset)
    return LOADERS[dataset](data, split)


def check_known(dataset: str) -> None:
    """Refuse a data set that is withdrawn or that nobody here can read.

    Raises:
        DatasetRefused: with the reason.
    """
    if "duke" in dataset.lower():
        raise DatasetRefused(
            "DukeMTMC was withdrawn by its authors in 2019 because people were filmed without consent: "
            "it is not read here; use market1501"
        )
    if dataset not in LOADERS:
        raise DatasetRefused(f"no data set {dataset!r} (known: {', '.join(sorted(LOADERS))}, folder)")


def load_training(data: Path, names: Iterable[str], heldout: frozenset[str]) -> list[Sample]:
    """Everything that may be trained on: the data sets named, without the people held out.

    Raises:
        DatasetMissing, DatasetChanged, DatasetRefused: see `load_dataset`; a test set is refused.
    """
    samples: list[Sample] = []
    for name in names:
        check_trained(name)
        samples += load_dataset(data, name)
    return [sample for sample in samples if sample.identity not in heldout]


def check_trained(name: str) -> None:
    """Refuse what is only for testing or for choosing by.

    Raises:
        DatasetRefused: with the reason.
    """
    if FOREIGN_SITE in name.lower():
        raise DatasetRefused(
            f"{name}: never trained on, it is the foreign site that choices are made on; "
            "use cuhk03_pair1/train"
        )
    if not (name.endswith("/train") or name.startswith(FOLDER)):
        raise DatasetRefused(f"{name}: never trained on, it is for testing")


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
