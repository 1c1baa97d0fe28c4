"""A training recipe: every choice of a run in one YAML file, unknown keys refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from reid.data.augment import Strength
from reid.network.spec import ModelSpec, unknown_keys

Positive = Annotated[float, Meta(gt=0)]
Weight = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
TEACHER_BOX = (256, 128)
"""Height and width in px of what the teacher's cached maps show; a student's box may be 1/2 or 1/4 of it."""
SHRUNK = (1, 2, 4)
TAUGHT = ("teacher_direction", "teacher_relation", "teacher_map")
"""Terms of the loss that compare with a teacher."""


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the key."""


class CropSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A size that whole batches have."""

    height: Annotated[int, Meta(ge=32, le=1024, multiple_of=16)]
    width: Annotated[int, Meta(ge=16, le=512, multiple_of=16)]
    share: Positive
    """How often, relative to the other sizes."""


class LossWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Factor of each term of the loss; 0 leaves it out."""

    identity: Weight = 0.0
    pooled_triplet: Weight = 0.0
    fpr_triplet: Weight = 0.0
    foreground_identity: Weight = 0.0
    """Who it is, by the mean of the cells weighted by their foreground."""
    foreground: Weight = 0.0
    map_foreground: Weight = 0.0
    teacher_direction: Weight = 0.0
    teacher_relation: Weight = 0.0
    teacher_map: Weight = 0.0
    reduced_distance: Weight = 0.0
    """The FPR distances of the reduced cells against those of the cells before the reduction."""


class Optimiser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """AdamW with warm-up, then a cosine or steps."""

    learning_rate: Positive = 1e-4
    """Of what begins from given weights."""
    head_factor: Positive = 10.0
    """Heads that begin at random learn this much faster."""
    warmup_steps: Count = 50
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[Share, ...] = (0.5, 0.75)
    """Fractions of the run after which `steps` divides the rate by 10."""
    weight_decay: Weight = 1e-4
    gradient_clip: Positive = 5.0
    ema: Annotated[float, Meta(ge=0, lt=1)] = 0.99
    """Decay of the running mean of the weights, which is what ships."""


class MapCache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a foreign network's maps are kept: it answers once, the head trains on its answers."""

    network: str
    """ONNX or OpenVINO file below SHARED_DATA."""
    folder: str
    views: tuple[Literal["whole", "covered", "cut"], ...] = ("whole", "covered", "cut")
    """How each crop is shown to the network: as it is, behind an occluder, as a half body."""
    shares: tuple[Positive, ...] = (0.4, 0.35, 0.25)
    """How often a batch takes each view."""
    most_crops: Count | None = None
    """Evenly over the people; a crop costs 130 kB a view of disk and 24 CPU-ms."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a run needs beside the data."""

    terms: str
    """One line that travels with the weights."""
    data: tuple[str, ...]
    heldout: str
    steps: Count
    sizes: tuple[CropSize, ...]
    losses: LossWeights
    model: ModelSpec = ModelSpec()
    begin: str | None = None
    """File (below SHARED_DATA, or as it stands) that the backbone begins as:
    person-reidentification-retail-0277.xml, or torchvision's keys in .npz, .safetensors or .pth. Weights
    of ours (.safetensors): heads too, only who the people are is new. The
    checkpoint.pt of an earlier run, perhaps of a coarser box: everything begins as that ended.
    None: at random."""
    teacher: str | None = None
    """OpenVINO file below SHARED_DATA: what is distilled."""
    teacher_cache: str | None = None
    """Folder for the teacher's answers; about 450 MB for 26,000 crops."""
    map_cache: MapCache | None = None
    """For a model whose backbone is `foreign`."""
    masks: str | None = None
    """Folder that `python -m reid.masks` wrote: labels of the foreground. Without it the teacher's (or the
    foreign network's) activation stands in; without either, everything that no occluder covers counts."""
    foreground_threshold: Share | None = None
    """A cell is foreground above this share of its window ([FPR] t = 0.35); None: the share is the label."""
    frozen: tuple[str, ...] = ()
    """Parts of the backbone that keep their first weights."""
    people: Annotated[int, Meta(ge=2)] = 16
    crops: Annotated[int, Meta(ge=2)] = 4
    augmentation: Strength = "mild"
    """`mild`: mirrored, moved by up to 6 px, recoloured a little; `strong`: other light, coarse, blurred."""
    occlusion: Share = 0.5
    """Share of the crops that get something in front; 0 also uncovers every view of a map cache."""
    triplet: Literal["absolute", "relative"] = "absolute"
    """`relative`: margins are shares of the batch's mean distance of two people, so that a network cannot
    lower the loss by drawing everybody together (`batch_hard_triplet`)."""
    margin: Positive = 0.3
    fpr_margin: Positive = 0.2
    label_smoothing: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    optimiser: Optimiser = Optimiser()
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the network; the FPR distance is always solved in float32."""
    seed: int = 0


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file.

    Args:
        changes: `KEY=VALUE` instead of what the file says; `losses.foreground=0.2` reaches inside.
            Values are YAML.

    Raises:
        RecipeError: unreadable, an unknown key, a value out of range, or keys that do not go together.
    """
    try:
        written = msgspec.yaml.decode(path.read_bytes())
        for change in changes:
            written = changed(written, change)
        recipe = msgspec.convert(written, Recipe)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise RecipeError(f"{path}: {' '.join(str(error).split())}") from error
    unknown = unknown_keys(written.get("model", {}))
    if unknown:
        raise RecipeError(f"{path}: unknown {', '.join(f'model.{key}' for key in unknown)}")
    problem = contradiction(recipe)
    if problem:
        raise RecipeError(f"{path}: {problem}")
    return recipe


def changed(written: Any, change: str) -> Any:
    """What a recipe's file says, with another value of one key.

    Raises:
        RecipeError: no `KEY=VALUE`, or a key inside something that has none.
    """
    key, equals, value = change.partition("=")
    first, dot, rest = key.partition(".")
    if not first or not equals or not isinstance(written, dict):
        raise RecipeError(f"{change!r}: not KEY=VALUE of a recipe")
    if dot:
        return {**written, first: changed(written.get(first, {}), f"{rest}={value}")}
    return {**written, first: msgspec.yaml.decode(value)}


def contradiction(recipe: Recipe) -> str | None:
    """What in a recipe does not go together; None: nothing."""
    losses, spec = msgspec.structs.asdict(recipe.losses), recipe.model
    if not any(losses.values()):
        return "losses: every term is 0, nothing to learn"
    if not recipe.teacher and any(losses[term] for term in TAUGHT):
        return f"losses: {', '.join(t for t in TAUGHT if losses[t])} need `teacher`"
    boxes = [(TEACHER_BOX[0] // n, TEACHER_BOX[1] // n) for n in SHRUNK]
    if recipe.teacher and (not recipe.teacher_cache or spec.box not in boxes):
        return f"teacher: needs `teacher_cache` and a model.box of {TEACHER_BOX} or less, got {spec.box}"
    foreign = spec.backbone == "foreign"
    if foreign != (recipe.map_cache is not None) or foreign != (spec.foreign is not None):
        return "backbone foreign, model.foreign and map_cache go together"
    if recipe.map_cache and len(recipe.map_cache.views) != len(recipe.map_cache.shares):
        return "map_cache: one of `shares` for each of `views`"
    if any(size.height > spec.box[0] or size.width > spec.box[1] for size in recipe.sizes):
        return f"sizes: larger than model.box {spec.box}"
    return None
