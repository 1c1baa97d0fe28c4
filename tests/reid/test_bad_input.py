"""What is wrong with the input of a training is one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from reid.data.datasets import DatasetChanged, load_dataset
from reid.masks import MaskMissing
from reid.train import one_line
from reid.training.batches import TrainingBatches
from tests.reid.tiny_training import tiny_recipe, tiny_samples

ROOT = Path(__file__).parents[2]


def people_in(folder: Path, names: str) -> Path:
    """A crop of each name, in two cameras."""
    folder.mkdir()
    for number, name in enumerate(names):
        for camera in (1, 2):
            cv2.imwrite(str(folder / f"{name}_{camera}.png"), np.full((64, 32, 3), 9 * number, np.uint8))
    return folder


def refusal(tmp_path: Path, people: Path) -> str:
    """What the command says about a training on these people that cannot be."""
    recipe = tiny_recipe(data=(f"folder:{people}",), heldout=str(ROOT / "configs/reid/heldout.txt"))
    (tmp_path / "recipe.yaml").write_bytes(msgspec.yaml.encode(recipe))
    command = [
        sys.executable,
        "-m",
        "reid.train",
        str(tmp_path / "recipe.yaml"),
        "--out",
        str(tmp_path / "o"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and "Traceback" not in ran.stderr, ran.stderr
    return ran.stderr.rstrip().splitlines()[-1]


def test_a_corrupt_picture_is_named_though_another_process_reads_it(tmp_path: Path) -> None:
    people = people_in(tmp_path / "people", "abc")
    for file in people.iterdir():
        file.write_bytes(b"\x89PNG half a file")
    assert refusal(tmp_path, people).endswith(".png: not an image")


def test_fewer_people_than_a_batch_has_are_counted(tmp_path: Path) -> None:
    assert refusal(tmp_path, people_in(tmp_path / "people", "a")).endswith("1 people, a batch needs 3")


def test_an_empty_class_is_a_data_set_with_too_few_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "occluded_reid/occluded_body_images"
    for person in ("001", "002"):
        (folder / person).mkdir(parents=True)
    cv2.imwrite(str(folder / "001/1.png"), np.zeros((8, 4, 3), np.uint8))
    with pytest.raises(DatasetChanged, match="1 images, 1000 published"):
        load_dataset(tmp_path, "occluded_reid/query")


def test_a_crop_of_one_pixel_is_trained_on_like_any_other() -> None:
    speck = cv2.imencode(".png", np.full((1, 1, 3), 200, np.uint8))[1].tobytes()
    samples = [replace(sample, encoded=speck) for sample in tiny_samples()]
    pictures = TrainingBatches(samples, None, tiny_recipe())[0].inputs[0]
    assert pictures.shape == (6, 3, 64, 64)


def test_an_error_from_a_loaders_process_loses_its_traceback() -> None:
    told = "Caught MaskMissing in DataLoader worker process 0.\nOriginal Traceback:\n  File x\n"
    assert one_line(MaskMissing(f"{told}reid.masks.MaskMissing: no mask of a.jpg\n")) == "no mask of a.jpg"
    assert one_line(MaskMissing("no mask of a.jpg")) == "no mask of a.jpg"
