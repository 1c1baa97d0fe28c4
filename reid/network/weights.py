"""Checkpoints that ship: safetensors in half precision with all it takes to rebuild the network."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from reid.network.model import ForeignHead, FPRNet
from reid.network.spec import ModelSpec, unknown_keys

FORMAT = "fpr-1"


class WeightsError(ValueError):
    """A weights file is missing, is no safetensors, or holds another network."""


@dataclass(frozen=True)
class WeightsNotes:
    """What a checkpoint says about itself."""

    spec: ModelSpec
    recipe: dict[str, Any]
    """The training recipe as it was run."""
    terms: str
    """One line: under which terms the weights may be used."""
    calibration: dict[str, Any] | None
    """What `reid.calibrate` measured; None before it ran."""


def save_weights(path: Path, model: FPRNet | ForeignHead, *, recipe: dict[str, Any], terms: str) -> None:
    """Write the network to `path` in float16, in one step; a reader never sees half a file.

    A calibration stays where the file held the same network before.
    """
    tensors = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in model.state_dict().items()
    }
    notes = {
        "format": FORMAT,
        "spec": json.dumps(asdict(model.spec)),
        "recipe": json.dumps(recipe),
        "terms": terms,
    }
    partial = write_beside(path, tensors, notes)
    if (
        path.is_file()
        and read_metadata(path).get("calibration")
        and fingerprint(path) == fingerprint(partial)
    ):
        notes["calibration"] = read_metadata(path)["calibration"]
        partial = write_beside(path, tensors, notes)
    partial.replace(path)


def load_weights(path: Path) -> FPRNet | ForeignHead:
    """The network of a checkpoint, float32, in evaluation mode on the CPU; a head where that is all it holds.

    Raises:
        WeightsError: missing, no safetensors, or of another network or version.
    """
    spec = read_notes(path).spec
    try:
        model = FPRNet(spec) if spec.foreign is None else ForeignHead(spec)
        found = {name: value.float() for name, value in load_file(path).items()}
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: not the weights its own notes describe: {first_line(error)}") from error
    differing = differences(found, model.state_dict())
    if differing:
        raise WeightsError(f"{path}: not the weights its own notes describe: {differing[0]}")
    model.load_state_dict(found)
    return model.eval()


def differences(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    """Each tensor whose shape is not the expected one, as `NAME there SHAPE, by its spec SHAPE`."""
    shapes = {
        name: [str(tuple(state[name].shape)) if name in state else "missing" for state in (found, expected)]
        for name in {**expected, **found}
    }
    return [
        f"{name} there {there}, by its spec {here}" for name, (there, here) in shapes.items() if there != here
    ]


def read_notes(path: Path) -> WeightsNotes:
    """What a checkpoint says about itself, without its tensors.

    Raises:
        WeightsError: see `load_weights`.
    """
    notes = read_metadata(path)
    if notes.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: not weights of reid.train (format {notes.get('format')!r}, needs {FORMAT!r})"
        )
    try:
        unknown = unknown_keys(json.loads(notes["spec"]))
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}")
        return WeightsNotes(
            spec=msgspec.json.decode(notes["spec"], type=ModelSpec),
            recipe=json.loads(notes["recipe"]),
            terms=notes["terms"],
            calibration=json.loads(notes.get("calibration", "null")),
        )
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: notes of another version: {first_line(error)}") from error


def set_calibration(path: Path, calibration: dict[str, Any]) -> None:
    """Write what `reid.calibrate` measured into the checkpoint's notes; the tensors stay as they are.

    Raises:
        WeightsError: see `load_weights`.
    """
    read_notes(path)
    write(path, load_file(path), {**read_metadata(path), "calibration": json.dumps(calibration)})


def read_metadata(path: Path) -> dict[str, str]:
    """The strings in a safetensors file's header."""
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file; train it with `python -m reid.train configs/reid/fpr_small.yaml`"
        )
    try:
        with safe_open(path, "pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({first_line(error)})") from error


def fingerprint(path: Path) -> str:
    """First 12 hex digits of a SHA-256 over a checkpoint's tensors and spec: what decides its embeddings.

    Recipe, terms and calibration may change; embeddings of before still compare.

    Raises:
        WeightsError: see `load_weights`.
    """
    digest = hashlib.sha256(read_metadata(path).get("spec", "").encode())
    with safe_open(path, "pt") as opened:
        for name in sorted(opened.keys()):
            tensor = opened.get_tensor(name)
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]


def model_id(path: Path) -> str:
    """The name under which a checkpoint's embeddings are kept: they compare with no other's.

    Raises:
        WeightsError: see `load_weights`.
    """
    return f"{read_notes(path).spec.name}-{fingerprint(path)}"


def write(path: Path, tensors: dict[str, torch.Tensor], notes: dict[str, str]) -> None:
    """Write beside `path` and move into place."""
    write_beside(path, tensors, notes).replace(path)


def write_beside(path: Path, tensors: dict[str, torch.Tensor], notes: dict[str, str]) -> Path:
    """The path of a hidden file beside `path`, written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    save_file(tensors, partial, notes)
    partial.chmod(0o644)  # safetensors makes it private
    return partial


def first_line(error: BaseException) -> str:
    """The error's message, one line of it."""
    return str(error).strip().partition("\n")[0][:200]
