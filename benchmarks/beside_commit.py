"""The main job of this tree beside that of another commit: time, memory, and whether answers are the same.

    git worktree add ../before COMMIT
    python benchmarks/beside_commit.py ../before VIDEO... [--rounds 3]

Both trees read the same videos in turn, each in a process of its own with this Python, start-up included. The
databases are compared row for row. Nothing else may run meanwhile: `chrt -r 1` in front keeps others away.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_S = 0.5


@dataclass(frozen=True)
class Round:
    """One run of one tree."""

    wall_s: float
    """From the command to its end."""
    memory_bytes: int
    """The most that was seen of all its processes together, each counted by what it alone holds."""


def main() -> int:
    """Measure and print; 1 where the databases differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="The other commit's tree.")
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    videos = [str(video.resolve()) for video in arguments.videos]
    trees = {"other": arguments.other.resolve(), "this": ROOT}
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, list[Round]] = {name: [] for name in trees}
        for number in range(arguments.rounds):
            for name, tree in trees.items():
                found[name].append(read(tree, videos, Path(folder) / f"{name}-{number}.db"))
                print(name, number, found[name][-1], file=sys.stderr, flush=True)
        compared = subprocess.run(
            [sys.executable, "-m", "tests.compare_databases", f"{folder}/other-0.db", f"{folder}/this-0.db"],
            cwd=ROOT,
            check=False,
        )
    walls = {name: median(r.wall_s for r in rounds) for name, rounds in found.items()}
    memory = {name: max(r.memory_bytes for r in rounds) / 1e6 for name, rounds in found.items()}
    ratio = {"speed": walls["other"] / walls["this"], "memory": memory["this"] / memory["other"]}
    print(json.dumps({"wall_s": walls, "memory_mb": memory, "this / other": ratio}, indent=2))
    return compared.returncode


def read(tree: Path, videos: list[str], database: Path) -> Round:
    """Read the videos with a tree's program."""
    command = [sys.executable, str(tree / "run_pipeline.py"), "run", *videos, "--db", str(database)]
    began_s, most = time.monotonic(), 0
    with subprocess.Popen(command, cwd=tree, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):
                held = [one.memory_full_info().uss for one in (root, *root.children(recursive=True))]
                most = max(most, sum(held))
            time.sleep(SAMPLE_S)
    if process.returncode:
        raise SystemExit(f"{tree}: exit code {process.returncode}")
    return Round(time.monotonic() - began_s, most)


if __name__ == "__main__":
    sys.exit(main())
