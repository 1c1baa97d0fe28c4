"""A small training on coloured pictures, from recipe to weights."""

from __future__ import annotations

import csv
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reid.network.model import FPRNet, FPROutput
from reid.network.spec import ModelSpec
from reid.network.weights import load_weights, read_notes
from reid.progress import AboveBar, progress_bar
from reid.train import TrainingDiverged, begin_run, stop_on_signals, update
from reid.training.batches import TrainingBatches, coarser
from reid.training.checkpoints import CHECKPOINT, CheckpointMismatch
from reid.training.curves import cut_log
from reid.training.initialise import InitialWeightsMismatch, begin, found, initialise
from reid.training.objective import TERMS
from reid.training.optimiser import make_optimiser, set_rates
from reid.training.recipe import CropSize, LossWeights, Optimiser
from reid.training.teacher import TeacherStale, load_cache
from reid.training.trainee import foreground_mean
from tests.reid.tiny_training import run, tiny_batches, tiny_recipe, tiny_samples, tiny_teacher

CONFIGS = Path(__file__).parents[2] / "configs/reid"
NOWHERE = Path("none")


@pytest.fixture(scope="module")
def batches() -> TrainingBatches:
    return TrainingBatches(tiny_samples(), tiny_teacher(256), tiny_recipe())


def test_a_run_leaves_weights_that_load_a_log_and_its_curves(tmp_path: Path) -> None:
    weights = run(tiny_batches(tiny_recipe(), tmp_path), tmp_path)
    assert load_weights(weights)(torch.zeros(1, 3, 64, 64)).cells.shape[2] == 112
    assert read_notes(weights).recipe["step"] == 3
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert rows[-1]["step"] == "3" and float(rows[-1]["loss"]) > 0
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_student_of_half_the_size_learns_from_means_of_the_teachers_map() -> None:
    grid = np.arange(16 * 8 * 2, dtype=np.float16).reshape(16, 8, 2)
    half = coarser(grid, (128, 64))
    assert half.shape == (8, 4, 2)
    assert half[0, 0].tolist() == grid[:2, :2].mean((0, 1)).tolist()
    assert coarser(grid, (256, 128)) is grid
    small = ModelSpec(name="tiny", width=0.5, box=(128, 64))
    batch = TrainingBatches(tiny_samples(), tiny_teacher(256), tiny_recipe(model=small))[0]
    assert batch.teacher_map is not None and batch.teacher_map.shape[1:3] == batch.foreground.shape[1:]


def test_a_run_of_no_steps_leaves_what_training_begins_as(tmp_path: Path) -> None:
    batches = tiny_batches(tiny_recipe(steps=0), tmp_path)
    first = begin(batches.recipe, batches, NOWHERE)
    kept = load_weights(run(batches, tmp_path, trainee=first)).state_dict()
    assert all(torch.allclose(kept[k], v, atol=1e-3, rtol=1e-3) for k, v in first.net.state_dict().items())


def test_a_log_line_stands_by_itself_beside_the_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("tiny") as show_share:
        show_share(0.5)
        AboveBar().emit(logging.makeLogRecord({"msg": "step 1"}))
    assert "step 1" in capsys.readouterr().err.splitlines()


