"""Who may import whom: the architecture, as a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("pipeline", "reid") for path in (ROOT / folder).rglob("*.py"))

SQL = {"database", "opening", "schema", "rows", "store", "removal", "query", "journey", "erasure", "export"}
SQL |= {
    "evaluate.found",
    "corrections",
    "portraits",
    "versions",
    "footage",
    "render",
    "demo.demo",
    "migrations.env",
}
SQL |= {"recall", "migrations.versions.0001_first", "migrations.versions.0002_corrections"}
SQL |= {"migrations.versions.0003_recall"}
"""The store and what reads it."""
AV = {"sources", "containers", "connect_errors", "render", "demo.scene", "live.connection"}
"""What opens videos and streams."""
ONLY_IN = {
    "zmq": {"pipeline.channels"},
    "ultralytics": {"pipeline.yolo"},
    "openvino": {"pipeline.yolo", "reid.export", "reid.network.openvino_core"},
    "typer": {
        "pipeline.train_detector",
        "reid.train",
        "reid.evaluate",
        "reid.calibrate",
        "reid.masks",
        "reid.export",
        "reid.progress",
        "reid.foreground",
        "reid.ablation",
        "reid.blend",
        "reid.pictures",
    },
    "pickle": set(),
    "trackeval": {"pipeline.evaluate.tracking"},
    "reid_hota": {"pipeline.evaluate.tracking"},
    "pandas": {"pipeline.evaluate.tracking"},
    "av": {f"pipeline.{name}" for name in AV},
    "sqlalchemy": {f"pipeline.{name}" for name in SQL},
}
"""Packages that only these modules of ours may touch."""

STAGES = [
    {"config", "config_words", "messages"},
    {"channels", "containers", "frames", "folders", "sources", "detect"},
    {"track"},
    {"tracklets"},
    {"database", "schema", "rows"},
    {"match", "gallery"},
    {"opening", "store"},
    {"query", "journey", "export", "render"},
]
"""From left to right as data flow; a stage imports only what stands to its left or beside it."""


ROOMS: dict[str, set[str]] = {
    "fpr": set(),
    "network": set(),
    "data": set(),
    "sets": {"fpr"},
    "scoring": {"fpr", "network", "data", "sets"},
    "training": {"fpr", "network", "data"},
}
"""The folders of `reid`, and which others each may use."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_it_may(path: Path) -> None:
    name, found = name_of(path), imports_of(path)
    for package, owners in ONLY_IN.items():
        if any(f == package or f.startswith(package + ".") for f in found):
            assert name in owners, f"{name} imports {package}"
    if name.startswith("reid"):
        assert not any(f == "pipeline" or f.startswith("pipeline.") for f in found)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_reid_uses_only_the_rooms_it_may(room: str) -> None:
    others = ROOMS.keys() - ROOMS[room] - {room}
    paths = list((ROOT / "reid" / room).glob("*.py"))
    assert len(paths) > 2
    for path in paths:
        rooms = {name.split(".")[1] for name in imports_of(path) if name.startswith("reid.")}
        assert not rooms & others, f"{path.name} uses {rooms & others}"


@pytest.mark.parametrize("stage", range(len(STAGES)))
def test_a_stage_imports_nothing_from_its_right(stage: int) -> None:
    later = {f"pipeline.{name}" for names in STAGES[stage + 1 :] for name in names}
    for module in STAGES[stage]:
        path = ROOT / "pipeline" / f"{module}.py"
        assert path.is_file(), f"{module} is gone: mend this table"
        assert not imports_of(path) & later, f"{module} imports {imports_of(path) & later}"


@pytest.mark.parametrize("module", ["config", "config_words", "messages"])
def test_the_vocabulary_imports_nothing_of_ours(module: str) -> None:
    found = {f for f in imports_of(ROOT / "pipeline" / f"{module}.py") if "config_words" not in f}
    assert not {f for f in found if f.split(".")[0] in ("pipeline", "reid")}
