"""A training run on disk: all it takes to go on bit for bit, and the running mean of the weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file
from torch import Tensor

from reid.network.model import ForeignHead, FPRNet
from reid.network.weights import save_weights
from reid.training.batches import Batch
from reid.training.recipe import Recipe
from reid.training.trainee import Trainee

CHECKPOINT = "checkpoint.pt"
DIVERGED = "diverged.safetensors"
FREE = ("steps",)
"""Keys of a recipe that may change when a run goes on."""


class CheckpointMismatch(ValueError):
    """A checkpoint is missing, damaged, or of another recipe."""


@dataclass
class Run:
    """A training run in memory."""

    trainee: Trainee
    mean: FPRNet | ForeignHead
    """Running mean of the network's weights."""
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    totals: Counter[str] = field(default_factory=Counter)
    """Sums of the loss's terms since the last line of the log."""
    step: int = 0
    elapsed_s: float = 0.0


@torch.no_grad()
def average(run: Run, most: float) -> None:
    """Move the running mean of the weights towards the present ones; counters of batch norms are copied.

    Args:
        most: decay once the run is old; younger runs forget faster.
    """
    decay = min(most, (1 + run.step) / (10 + run.step))
    for kept, present in zip(run.mean.parameters(), run.trainee.net.parameters(), strict=True):
        kept.lerp_(present, 1 - decay)
    for average_buffer, buffer in zip(run.mean.buffers(), run.trainee.net.buffers(), strict=True):
        if buffer.is_floating_point():
            average_buffer.lerp_(buffer, 1 - decay)
        else:
            average_buffer.copy_(buffer)


def save(out: Path, run: Run, recipe: Recipe) -> None:
    """Write the checkpoint and the weights, each in one step."""
    state = {
        "trainee": run.trainee.state_dict(),
        "mean": run.mean.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "scaler": run.scaler.state_dict(),
        "totals": dict(run.totals),
        "step": run.step,
        "elapsed_s": run.elapsed_s,
        "recipe": msgspec.json.encode(recipe).decode(),
    }
    partial = out / f".{CHECKPOINT}"
    torch.save(state, partial)
    partial.replace(out / CHECKPOINT)
    notes = {**msgspec.to_builtins(recipe), "step": run.step, "elapsed_s": round(run.elapsed_s)}
    save_weights(weights_path(out, recipe), run.mean, recipe=notes, terms=recipe.terms)


def weights_path(out: Path, recipe: Recipe) -> Path:
    """Where a run leaves its weights."""
    return out / f"{recipe.model.name}.safetensors"


def restore(path: Path, run: Run, recipe: Recipe) -> None:
    """Bring a run to where its checkpoint was written.

    Raises:
        CheckpointMismatch: missing, unreadable, of another recipe or of other data.
    """
    if not path.is_file():
        raise CheckpointMismatch(f"{path}: nothing to resume; start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        theirs = msgspec.json.decode(state["recipe"])
    except Exception as error:  # whatever a file that is something else makes of it
        raise CheckpointMismatch(f"{path}: not a checkpoint of reid.train ({str(error)[:100]})") from error
    changed = differences(theirs, msgspec.to_builtins(recipe))
    if changed:
        raise CheckpointMismatch(
            f"{path}: of another recipe ({'; '.join(changed)}); give another --out, or start without --resume"
        )
    try:
        run.trainee.load_state_dict(state["trainee"])
        run.mean.load_state_dict(state["mean"])
        run.optimiser.load_state_dict(state["optimiser"])
    except (RuntimeError, ValueError) as error:
        raise CheckpointMismatch(f"{path}: of other data: {str(error).splitlines()[-1].strip()}") from error
    if state["scaler"]:
        run.scaler.load_state_dict(state["scaler"])
    run.totals = Counter(state["totals"])
    run.step, run.elapsed_s = state["step"], state["elapsed_s"]


def differences(theirs: dict[str, Any], ours: dict[str, Any], prefix: str = "") -> list[str]:
    """Each key that differs between two recipes, as `key there VALUE, here VALUE`."""
    found = []
    for key in sorted({*theirs, *ours} - {f for f in FREE if not prefix}):
        there, here = theirs.get(key), ours.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            found += differences(there, here, f"{prefix}{key}.")
        elif msgspec.json.encode(there) != msgspec.json.encode(here):
            found.append(f"{prefix}{key} there {there}, here {here}")
    return found


def save_batch(path: Path, batch: Batch) -> None:
    """Write a batch, so that what went wrong with it can be looked at."""
    tensors = {f"inputs.{number}": value for number, value in enumerate(batch.inputs)}
    tensors |= {name: value for name, value in vars(batch).items() if isinstance(value, Tensor)}
    save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, path)
