"""A person, a camera or a version that somebody named; of an unknown one the error names the nearest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from pipeline.config_words import nearest
from pipeline.errors import MendableError
from pipeline.store.database import Store
from pipeline.store.schema import Camera, Identity, IdentityVersion, SightingRow

NEAREST_PEOPLE = 3


class UnknownPersonError(MendableError, kind="not found"):
    """Nobody has this number; the message names the nearest."""


class UnknownCameraError(MendableError, kind="not found"):
    """No camera has this name; the message names the nearest."""


class UnknownVersionError(MendableError, kind="not found"):
    """There is no identity version of this number; the message names those there are."""


def check_person(store: Store, person: int, *, version: int | None = None) -> None:
    """Refuse a person who is not in this version of the identities."""
    with store.reading() as connection:
        check_people(connection, [person], chosen_in(connection, version))


def check_people(connection: Connection, people: Sequence[int], version: int) -> None:
    """Refuse a person among these who is not in this version of the identities."""
    seen = SightingRow.identity.in_(people) & (SightingRow.version == version)
    known = set(connection.scalars(select(SightingRow.identity).where(seen).distinct())) if people else set()
    for person in people:
        if person not in known:
            raise unknown_person(connection, person, version)


def unknown_person(connection: Connection, person: int, version: int) -> UnknownPersonError:
    """The error that names the people nearest to a number nobody has."""
    seen = select(SightingRow.tracklet).where(
        SightingRow.identity == Identity.id, SightingRow.version == version
    )
    query = (
        select(Identity.id)
        .where(seen.exists())
        .order_by(func.abs(Identity.id - person))
        .limit(NEAREST_PEOPLE)
    )
    close = sorted(connection.scalars(query))
    if not close:
        return UnknownPersonError(f"no person P{person}: nobody has been identified yet")
    return UnknownPersonError(f"no person P{person} (nearest: {', '.join(f'P{number}' for number in close)})")


def check_cameras(connection: Connection, cameras: Sequence[str]) -> None:
    """Refuse a camera among these that the store does not know."""
    names = sorted(connection.scalars(select(Camera.name))) if cameras else []
    for camera in cameras:
        if camera not in names:
            raise UnknownCameraError(f"no camera {camera!r}{nearest(camera, names)}")


def chosen(store: Store, version: int | None) -> int:
    """See `chosen_in`."""
    with store.reading() as connection:
        return chosen_in(connection, version)


def chosen_in(connection: Connection, version: int | None) -> int:
    """The version asked for, else (None or 0) the newest; 0, which nothing has, where there is none.

    Raises:
        UnknownVersionError: the one asked for does not exist.
    """
    if not version:
        return connection.scalar(select(func.max(IdentityVersion.id))) or 0
    numbers = sorted(connection.scalars(select(IdentityVersion.id)))
    if version not in numbers:
        there = ", ".join(map(str, numbers)) or "none"
        raise UnknownVersionError(f"no identity version {version} (there is: {there})")
    return version
