"""The whole product: the demo against its truth, and real indoor cameras against their labels."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.test_docs import commands, tracked
from tests.video_files import first_frames

ROOT = Path(__file__).parents[1]
FRAMES = 750


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; it must end well and without a traceback."""
    line = [sys.executable, str(ROOT / "run_pipeline.py"), *map(str, arguments)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    return result


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has run as the guide has it, with a picture of one person."""
    folder = tmp_path_factory.mktemp("guide")
    printed = command("demo", "--out", folder / "out/demo").stdout
    (folder / "printed.txt").write_text(printed)
    video = cv2.VideoCapture(str(folder / "out/demo/scene/aisle.mp4"))
    video.set(cv2.CAP_PROP_POS_MSEC, 12_800)
    assert cv2.imwrite(str(folder / "person.png"), video.read()[1])
    return folder


def test_the_demo_finds_most_journeys_and_links_nobody_wrongly(scene: Path) -> None:
    made = scene / "out/demo"
    ours, control = json.loads((made / "demo.json").read_text())
    assert "Truth against found" in (scene / "printed.txt").read_text()
    assert (made / "demo.png").stat().st_size > 100_000
    assert ours["links_right"] >= 0.95 * ours["links_said"] > 0
    assert ours["links_right"] >= 0.6 * ours["links_true"]
    assert ours["merges"] == 0 and ours["whole_journeys"] >= 4
    assert ours["idf1"] > control["idf1"] + 0.1


@pytest.mark.parametrize("page", ["README.md", *tracked("docs/guide/*.md")])
def test_what_a_page_shows_on_the_demo_works(page: str, scene: Path, tmp_path: Path) -> None:
    """Every command that asks the demo's database, and every line of Python, in the order of the page.

    Not those that name a tracklet: its number is that of its arrival, which may be another one in every run.
    """
    folder = tmp_path / "copy"
    shutil.copytree(scene, folder)
    for line in commands(page):
        if "--db out/demo/demo.db" in line and not re.search(r" t\d", line):
            typed = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'run_pipeline.py'))} {line}"
            printed = run_in(folder, ["sh", "-c", typed])
            shown = heading(page, line).split()
            assert not shown or printed.split("\n", 1)[0].split() == shown, line
    for code in re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL):
        run_in(folder, [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"])


def heading(page: str, line: str) -> str:
    """The heading of the table that a page shows below a command; empty where it shows none."""
    shown = (ROOT / page).read_text().partition(f"$ across-cameras {line}\n    ")[2].split("\n", 1)[0]
    return "" if re.search(r"\d", shown) else shown


def run_in(folder: Path, words: list[str]) -> str:
    """What somebody typed prints; it must end well."""
    result = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert result.returncode == 0 and "Traceback" not in result.stderr, (words, result.stderr)
    return result.stdout


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
