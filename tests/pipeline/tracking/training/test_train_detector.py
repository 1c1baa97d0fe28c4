"""Making the detector: cut, train, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline.tracking.training.person_samples import LabelledImage
from pipeline.tracking.training.train_detector import Recipe, fine_tune, save_detector
from pipeline.tracking.yolo import OpenvinoNetwork, TorchNetwork, keep_class, load_shipped, ultralytics

RECIPE = Recipe(epochs=2, batch=2, size_px=64)


@pytest.fixture
def untrained() -> Any:
    """yolo11n with random weights and 80 classes."""
    torch.manual_seed(0)
    return ultralytics("nn.tasks").DetectionModel("yolo11n.yaml", verbose=False).eval()


def samples() -> list[LabelledImage]:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(3)]
    box = np.array([[0.2, 0.1, 0.6, 0.9]], np.float32)
    return [LabelledImage(str(i), cv2.imencode(".png", p)[1].tobytes(), box) for i, p in enumerate(pictures)]


def test_cutting_the_head_leaves_the_other_outputs_alone(untrained: Any) -> None:
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = untrained(pixels)[0]
        after = keep_class(untrained, 7)(pixels)[0]
    torch.testing.assert_close(after, before[:, [0, 1, 2, 3, 4 + 7]])


def test_what_is_saved_is_what_was_trained(untrained: Any, tmp_path: Path) -> None:
    model = keep_class(untrained, 0)
    image = np.random.default_rng(1).integers(0, 256, (96, 64, 3), np.uint8)
    expected = TorchNetwork(model, device="cpu", threads=1).run([image])[0]
    path = save_detector(model, tmp_path)
    assert path.stat().st_size < 5.5e6
    exported = OpenvinoNetwork(path, threads=1, precision="f32").run([image])[0]
    twin = TorchNetwork(load_shipped(path.with_suffix(".safetensors")), device="cpu", threads=1).run([image])[
        0
    ]
    np.testing.assert_allclose(exported, expected, atol=0.05)
    np.testing.assert_allclose(twin, expected, atol=0.05)


def test_training_moves_the_head_and_not_the_frozen_layers(untrained: Any) -> None:
    model = keep_class(untrained, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses: list[float] = []
    tuned = fine_tune(model, samples(), RECIPE, lambda epoch, loss: losses.append(loss)).state_dict()
    moved = {name.split(".")[1] for name, value in tuned.items() if not torch.equal(value, before[name])}
    assert "23" in moved and not moved.intersection(str(layer) for layer in range(RECIPE.frozen_layers))
    assert len(losses) == RECIPE.epochs and np.isfinite(losses).all()
