"""docs/reference says what the code does: a key, column, option or metric is not added without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from pipeline.cli.field_words import fields, records_in
from pipeline.cli.json_answers import ANSWERS, Answer
from pipeline.cli.main import app
from pipeline.cli.reference import CODES, KINDS, commands, field_rows, literal, pages, sections
from pipeline.config import Config
from pipeline.errors import Kind
from pipeline.queries.export import ExportedBox
from tests.store_scene import fill

FOLDER = Path(__file__).parents[3] / "docs/reference"
PRINTED = {
    "query people": [],
    "query tracks": [],
    "query journey": ["P1"],
    "query versions": [],
    "correct history": [],
    "forget": ["P1", "--yes"],
}
"""Commands that answer from a small store without a network."""


@pytest.mark.parametrize("name", pages())
def test_a_page_is_as_the_code_is(name: str) -> None:
    assert (FOLDER / name).read_text() == pages()[name], "run `make docs`"


def test_every_key_of_the_configuration_says_what_it_means() -> None:
    assert [path for path, _, keys in sections("", Config) for key in keys if not key.meaning] == []


def test_every_column_of_the_export_says_what_it_means() -> None:
    assert [one.name for one in fields(ExportedBox) if not one.meaning] == []


def test_every_argument_and_option_says_what_it_does() -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    silent = [(path, one.name) for path, command in commands(root) for one in command.params if not one.help]
    assert silent == []


def test_every_command_that_prints_json_says_what_it_prints() -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    printing = {path for path, one in commands(root) if any("--json" in p.opts for p in one.params)}
    assert printing == set(ANSWERS)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_every_key_of_an_answer_says_what_it_means(answer: Answer) -> None:
    for record in answer:
        if isinstance(record, type):
            assert [row for row in field_rows(record) if not row[2]] == []


@pytest.mark.parametrize("command", PRINTED)
def test_what_is_printed_is_what_is_described(command: str, tmp_path: Path) -> None:
    database = str(fill(tmp_path / "a.db"))
    printed = CliRunner().invoke(app, [*command.split(), *PRINTED[command], "--db", database, "--json"])
    kinds: dict[str, Any] = {}
    for part in ANSWERS[command]:
        kinds |= types(part) if isinstance(part, type) else {key: kind for key, (kind, _) in part.items()}
    check(json.loads(printed.stdout), kinds)


def types(record: type) -> dict[str, Any]:
    return {one.name: one.kind for one in fields(record)}


def check(value: dict[str, Any], kinds: dict[str, Any]) -> None:
    """A JSON object has these keys, their times as text, and nothing else, at any depth."""
    texts = {f"{key[:-3]}_utc" for key in kinds if key.endswith("_ns")}
    assert value.keys() == kinds.keys() | texts
    for key, kind in kinds.items():
        for record in records_in(kind):
            for item in value[key] if isinstance(value[key], list) else [value[key]]:
                check(item, types(record))


def test_what_looks_like_html_is_text_outside_code() -> None:
    assert literal("gt_<camera>.txt, `<name>`") == "gt_&lt;camera>.txt, `<name>`"


def test_every_exit_code_and_every_kind_of_error_is_explained() -> None:
    assert set(KINDS) == set(get_args(Kind)) and set(CODES) == {0, 1, 2, 130}
