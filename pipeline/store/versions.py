"""The identity versions of a store: complete opinions on who is who, each with its history."""

from __future__ import annotations

import msgspec
from sqlalchemy import func, select

from pipeline.store.schema import IdentityVersion, SightingRow
from pipeline.store.store import Store


class Version(msgspec.Struct, frozen=True):
    """One complete opinion on who is who."""

    version: int
    created_ns: int
    kind: str
    note: str
    people: int
    tracklets: int


def versions(store: Store) -> list[Version]:
    """Every identity version, oldest first; the last one counts."""
    who = (func.count(SightingRow.identity.distinct()), func.count(SightingRow.tracklet))
    columns = (IdentityVersion.id, IdentityVersion.created_ns, IdentityVersion.kind, IdentityVersion.note)
    query = select(*columns, *who).outerjoin(SightingRow, SightingRow.version == IdentityVersion.id)
    with store.reading() as connection:
        rows = connection.execute(query.group_by(*columns).order_by(IdentityVersion.id))
        return [Version(*row) for row in rows]
