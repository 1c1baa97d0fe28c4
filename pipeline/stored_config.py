"""The networks and thresholds of an earlier run, from the configuration that the database kept of it."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.config import Config, ConfigError

SECTIONS = ("detector", "reid", "matcher")


def networks_of(stored: Any, database: str) -> Config:
    """The detector, the ReID network and the matcher's settings of a run; the defaults where none is kept.

    Args:
        stored: a run's configuration, as JSON values; None where there was no run.
        database: its name, for the message.

    Raises:
        ConfigError: a program of another version wrote it.
    """
    kept = stored if isinstance(stored, dict) else {}
    try:
        return msgspec.convert({name: kept[name] for name in SECTIONS if name in kept}, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{database}: its last run was configured for another version ({error}): "
            "name the networks with --config"
        ) from error
