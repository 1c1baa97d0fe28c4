"""Files that ship with the program are found from anywhere; one's own of the same name come first."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.shipped_files import shipped, shipped_folder

ROOT = Path(__file__).parents[2]


def test_what_the_default_configuration_names_is_found_from_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for weights in (Config().detector.weights, Config().reid.weights):
        assert shipped(weights) == ROOT / weights


def test_ones_own_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = Path(Config().reid.weights)
    own.parent.mkdir()
    own.write_bytes(b"")
    assert shipped(str(own)) == own


@pytest.mark.parametrize("path", ["weights/mine.safetensors", "/nowhere/mine.onnx"])
def test_a_file_that_is_nowhere_keeps_the_name_it_was_given(path: str) -> None:
    assert shipped(path) == Path(path)


def test_in_the_source_tree_they_lie_at_its_top() -> None:
    assert shipped_folder() == ROOT