def test_a_killed_run_writes_the_rows_after_its_checkpoint_again(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,elapsed_s,loss\n50,1.0,2.0\n100,2.0,1.0\n")
    cut_log(log, 50)
    assert log.read_text().splitlines() == ["step,elapsed_s,loss", "50,1.0,2.0"]
    cut_log(log, 0)
    assert not log.exists()


def test_a_key_press_is_noted_and_stops_the_run_between_two_steps() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        stopped = stop_on_signals()
        assert not stopped()
        signal.raise_signal(signal.SIGINT)
        assert stopped()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_a_step_makes_the_loss_of_its_batch_smaller(batches: TrainingBatches) -> None:
    a_run = begin_run(begin(batches.recipe, batches, NOWHERE), batches.recipe, torch.device("cpu"))
    losses = [update(a_run, batches[0], batches.recipe)["loss"] for _ in range(6)]
    assert losses[-1] < losses[0]


def test_relative_triplets_change_both_triplets_and_nothing_else(batches: TrainingBatches) -> None:
    first = []
    for triplet in ("absolute", "relative"):
        recipe = tiny_recipe(triplet=triplet)
        a_run = begin_run(begin(recipe, batches, NOWHERE), recipe, torch.device("cpu"))
        first.append(update(a_run, batches[0], recipe))
    changed = {name for name in first[0] if first[1][name] != pytest.approx(first[0][name], rel=1e-4)}
    assert changed == {"loss", "pooled_triplet", "fpr_triplet"}


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    recipe = tiny_recipe(losses=LossWeights(identity=1.0, teacher_direction=1.0))
    cache = tiny_teacher(256)
    batches = TrainingBatches(tiny_samples(), cache, recipe)
    run(batches, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    cache.embeddings[:] = np.nan
    with pytest.raises(TrainingDiverged, match=r"step 0: .*teacher_direction nan.*diverged\.safetensors"):
        run(batches, tmp_path)
    kept = load_file(tmp_path / "diverged.safetensors")
    assert torch.equal(kept["inputs.0"], batches[0].inputs[0]) and kept["teacher"].isnan().all()
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_weights_that_are_no_numbers_stop_the_run_before_a_distance_is_asked_for(tmp_path: Path) -> None:
    batches = tiny_batches(tiny_recipe(), tmp_path)
    trainee = begin(batches.recipe, batches, NOWHERE)
    with torch.no_grad():
        trainee.net.reduction.weight[0, 0] = np.nan
    with pytest.raises(TrainingDiverged, match=r"step 0: .*cells.*diverged\.safetensors"):
        run(batches, tmp_path, trainee=trainee)
    assert (tmp_path / "diverged.safetensors").is_file()


def test_what_is_missing_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reid.train", str(CONFIGS / "fpr_small.yaml"), "--out", str(tmp_path)]
    environment = {**os.environ, "SHARED_DATA": str(tmp_path)}
    ran = subprocess.run(
        command, cwd=CONFIGS.parents[1], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "no such folder or archive" in ran.stderr and "Traceback" not in ran.stderr


def test_a_batch_depends_on_its_step_alone(batches: TrainingBatches) -> None:
    again = TrainingBatches(tiny_samples(), tiny_teacher(256), batches.recipe)
    assert torch.equal(batches[1].inputs[0], again[1].inputs[0])
    assert not torch.equal(batches[0].inputs[0], again[1].inputs[0])


def test_covered_positions_are_no_foreground(batches: TrainingBatches) -> None:
    batch = batches[2]
    assert (batch.foreground <= batch.visible + 1e-6).all()


def test_masks_are_the_labels_where_there_are_masks(tmp_path: Path) -> None:
    sizes = (CropSize(256, 128, 1),)
    recipe = tiny_recipe(masks=str(tmp_path / "masks"), occlusion=0, sizes=sizes)
    foreground = tiny_batches(recipe, tmp_path)[0].foreground
    assert foreground[:, :, 2:6].mean() > 0.9 and foreground[:, :, 0].mean() < 0.1


def test_frozen_parts_stay_as_they_were(batches: TrainingBatches) -> None:
    recipe = tiny_recipe(frozen=("conv1",))
    trainee = begin(recipe, batches, NOWHERE)
    before = trainee.net.backbone.conv1.weight.clone()
    update(begin_run(trainee, recipe, torch.device("cpu")), batches[0], recipe)
    assert torch.equal(before, trainee.net.backbone.conv1.weight)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("cosine", [2e-6, 1e-4, 5e-5, 0]), ("steps", [2e-6, 1e-4, 1e-5, 1e-6])]
)
def test_rates_warm_up_and_fall(batches: TrainingBatches, schedule: str, expected: list[float]) -> None:
    settings = Optimiser(schedule=schedule)  # type: ignore[arg-type]
    optimiser = make_optimiser(begin(batches.recipe, batches, NOWHERE), settings)
    rates = []
    for step, fraction in ((0, 0.0), (49, 0.0), (100, 0.5), (200, 1.0)):
        set_rates(optimiser, settings, step, fraction)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx(expected)


def test_resuming_nothing_says_so(batches: TrainingBatches, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="nothing to resume"):
        run(batches, tmp_path, resume=True)


def test_a_checkpoint_of_another_network_is_refused_by_what_differs(tmp_path: Path) -> None:
    run(tiny_batches(tiny_recipe(steps=1), tmp_path), tmp_path)
    other = tiny_recipe(model=ModelSpec(name="tiny", width=0.5, cell_channels=64), seed=2)
    message = r"model\.cell_channels there 112, here 64; seed there 0, here 2"
    with pytest.raises(CheckpointMismatch, match=message):
        run(tiny_batches(other, tmp_path), tmp_path, resume=True)


def test_a_damaged_checkpoint_is_refused(batches: TrainingBatches, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(CheckpointMismatch, match=r"not a checkpoint of reid\.train"):
        run(batches, tmp_path, resume=True)


def test_the_foreground_mean_counts_only_cells_that_show_the_person() -> None:
    cells, logits = torch.randn(2, 5, 8), torch.full((2, 5), -60.0)
    logits[:, 3] = 60
    nothing = torch.zeros(2, 0)
    output = FPROutput(cells, logits, pooled=nothing, map=nothing, map_foreground=nothing)
    assert torch.allclose(foreground_mean(output), cells[:, 3], atol=1e-6)


def test_identities_on_the_foreground_teach_generator_and_reduction(batches: TrainingBatches) -> None:
    recipe = tiny_recipe(losses=LossWeights(foreground_identity=1.0))
    a_run = begin_run(begin(recipe, batches, NOWHERE), recipe, torch.device("cpu"))
    losses = [update(a_run, batches[0], recipe)["foreground_identity"] for _ in range(6)]
    assert losses[-1] < losses[0]
    net = a_run.trainee.net
    assert net.foreground.weight.grad.abs().sum() > 0 and net.reduction.weight.grad.abs().sum() > 0


def test_every_weight_of_the_loss_has_its_term() -> None:
    assert tuple(TERMS) == LossWeights.__struct_fields__


def test_a_resnet_begins_as_the_published_imagenet_weights(shared_data: Path) -> None:
    net = FPRNet(ModelSpec(backbone="resnet50"))
    initialise(net, shared_data / "weights/resnet50_imagenet_nc.npz")
    assert net.backbone.bn1.running_var.std() > 0.01
    with pytest.raises(InitialWeightsMismatch, match="no such file"):
        initialise(net, shared_data / "weights/none.npz")


def test_a_finer_training_begins_as_a_coarser_one_ended(tmp_path: Path) -> None:
    coarse = tiny_recipe(model=ModelSpec(name="coarse", width=0.5, box=(128, 64)))
    run(tiny_batches(coarse, tmp_path), tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    state["mean"]["pool.place"] = torch.arange(8.0).view(1, 8, 1).expand(state["mean"]["pool.place"].shape)
    state["mean"]["pool.shift"] += 1
    torch.save(state, tmp_path / CHECKPOINT)
    fine = tiny_recipe(model=ModelSpec(name="fine", width=0.5), begin=CHECKPOINT, seed=1)
    trainee = begin(fine, tiny_batches(fine, tmp_path / "fine"), tmp_path)
    for name, value in trainee.net.backbone.state_dict().items():
        assert torch.equal(value, state["mean"][f"backbone.{name}"])
    assert torch.equal(trainee.classifier.weight, state["trainee"]["classifier.weight"])
    assert torch.equal(trainee.net.pool.shift, state["mean"]["pool.shift"])
    rows = trainee.net.pool.place[0, :, 0].tolist()  # a quarter of the sum of four, between the rows' middles
    assert rows[:4] == pytest.approx([0, 0.25 / 4, 0.75 / 4, 1.25 / 4]) and rows[-1] == pytest.approx(7 / 4)


@pytest.mark.parametrize("teacher", [None, "a.xml"])
def test_a_training_begins_as_weights_of_ours_and_tells_its_people_apart(
    teacher: str | None, tmp_path: Path
) -> None:
    earlier = tiny_recipe(model=ModelSpec(name="earlier", width=0.5))
    weights = run(tiny_batches(earlier, tmp_path), tmp_path)
    changes = {} if teacher is None else {"teacher": teacher, "teacher_cache": "none"}
    recipe = tiny_recipe(begin=str(weights), occlusion=0.0, augmentation="none", **changes)
    batches = tiny_batches(recipe, tmp_path / "own")
    trainee = begin(recipe, batches, NOWHERE)
    for name, value in load_weights(weights).state_dict().items():
        assert torch.equal(value, trainee.net.state_dict()[name])
    if teacher is None:  # the teacher's answers of these tests are made up
        named = trainee.train()(*batches[0].inputs).logits.argmax(1)
        assert (named == batches[0].people).float().mean() > 0.6


def test_a_training_does_not_begin_as_weights_of_another_network(tmp_path: Path) -> None:
    earlier = tiny_recipe(model=ModelSpec(name="earlier", width=0.5, cell_channels=8))
    recipe = tiny_recipe(begin=str(run(tiny_batches(earlier, tmp_path), tmp_path)))
    with pytest.raises(InitialWeightsMismatch, match="another network than the recipe's"):
        begin(recipe, tiny_batches(recipe, tmp_path / "own"), NOWHERE)


def test_no_training_begins_as_one_of_another_network_or_other_people(tmp_path: Path) -> None:
    coarse = tiny_recipe(model=ModelSpec(name="coarse", width=0.5, box=(128, 64)))
    run(tiny_batches(coarse, tmp_path), tmp_path)
    other = tiny_recipe(model=ModelSpec(name="other", width=0.5, cell_channels=8), begin=CHECKPOINT)
    with pytest.raises(InitialWeightsMismatch, match="size mismatch"):
        begin(other, tiny_batches(other, tmp_path / "other"), tmp_path)
    strangers = tiny_recipe(data=("folder:others",), begin=CHECKPOINT)
    with pytest.raises(InitialWeightsMismatch, match="of other data"):
        begin(strangers, tiny_batches(strangers, tmp_path / "strangers"), tmp_path)


@pytest.mark.parametrize("content", [b"", b"half a file", b"steps: 3\n", b"\x80\x02}q\x00."])
def test_what_is_no_checkpoint_is_no_beginning(content: bytes, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    recipe = tiny_recipe(begin=CHECKPOINT)
    with pytest.raises(InitialWeightsMismatch, match=r"checkpoint.pt: not a checkpoint of reid.train"):
        begin(recipe, tiny_batches(recipe, tmp_path / "out"), tmp_path)


def test_first_weights_lie_below_the_shared_folder_or_where_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shared, here = tmp_path / "shared", Path("here.npz")
    shared.mkdir()
    here.touch()
    assert found("here.npz", shared) == here
    (shared / "here.npz").touch()
    assert found("here.npz", shared) == shared / "here.npz"
    assert found("none.npz", shared) == shared / "none.npz"


def test_weights_of_another_network_are_no_beginning(shared_data: Path) -> None:
    narrow = FPRNet(ModelSpec(backbone="resnet50", width=0.25))
    with pytest.raises(InitialWeightsMismatch, match="size mismatch"):
        initialise(narrow, shared_data / "weights/resnet50_imagenet_nc.npz")


def test_a_cache_of_other_crops_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('["somebody/else.jpg"]')
    with pytest.raises(TeacherStale, match="delete it"):
        load_cache(tmp_path, tiny_samples())
