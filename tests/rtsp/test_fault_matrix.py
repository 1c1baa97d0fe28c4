"""The product under faults, end to end: the worst rows of the matrix, and a soak of SOAK_MINUTES (10)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.rtsp.server import missing_packages

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages())),
]


def benchmark(name: str, *arguments: str) -> dict[str, Any]:
    """What a benchmark reports."""
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--json", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout, ran.stderr
    return dict(json.loads(ran.stdout))


def test_a_failing_camera_comes_back_and_leaves_the_healthy_one_alone() -> None:
    """Within how long, and that nothing is dropped meanwhile, is for a machine that is free."""
    rows = ("server killed", "half-open", "wrong password", "matcher killed")
    report = benchmark("live_faults", "--patience", "6", "--only", *rows)
    told = [problem for row in report["rows"] for problem in (row["fault"], *row["problems"])]
    assert [words for words in told if not words.startswith("the healthy camera: ")] == list(rows)
    assert report["end"]["problems"] == []


@pytest.mark.soak
def test_a_run_under_random_faults_leaves_nothing_behind() -> None:
    report = benchmark("live_soak", "--minutes", os.environ.get("SOAK_MINUTES", "10"))
    assert report["failed"] == [], report
