"""A training recipe: every choice of a run in one YAML file, unknown keys refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from reid.model import ModelSpec

Positive = Annotated[float, Meta(gt=0)]
Weight = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the key."""


class CropSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A size that whole batches have."""

    height: Annotated[int, Meta(ge=32, le=256, multiple_of=16)]
    width: Annotated[int, Meta(ge=32, le=128, multiple_of=16)]
    share: Positive
    """How often, relative to the other sizes."""


class LossWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Factor of each term of the loss; 0 leaves it out."""

    identity: Weight = 1.0
    pooled_triplet: Weight = 1.0
    fpr_triplet: Weight = 1.0
    foreground: Weight = 0.02
    map_foreground: Weight = 0.02
    teacher_direction: Weight = 1.0
    teacher_relation: Weight = 10.0
    teacher_map: Weight = 1.0


class Optimiser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """AdamW with warm-up and cosine decay."""

    learning_rate: Positive = 1e-4
    """Of what begins from given weights."""
    head_factor: Positive = 10.0
    """Heads that begin at random learn this much faster."""
    warmup_steps: Count = 50
    weight_decay: Weight = 1e-4
    gradient_clip: Positive = 5.0
    ema: Annotated[float, Meta(ge=0, lt=1)] = 0.99
    """Decay of the running mean of the weights, which is what ships."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a run needs beside the data."""

    terms: str
    """One line that travels with the weights."""
    data: tuple[str, ...]
    heldout: str
    teacher: str
    """OpenVINO file below SHARED_DATA: what is distilled, and what the backbone begins as."""
    teacher_cache: str
    """Folder for the teacher's answers; about 450 MB for 26,000 crops."""
    steps: Count
    sizes: tuple[CropSize, ...]
    model: ModelSpec = ModelSpec()
    begin_as_teacher: bool = True
    frozen: tuple[str, ...] = ()
    """Parts of the backbone that keep their first weights."""
    people: Count = 16
    crops: Annotated[int, Meta(ge=2)] = 4
    occlusion: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Share of the crops that get something in front."""
    margin: Positive = 0.3
    fpr_margin: Positive = 0.2
    label_smoothing: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    losses: LossWeights = LossWeights()
    optimiser: Optimiser = Optimiser()
    bfloat16: bool = True
    seed: int = 0


def load_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file.

    Raises:
        RecipeError: unreadable, an unknown key, or a value out of range.
    """
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=Recipe)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise RecipeError(f"{path}: {error}") from error
