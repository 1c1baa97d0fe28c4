"""The whole product: the demo against its truth, and real indoor cameras against their labels."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.video_files import first_frames

ROOT = Path(__file__).parents[1]
FRAMES = 750


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; it must end well and without a traceback."""
    line = [sys.executable, str(ROOT / "run_pipeline.py"), *map(str, arguments)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    return result


def test_the_demo_finds_most_journeys_and_links_nobody_wrongly(tmp_path: Path) -> None:
    printed = command("demo", "--out", tmp_path).stdout
    ours, control = json.loads((tmp_path / "demo.json").read_text())
    assert "Truth against found" in printed and (tmp_path / "demo.png").stat().st_size > 100_000
    assert ours["links_right"] >= 0.95 * ours["links_said"] > 0
    assert ours["links_right"] >= 0.6 * ours["links_true"]
    assert ours["merges"] == 0 and ours["whole_journeys"] >= 4
    assert ours["idf1"] > control["idf1"] + 0.1


def read_mot(path: Path) -> dict[int, list[tuple[int, NDArray[np.float64]]]]:
    """(identity, xyxy) by frame."""
    found = defaultdict(list)
    for line in path.read_text().split():
        frame, identity, x, y, w, h = (float(value) for value in line.split(",")[:6])
        found[int(frame)].append((int(identity), np.array([x, y, x + w, y + h])))
    return found


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    inter = float(np.prod(sides))
    return inter / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inter)


def test_people_in_three_real_cameras_are_found_and_kept_apart(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "data/videos/nlpr_indoor"
    cameras = ("cam1", "cam3", "cam4")
    videos = [
        first_frames(source / f"{camera}.mp4", tmp_path / f"{camera}.mp4", FRAMES) for camera in cameras
    ]
    database = tmp_path / "out.db"
    command("run", *videos, "--db", database)
    command("export", "--db", database, "--format", "mot", "--out", tmp_path / "mot")
    labelled, hits = 0, Counter[tuple[int, int]]()
    for camera in cameras:
        found = read_mot(tmp_path / "mot" / f"{camera}.txt")
        for frame, boxes in read_mot(source / f"gt_{camera}.txt").items():
            if frame > FRAMES:
                continue
            for person, box in boxes:
                labelled += 1
                best = max(found[frame], key=lambda other: iou(box, other[1]), default=None)
                if best is not None and iou(box, best[1]) >= 0.5:
                    hits[best[0], person] += 1
    majority = {identity: max(n for (i, _), n in hits.items() if i == identity) for identity, _ in hits}
    assert labelled > 300
    assert hits.total() >= 0.9 * labelled
    assert sum(majority.values()) >= 0.8 * hits.total()
