"""Makes the person detector that ships: `python -m pipeline.cli.train_detector --help`."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pipeline.cli.exit_codes import exit_code
from pipeline.errors import MendableError
from pipeline.tracking.training.person_samples import LabelledImage, read_samples, without_copies
from pipeline.tracking.training.train_detector import (
    EVALUATION_SIZES_PX,
    Recipe,
    fine_tune,
    floor,
    measured,
    save_detector,
)


def train_detector(
    start: Annotated[Path, typer.Option(help="ultralytics .pt file with a class person")],
    data: Annotated[Path, typer.Option(help=".tar.gz with images/ and labels/, each with train/ and val/")],
    out: Annotated[Path, typer.Option(help="folder for person_detector.onnx and .safetensors")],
    epochs: Annotated[int, typer.Option(help="0: only cut the head")] = Recipe.epochs,
    frozen_layers: Annotated[int, typer.Option(help="first layers left alone")] = Recipe.frozen_layers,
    learning_rate: float = Recipe.learning_rate,
    threads: int = 1,
) -> None:
    """Cut a COCO detector's head to one class, fine-tune it, measure both on val, and write the better one.

    Example: python -m pipeline.cli.train_detector --start yolo11n.pt --data coco_person.tar.gz --out weights
    """
    import torch

    console = Console()
    base = floor(start)
    torch.set_num_threads(threads)
    held_out = read_samples(data, "val")
    samples = without_copies(read_samples(data, "train"), held_out)
    console.print(f"{len(samples)} images to train on, {len(held_out)} to decide on")
    recipe = Recipe(epochs=epochs, frozen_layers=frozen_layers, learning_rate=learning_rate)
    models = {"floor": base}
    if epochs:
        tuned = copy.deepcopy(base)
        models["fine-tuned"] = fine_tune(
            tuned, samples, recipe, lambda epoch, loss: console.print(f"epoch {epoch + 1}: loss {loss:.3f}")
        )
    choose(models, held_out, out, console, threads=threads)


def choose(
    models: dict[str, Any], samples: list[LabelledImage], out: Path, console: Console, *, threads: int
) -> None:
    """Write the model with the best mean AP over the evaluation sizes, and show every model's."""
    table = Table("model", *(f"AP50 / AP at {size}" for size in EVALUATION_SIZES_PX))
    scores: dict[str, float] = {}
    for name, model in models.items():
        found = measured(model, samples, out, threads=threads)
        scores[name] = float(np.mean([score.ap for score in found]))
        table.add_row(name, *(f"{score.ap50:.4f} / {score.ap:.4f}" for score in found))
    best = max(scores, key=lambda name: scores[name])
    save_detector(models[best], out)
    console.print(table, f"{best} is in {out}")


def main() -> None:
    """The command; an error a person can mend is one line."""
    try:
        typer.run(train_detector)
    except MendableError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), style="bold red", markup=False)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
