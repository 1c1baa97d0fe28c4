"""Rows put in and numbers looked up, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, insert

T = TypeVar("T")

PAGE = 64
"""Tracklets read or looked up at once: with cells of 5 crops, 16 KB each, 5 MB."""


def new_row(connection: Connection, table: Any, **values: Any) -> int:
    """Number of the inserted row."""
    return int(connection.execute(insert(table.__table__).returning(table.id), values).scalar_one())


def new_rows(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> list[int]:
    """Numbers of the inserted rows, in their order."""
    if not rows:
        return []
    statement = insert(table.__table__).returning(table.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, rows))


def insert_rows(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    """Insert many rows at once, past the ORM."""
    if rows:
        connection.execute(insert(table.__table__), rows)


def pages(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, PAGE at a time."""
    iterator = iter(items)
    while page := list(islice(iterator, PAGE)):
        yield page
