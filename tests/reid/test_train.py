"""A small training on coloured pictures, from recipe to weights."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch

from reid.batches import Batch, TrainingBatches
from reid.checkpoints import CheckpointMismatch
from reid.datasets import Sample
from reid.initialise import begin
from reid.model import FPRNet, ModelSpec
from reid.recipe import CropSize, Recipe, RecipeError, load_recipe
from reid.teacher import PROJECTED, TeacherCache, TeacherStale, load_cache
from reid.train import TrainingDiverged, fit, make_optimiser, set_rates, update
from reid.weights import load_weights, read_notes

CONFIGS = Path(__file__).parents[2] / "configs/reid"
PEOPLE, CROPS = 6, 4


def make_recipe(steps: int = 3) -> Recipe:
    return Recipe(
        terms="test",
        data=("folder:none",),
        heldout="none",
        teacher="none",
        teacher_cache="none",
        steps=steps,
        sizes=(CropSize(64, 64, 1),),
        model=ModelSpec(name="tiny", width=0.5),
        begin_as_teacher=False,
        people=3,
        crops=2,
        bfloat16=False,
    )


@pytest.fixture(scope="module")
def batches() -> TrainingBatches:
    return make_batches(make_recipe())


def make_batches(recipe: Recipe) -> TrainingBatches:
    rng = np.random.default_rng(0)
    samples = []
    for number in range(PEOPLE * CROPS):
        colour = np.random.default_rng(number // CROPS).integers(0, 256, 3)
        image = np.clip(colour + rng.normal(0, 20, (64, 32, 3)), 0, 255).astype(np.uint8)
        encoded = cv2.imencode(".png", image)[1].tobytes()
        samples.append(Sample(f"folder/all/{number}.png", number // CROPS, number % 2, encoded))
    count = len(samples)
    channels = FPRNet(recipe.model).backbone.channels
    maps = rng.normal(0, 1, (count, 16, 8, PROJECTED)).astype(np.float16)
    cache = TeacherCache(
        embeddings=rng.normal(0, 1, (count, 256)).astype(np.float16),
        maps=maps,
        norms=np.abs(maps[..., 0]),
        projection=np.linalg.qr(rng.normal(0, 1, (channels, PROJECTED)))[0].T.astype(np.float32),
    )
    return TrainingBatches(samples, cache, recipe)


def run(batches: TrainingBatches, out: Path, *, resume: bool = False, stop: int | None = None) -> Path:
    torch.manual_seed(0)
    trainee = begin(batches.recipe, batches, Path("none"))
    if stop is not None:
        batches = Interrupted(batches.samples, batches.cache, batches.recipe)
        batches.stop = stop
    return fit(trainee, batches, out, device=torch.device("cpu"), hours=None, resume=resume, loaders=0)


def test_a_run_leaves_weights_that_load(batches: TrainingBatches, tmp_path: Path) -> None:
    weights = run(batches, tmp_path)
    assert load_weights(weights)(torch.zeros(1, 3, 64, 64)).cells.shape[2] == 112
    assert read_notes(weights).recipe["step"] == 3


def test_an_interrupted_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    batches = make_batches(make_recipe(4))
    unbroken = load_weights(run(batches, tmp_path / "unbroken")).state_dict()
    with pytest.raises(KeyboardInterrupt):
        run(batches, tmp_path / "broken", stop=2)
    resumed = load_weights(run(batches, tmp_path / "broken", resume=True)).state_dict()
    assert all(torch.allclose(unbroken[name], resumed[name], atol=1e-3) for name in unbroken)


class Interrupted(TrainingBatches):
    """Batches that a key press ends at a step."""

    stop = 0

    def __getitem__(self, step: int) -> Batch:
        if step >= self.stop:
            raise KeyboardInterrupt
        return super().__getitem__(step)


def test_a_step_makes_the_loss_of_its_batch_smaller(batches: TrainingBatches) -> None:
    torch.manual_seed(0)
    trainee = begin(batches.recipe, batches, Path("none"))
    optimiser = make_optimiser(trainee, batches.recipe)
    projection = torch.from_numpy(batches.cache.projection)
    losses = [update(trainee, optimiser, batches[0], projection, batches.recipe)["loss"] for _ in range(6)]
    assert losses[-1] < losses[0]


def test_a_loss_that_is_no_number_stops_the_run(batches: TrainingBatches) -> None:
    trainee = begin(batches.recipe, batches, Path("none"))
    with torch.no_grad():
        trainee.classifier.weight.fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="identity"):
        projection = torch.from_numpy(batches.cache.projection)
        update(trainee, make_optimiser(trainee, batches.recipe), batches[0], projection, batches.recipe)


def test_a_diverged_run_keeps_its_last_checkpoint(tmp_path: Path) -> None:
    batches = make_batches(make_recipe(2))
    run(batches, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    batches.cache.embeddings[:] = np.nan
    with pytest.raises(TrainingDiverged, match="teacher_direction"):
        run(batches, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_what_is_missing_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reid.train", str(CONFIGS / "fpr_small.yaml"), "--out", str(tmp_path)]
    environment = {**os.environ, "SHARED_DATA": str(tmp_path)}
    ran = subprocess.run(
        command, cwd=CONFIGS.parents[1], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "no such archive; set SHARED_DATA" in ran.stderr and "Traceback" not in ran.stderr


def test_a_batch_depends_on_its_step_alone(batches: TrainingBatches) -> None:
    again = make_batches(batches.recipe)
    assert torch.equal(batches[1].images, again[1].images)
    assert not torch.equal(batches[0].images, again[1].images)


def test_covered_positions_are_no_foreground(batches: TrainingBatches) -> None:
    batch = batches[2]
    assert (batch.foreground <= batch.visible + 1e-6).all()


def test_frozen_parts_stay_as_they_were(batches: TrainingBatches) -> None:
    batches = make_batches(msgspec.structs.replace(batches.recipe, frozen=("conv1",)))
    trainee = begin(batches.recipe, batches, Path("none"))
    before = trainee.net.backbone.conv1.weight.clone()
    projection = torch.from_numpy(batches.cache.projection)
    update(trainee, make_optimiser(trainee, batches.recipe), batches[0], projection, batches.recipe)
    assert torch.equal(before, trainee.net.backbone.conv1.weight)


def test_rates_warm_up_and_fall_to_nothing(batches: TrainingBatches) -> None:
    trainee = begin(batches.recipe, batches, Path("none"))
    optimiser = make_optimiser(trainee, batches.recipe)
    rates = []
    for step, fraction in ((0, 0.0), (49, 0.0), (100, 0.5), (200, 1.0)):
        set_rates(optimiser, batches.recipe, step, fraction)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([2e-6, 1e-4, 5e-5, 0])


def test_resuming_nothing_says_so(batches: TrainingBatches, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="nothing to resume"):
        run(batches, tmp_path, resume=True)


def test_every_step_is_logged_as_csv(tmp_path: Path) -> None:
    run(make_batches(make_recipe(2)), tmp_path)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert rows[-1]["step"] == "2" and float(rows[-1]["loss"]) > 0


def test_the_shipped_recipe_loads() -> None:
    recipe = load_recipe(CONFIGS / "fpr_small.yaml")
    assert recipe.model == ModelSpec()


def test_a_misspelt_key_of_a_recipe_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text((CONFIGS / "fpr_small.yaml").read_text() + "\nlearning_rte: 1\n")
    with pytest.raises(RecipeError, match="learning_rte"):
        load_recipe(path)


def test_a_cache_of_other_crops_is_not_used(batches: TrainingBatches, tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('["somebody/else.jpg"]')
    with pytest.raises(TeacherStale, match="delete it"):
        load_cache(tmp_path, batches.samples)
