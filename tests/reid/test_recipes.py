"""Every recipe runs, and goes on where it was cut."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from reid.training.initialise import begin
from reid.training.recipe import CropSize, Recipe, RecipeError, load_recipe
from tests.reid.tiny_training import FOREIGN, run, tiny_batches

CONFIGS = Path(__file__).parents[2] / "configs/reid"
RECIPES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
NARROW = {"omni_scale": 0.5, "omni_scale_bn": 0.5, "resnet50": 0.125, "foreign": 1.0}


def shrunk(name: str, folder: Path, *, width: float | None = None) -> Recipe:
    """A recipe with 20 steps of 8 crops at 128x64, made-up data and a narrow network."""
    recipe = load_recipe(CONFIGS / f"{name}.yaml")
    model = replace(
        recipe.model,
        width=width or NARROW[recipe.model.backbone],
        box=recipe.model.box if recipe.teacher else (128, 64),
        foreign=recipe.model.foreign and FOREIGN,
        cell_channels=recipe.model.cell_channels and 16,
    )
    cache = recipe.map_cache and msgspec.structs.replace(recipe.map_cache, folder=str(folder / "maps"))
    return msgspec.structs.replace(
        recipe,
        steps=20,
        people=4,
        crops=2,
        sizes=(CropSize(128, 64, 1),),
        model=model,
        begin=None,
        map_cache=cache,
        masks=recipe.masks and str(folder / "masks"),
    )


def everything(out: Path) -> dict[str, torch.Tensor]:
    """Weights, optimiser and running mean of a run."""
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    found = {f"{part}.{name}": value for part in ("trainee", "mean") for name, value in state[part].items()}
    for number, moments in state["optimiser"]["state"].items():
        found |= {f"{number}.{name}": value for name, value in moments.items()}
    return found


def log_of(out: Path) -> list[list[str]]:
    """The log without its clock."""
    with (out / "log.csv").open(newline="") as stream:
        return [[row[0], *row[2:]] for row in csv.reader(stream)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_cut_and_resumed_ends_as_the_uncut_one_bit_for_bit(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    batches = tiny_batches(shrunk(name, tmp_path), tmp_path)
    first = begin(batches.recipe, batches, Path("none"))
    weights = run(batches, tmp_path / "uncut", trainee=first)
    run(batches, tmp_path / "cut", stop_after=7, trainee=first)
    resumed = run(batches, tmp_path / "cut", resume=True, trainee=first)
    uncut, again = everything(tmp_path / "uncut"), everything(tmp_path / "cut")
    assert uncut.keys() == again.keys()
    assert [key for key in uncut if not torch.equal(uncut[key], again[key])] == []
    ours, theirs = load_file(weights), load_file(resumed)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert log_of(tmp_path / "uncut") == log_of(tmp_path / "cut")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_at_its_own_width(name: str, tmp_path: Path) -> None:
    recipe = shrunk(name, tmp_path, width=1.0)
    assert run(tiny_batches(recipe, tmp_path), tmp_path / "out").is_file()


@pytest.mark.gpu
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_on_a_gpu(name: str, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    batches = tiny_batches(shrunk(name, tmp_path), tmp_path)
    assert run(batches, tmp_path / "out", device="cuda").is_file()


def test_half_precision_trains_behind_a_loss_scaler(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(shrunk("fpr_resnet50", tmp_path), precision="float16", steps=2)
    run(tiny_batches(recipe, tmp_path), tmp_path / "out")
    assert torch.load(tmp_path / "out/checkpoint.pt", weights_only=True)["scaler"]["scale"] > 0


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("learning_rte: 1", "learning_rte"),
        ("teacher: null", "need `teacher`"),
        ("map_cache: {network: a.xml, folder: b}", "go together"),
        ("sizes: [{height: 512, width: 128, share: 1}]", "larger than model.box"),
        ("losses: {identity: 0}", "nothing to learn"),
        ("model: {widht: 2}", r"model\.widht"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused_by_its_key(
    changed: str, named: str, tmp_path: Path
) -> None:
    text = (CONFIGS / "fpr_small.yaml").read_text()
    lines = msgspec.yaml.decode(text.encode())
    lines |= msgspec.yaml.decode(changed.encode())
    path = tmp_path / "recipe.yaml"
    path.write_bytes(msgspec.yaml.encode(lines))
    with pytest.raises(RecipeError, match=named):
        load_recipe(path)


def test_a_misspelt_key_inside_the_foreign_network_is_refused_too() -> None:
    with pytest.raises(RecipeError, match=r"unknown model\.foreign\.colour"):
        load_recipe(CONFIGS / "head_on_map.yaml", ["model.foreign.colour=rgb"])


def test_a_recipe_that_is_no_yaml_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("terms: [a\nb: c: d\n")
    with pytest.raises(RecipeError, match=r"recipe\.yaml: while parsing") as refused:
        load_recipe(path)
    assert "\n" not in str(refused.value)


def test_a_change_replaces_one_key_and_leaves_the_others() -> None:
    path = CONFIGS / "head_on_map.yaml"
    recipe = load_recipe(path, ["losses.foreground=0.2", "occlusion=0", "map_cache.folder=work/bare"])
    cache = load_recipe(path).map_cache
    assert cache is not None and recipe.map_cache == msgspec.structs.replace(cache, folder="work/bare")
    assert (recipe.losses.foreground, recipe.losses.fpr_triplet, recipe.occlusion) == (0.2, 2.0, 0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("occlusion", "not KEY=VALUE"),
        ("=1", "not KEY=VALUE"),
        ("seed.more=1", "not KEY=VALUE"),
        ("losses.foregrund=1", "foregrund"),
        ("occlusion=2", "occlusion"),
        ("data=[a", "while parsing"),
    ],
)
def test_a_change_that_cannot_be_meant_is_refused_like_a_recipe(change: str, named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        load_recipe(CONFIGS / "head_on_map.yaml", [change])
