"""The networks behind the detector: the shipped twins, users' own files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from pipeline.tracking.letterbox import Image
from pipeline.tracking.yolo import DetectorError, OpenvinoNetwork, TorchNetwork, load_checkpoint, load_shipped

ROOT = Path(__file__).parents[3]
ONNX = ROOT / "weights" / "person_detector.onnx"
TWIN = ONNX.with_suffix(".safetensors")
SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared"))


def noise(height: int = 96, width: int = 128) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_the_safetensors_and_the_onnx_are_the_same_network() -> None:
    exact = OpenvinoNetwork(ONNX, threads=1, precision="f32").run([noise()])[0]
    twin = TorchNetwork(load_shipped(TWIN), device="cpu", threads=1).run([noise()])[0]
    np.testing.assert_allclose(twin[:4], exact[:4], atol=0.5)  # px; small biases are halved in one only
    np.testing.assert_allclose(twin[4], exact[4], atol=0.005)


def test_onnx_runtime_reads_the_shipped_weights_too() -> None:
    exact = OpenvinoNetwork(ONNX, threads=1, precision="f32").run([noise()])[0]
    pixels = noise()[None].transpose(0, 3, 1, 2).astype(np.float32) / 255
    session = onnxruntime.InferenceSession(ONNX, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"images": pixels})[0][0], exact, atol=0.05)


def test_outputs_keep_the_order_of_the_canvases() -> None:
    network = OpenvinoNetwork(ONNX, threads=2)
    canvases = [np.full((64, 64, 3), value, np.uint8) for value in range(0, 250, 25)]
    for canvas, output in zip(canvases, network.run(canvases), strict=True):
        np.testing.assert_array_equal(network.run([canvas])[0], output)


def test_a_file_of_one_shape_is_used_at_that_shape(tmp_path: Path) -> None:
    graph = onnx.load(ONNX)
    for side, value in ((2, 64), (3, 96)):
        graph.graph.input[0].type.tensor_type.shape.dim[side].dim_value = value
    onnx.save(graph, tmp_path / "fixed.onnx")
    network = OpenvinoNetwork(tmp_path / "fixed.onnx", threads=1)
    assert network.fixed == (64, 96)
    assert network.run([noise(64, 96)])[0].shape == (5, 8 * 12 + 4 * 6 + 2 * 3)


def test_a_file_without_people_is_refused(tmp_path: Path) -> None:
    graph = onnx.load(ONNX)
    graph.metadata_props[0].value = "{0: 'cat'}"
    onnx.save(graph, tmp_path / "cats.onnx")
    with pytest.raises(DetectorError, match="no class 'person' among cat"):
        OpenvinoNetwork(tmp_path / "cats.onnx", threads=1)


def test_safetensors_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"nonsense")
    with pytest.raises(DetectorError, match=r"other\.safetensors"):
        load_shipped(tmp_path / "other.safetensors")


def test_a_released_checkpoint_with_all_classes_yields_people() -> None:
    path = SHARED / "weights" / "yolo11n.pt"
    if not path.is_file():
        pytest.skip(f"{path} is missing: set SHARED_DATA")
    network = TorchNetwork(load_checkpoint(path).fuse(verbose=False), device="cpu", threads=1)
    assert network.person == 4
    assert network.run([noise()])[0].shape[0] == 84


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    exact = OpenvinoNetwork(ONNX, threads=1, precision="f32").run([noise()])[0]
    half = TorchNetwork(load_shipped(TWIN), device="cuda", threads=1).run([noise()] * 3)
    np.testing.assert_allclose(half[0][4], exact[4], atol=0.02)
    np.testing.assert_array_equal(half[0], half[2])


TWO_NETWORKS = """
import gc, os, signal, sys
from pathlib import Path
from pipeline.tracking.yolo import OpenvinoNetwork
networks = [OpenvinoNetwork(Path(sys.argv[1]), threads=1) for _ in range(2)]
compiled = [network.compiled((64, 64)) for network in networks]
for each in (0, 1):  # the one made first ends first
    networks[each] = compiled[each] = None
    gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_is_heard_after_two_networks_came_and_went() -> None:
    command = [sys.executable, "-c", TWO_NETWORKS, str(ONNX)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
