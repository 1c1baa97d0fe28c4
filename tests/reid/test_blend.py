"""Weights between the first and the last of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reid.blend import blend
from reid.network.model import FPRNet
from reid.network.spec import ModelSpec
from reid.network.weights import WeightsError, read_notes, save_weights

TINY = ModelSpec(name="tiny", width=0.5)


def saved(path: Path, seed: int, spec: ModelSpec = TINY) -> Path:
    torch.manual_seed(seed)
    save_weights(path, FPRNet(spec), recipe={"step": seed}, terms="none")
    return path


def test_a_blend_lies_between_and_says_so(tmp_path: Path) -> None:
    start, trained = saved(tmp_path / "start.safetensors", 1), saved(tmp_path / "trained.safetensors", 2)
    out = tmp_path / "out.safetensors"
    blend(start, trained, 0.75, out)
    first, last, mixed = (load_file(path) for path in (start, trained, out))
    for name in mixed:
        expected = 0.25 * first[name].float() + 0.75 * last[name].float()
        assert torch.allclose(mixed[name].float(), expected, atol=2e-3, rtol=2e-3), name
    assert read_notes(out).recipe == {"step": 2, "blend": 0.75}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_its_ends_are_the_weights_themselves(share: float, tmp_path: Path) -> None:
    start, trained = saved(tmp_path / "start.safetensors", 1), saved(tmp_path / "trained.safetensors", 2)
    blend(start, trained, share, tmp_path / "out.safetensors")
    mixed, own = load_file(tmp_path / "out.safetensors"), load_file(trained if share else start)
    assert all(torch.equal(mixed[name], own[name]) for name in own)


def test_another_network_is_refused(tmp_path: Path) -> None:
    start = saved(tmp_path / "start.safetensors", 1, ModelSpec(name="tiny", width=0.75))
    trained = saved(tmp_path / "trained.safetensors", 2)
    with pytest.raises(WeightsError, match="not the network of"):
        blend(start, trained, 0.5, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_missing_file_is_said_to_be(tmp_path: Path) -> None:
    trained = saved(tmp_path / "trained.safetensors", 2)
    with pytest.raises(WeightsError, match=r"start\.safetensors: no such file"):
        blend(tmp_path / "start.safetensors", trained, 0.5, tmp_path / "out.safetensors")
