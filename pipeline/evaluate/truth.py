"""Labelled truth: who really is where, read from a folder of MOT text, CSV, CVAT or COCO files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.evaluate.cvat_and_coco import read_coco, read_cvat
from pipeline.evaluate.labelled_box import LabelledBox, TruthError
from pipeline.evaluate.labels import Labels, labels
from pipeline.evaluate.mot_and_csv import read_csv, read_mot

LAYOUTS = ("gt_{}", "{}", "{}/gt/gt", "gt")
"""Where a camera's truth may lie in the folder; the last only where there is one camera."""
READERS = {".txt": read_mot, ".csv": read_csv, ".xml": read_cvat, ".json": read_coco}


@dataclass(frozen=True)
class CameraTruth:
    """The labels of one camera."""

    people: Labels
    ignored: Labels


def read_truth(folder: Path, cameras: Sequence[str], *, first_frame: int = 1) -> dict[str, CameraTruth]:
    """The truth of every camera that has one, by name.

    `gt_CAMERA.txt`, `CAMERA.txt`, `CAMERA/gt/gt.txt`, and `gt.txt` where there is one camera; in place of
    `.txt` (MOT text) also `.csv`, `.xml` (CVAT for video) and `.json` (COCO). One CSV or COCO file may hold
    several cameras. Ids are shared by all cameras.

    Args:
        folder: or one file.
        cameras: those that may have truth.
        first_frame: the number the files give a recording's first frame: 1, or 0. CVAT's is always 0.

    Raises:
        TruthError: nothing there for any camera, or not readable.
    """
    if not folder.exists():
        raise TruthError(f"{folder}: no such truth")
    found: dict[str, list[LabelledBox]] = {}
    for path, camera in sources(folder, cameras):
        for label in read_labels(path, first_frame):
            name = label.camera or camera
            if name is None:
                raise TruthError(f"{path}: does not say which camera it is about: name it gt_CAMERA")
            if name in cameras:
                found.setdefault(name, []).append(label)
    if not found:
        raise TruthError(f"{folder}: no truth for {', '.join(cameras)}: name the files gt_CAMERA.txt")
    return {name: camera_truth(name, found[name]) for name in sorted(found)}


def sources(folder: Path, cameras: Sequence[str]) -> Iterator[tuple[Path, str | None]]:
    """The files to read, each with the camera its name stands for; None for a file of many cameras."""
    alone = cameras[0] if len(cameras) == 1 else None
    if folder.is_file():
        yield folder, alone
        return
    named: set[Path] = set()
    for camera in cameras:
        layouts = LAYOUTS if alone else LAYOUTS[:-1]
        paths = (folder / f"{layout.format(camera)}{suffix}" for layout in layouts for suffix in READERS)
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            named.add(path)
            yield path, camera
    if not named:
        yield from ((path, None) for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".json"))


def read_labels(path: Path, first_frame: int) -> list[LabelledBox]:
    """The labels in one file, by its suffix; frames from 0."""
    if path.suffix not in READERS:
        raise TruthError(f"{path}: not .txt, .csv, .xml or .json")
    try:
        rows = list(READERS[path.suffix](path))
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{path}: cannot be read: {error}") from error
    return [from_zero(row, path, 0 if path.suffix == ".xml" else first_frame) for row in rows]


def from_zero(label: LabelledBox, path: Path, first_frame: int) -> LabelledBox:
    """The label with its frame counted from 0.

    Raises:
        TruthError: it lies before the first frame.
    """
    if label.frame < first_frame:
        raise TruthError(f"{path}: has a frame {label.frame}: does it count from 0? (--first-frame 0)")
    return replace(label, frame=label.frame - first_frame)


def camera_truth(camera: str, rows: Sequence[LabelledBox]) -> CameraTruth:
    """A camera's labels by frame.

    Raises:
        TruthError: a person is twice in one frame.
    """
    people = to_labels([row for row in rows if not row.ignored])
    keys = np.stack([people.frames, people.ids], axis=1)
    unique, counts = np.unique(keys, axis=0, return_counts=True)
    if (counts > 1).any():
        frame, person = unique[counts > 1][0].tolist()
        raise TruthError(f"{camera}: the truth has person {person} twice in frame {frame} (counted from 0)")
    return CameraTruth(people, to_labels([row for row in rows if row.ignored]))


def to_labels(rows: Sequence[LabelledBox]) -> Labels:
    """Labels of rows."""
    return labels([row.frame for row in rows], [row.person for row in rows], [list(row.box) for row in rows])
