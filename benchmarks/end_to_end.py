"""This pipeline beside ultralytics' tracker on the same recordings: speed, memory, stages, recall.

    python benchmarks/end_to_end.py [--frames N] [--json]

Needs SHARED_DATA (default ../shared). Exits 1 and names each figure that was missed:
fps at least 3x the peer's; recall of the labelled boxes at least 0.95 with at most 1.15x the peer's boxes;
precision and recall on pets09 (complete truth) no worse than the peer's; peak memory under 4 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.video_files import first_frames  # noqa: E402

SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared"))
PETS_FRAMES = 320  # the truth of pets09 is complete up to here
IOU = 0.5

Boxes = dict[int, NDArray[np.float64]]  # frame -> (N, 4) xyxy


@dataclass
class Cost:
    """What a process tree cost."""

    wall_s: float
    peak_bytes: int
    printed: str


@dataclass
class Score:
    """Exported boxes against labelled ones."""

    recall: float
    precision: float
    boxes: int


def main() -> int:
    """Run both, print the comparison, say what was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=0, help="only the first N frames of each camera")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        print(f"SHARED_DATA: no folder {SHARED}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(Path(folder), arguments.frames)
    missed = [name for name, (good, _) in check(figures).items() if not good]
    if arguments.json:
        print(json.dumps({**figures, "missed": missed}))
    else:
        show(figures)
    return 1 if missed else 0


def compare(folder: Path, frames: int) -> dict[str, float | dict[str, float]]:
    """Every figure of the comparison."""
    nlpr = SHARED / "data/videos/nlpr_indoor"
    videos = [nlpr / f"{camera}.mp4" for camera in ("cam1", "cam3", "cam4")]
    if frames:
        videos = [cut(video, folder / "cut", frames) for video in videos]
    pets_source = SHARED / "data/videos/pets09_s2l1_view1"
    pets = cut(pets_source / "video.mp4", folder / "cut", PETS_FRAMES)
    ours, our_boxes = run_ours(videos, folder / "ours")
    peer, peer_boxes = run_peer(videos, folder / "peer")
    _, our_pets = run_ours([pets], folder / "ours_pets")
    _, peer_pets = run_peer([pets], folder / "peer_pets")
    truth = {video.stem: read_truth(nlpr / f"gt_{video.stem}.txt", frames) for video in videos}
    pets_truth = {pets.stem: read_truth(pets_source / "gt.txt", PETS_FRAMES)}
    report = json.loads(ours.printed)
    peer_report = json.loads(peer.printed.strip().splitlines()[-1])
    count = sum(recording["frames"] for recording in report["recordings"])
    scored = {
        "ours": score(our_boxes, truth),
        "peer": score(peer_boxes, truth),
        "ours_pets": score(our_pets, pets_truth),
        "peer_pets": score(peer_pets, pets_truth),
    }
    return {
        "frames": count,
        "fps": count / ours.wall_s,
        "peer_fps": peer_report["frames"] / peer.wall_s,
        "ratio": (count / ours.wall_s) / (peer_report["frames"] / peer.wall_s),
        "peak_gb": ours.peak_bytes / 1e9,
        "peer_peak_gb": peer.peak_bytes / 1e9,
        "stage_s": report["stage_s"],
        "box_ratio": scored["ours"].boxes / max(1, scored["peer"].boxes),
        **{f"{name}_{key}": value for name, s in scored.items() for key, value in asdict(s).items()},
    }


def check(f: dict) -> dict[str, tuple[bool, str]]:
    """Each demand with whether it is met."""
    return {
        "fps": (
            f["ratio"] >= 3,
            f"{f['fps']:.1f} fps, {f['ratio']:.1f}x the peer's {f['peer_fps']:.1f} (>= 3x)",
        ),
        "memory": (f["peak_gb"] < 4, f"peak {f['peak_gb']:.2f} GB, peer {f['peer_peak_gb']:.2f} GB (< 4)"),
        "recall": (
            f["ours_recall"] >= 0.95,
            f"{f['ours_recall']:.3f}, peer {f['peer_recall']:.3f} (>= 0.95)",
        ),
        "boxes": (f["box_ratio"] <= 1.15, f"{f['box_ratio']:.2f}x the peer's {f['peer_boxes']} (<= 1.15x)"),
        "pets09 precision": (
            f["ours_pets_precision"] >= f["peer_pets_precision"],
            f"{f['ours_pets_precision']:.3f}, peer {f['peer_pets_precision']:.3f}",
        ),
        "pets09 recall": (
            f["ours_pets_recall"] >= f["peer_pets_recall"],
            f"{f['ours_pets_recall']:.3f}, peer {f['peer_pets_recall']:.3f}",
        ),
    }


def show(figures: dict) -> None:
    """Print the figures for people."""
    for name, (good, text) in check(figures).items():
        print(f"{'ok    ' if good else 'MISSED'} {name:<17} {text}")
    stages = figures["stage_s"]
    total = sum(stages.values()) or 1.0
    shares = ", ".join(f"{k} {v / total:.0%}" for k, v in sorted(stages.items(), key=lambda i: -i[1]))
    print(f"       stages            {shares}")


def run_ours(videos: list[Path], folder: Path) -> tuple[Cost, dict[str, Boxes]]:
    """This pipeline's cost and exported boxes by camera."""
    folder.mkdir(parents=True)
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", *map(str, videos)]
    cost = measure([*command, "--db", str(folder / "out.db"), "--json"])
    export = [sys.executable, str(ROOT / "run_pipeline.py"), "export", "--db", str(folder / "out.db")]
    subprocess.run(
        [*export, "--format", "mot", "--out", str(folder / "mot")], check=True, capture_output=True
    )
    return cost, {video.stem: read_mot(folder / "mot" / f"{video.stem}.txt") for video in videos}


def run_peer(videos: list[Path], folder: Path) -> tuple[Cost, dict[str, Boxes]]:
    """The peer's cost and boxes by camera."""
    folder.mkdir(parents=True)
    weights = SHARED / "weights/yolo11n.pt"
    command = [sys.executable, str(ROOT / "benchmarks/peer_ultralytics.py"), str(weights), str(folder), "0"]
    cost = measure([*command, *map(str, videos)])
    return cost, {video.stem: read_mot(folder / f"{video.stem}.txt") for video in videos}


def measure(command: list[str]) -> Cost:
    """Run a command to its end; peak memory is that of the whole process tree (proportional where known)."""
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    peak = [0]
    watcher = threading.Thread(target=watch_memory, args=(process.pid, peak), daemon=True)
    watcher.start()
    printed, _ = process.communicate()
    wall_s = time.perf_counter() - started
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return Cost(wall_s, peak[0], printed)


def watch_memory(pid: int, peak: list[int]) -> None:
    """Keep the largest sum of the tree's resident memory in `peak`."""
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            tree = [root, *root.children(recursive=True)]
            peak[0] = max(peak[0], sum(resident(process) for process in tree))
            time.sleep(0.2)
    except psutil.Error:
        return


def resident(process: psutil.Process) -> int:
    """A process's resident bytes; 0 once it has gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def cut(video: Path, folder: Path, frames: int) -> Path:
    """The first frames of a video, not re-encoded, under its name (its folder's, for a plain `video`)."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / (f"{video.parent.name}.mp4" if video.stem == "video" else video.name)
    return first_frames(video, out, frames)


def read_mot(path: Path) -> Boxes:
    """Boxes by 1-based frame from MOT text."""
    boxes: dict[int, list[list[float]]] = defaultdict(list)
    for line in path.read_text().split():
        frame, _, x, y, w, h = map(float, line.split(",")[:6])
        boxes[int(frame)].append([x, y, x + w, y + h])
    return {frame: np.array(rows) for frame, rows in boxes.items()}


def read_truth(path: Path, frames: int) -> Boxes:
    """Labelled boxes by frame, without the ignored ones (column 7 = 0)."""
    kept = [line for line in path.read_text().split() if float(line.split(",")[6]) != 0]
    boxes: dict[int, list[list[float]]] = defaultdict(list)
    for line in kept:
        frame, _, x, y, w, h = map(float, line.split(",")[:6])
        if not frames or frame <= frames:
            boxes[int(frame)].append([x, y, x + w, y + h])
    return {frame: np.array(rows) for frame, rows in boxes.items()}


def score(found: dict[str, Boxes], truth: dict[str, Boxes]) -> Score:
    """Recall and precision at IoU 0.5, one to one in each frame (precision: only where truth is complete)."""
    hits = labelled = 0
    for camera, frames in truth.items():
        for frame, boxes in frames.items():
            labelled += len(boxes)
            hits += matches(found[camera].get(frame, np.zeros((0, 4))), boxes)
    total = sum(len(rows) for frames in found.values() for rows in frames.values())
    return Score(hits / max(1, labelled), hits / max(1, total), total)


def matches(found: NDArray[np.float64], truth: NDArray[np.float64]) -> int:
    """How many pairs overlap enough, one to one."""
    corner = np.maximum(found[:, None, :2], truth[None, :, :2])
    end = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    inter = np.prod(np.clip(end - corner, 0, None), axis=2)
    area = np.prod(found[:, 2:] - found[:, :2], axis=1)[:, None] + np.prod(
        truth[:, 2:] - truth[:, :2], axis=1
    )
    overlap = inter / np.maximum(area - inter, 1e-9)
    rows, columns = linear_sum_assignment((overlap >= IOU) * (1 + overlap), maximize=True)
    return int((overlap[rows, columns] >= IOU).sum())


if __name__ == "__main__":
    sys.exit(main())
