"""Training pictures: read from an archive, without copies, varied together with their boxes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.tracking.training.person_samples import (
    LabelledImage,
    TrainingDataError,
    augment,
    read_samples,
    without_copies,
)

LABEL = "0 0.5 0.25 0.5 0.5\n"


def jpeg(seed: int = 0, quality: int = 95) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), np.uint8)
    image = cv2.resize(coarse, (90, 60), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def archive(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "people.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return path


def test_a_split_is_read_with_its_boxes(tmp_path: Path) -> None:
    files = {"images/val/a.jpg": jpeg(), "labels/val/a.txt": LABEL.encode(), "images/val/b.jpg": jpeg(1)}
    a, b = read_samples(archive(tmp_path, files), "val")
    assert (a.name, a.image().shape) == ("a", (60, 90, 3))
    np.testing.assert_allclose(a.boxes, [[0.25, 0, 0.75, 0.5]])
    assert b.boxes.shape == (0, 4)


def test_an_archive_without_the_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="images/train"):
        read_samples(archive(tmp_path, {"images/val/a.jpg": jpeg()}), "train")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"nothing")
    with pytest.raises(TrainingDataError, match="not a readable"):
        read_samples(tmp_path / "x.tar.gz", "val")


def test_a_recompressed_copy_of_a_held_out_picture_is_left_out() -> None:
    none = np.zeros((0, 4), np.float32)
    held_out = [LabelledImage("v", jpeg(0), none)]
    samples = [
        LabelledImage("copy", jpeg(0), none),
        LabelledImage("again", jpeg(0, 60), none),
        LabelledImage("new", jpeg(1), none),
    ]
    assert [sample.name for sample in without_copies(samples, held_out)] == ["new"]


def test_boxes_follow_the_picture() -> None:
    image = np.zeros((80, 120, 3), np.uint8)
    image[20:60, 30:50] = 255
    content = cv2.imencode(".png", image)[1].tobytes()
    sample = LabelledImage("white", content, np.array([[30 / 120, 20 / 80, 50 / 120, 60 / 80]], np.float32))
    generator = np.random.default_rng(0)
    seen = 0
    for _ in range(20):
        view = augment(sample, generator, size_px=96, coarse=0.0)
        if len(view.boxes) == 0:
            continue
        white = view.image[..., 0] > 0.75 * view.image.max()  # the grey bars have 0.63 of it at most
        rows, columns = np.nonzero(white)
        bounds = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 96
        np.testing.assert_allclose(view.boxes[0], bounds, atol=2 / 96)
        seen += 1
    assert seen > 5
