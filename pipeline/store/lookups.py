"""A person, a camera or a version that somebody named; of an unknown one the error names the nearest."""

from __future__ import annotations

from sqlalchemy import func, select

from pipeline.config_words import nearest
from pipeline.errors import MendableError
from pipeline.store.cameras import stored_cameras
from pipeline.store.database import Store
from pipeline.store.schema import Identity, IdentityVersion, SightingRow
from pipeline.store.versions import current_version

NEAREST_PEOPLE = 3


class UnknownPersonError(MendableError, kind="not found"):
    """Nobody has this number; the message names the nearest."""


class UnknownCameraError(MendableError, kind="not found"):
    """No camera has this name; the message names the nearest."""


class UnknownVersionError(MendableError, kind="not found"):
    """There is no identity version of this number; the message names those there are."""


def check_person(store: Store, person: int, *, version: int | None = None) -> None:
    """Refuse a person who is not in this version of the identities."""
    number = chosen(store, version)
    seen = (SightingRow.identity == person) & (SightingRow.version == number)
    with store.reading() as connection:
        known = connection.scalar(select(SightingRow.identity).where(seen).limit(1))
    if known is None:
        raise unknown_person(store, person, number)


def unknown_person(store: Store, person: int, version: int) -> UnknownPersonError:
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
    with store.reading() as connection:
        close = sorted(connection.scalars(query))
    if not close:
        return UnknownPersonError(f"no person P{person}: nobody has been identified yet")
    return UnknownPersonError(f"no person P{person} (nearest: {', '.join(f'P{number}' for number in close)})")


def check_camera(store: Store, camera: str) -> None:
    """Refuse a camera that the store does not know."""
    names = [stored.name for stored in stored_cameras(store)]
    if camera not in names:
        raise UnknownCameraError(f"no camera {camera!r}{nearest(camera, names)}")


def chosen(store: Store, version: int | None) -> int:
    """The version asked for, else (None or 0) the newest; 0, which nothing has, where there is none.

    Raises:
        UnknownVersionError: the one asked for does not exist.
    """
    if not version:
        return current_version(store) or 0
    with store.reading() as connection:
        numbers = sorted(connection.scalars(select(IdentityVersion.id)))
    if version not in numbers:
        there = ", ".join(map(str, numbers)) or "none"
        raise UnknownVersionError(f"no identity version {version} (there is: {there})")
    return version
