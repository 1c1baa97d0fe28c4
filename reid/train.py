"""Trains the FPR network of a recipe: `python -m reid.train configs/reid/fpr_small.yaml`."""

from __future__ import annotations

import copy
import csv
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from reid.batches import Batch, TrainingBatches
from reid.checkpoints import CHECKPOINT, CheckpointMismatch, Run, average, restore, save
from reid.datasets import DatasetChanged, DatasetMissing, DatasetRefused, Sample, load_training, read_heldout
from reid.fpr_torch import fpr_distance
from reid.initialise import InitialWeightsMismatch, Trainee, begin
from reid.losses import (
    batch_hard_triplet,
    direction_loss,
    euclidean,
    foreground_loss,
    map_loss,
    relation_loss,
)
from reid.model import FPROutput, pyramid_means
from reid.recipe import Recipe, RecipeError, load_recipe
from reid.teacher import Teacher, TeacherCache, TeacherMissing, TeacherStale, cache_teacher, load_cache

LOG_EVERY_STEPS = 50
SAVE_EVERY_STEPS = 50
STEPS = "steps"
"""Key under which the steps are counted beside the terms of the loss."""
log = logging.getLogger("reid.train")


class TrainingDiverged(RuntimeError):
    """The loss is no number any more; the last checkpoint is from before."""


EXPECTED = (
    CheckpointMismatch,
    DatasetChanged,
    DatasetMissing,
    DatasetRefused,
    InitialWeightsMismatch,
    RecipeError,
    TeacherMissing,
    TrainingDiverged,
)
"""What one line explains better than a traceback."""


def train(
    recipe: Recipe,
    shared: Path,
    out: Path,
    *,
    device: torch.device,
    hours: float | None = None,
    resume: bool = False,
    loaders: int = 1,
) -> Path:
    """Run a recipe and return the path of the weights; they and a checkpoint are rewritten as training goes.

    Args:
        shared: the folder with data/ and weights/.
        out: receives checkpoint.pt, log.csv and fpr_small.safetensors.
        hours: stop after this much training time (over all resumed runs), the schedule stretched to fit;
            None: after `recipe.steps`.
        resume: go on from out/checkpoint.pt.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        CheckpointMismatch: nothing to resume, or of another recipe.
        DatasetMissing, TeacherMissing, InitialWeightsMismatch: see `reid.datasets`, `teacher`, `initialise`.
    """
    torch.manual_seed(recipe.seed)
    samples = load_training(shared / "data", recipe.data, read_heldout(Path(recipe.heldout)))
    batches = TrainingBatches(samples, teacher_cache(recipe, samples, shared), recipe)
    log.info("%d crops of %d people", len(samples), batches.people.max() + 1)
    trainee = begin(recipe, batches, shared)
    return fit(trainee, batches, out, device=device, hours=hours, resume=resume, loaders=loaders)


def fit(
    trainee: Trainee,
    batches: TrainingBatches,
    out: Path,
    *,
    device: torch.device,
    hours: float | None,
    resume: bool,
    loaders: int,
) -> Path:
    """Run the steps that are left and return the path of the weights; an interruption saves first.

    Raises:
        TrainingDiverged, CheckpointMismatch: see `train`.
    """
    recipe = batches.recipe
    out.mkdir(parents=True, exist_ok=True)
    trainee.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(trainee, copy.deepcopy(trainee.net).requires_grad_(False), make_optimiser(trainee, recipe))
    if resume:
        restore(out / CHECKPOINT, run, recipe)
    projection = torch.from_numpy(batches.cache.projection).to(device)
    totals: Counter[str] = Counter()
    before = time.monotonic() - run.elapsed_s
    interrupted: KeyboardInterrupt | None = None
    try:
        for batch in remaining(batches, run.step, loaders):
            fraction = run.step / recipe.steps if hours is None else run.elapsed_s / (hours * 3600)
            if fraction >= 1:
                break
            set_rates(run.optimiser, recipe, run.step, fraction)
            totals.update(update(trainee, run.optimiser, batch.to(device), projection, recipe))
            average(run.mean, trainee.net, min(recipe.optimiser.ema, (1 + run.step) / (10 + run.step)))
            run.step, run.elapsed_s = run.step + 1, time.monotonic() - before
            if run.step % LOG_EVERY_STEPS == 0:
                report(out / "log.csv", run, totals)
            if run.step % SAVE_EVERY_STEPS == 0:
                save(out, run, recipe)
    except KeyboardInterrupt as error:
        interrupted = error
    report(out / "log.csv", run, totals)
    save(out, run, recipe)
    if interrupted:
        raise interrupted
    return out / f"{recipe.model.name}.safetensors"


def remaining(batches: TrainingBatches, step: int, loaders: int) -> DataLoader[Batch]:
    """The batches from `step` on, made by `loaders` other processes."""
    steps = range(step, batches.recipe.steps)
    ahead = {"prefetch_factor": 4} if loaders else {}
    return DataLoader(batches, batch_size=None, sampler=steps, num_workers=loaders, **ahead)  # type: ignore[arg-type]


