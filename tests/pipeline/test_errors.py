"""Errors a person can mend."""

from __future__ import annotations

from pipeline.errors import MendableError


class Full(MendableError, kind="full"):
    """The shelf is full."""


class FullShelf(Full):
    """A shelf."""


def test_an_error_has_the_kind_its_class_names() -> None:
    assert Full("no room").kind == "full"


def test_an_error_whose_class_names_no_kind_has_its_parents() -> None:
    assert FullShelf("no room").kind == "full"
    assert MendableError("nothing is known").kind == "unavailable"
