"""What the database kept of a run's configuration."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.config import CameraConfig, Config, ConfigError, ReidConfig
from pipeline.stored_config import networks_of


def test_the_networks_of_a_run_come_back_and_its_cameras_do_not() -> None:
    config = Config(cameras=(CameraConfig(name="hall", source="a.mp4"),), reid=ReidConfig(weights="mine"))
    assert networks_of(msgspec.to_builtins(config), "a.db") == Config(reid=ReidConfig(weights="mine"))


@pytest.mark.parametrize("stored", [None, {}, "", {"later": {"key": 1}}])
def test_where_nothing_is_known_the_defaults_count(stored: object) -> None:
    assert networks_of(stored, "a.db") == Config()


def test_settings_of_another_version_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"a\.db: .*another version.*gone.*--config"):
        networks_of({"reid": {"gone": 1}}, "a.db")
