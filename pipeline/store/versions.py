"""The identity versions of a store: complete opinions on who is who, each with its history."""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import func, select, update

from pipeline.store.database import Store
from pipeline.store.rows import new_row
from pipeline.store.schema import IdentityVersion, SightingRow

VersionKind = Literal["online", "relink", "recluster", "correction"]


class Version(msgspec.Struct, frozen=True):
    """One complete opinion on who is who."""

    version: int
    created_ns: int
    kind: str
    note: str
    people: int
    tracklets: int


def current_version(store: Store) -> int | None:
    """The newest identity version, if there is one."""
    query = select(IdentityVersion.id).order_by(IdentityVersion.id.desc()).limit(1)
    with store.reading() as connection:
        return connection.scalar(query)


def new_version(store: Store, kind: VersionKind, note: str = "") -> int:
    """Number of a new, empty identity version, which is now the current one."""
    values = {"created_ns": store.clock(), "kind": kind, "note": note, "late": False}
    with store.writing() as connection:
        return new_row(connection, IdentityVersion, **values)


def mark_late(store: Store, version: int) -> None:
    """Note that tracklets were linked out of their order, so that linking anew may say otherwise."""
    with store.writing() as connection:
        row = update(IdentityVersion).where(IdentityVersion.id == version)
        connection.execute(row.values(late=True))


def is_late(store: Store, version: int) -> bool:
    """Whether `mark_late` was called for this version."""
    query = select(IdentityVersion.late).where(IdentityVersion.id == version)
    with store.reading() as connection:
        return bool(connection.scalar(query))


def made_anew(store: Store, *, after: int) -> bool:
    """Whether a version later than this one says anew of everybody who is who, and not only what changed."""
    later = (IdentityVersion.id > after) & (IdentityVersion.kind != "correction")
    with store.reading() as connection:
        return connection.scalar(select(IdentityVersion.id).where(later).limit(1)) is not None


def versions(store: Store) -> list[Version]:
    """Every identity version, oldest first; the last one counts."""
    who = (func.count(SightingRow.identity.distinct()), func.count(SightingRow.tracklet))
    columns = (IdentityVersion.id, IdentityVersion.created_ns, IdentityVersion.kind, IdentityVersion.note)
    query = select(*columns, *who).outerjoin(SightingRow, SightingRow.version == IdentityVersion.id)
    with store.reading() as connection:
        rows = connection.execute(query.group_by(*columns).order_by(IdentityVersion.id))
        return [Version(*row) for row in rows]
