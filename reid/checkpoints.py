"""A training run on disk: everything to go on from, and the running mean of the weights that ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from reid.initialise import Trainee
from reid.model import FPRNet
from reid.recipe import Recipe
from reid.weights import save_weights

CHECKPOINT = "checkpoint.pt"


class CheckpointMismatch(ValueError):
    """A checkpoint is missing, or of another recipe."""


@dataclass
class Run:
    """A training run in memory."""

    trainee: Trainee
    mean: FPRNet
    """Running mean of the network's weights."""
    optimiser: torch.optim.Optimizer
    step: int = 0
    elapsed_s: float = 0.0


@torch.no_grad()
def average(mean: FPRNet, net: FPRNet, decay: float) -> None:
    """Move the running mean of the weights towards the present ones."""
    for kept, present in zip(mean.parameters(), net.parameters(), strict=True):
        kept.lerp_(present, 1 - decay)


def save(out: Path, run: Run, recipe: Recipe) -> None:
    """Write the checkpoint and the weights, each in one step."""
    state = {
        "trainee": run.trainee.state_dict(),
        "mean": run.mean.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "step": run.step,
        "elapsed_s": run.elapsed_s,
        "recipe": msgspec.json.encode(recipe).decode(),
    }
    partial = out / f".{CHECKPOINT}"
    torch.save(state, partial)
    partial.replace(out / CHECKPOINT)
    notes = {**msgspec.to_builtins(recipe), "step": run.step, "elapsed_s": round(run.elapsed_s)}
    save_weights(out / f"{recipe.model.name}.safetensors", run.mean, recipe=notes, terms=recipe.terms)


def restore(path: Path, run: Run, recipe: Recipe) -> None:
    """Bring a run to where its checkpoint was written.

    Raises:
        CheckpointMismatch: missing, or of another network or data.
    """
    if not path.is_file():
        raise CheckpointMismatch(f"{path}: nothing to resume; start without --resume")
    state = torch.load(path, map_location="cpu", weights_only=True)
    theirs = msgspec.json.decode(state["recipe"], type=Recipe)
    if (theirs.model, theirs.data, theirs.seed) != (recipe.model, recipe.data, recipe.seed):
        raise CheckpointMismatch(f"{path}: of a recipe with another model, data or seed; give another --out")
    run.trainee.load_state_dict(state["trainee"])
    run.mean.load_state_dict(state["mean"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.step, run.elapsed_s = state["step"], state["elapsed_s"]
