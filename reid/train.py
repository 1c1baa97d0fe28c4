"""Trains the FPR network of a recipe: `python -m reid.train configs/reid/fpr_small.yaml`."""

from __future__ import annotations

import copy
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
import typer
from torch import nn
from torch.utils.data import DataLoader

from reid.data.datasets import DatasetChanged, DatasetMissing, DatasetRefused, load_training, read_heldout
from reid.masks import MaskMissing
from reid.network.foreign import ForeignMismatch
from reid.network.model import FPROutput
from reid.progress import AboveBar, progress_bar
from reid.training.batches import Batch, Batches
from reid.training.checkpoints import (
    CHECKPOINT,
    DIVERGED,
    CheckpointMismatch,
    Run,
    average,
    restore,
    save,
    save_batch,
    weights_path,
)
from reid.training.curves import LOG, PICTURE, STEPS, append_row, cut_log, draw_curves
from reid.training.initialise import InitialWeightsMismatch, begin
from reid.training.objective import Judged, loss_terms
from reid.training.optimiser import make_optimiser, set_rates
from reid.training.recipe import Recipe, RecipeError, load_recipe
from reid.training.recipe_batches import make_batches
from reid.training.samplers import TooFewPeople
from reid.training.teacher import TeacherMissing
from reid.training.trainee import Trainee

LOG_EVERY_STEPS = 50
SAVE_EVERY_STEPS = 50
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
STOPPED = 130
"""Exit status of a run that was asked to stop before its last step."""
log = logging.getLogger("reid.train")


class TrainingDiverged(RuntimeError):
    """The loss or its gradient is no number any more; the last checkpoint is from before."""


EXPECTED = (
    CheckpointMismatch,
    DatasetChanged,
    DatasetMissing,
    DatasetRefused,
    ForeignMismatch,
    InitialWeightsMismatch,
    MaskMissing,
    RecipeError,
    TeacherMissing,
    TooFewPeople,
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
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Run a recipe and return the path of the weights; they and a checkpoint are rewritten as training goes.

    Args:
        shared: the folder with data/ and weights/.
        out: receives checkpoint.pt, log.csv, curves.png and the weights.
        hours: stop after this much training time (over all resumed runs), the schedule stretched to fit;
            None: after `recipe.steps`.
        resume: go on from out/checkpoint.pt; on a CPU the end is the same, bit for bit.
        stopped: asked between steps; True saves and returns.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        CheckpointMismatch: nothing to resume, or of another recipe.
        DatasetMissing, TeacherMissing, ForeignMismatch, InitialWeightsMismatch: see their modules.
    """
    samples = load_training(shared / "data", recipe.data, read_heldout(Path(recipe.heldout)))
    batches = make_batches(recipe, samples, shared)
    log.info("%d crops of %d people", len(batches.people), batches.people_count)
    trainee = begin(recipe, batches, shared)
    return fit(
        trainee, batches, out, device=device, hours=hours, resume=resume, loaders=loaders, stopped=stopped
    )


def fit(
    trainee: Trainee,
    batches: Batches,
    out: Path,
    *,
    device: torch.device,
    hours: float | None,
    resume: bool,
    loaders: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Run the steps that are left and return the path of the weights.

    Raises:
        TrainingDiverged, CheckpointMismatch: see `train`.
    """
    recipe = batches.recipe
    out.mkdir(parents=True, exist_ok=True)
    run = begin_run(trainee, recipe, device)
    if resume:
        restore(out / CHECKPOINT, run, recipe)
    cut_log(out / LOG, run.step)
    before = time.monotonic() - run.elapsed_s
    with progress_bar(recipe.model.name) as show_share:
        for batch in remaining(batches, run.step, loaders):
            fraction = share_done(run, recipe, hours)
            if fraction >= 1 or stopped():
                break
            set_rates(run.optimiser, recipe.optimiser, run.step, fraction)
            advance(run, batch.to(device), recipe, out)
            run.elapsed_s = time.monotonic() - before
            show_share(share_done(run, recipe, hours))
            if run.step % LOG_EVERY_STEPS == 0:
                report(out, run)
            if run.step % SAVE_EVERY_STEPS == 0:
                save(out, run, recipe)
    if not stopped():
        report(out, run)
    save(out, run, recipe)
    return weights_path(out, recipe)


def share_done(run: Run, recipe: Recipe, hours: float | None) -> float:
    """How much of a run is over: of its time where that is limited, else of its steps."""
    return run.step / recipe.steps if hours is None else run.elapsed_s / (hours * 3600)


def begin_run(trainee: Trainee, recipe: Recipe, device: torch.device) -> Run:
    """A run before its first step, on its device."""
    trainee.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = copy.deepcopy(trainee.net).requires_grad_(False)
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")
    return Run(trainee, mean, make_optimiser(trainee, recipe.optimiser), scaler)


def advance(run: Run, batch: Batch, recipe: Recipe, out: Path) -> None:
    """One step of a run; a batch that breaks it is kept.

    Raises:
        TrainingDiverged: the loss or its gradient is no number.
    """
    try:
        run.totals.update(update(run, batch, recipe))
    except TrainingDiverged as error:
        save_batch(out / DIVERGED, batch)
        raise TrainingDiverged(f"step {run.step}: {error}; its batch is in {out / DIVERGED}") from error
    average(run, recipe.optimiser.ema)
    run.step += 1


def update(run: Run, batch: Batch, recipe: Recipe) -> dict[str, float]:
    """One step of the optimiser; returns the terms of the loss, unweighted, their weighted sum, and 1 step.

    Raises:
        TrainingDiverged: the loss or its gradient is no number.
    """
    run.trainee.train()
    kind, dtype = batch.people.device.type, DTYPES[recipe.precision]
    with torch.autocast(kind, dtype, enabled=dtype != torch.float32):
        named = run.trainee(*batch.inputs)
    check_finite(named.output)
    terms = loss_terms(Judged(named, batch, recipe))
    factors = msgspec.structs.asdict(recipe.losses)
    loss = torch.stack([factors[name] * term for name, term in terms.items()]).sum()
    values = {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items()}}
    if not math.isfinite(values["loss"]):
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise TrainingDiverged(f"the loss is no number ({shown})")
    run.optimiser.zero_grad(set_to_none=True)
    run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    run.scaler.unscale_(run.optimiser)
    norm = nn.utils.clip_grad_norm_(run.trainee.parameters(), recipe.optimiser.gradient_clip)
    if not run.scaler.is_enabled() and not torch.isfinite(norm):  # a scaler leaves such a step out
        raise TrainingDiverged(f"the gradient is no number (loss {values['loss']:.4g})")
    run.scaler.step(run.optimiser)
    run.scaler.update()
    return {STEPS: 1, **values}


