"""The network as a file for other runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reid.export import OUTPUTS, Whole, export
from reid.network.model import FPRNet
from reid.network.openvino_core import openvino_core
from reid.network.spec import Backbone, ModelSpec

SIZES = [(1, 256, 128), (3, 128, 128), (2, 64, 32), (1, 32, 16)]


def answers(path: Path, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What a runtime says."""
    if path.suffix == ".onnx":
        import onnxruntime

        return list(onnxruntime.InferenceSession(path).run(list(OUTPUTS), {"images": images}))
    compiled = openvino_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(images)
    return [found[index] for index in range(len(OUTPUTS))]


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
@pytest.mark.parametrize(("backbone", "width"), [("omni_scale", 0.5), ("resnet50", 0.125)])
def test_an_exported_network_answers_as_torch_does_for_any_batch_and_size(
    backbone: Backbone, width: float, suffix: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net, path = FPRNet(ModelSpec(backbone=backbone, width=width)).eval(), tmp_path / f"net{suffix}"
    export(net, path)
    for batch, height, tall in SIZES:
        images = torch.rand(batch, 3, height, tall) * 255
        with torch.no_grad():
            expected = Whole(net)(images)
        for ours, theirs in zip(answers(path, images.numpy()), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.onnx or \.xml"):
        export(FPRNet(ModelSpec(width=0.5)), tmp_path / "net.pt")
