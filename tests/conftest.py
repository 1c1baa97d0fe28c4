"""What several tests share: a short two-camera scene, made once, and where the shared research data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.demo.scene import Scene, make_scene

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Eight seconds of the demo's two cameras."""
    return make_scene(tmp_path_factory.mktemp("scene"), seconds=8)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of research data and videos; the test is skipped where it is missing."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"SHARED_DATA: no folder {SHARED / 'data'}")
    return SHARED
