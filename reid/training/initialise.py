"""How a training begins: given weights, people as classes, the cells' strongest directions as reduction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from reid.network.model import ForeignHead, FPRNet, PositionPool, pyramid, pyramid_means, stretched
from reid.network.openvino_weights import InitialWeightsMismatch as InitialWeightsMismatch
from reid.network.openvino_weights import initialise_from_openvino
from reid.network.resnet import ResNet50
from reid.network.weights import FORMAT, WeightsError, differences, load_weights, read_metadata
from reid.training.batches import Batch, Batches
from reid.training.checkpoints import CHECKPOINT
from reid.training.recipe import Recipe
from reid.training.trainee import Trainee

PLACE = "net.pool.place"
LOGIT_SCALE = 20.0
"""First logits of the classifier: this times the cosine with each person's mean."""
FIRST_BATCHES = 8
FIRST_CROPS = 24
"""Batches, and crops of each, whose cells set the first reduction and foreground layer."""
FIRST_STEPS = 150
FIRST_RATE = 0.1


def begin(recipe: Recipe, batches: Batches, shared: Path) -> Trainee:
    """The network before the first step.

    Raises:
        InitialWeightsMismatch: `begin` is missing or holds another network.
    """
    torch.manual_seed(recipe.seed)
    foreign = recipe.model.foreign is not None
    trainee = Trainee(ForeignHead(recipe.model) if foreign else FPRNet(recipe.model), batches.people_count)
    if isinstance(trainee.net, FPRNet):
        for part in recipe.frozen:
            trainee.net.backbone.get_submodule(part).requires_grad_(False)
    if recipe.begin and Path(recipe.begin).name == CHECKPOINT:
        go_on(trainee, recipe, found(recipe.begin, shared))
        return trainee
    if recipe.begin and is_ours(found(recipe.begin, shared)):
        begin_as_ours(trainee, batches, found(recipe.begin, shared))
        return trainee
    if recipe.begin and isinstance(trainee.net, FPRNet):
        initialise(trainee.net, found(recipe.begin, shared))
    if recipe.begin and recipe.begin == recipe.teacher and batches.cache is not None:
        begin_classifier(trainee, batches.cache.embeddings, batches.people)
    begin_heads(trainee.net, [batches[step] for step in range(FIRST_BATCHES)])
    return trainee


def found(begin: str, shared: Path) -> Path:
    """The file of a recipe's `begin`: below the shared folder, or as it stands."""
    below, given = shared / begin, Path(begin)
    return given if given.is_file() and not below.is_file() else below


def is_ours(path: Path) -> bool:
    """Whether a file holds a whole network of ours, heads included."""
    try:
        return path.suffix == ".safetensors" and read_metadata(path).get("format") == FORMAT
    except WeightsError:
        return False


def begin_as_ours(trainee: Trainee, batches: Batches, path: Path) -> None:
    """Begin as weights of ours ended; only who the people are is new, and begins as what the network says.

    Raises:
        InitialWeightsMismatch: of another network.
    """
    try:
        ours = load_weights(path)
    except WeightsError as error:
        raise InitialWeightsMismatch(str(error)) from error
    differing = differences(ours.state_dict(), trainee.net.state_dict())
    if type(ours) is not type(trainee.net) or differing:
        raise InitialWeightsMismatch(
            f"{path}: another network than the recipe's: {(differing or ['kind'])[0]}"
        )
    trainee.net.load_state_dict(ours.state_dict())
    begin_classifier(trainee, *known_people(ours, batches))


