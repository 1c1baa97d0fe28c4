"""What a record's fields may hold, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest
import typer
from msgspec import Meta

from pipeline.cli.field_words import NO_DEFAULT, about, fields, kind_text, records_in
from pipeline.config import Name


class Inner(msgspec.Struct):
    """What is inside.

    And more.
    """

    speed: Annotated[float, Meta(gt=0)]
    """How fast."""
    words: tuple[str, ...] = ()


@dataclass
class Plain:
    inner: Inner
    """Within."""
    size: int = 3


class Row(NamedTuple):
    left: float
    """Edge."""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (str | None, "text or nothing"),
        (Annotated[float, Meta(gt=0)] | Literal["max"] | None, "a number above 0, `max` or nothing"),
        (Annotated[int, Meta(ge=32, multiple_of=32)], "a whole number from 32 in steps of 32"),
        (Annotated[int | None, typer.Option(min=1, max=9)], "a whole number from 1 to 9 or nothing"),
        (Literal["a", "b", "c"], "`a`, `b` or `c`"),
        (tuple[str, ...], "a list, each text"),
        (list[Inner], "a list, each [Inner](#inner)"),
        (tuple[float, float], "2 values, each a number"),
        (dict[str, int], "an object with a whole number for each name"),
        (datetime, "a date and time with its UTC offset"),
        (Name, "a name"),
        (Annotated[str, Meta(pattern="^x$")], "text"),
    ],
)
def test_a_type_is_said_in_words(kind: Any, words: str) -> None:
    assert kind_text(kind) == words


def test_a_field_has_its_default_and_the_sentence_below_it() -> None:
    speed, words = fields(Inner)
    assert (speed.name, speed.default, speed.meaning) == ("speed", NO_DEFAULT, "How fast.")
    assert (words.default, words.meaning) == ((), "")


def test_dataclasses_and_named_tuples_are_records_too() -> None:
    assert [(one.name, one.default) for one in fields(Plain)] == [("inner", NO_DEFAULT), ("size", 3)]
    assert [one.meaning for one in fields(Row)] == ["Edge."]


def test_a_class_is_told_by_its_first_paragraph() -> None:
    assert about(Inner) == "What is inside."


def test_records_are_found_at_any_depth() -> None:
    assert list(records_in(dict[str, tuple[Inner, ...] | None])) == [Inner]
