"""Kinds of errors as exit codes."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from pipeline.cameras.photographs import PhotographError
from pipeline.cli.exit_codes import EXIT_CODES, exit_code
from pipeline.config import ConfigError
from pipeline.errors import Kind, MendableError
from pipeline.linking.recluster import TooManyTracklets
from pipeline.queries.pictures.contact_sheets import RenderError
from pipeline.queries.pictures.render import NotAFolderError
from pipeline.running.status import StatusError
from pipeline.running.supervise import WorkerDied
from pipeline.store.database_errors import StoreError, StoreFullError
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.open_store import MissingStoreError
from pipeline.store.writer_lock import StoreInUseError

PIPELINE = Path(__file__).parents[3] / "pipeline"
NOT_FOR_PEOPLE = {"MessageError", "LostError", "EndsError"}
"""What a worker hears on its way: it goes on, and reports it in words."""


def test_every_kind_has_an_exit_code() -> None:
    assert EXIT_CODES.keys() == set(get_args(Kind))


@pytest.mark.parametrize("kind", [RenderError, StatusError, StoreFullError, TooManyTracklets, WorkerDied])
def test_what_the_outside_world_does_not_do_is_one(kind: type[MendableError]) -> None:
    assert exit_code(kind("x")) == 1


@pytest.mark.parametrize(
    "kind",
    [
        ConfigError,
        MissingStoreError,
        NotAFolderError,
        PhotographError,
        StoreError,
        StoreInUseError,
        UnknownPersonError,
    ],
)
def test_what_another_command_line_would_mend_is_two(kind: type[MendableError]) -> None:
    assert exit_code(kind("x")) == 2


def test_every_error_that_a_room_names_is_one_a_person_can_mend() -> None:
    bases: dict[str, list[str]] = {}
    for path in PIPELINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base) for base in node.bases]

    def mendable(name: str) -> bool:
        return name == "MendableError" or any(mendable(base) for base in bases.get(name, []))

    errors = {name for name in bases if name.endswith("Error")}
    assert {name for name in errors if not mendable(name)} == NOT_FOR_PEOPLE
