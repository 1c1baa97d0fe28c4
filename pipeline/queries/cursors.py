"""Where a page of an answer ends, as a text that the next question hands back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from pipeline.errors import MendableError

T = TypeVar("T", bound=msgspec.Struct)
Item = TypeVar("Item")


class CursorError(MendableError, kind="wrong input"):
    """Not the `next` of an earlier page of this question."""


class PeopleCursor(msgspec.Struct, frozen=True, array_like=True, tag="people", forbid_unknown_fields=True):
    """The last person of a page."""

    version: int
    first_ns: int
    person: int


class TracksCursor(msgspec.Struct, frozen=True, array_like=True, tag="tracks", forbid_unknown_fields=True):
    """A tracklet, by the order in which they come."""

    version: int
    start_ns: int
    camera: str
    track: int
    part: int
    tracklet: int


def written(cursor: msgspec.Struct) -> str:
    """A cursor as letters, digits, - and _."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).rstrip(b"=").decode()


def read(text: str, kind: type[T]) -> T:
    """The cursor that `written` wrote.

    Raises:
        CursorError: it is none of this kind.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
        return msgspec.msgpack.decode(data, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise CursorError(f"{text!r} is no page: give the `next` of the page before") from error


def cut(found: Sequence[Item], limit: int | None) -> Sequence[Item]:
    """The first `limit` of what was found; None: all.

    Raises:
        ValueError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit = {limit}, at least 1")
    return found if limit is None else found[:limit]