@torch.no_grad()
def known_people(
    net: FPRNet | ForeignHead, batches: Batches
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(S, D) vectors of training crops and their (S,) people: the teacher's, if any, else ours."""
    cache = batches.cache
    if cache is not None and cache.embeddings.shape[1] == net.pooled_channels:
        return cache.embeddings, batches.people
    steps = -(-batches.people_count // batches.recipe.people)  # about one batch for everybody
    drawn = [batches[step] for step in range(steps)]
    vectors = [net(*batch.inputs).pooled.numpy() for batch in drawn]
    return np.concatenate(vectors), np.concatenate([batch.people.numpy() for batch in drawn])


def initialise(net: FPRNet, path: Path) -> None:
    """Give the backbone the weights of a file: OpenVINO's .xml, or torchvision's keys.

    Raises:
        InitialWeightsMismatch: missing, unreadable, or of another network.
    """
    if path.suffix == ".xml":
        initialise_from_openvino(net, path)
        return
    if not isinstance(net.backbone, ResNet50):
        raise InitialWeightsMismatch(f"{path}: only a ResNet-50 begins as torchvision's weights")
    state = {name: value for name, value in read_state(path).items() if not name.startswith("fc.")}
    try:
        net.backbone.load_state_dict(state)
    except RuntimeError as error:
        raise InitialWeightsMismatch(f"{path}: {str(error).splitlines()[1].strip()[:200]}") from error


def go_on(trainee: Trainee, recipe: Recipe, path: Path) -> None:
    """Begin as an earlier training of ours ended, heads and classifiers too; its box may have been coarser.

    Raises:
        InitialWeightsMismatch: missing, unreadable, of another network or other data.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        theirs = msgspec.json.decode(state["recipe"])
        ended = {**state["trainee"], **{f"net.{name}": value for name, value in state["mean"].items()}}
    except OSError as error:
        raise InitialWeightsMismatch(f"{path}: {error.strerror}") from error
    except Exception as error:  # whatever a file that is something else makes of it
        raise InitialWeightsMismatch(f"{path}: not a checkpoint of reid.train") from error
    seen = [list(theirs.get("data", ())), theirs.get("heldout")]
    if seen != [list(recipe.data), recipe.heldout]:
        raise InitialWeightsMismatch(f"{path}: of other data ({', '.join(map(str, seen[0]))})")
    pool = getattr(trainee.net, "pool", None)
    if isinstance(pool, PositionPool) and PLACE in ended:
        ended[PLACE] = stretched(ended[PLACE], pool.place.shape[1:])
    try:
        trainee.load_state_dict(ended)
    except RuntimeError as error:
        raise InitialWeightsMismatch(f"{path}: {str(error).splitlines()[-1].strip()[:200]}") from error


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of an .npz (plain, or with codebooks), .safetensors or .pth file.

    Raises:
        InitialWeightsMismatch: missing or unreadable.
    """
    if not path.is_file():
        raise InitialWeightsMismatch(f"{path}: no such file; set `begin` to weights that you have")
    try:
        if path.suffix == ".npz":
            return read_codebooks(path)
        if path.suffix == ".safetensors":
            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return state
    except Exception as error:  # whatever a file that is something else makes of it
        raise InitialWeightsMismatch(f"{path}: cannot be read: {str(error)[:200]}") from error


def read_codebooks(path: Path) -> dict[str, Tensor]:
    """The tensors of an .npz; `NAME#codes` are rows of `NAME#book`, flattened from `NAME#shape`."""
    arrays: Any = np.load(path, allow_pickle=False)
    state: dict[str, Tensor] = {}
    for key in arrays.files:
        name, _, part = key.partition("#")
        if part == "codes":
            rows = arrays[f"{name}#book"].astype(np.float32)[arrays[key]]
            state[name] = torch.from_numpy(rows.reshape(arrays[f"{name}#shape"]))
        elif not part:
            state[name] = torch.from_numpy(arrays[key])
    return state


@torch.no_grad()
def begin_classifier(
    trainee: Trainee, embeddings: np.ndarray[Any, Any], people: np.ndarray[Any, Any]
) -> None:
    """Each person's class vector becomes the mean of the teacher's standardised embeddings of that person."""
    given = torch.from_numpy(embeddings.astype(np.float32))
    standard = (given - given.mean(0)) / given.std(0).clamp(min=1e-6)
    sums = torch.zeros_like(trainee.classifier.weight).index_add_(0, torch.from_numpy(people), standard)
    length = standard.norm(dim=1).mean()
    trainee.classifier.weight.copy_(functional.normalize(sums, dim=1) * LOGIT_SCALE / length)


def begin_heads(net: FPRNet | ForeignHead, batches: list[Batch]) -> None:
    """The reduction keeps the cells' strongest directions; the foreground layer is fitted alone."""
    cells, labels = (torch.cat(parts) for parts in zip(*(first_cells(net, b) for b in batches), strict=True))
    with torch.no_grad():
        if isinstance(net.reduction, nn.Linear):
            vectors = torch.linalg.eigh((cells.T @ cells).double()).eigenvectors.flip(1)
            kept = min(net.reduction.out_features, cells.shape[1])
            net.reduction.weight[:kept] = vectors[:, :kept].T.float()
        nn.init.zeros_(net.foreground.weight)
    optimiser = torch.optim.Adam(net.foreground.parameters(), lr=FIRST_RATE)
    for _ in range(FIRST_STEPS):
        optimiser.zero_grad()
        logits = net.foreground_logit(cells.T[None])
        functional.binary_cross_entropy_with_logits(logits[0], labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


@torch.no_grad()
def first_cells(net: FPRNet | ForeignHead, batch: Batch) -> tuple[Tensor, Tensor]:
    """(S, K) unit pyramid cells of a batch before training, and their (S,) foreground labels."""
    given = batch.inputs[0][:FIRST_CROPS]
    features = net.backbone(given) if isinstance(net, FPRNet) else given
    cells = functional.normalize(pyramid(features.float(), net.spec.kernels), dim=1)
    labels = pyramid_means(batch.foreground[:FIRST_CROPS], net.spec.kernels)
    return cells.transpose(1, 2).flatten(0, 1), labels.flatten()
