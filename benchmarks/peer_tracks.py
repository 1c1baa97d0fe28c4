"""What a user would build today: ultralytics' ByteTrack and BoT-SORT, with ReID vectors of every third frame.

    python benchmarks/peer_tracks.py OUT.npz VIDEO [--frames N]

Detector yolo11n at 640 px on every frame (slow: kept as OUT.detections.npz), both trackers with the settings
they come with, vectors by person-reidentification-retail-0277 and osnet_x0_25_msmt17. `linking.py` calls it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared"))
EVERY = 3
"""Frames of which one is embedded."""
IMAGENET_MEAN, IMAGENET_STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
TRACKERS = ("bytetrack", "botsort")
EMBEDDERS = ("retail-0277", "osnet_x0_25_msmt17")

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> None:
    """Track and embed one video."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=0, help="only the first N")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    detections = arguments.out.with_suffix(".detections.npz")
    if not detections.is_file():
        save(detections, {"rows": detect(arguments.video, arguments.frames)})
    save(arguments.out, track_video(arguments.video, np.load(detections)["rows"]))


def save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays; the file appears when it is complete."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(path)


def detect(video: Path, limit: int) -> NDArray[np.float32]:
    """(D, 6) rows of frame (0-based), x1, y1, x2, y2, confidence, as `model.track` asks for them."""
    from ultralytics import YOLO

    rows: list[NDArray[np.float32]] = []
    stream = YOLO(SHARED / "weights/yolo11n.pt").predict(
        str(video), imgsz=640, classes=[0], conf=0.1, stream=True, verbose=False, device="cpu"
    )
    for frame, result in enumerate(stream):
        if limit and frame >= limit:
            break
        boxes = result.boxes.cpu().numpy()
        column = np.full((len(boxes), 1), frame, np.float32)
        rows.append(np.concatenate([column, boxes.xyxy, boxes.conf[:, None]], axis=1))
    return np.concatenate(rows)


def track_video(video: Path, detections: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Boxes and vectors by tracker.

    Args:
        video: the file.
        detections: from `detect`; nothing is looked at after the last frame with one.

    Returns:
        For each tracker T: `T` (B, 7) rows of frame (0-based), track, x1, y1, x2, y2, detection;
        `detections` (V,) the numbers of the detections with a vector, and (V, C) for each embedder.
    """
    trackers = {name: tracker(name) for name in TRACKERS}
    embedders: dict[str, Embed] = {"retail-0277": retail_0277(), "osnet_x0_25_msmt17": osnet()}
    rows: dict[str, list[list[float]]] = {name: [] for name in TRACKERS}
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in EMBEDDERS}
    embedded: list[int] = []
    for frame, image in enumerate(pictures(video, int(detections[-1, 0]) + 1)):
        first, end = np.searchsorted(detections[:, 0], [frame, frame + 1])
        for name, one in trackers.items():
            for x1, y1, x2, y2, track, _, _, index in update(one, detections[first:end], image):
                rows[name].append([frame, track, x1, y1, x2, y2, first + index])
        for index in range(first, end) if frame % EVERY == 0 else ():
            crop = cut(image, detections[index, 1:5])
            if crop is not None:
                embedded.append(int(index))
                for name, embed in embedders.items():
                    vectors[name].append(embed(crop))
    tracks = {name: np.array(found, np.float64).reshape(-1, 7) for name, found in rows.items()}
    stacked = {name: np.stack(found) if found else np.zeros((0, 1)) for name, found in vectors.items()}
    return {**tracks, **stacked, "detections": np.array(embedded, np.int64)}


def pictures(video: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """The first frames, (H, W, 3) BGR."""
    capture = cv2.VideoCapture(str(video))
    for _ in range(count):
        good, image = capture.read()
        if not good:
            break
        yield image
    capture.release()


def update(one: Any, found: NDArray[np.float32], image: NDArray[np.uint8]) -> list[list[float]]:
    """What a tracker makes of one frame: rows of x1, y1, x2, y2, track, confidence, class, detection."""
    from ultralytics.engine.results import Boxes

    boxes = np.concatenate([found[:, 1:], np.zeros((len(found), 1), np.float32)], axis=1)
    return [list(row) for row in one.update(Boxes(boxes, image.shape[:2]), image).tolist()]


def tracker(name: str) -> Any:
    """A tracker of ultralytics with the settings it comes with."""
    from ultralytics.trackers import BOTSORT, BYTETracker
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    settings = IterableSimpleNamespace(**YAML.load(check_yaml(f"{name}.yaml")))
    made = {"bytetrack": BYTETracker, "botsort": BOTSORT}[name]
    return made(args=settings)


def cut(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """The (H, W, 3) BGR crop of a box; None for an empty one."""
    x1, y1, x2, y2 = box.round().astype(int).clip(0)
    crop = image[y1:y2, x1:x2]
    return crop if crop.size else None


def retail_0277() -> Embed:
    """BGR crop to 256 numbers of unit length."""
    import openvino

    model = openvino.Core().compile_model(
        SHARED / "weights/reid_peers/person-reidentification-retail-0277.xml",
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1},
    )

    def embed(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        picture = cv2.resize(crop, (128, 256)).transpose(2, 0, 1)[None].astype(np.float32)
        return unit(model(picture)[0][0])

    return embed


def osnet() -> Embed:
    """BGR crop to 512 numbers of unit length."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = SHARED / "weights/reid_peers/osnet_x0_25_msmt17.onnx"
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def embed(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        picture = cv2.cvtColor(cv2.resize(crop, (128, 256)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        normal = ((picture - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)[None]
        return unit(session.run(None, {name: normal.astype(np.float32)})[0][0])

    return embed


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector at length 1."""
    return np.asarray(vector / max(1e-12, float(np.linalg.norm(vector))), np.float32)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from reid.network.torchvision_ops import ensure_torchvision_ops

    ensure_torchvision_ops()
    main()
