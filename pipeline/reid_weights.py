"""The weights of the ReID network that a configuration names: looked at, or loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import ConfigError, ReidConfig
from pipeline.shipped_files import shipped
from reid.sets.affinity import PairCalibration
from reid.sets.tracklets import Calibration, CalibrationError

if TYPE_CHECKING:
    from reid.embed import Embedder


class UnusableWeightsError(ConfigError):
    """The weights cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True)
class Judgement:
    """What one network's distances mean."""

    links: Calibration
    """Of a tracklet and people who are known."""
    pairs: PairCalibration
    """Of two tracklets."""


def judgement_of(notes: Mapping[str, Any] | None, name: str, command: str) -> Judgement:
    """What the calibration among a network's notes says.

    Args:
        notes: as `reid.calibrate` wrote them; None where it never did.
        name: of the weights, for the message.
        command: what makes the calibration, for the message.

    Raises:
        UnusableWeightsError: there is none, or only half of it.
    """
    what = "calibration"
    try:
        links, what = Calibration.from_dict(notes), "slopes of pairs"
        return Judgement(links, PairCalibration.from_dict(notes))
    except CalibrationError as error:
        raise UnusableWeightsError(f"{name}: carries no {what}: run `{command}` first") from error


def check_reid(settings: ReidConfig) -> None:
    """Refuse weights that a run could not use to its end, before anything is begun; only notes are read.

    Raises:
        UnusableWeightsError: missing, of another kind, without the network they are a head of, never
            calibrated, or not for this device.
    """
    from reid.embed import check_backbone
    from reid.network.weights import WeightsError, read_notes

    path = shipped(settings.weights)
    if settings.device == "cuda" and settings.runtime != "auto":
        raise UnusableWeightsError(f"reid.runtime {settings.runtime} is for a CPU, reid.device says cuda")
    try:
        notes = read_notes(path)
        check_backbone(path, notes.spec, backbone_of(settings))
    except WeightsError as error:
        raise UnusableWeightsError(str(error)) from error
    judgement_of(notes.calibration, str(path), calibrating(settings))


def embedder_of(settings: ReidConfig) -> Embedder:
    """The network that the settings name, ready to run.

    Raises:
        UnusableWeightsError: see `check_reid`; or its file is damaged.
    """
    from reid.embed import load_embedder
    from reid.network.weights import WeightsError

    check_reid(settings)
    try:
        return load_embedder(
            shipped(settings.weights),
            device=settings.device,
            backbone=backbone_of(settings),
            runtime=settings.runtime,
        )
    except WeightsError as error:
        raise UnusableWeightsError(str(error)) from error


def newer_notes(settings: ReidConfig, model: str) -> Mapping[str, Any] | None:
    """The calibration in the file of these settings, where it holds the very network `model`; else None."""
    from reid.network.weights import WeightsError, model_id, read_notes

    path = shipped(settings.weights)
    try:
        return read_notes(path).calibration if model_id(path) == model else None
    except WeightsError:
        return None


def calibrating(settings: ReidConfig) -> str:
    """The command that calibrates the weights of these settings."""
    backbone = f" --backbone {settings.backbone}" if settings.backbone else ""
    return f"python -m reid.calibrate --weights {shipped(settings.weights)}{backbone} --root FOLDER"


def backbone_of(settings: ReidConfig) -> Path | None:
    """The file of a foreign network."""
    return Path(settings.backbone) if settings.backbone else None
