"""What OpenVINO does to the process it is in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUIET = """
import sys, psutil, torch
from reid.export import openvino_backbone
from reid.network.model import FPRNet
from reid.network.spec import ModelSpec
openvino_backbone(FPRNet(ModelSpec(width=0.5)).eval())(torch.zeros(1, 3, 64, 32, dtype=torch.uint8))
assert "openvino" in sys.modules
print(psutil.Process().children(), sys.modules["openvino_telemetry"])
"""


def test_openvino_tells_nobody_that_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1:] == ["[] None"], done.stdout + done.stderr


def test_whoever_imports_openvino_silences_it_first() -> None:
    sources = [path for folder in ("pipeline", "reid") for path in (ROOT / folder).rglob("*.py")]
    users = [path for path in sources if re.search(r"^\s*(import|from) openvino\b", path.read_text(), re.M)]
    assert len(users) >= 3
    loud = [
        p.name for p in users if "openvino_core import" not in p.read_text() and p.stem != "openvino_core"
    ]
    assert not loud
