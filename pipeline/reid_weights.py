"""The weights of the ReID network that a configuration names: looked at, or loaded."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import ConfigError, ReidConfig
from pipeline.shipped_files import shipped
from reid.embed import Embedder, load_embedder
from reid.network.weights import WeightsError


class UnusableWeightsError(ConfigError):
    """The weights cannot be used; the message names the file and says what to do."""


def embedder_of(settings: ReidConfig) -> Embedder:
    """The network that the settings name, ready to run.

    Raises:
        UnusableWeightsError: missing, of another kind, or not for this device or runtime.
    """
    try:
        backbone = Path(settings.backbone) if settings.backbone else None
        weights = shipped(settings.weights)
        return load_embedder(weights, device=settings.device, backbone=backbone, runtime=settings.runtime)
    except WeightsError as error:
        raise UnusableWeightsError(str(error)) from error
