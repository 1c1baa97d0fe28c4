"""torchvision beside a torch that its wheel was not built for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from reid.network.torchvision_ops import nms

ROOT = Path(__file__).parents[2]


def test_torchvision_imports_and_suppresses_boxes_whatever_its_build() -> None:
    program = (
        "from reid.network.torchvision_ops import ensure_torchvision_ops as ensure\n"
        "first = ensure(); assert ensure() == first\n"
        "import torch; from torchvision.ops import nms\n"
        "boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30.0]])\n"
        "print(nms(boxes, torch.tensor([0.5, 0.9, 0.3]), 0.5).tolist())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip() == "[1, 2]", ran.stderr


def test_suppression_equals_the_definition_box_by_box() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(60, 2, generator=generator) * 50
    boxes = torch.cat([corners, corners + torch.rand(60, 2, generator=generator) * 30 + 1], 1)
    scores = torch.rand(60, generator=generator)
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[i].tolist(), boxes[j].tolist()) <= 0.4 for j in kept):
            kept.append(i)
    assert nms(boxes, scores, 0.4).tolist() == kept


def test_no_boxes_give_no_boxes() -> None:
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def overlap(a: list[float], b: list[float]) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    tall = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = wide * tall
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