def check_finite(output: FPROutput) -> None:
    """Refuse what no distance can be computed of.

    Raises:
        TrainingDiverged: cells, foreground or pooled vectors are no numbers.
    """
    given = {"cells": output.cells, "foreground": output.foreground, "pooled vectors": output.pooled}
    broken = [name for name, value in given.items() if not value.isfinite().all()]
    if broken:
        raise TrainingDiverged(f"the network's {', '.join(broken)} are no numbers")


def remaining(batches: Batches, step: int, loaders: int) -> DataLoader[Batch]:
    """The batches from `step` on, made by `loaders` other processes, which Ctrl-C leaves alone."""
    steps = range(step, batches.recipe.steps)
    ahead: dict[str, Any] = {"prefetch_factor": 4, "worker_init_fn": ignore_interrupts} if loaders else {}
    return DataLoader(batches, batch_size=None, sampler=steps, num_workers=loaders, **ahead)  # type: ignore[arg-type]


def ignore_interrupts(worker: int) -> None:
    """Leave Ctrl-C to the process that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def report(out: Path, run: Run) -> None:
    """One line to the log and to the CSV, and the curves drawn again; nothing if nothing is new."""
    if not run.totals:
        return
    row = append_row(out / LOG, run.step, run.elapsed_s, run.totals)
    log.info("step %d, %.0f s (%.1f s a step): %s", run.step, run.elapsed_s, run.elapsed_s / run.step, row)
    draw_curves(out / LOG, out / PICTURE)


def one_line(error: Exception) -> str:
    """The error's message; of one that torch brings from a loader's process, only its last line."""
    last = str(error).rstrip().splitlines()[-1]
    return last.removeprefix(f"{type(error).__module__}.{type(error).__qualname__}: ")


def stop_on_signals() -> Callable[[], bool]:
    """Whether Ctrl-C or SIGTERM came; a second one ends the process at once."""
    asked = threading.Event()

    def note(number: int, _frame: object) -> None:
        asked.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return asked.is_set


def main(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).")],
    out: Annotated[
        Path | None, typer.Option(help="Receives checkpoint, log and weights: work/RECIPE.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=0, help="Instead of the recipe's; 0: only what training begins as.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE instead of the recipe's: losses.foreground=0.2."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(help="Stop after this long, the schedule fitted to it.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the network.")] = 1,
    loaders: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Trains the FPR network of a recipe."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=[AboveBar()]
    )
    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shared = Path(os.environ.get("SHARED_DATA", "../shared"))
    folder = out or Path("work") / recipe.stem
    stopped = stop_on_signals()
    try:
        chosen = load_recipe(recipe, changes or ())
        if steps is not None:
            chosen = msgspec.structs.replace(chosen, steps=steps)
        weights = train(
            chosen,
            shared,
            folder,
            device=torch.device(device),
            hours=hours,
            resume=resume,
            loaders=loaders,
            stopped=stopped,
        )
    except EXPECTED as error:
        log.error("error: %s", one_line(error))
        raise typer.Exit(2) from error
    if stopped():
        log.info("stopped; --resume goes on from %s", folder / CHECKPOINT)
        raise typer.Exit(STOPPED)
    log.info("weights in %s", weights)


if __name__ == "__main__":
    typer.run(main)