def teacher_cache(recipe: Recipe, samples: Sequence[Sample], shared: Path) -> TeacherCache:
    """The teacher's answers from disk, computed first where they are missing."""
    folder = Path(recipe.teacher_cache)
    try:
        return load_cache(folder, samples)
    except TeacherStale:
        log.info("asking the teacher about %d crops, once", len(samples))
        for done in cache_teacher(samples, Teacher(shared / recipe.teacher), folder):
            if done % 4000 < 16:
                log.info("teacher: %d of %d crops", done, len(samples))
    return load_cache(folder, samples)


def make_optimiser(trainee: Trainee, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW with two rates: what begins as the teacher, and what begins new."""
    new = [*trainee.net.foreground.parameters(), *trainee.neck.parameters(), *trainee.classifier.parameters()]
    new_ids = {id(parameter) for parameter in new}
    known = [p for p in trainee.parameters() if p.requires_grad and id(p) not in new_ids]
    rate = recipe.optimiser.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": known, "peak": rate, "lr": rate},
        {
            "params": [p for p in new if p.requires_grad],
            "peak": rate * recipe.optimiser.head_factor,
            "lr": rate,
        },
    ]
    return torch.optim.AdamW(groups, weight_decay=recipe.optimiser.weight_decay)


def set_rates(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int, fraction: float) -> None:
    """Linear warm-up by steps, cosine decay by the fraction of the run that is over."""
    factor = min(1.0, (step + 1) / recipe.optimiser.warmup_steps) * (0.5 + 0.5 * math.cos(math.pi * fraction))
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def update(
    trainee: Trainee, optimiser: torch.optim.Optimizer, batch: Batch, projection: Tensor, recipe: Recipe
) -> dict[str, float]:
    """One step of the optimiser; returns the terms of the loss, unweighted, their sum, and 1 step.

    Raises:
        TrainingDiverged: the loss is no number.
    """
    trainee.train()
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=recipe.bfloat16):
        output, logits = trainee(batch.images.contiguous(memory_format=torch.channels_last))
    terms = loss_terms(output, logits.float(), batch, projection, recipe)
    factors = msgspec.structs.asdict(recipe.losses)
    loss = torch.stack([factors[name] * term for name, term in terms.items()]).sum()
    if not torch.isfinite(loss):
        raise TrainingDiverged(
            f"loss terms { ({name: round(float(t.detach()), 4) for name, t in terms.items()}) }"
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(trainee.parameters(), recipe.optimiser.gradient_clip)
    optimiser.step()
    return {
        STEPS: 1,
        "loss": float(loss.detach()),
        **{name: float(term.detach()) for name, term in terms.items()},
    }


def loss_terms(
    output: FPROutput, logits: Tensor, batch: Batch, projection: Tensor, recipe: Recipe
) -> dict[str, Tensor]:
    """Each term of the loss by its name in `LossWeights`."""
    kernels = recipe.model.kernels
    pooled, cells = output.pooled.float(), output.cells
    distances = fpr_distance(cells, output.foreground.sigmoid(), cells)
    return {
        "identity": functional.cross_entropy(logits, batch.people, label_smoothing=recipe.label_smoothing),
        "pooled_triplet": batch_hard_triplet(euclidean(pooled), batch.people, margin=recipe.margin),
        "fpr_triplet": batch_hard_triplet(distances, batch.people, margin=recipe.fpr_margin),
        "foreground": foreground_loss(output.foreground, pyramid_means(batch.foreground, kernels)),
        "map_foreground": foreground_loss(output.map_foreground.flatten(1), batch.foreground.flatten(1)),
        "teacher_direction": direction_loss(pooled, batch.teacher),
        "teacher_relation": relation_loss(pooled, batch.teacher),
        "teacher_map": map_loss(output.map.float(), projection, batch.teacher_map, batch.foreground),
    }


def report(path: Path, run: Run, totals: Counter[str]) -> None:
    """One line to the log and to the CSV: means since the last one, which are then forgotten."""
    count = totals.pop(STEPS, 0)
    if not count:
        return
    row = {name: round(total / count, 4) for name, total in totals.items()}
    totals.clear()
    log.info("step %d, %.0f s (%.1f s a step): %s", run.step, run.elapsed_s, run.elapsed_s / run.step, row)
    fresh = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if fresh:
            writer.writerow(["step", "elapsed_s", *row])
        writer.writerow([run.step, round(run.elapsed_s, 1), *row.values()])


def main(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).")],
    out: Annotated[Path, typer.Option(help="Receives checkpoint, log and weights.")] = Path("work/fpr_small"),
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    hours: Annotated[
        float | None, typer.Option(help="Stop after this long, the schedule fitted to it.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the network.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Trains the FPR network of a recipe."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shared = Path(os.environ.get("SHARED_DATA", "../shared"))
    try:
        chosen = load_recipe(recipe)
        if steps is not None:
            chosen = msgspec.structs.replace(chosen, steps=steps)
        weights = train(chosen, shared, out, device=torch.device(device), hours=hours, resume=resume)
    except EXPECTED as error:
        log.error("%s", error)
        raise typer.Exit(1) from error
    log.info("weights in %s", weights)


if __name__ == "__main__":
    typer.run(main)
