"""Weights that cannot be used to the end are refused before anything is begun, wherever they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.config import CameraConfig, Config, ReidConfig
from pipeline.linking.recluster import recluster
from pipeline.queries.find import Finder
from pipeline.reid_weights import UnusableWeightsError, check_reid, newer_notes
from pipeline.running.run import check_weights
from pipeline.store.models import keep_calibration
from pipeline.store.open_store import open_store
from pipeline.store.runs import begin_run
from reid.network.model import ForeignHead, FPRNet
from reid.network.spec import ForeignSpec, ModelSpec
from reid.network.weights import model_id, save_weights, set_calibration
from tests.crops import CALIBRATION, PAIRS
from tests.store_scene import MODEL, fill

LINKS = CALIBRATION.as_dict()
BOTH = LINKS | {"pairs": PAIRS.as_dict()}
FOREIGN = ForeignSpec(network="theirs", map_name="map", channels=8, embedding=8)
HEAD = ModelSpec(name="head", backbone="foreign", foreign=FOREIGN, cell_channels=8, box=(64, 32))


def weights(path: Path, notes: dict[str, Any] | None) -> Path:
    """Untrained weights with these calibrations."""
    torch.manual_seed(0)
    save_weights(path, FPRNet(ModelSpec(name="mine", width=0.5)), recipe={}, terms="mine")
    if notes is not None:
        set_calibration(path, notes)
    return path


READERS: dict[str, Callable[[Config, Path], object]] = {
    "run": lambda config, folder: check_weights(config),
    "find": lambda config, folder: Finder(open_store(fill(folder / "a.db")), config),
    "reid worker": lambda config, folder: check_reid(config.reid),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("notes", "missing"), [(None, "calibration"), (LINKS, "slopes of pairs"), ({"pairs": {}}, "calibration")]
)
def test_weights_without_calibration_or_slopes_are_refused_with_the_command_that_makes_them(
    tmp_path: Path, reader: str, notes: dict[str, Any] | None, missing: str
) -> None:
    path = weights(tmp_path / "mine.safetensors", notes)
    command = rf"mine\.safetensors: carries no {missing}.*python -m reid\.calibrate --weights {path} --root"
    with pytest.raises(UnusableWeightsError, match=command):
        READERS[reader](Config(reid=ReidConfig(weights=str(path))), tmp_path)


def test_a_run_with_such_weights_makes_no_database(tmp_path: Path) -> None:
    from pipeline.running.run import run

    path = weights(tmp_path / "mine.safetensors", LINKS)
    config = Config(cameras=(CameraConfig(name="a", source="a.mp4"),), reid=ReidConfig(weights=str(path)))
    with pytest.raises(UnusableWeightsError):
        run(config, str(tmp_path / "a.db"), fresh=False, command="test", listener=None)  # type: ignore[arg-type]
    assert not (tmp_path / "a.db").exists()


def test_calibrated_weights_may_be_used(tmp_path: Path) -> None:
    check_reid(ReidConfig(weights=str(weights(tmp_path / "mine.safetensors", BOTH))))
    check_reid(ReidConfig())


def test_a_head_without_its_network_and_a_network_with_another_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = tmp_path / "head.safetensors"
    save_weights(head, ForeignHead(HEAD), recipe={}, terms="test")
    with pytest.raises(UnusableWeightsError, match="only a head for theirs"):
        check_reid(ReidConfig(weights=str(head)))
    with pytest.raises(UnusableWeightsError, match=r"none\.onnx: no such file"):
        check_reid(ReidConfig(weights=str(head), backbone="none.onnx"))
    with pytest.raises(UnusableWeightsError, match="takes no backbone"):
        check_reid(ReidConfig(backbone="none.onnx"))


def test_weights_that_are_not_there_are_named() -> None:
    with pytest.raises(UnusableWeightsError, match=r"none\.safetensors: no such file"):
        check_reid(ReidConfig(weights="none.safetensors"))


def test_notes_of_a_file_are_those_of_its_very_network(tmp_path: Path) -> None:
    path = weights(tmp_path / "mine.safetensors", BOTH)
    settings = ReidConfig(weights=str(path))
    assert newer_notes(settings, model_id(path)) == BOTH
    assert newer_notes(settings, "another") is None
    assert newer_notes(ReidConfig(weights="none.safetensors"), "another") is None


def test_recluster_of_a_database_without_slopes_is_refused(tmp_path: Path) -> None:
    refused = rf"a\.db \({MODEL}\): carries no slopes of pairs: run `python -m reid\.calibrate"
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        keep_calibration(store, MODEL, LINKS)
        with pytest.raises(UnusableWeightsError, match=refused):
            recluster(store, Config().matcher)


def test_an_older_database_takes_the_slopes_of_its_weights_from_their_file(tmp_path: Path) -> None:
    from pipeline.linking.site_knowledge import stored_judgement

    path = weights(tmp_path / "mine.safetensors", BOTH)
    with open_store(tmp_path / "a.db", create=True, write=True) as store:
        begin_run(store, command="run", config=Config(reid=ReidConfig(weights=str(path))), software="0")
        keep_calibration(store, model_id(path), LINKS)
        assert stored_judgement(store, model_id(path)).pairs == PAIRS
