"""Crops to embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reid.embed import Embedder, Runtime, fitted_size, load_embedder
from reid.network.model import FPRNet
from reid.network.openvino_core import openvino_core
from reid.network.spec import ModelSpec
from reid.network.weights import WeightsError, save_weights, set_calibration

TINY = ModelSpec(name="tiny", width=0.5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, FPRNet(TINY), recipe={}, terms="research use only")
    return path


@pytest.fixture(scope="module")
def embedder(weights: Path) -> Embedder:
    return load_embedder(weights, device="cpu")


def crop(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.asarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3)), np.uint8)


def test_an_embedding_has_unit_vectors_in_half_precision(embedder: Embedder) -> None:
    (found,) = embedder.embed([crop(200, 90)])
    assert {a.dtype for a in (found.cells, found.foreground, found.pooled)} == {np.dtype(np.float16)}
    np.testing.assert_allclose(np.linalg.norm(found.cells.astype(np.float32), axis=1), 1, atol=2e-3)
    assert np.linalg.norm(found.pooled.astype(np.float32)) == pytest.approx(1, abs=2e-3)
    assert found.foreground.shape == found.cells.shape[:1]
    assert (found.foreground > 0).all() and (found.foreground < 1).all()


def test_who_shares_a_call_changes_nothing(embedder: Embedder) -> None:
    crops = [crop(128, 64, 1), crop(60, 60, 2), crop(128, 64, 3), crop(300, 90, 4)]
    together = embedder.embed(crops)
    alone = [embedder.embed([one])[0] for one in crops]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.cells, other.cells)
        assert np.array_equal(one.pooled, other.pooled)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_every_runtime_answers_as_torch_does(weights: Path, runtime: Runtime) -> None:
    crops = [crop(128, 96), crop(60, 60), crop(256, 128)]
    reference = load_embedder(weights, device="cpu", runtime="torch").embed(crops)
    found = load_embedder(weights, device="cpu", runtime=runtime).embed(crops)
    for ours, theirs in zip(found, reference, strict=True):
        for name in ("cells", "foreground", "pooled"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-3)


def test_half_precision_errs_little(weights: Path) -> None:
    if "BF16" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no units for bf16")
    exact, half = (load_embedder(weights, device="cpu", runtime=r) for r in ("openvino", "openvino-bf16"))
    (ours,), (theirs,) = half.embed([crop(128, 96)]), exact.embed([crop(128, 96)])
    assert 0 < np.abs(ours.cells.astype(np.float32) - theirs.cells).mean() < 5e-3
    assert float(ours.pooled.astype(np.float64) @ theirs.pooled) > 0.999
    assert half.model_id == exact.model_id


@pytest.mark.gpu
def test_a_gpu_answers_as_the_cpu_does(weights: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    crops = [crop(128, 64, seed) for seed in range(5)]
    gpu, cpu = (load_embedder(weights, device=device).embed(crops) for device in ("cuda", "cpu"))
    for ours, theirs in zip(gpu, cpu, strict=True):
        np.testing.assert_allclose(ours.cells, theirs.cells, atol=2e-2)


def test_a_runtime_of_the_cpu_is_not_asked_to_use_a_gpu(weights: Path) -> None:
    with pytest.raises(WeightsError, match="runtime onnxruntime runs on a CPU"):
        load_embedder(weights, device="cuda", runtime="onnxruntime")


def test_no_crops_give_no_embeddings(embedder: Embedder) -> None:
    assert embedder.embed([]) == []


@pytest.mark.parametrize(
    "bad", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3))]
)
def test_what_is_no_picture_is_refused(embedder: Embedder, bad: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="a crop must be"):
        embedder.embed([bad])


@pytest.mark.parametrize(
    ("crop_size", "fitted"),
    [((128, 64), (256, 128)), ((64, 64), (128, 128)), ((384, 128), (256, 128)), ((49, 60), (112, 128))],
)
def test_a_half_body_keeps_its_scale_and_a_tall_one_fills_the_box(
    crop_size: tuple[int, int], fitted: tuple[int, int]
) -> None:
    assert fitted_size(*crop_size, ModelSpec()) == fitted


@pytest.mark.parametrize("crop_size", [(1, 500), (500, 1), (1, 1)])
def test_a_sliver_is_still_a_picture(embedder: Embedder, crop_size: tuple[int, int]) -> None:
    assert len(embedder.embed([crop(*crop_size)])[0].cells) > 0


def test_a_calibration_does_not_make_stored_embeddings_strangers(
    embedder: Embedder, weights: Path, tmp_path: Path
) -> None:
    calibrated = tmp_path / "calibrated.safetensors"
    calibrated.write_bytes(weights.read_bytes())
    set_calibration(calibrated, {"scale": 1})
    other = load_embedder(calibrated, device="cpu")
    assert other.calibration == {"scale": 1}
    assert other.model_id == embedder.model_id and other.model_id.startswith("tiny-")


def test_other_weights_are_another_model(embedder: Embedder, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_weights(tmp_path / "other.safetensors", FPRNet(TINY), recipe={}, terms="")
    assert load_embedder(tmp_path / "other.safetensors", device="cpu").model_id != embedder.model_id


def test_a_backbone_beside_a_whole_network_is_refused(weights: Path) -> None:
    with pytest.raises(WeightsError, match=r"remove reid\.backbone"):
        load_embedder(weights, device="cpu", backbone=Path("other.onnx"))


def test_the_weights_that_ship_tell_a_person_from_another() -> None:
    shipped = Path(__file__).parents[2] / "weights/fpr_small.safetensors"
    if not shipped.is_file():
        pytest.skip(
            "weights/fpr_small.safetensors is not there: python -m reid.train configs/reid/fpr_small.yaml"
        )
    embedder = load_embedder(shipped, device="cpu")
    assert "research" in embedder.terms
    assert embedder.embed([crop(128, 64)])[0].cells.shape == (70, 112)
    assert shipped.stat().st_size < 12 << 20
