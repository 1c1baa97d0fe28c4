"""Checkpoints that ship."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reid.network.model import FPRNet
from reid.network.spec import ModelSpec
from reid.network.weights import WeightsError, load_weights, read_notes, save_weights, set_calibration

TINY = ModelSpec(name="tiny", width=0.5)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_weights(path, FPRNet(TINY), recipe={"steps": 3}, terms="research use only")
    return path


def test_a_checkpoint_rebuilds_its_own_network(saved: Path) -> None:
    torch.manual_seed(0)
    original, image = FPRNet(TINY), torch.rand(1, 3, 64, 64) * 255
    torch.testing.assert_close(load_weights(saved)(image).cells, original(image).cells, atol=5e-3, rtol=0)


def test_a_checkpoint_says_what_it_is(saved: Path) -> None:
    notes = read_notes(saved)
    assert (notes.spec, notes.recipe, notes.terms) == (TINY, {"steps": 3}, "research use only")
    assert notes.calibration is None


def test_a_calibration_is_added_without_touching_the_network(saved: Path) -> None:
    before = load_weights(saved).state_dict()
    set_calibration(saved, {"scale": 2.5})
    assert read_notes(saved).calibration == {"scale": 2.5}
    after = load_weights(saved).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_network_written_again_keeps_its_calibration(saved: Path) -> None:
    net = load_weights(saved)
    set_calibration(saved, {"scale": 2.5})
    save_weights(saved, net, recipe={"steps": 3}, terms="research use only")
    assert read_notes(saved).calibration == {"scale": 2.5}


def test_another_network_in_its_place_is_not_calibrated(saved: Path) -> None:
    set_calibration(saved, {"scale": 2.5})
    save_weights(saved, FPRNet(TINY), recipe={}, terms="")
    assert read_notes(saved).calibration is None


def test_nothing_but_the_checkpoint_stays_in_the_folder(saved: Path) -> None:
    set_calibration(saved, {})
    assert [path.name for path in saved.parent.iterdir()] == ["tiny.safetensors"]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no such file; train it with `python -m reid\.train"):
        load_weights(tmp_path / "none.safetensors")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("hello")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_weights(path)


def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"not weights of reid\.train"):
        load_weights(path)


def test_weights_that_contradict_their_notes_are_refused(saved: Path) -> None:
    from reid.network.weights import read_metadata, write

    write(saved, {"a": torch.zeros(2)}, read_metadata(saved))
    with pytest.raises(WeightsError, match="not the weights its own notes describe"):
        load_weights(saved)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell_channels": 64}, r"reduction\.weight there \(112, \d+\), by its spec \(64, \d+\)"),
        ({"cell_channels": None}, r"reduction\.weight there \(112, \d+\), by its spec missing"),
        ({"widht": 2}, "notes of another version: unknown widht"),
        ({"backbone": "vit"}, "notes of another version: Invalid enum value 'vit'"),
    ],
)
def test_weights_of_another_spec_say_what_differs(
    saved: Path, changed: dict[str, object], message: str
) -> None:
    from reid.network.weights import read_metadata, write

    notes = read_metadata(saved)
    spec = json.dumps({**json.loads(notes["spec"]), **changed})
    write(saved, load_file(saved), {**notes, "spec": spec})
    with pytest.raises(WeightsError, match=message):
        load_weights(saved)
