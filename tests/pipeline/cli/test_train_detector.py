"""The command that makes the detector, as a shell sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pipeline.cli.train_detector", *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_start_that_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    start = tmp_path / "notes.pt"
    start.write_text("notes")
    answer = call("--start", start, "--data", tmp_path / "none.tar.gz", "--out", tmp_path / "out")
    assert answer.returncode == 1 and "Traceback" not in answer.stderr
    assert "notes.pt: not an ultralytics checkpoint" in answer.stderr
    assert not (tmp_path / "out").exists()
