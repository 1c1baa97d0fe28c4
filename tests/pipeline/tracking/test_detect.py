"""The detector on photographs, odd images and bad weights."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from pipeline.config import DetectorConfig
from pipeline.tracking.detect import Detector, DetectorError, load_detector, suppress
from pipeline.tracking.letterbox import Image

ROOT = Path(__file__).parents[3]
SETTINGS = DetectorConfig(size_px=320, confidence=0.25, device="cpu")
BUS_PEOPLE = np.array([[670, 380, 810, 880], [222, 405, 344, 860], [50, 400, 245, 905]], np.float32)
"""The three whole people of the photograph (1080 x 810), roughly."""


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector(SETTINGS, threads=1)


@pytest.fixture(scope="module")
def bus() -> Image:
    return photograph("bus.jpg")


def photograph(name: str) -> Image:
    """A photograph from the installed ultralytics package, which is not imported."""
    spec = importlib.util.find_spec("ultralytics")
    assert spec is not None and spec.origin is not None
    image = cv2.imread(str(Path(spec.origin).parent / "assets" / name), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)


def test_the_people_in_a_photograph_are_found(detector: Detector, bus: Image) -> None:
    found = detector.detect([bus])[0]
    for person in BUS_PEOPLE:
        assert max(overlap(person, box) for box in found.boxes) > 0.75, f"nobody at {person}"


def test_boxes_are_sorted_by_confidence_and_inside_the_image(detector: Detector, bus: Image) -> None:
    found = detector.detect([bus])[0]
    assert found.boxes.dtype == found.confidences.dtype == np.float32
    assert (np.diff(found.confidences) <= 0).all()
    assert (found.boxes >= 0).all() and (found.boxes <= np.tile(bus.shape[1::-1], 2)).all()


def test_who_shares_a_batch_never_changes_a_box(bus: Image) -> None:
    detector = load_detector(SETTINGS, threads=2)
    images = [bus, photograph("zidane.jpg"), bus[:, ::-1].copy(), np.zeros_like(bus)]
    for image, together in zip(images, detector.detect(images), strict=True):
        alone = detector.detect([image])[0]
        np.testing.assert_array_equal(together.boxes, alone.boxes)
        np.testing.assert_array_equal(together.confidences, alone.confidences)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (4320, 7680)])
def test_an_image_of_any_size_is_searched(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect([np.zeros((*shape, 3), np.uint8)])[0].boxes.shape == (0, 4)


def test_no_images_give_no_detections(detector: Detector) -> None:
    assert detector.detect([]) == []


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((0, 9, 3), np.uint8)]
)
def test_what_is_no_image_is_refused(detector: Detector, image: Image) -> None:
    with pytest.raises(ValueError, match="not uint8"):
        detector.detect([image])


def test_weights_are_found_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_detector(SETTINGS, threads=1).network.fixed is None


@pytest.mark.parametrize("weights", ["missing.onnx", "weights/MODEL_CARD.md", "no_such_model.pt"])
def test_missing_weights_are_named(weights: str) -> None:
    with pytest.raises(DetectorError, match=weights):
        load_detector(msgspec.structs.replace(SETTINGS, weights=weights), threads=1)


@pytest.mark.parametrize("name", ["broken.onnx", "broken.pt"])
def test_broken_weights_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a network")
    with pytest.raises(DetectorError, match=name):
        load_detector(msgspec.structs.replace(SETTINGS, weights=str(tmp_path / name)), threads=1)


def test_less_than_one_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="threads = 0"):
        load_detector(SETTINGS, threads=0)


def test_detecting_on_the_cpu_does_not_import_torch() -> None:
    code = """
import sys, numpy as np
from pipeline.config import DetectorConfig
from pipeline.tracking.detect import load_detector
detector = load_detector(DetectorConfig(device="cpu", size_px=64), threads=1)
detector.detect([np.zeros((8, 8, 3), np.uint8)])
sys.exit("torch" in sys.modules or "ultralytics" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_suppression_keeps_what_the_definition_keeps() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 50, (200, 2))
    boxes = np.hstack([corners, corners + generator.uniform(5, 40, (200, 2))]).astype(np.float32)
    kept: list[int] = []
    for row, box in enumerate(boxes):
        if all(overlap(box, boxes[other]) <= 0.5 for other in kept):
            kept.append(row)
    assert suppress(boxes, 0.5).tolist() == kept


def test_suppression_of_nothing_is_nothing() -> None:
    assert suppress(np.zeros((0, 4), np.float32), 0.5).tolist() == []


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes, written out."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return float(width * height / union)
