"""Errors that a person can mend: one line that says what to do, and of which kind it is."""

from __future__ import annotations

from typing import ClassVar, Literal

Kind = Literal["not found", "wrong input", "busy", "unavailable", "full"]
"""not found: what was named is not there. wrong input: what was asked cannot be meant. busy: somebody else
has it now. unavailable: the outside world does not give it. full: there is no room for it."""


class MendableError(Exception):
    """Something a person can mend; the message is one line that says what to do, without credentials.

    Each room derives its own errors from it, each with its kind: `class StoreFull(StoreError, kind="full")`;
    a class that names none has its parent's. Who answers for the program, a command line or a page, asks for
    the kind alone, so that errors of one kind are answered alike wherever they were raised.
    """

    kind: ClassVar[Kind] = "unavailable"

    def __init_subclass__(cls, kind: Kind | None = None) -> None:
        super().__init_subclass__()
        cls.kind = kind or cls.kind
