"""What a question is limited to, the same for every one: cameras, people, and two times."""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement

from pipeline.queries.snapshot import Snapshot
from pipeline.store.lookups import check_cameras, check_people
from pipeline.store.schema import Box, Camera, SightingRow, Tracklet


class Filters(msgspec.Struct, frozen=True):
    """Only what was seen by these cameras, of these people, between these times; without any, everything."""

    cameras: tuple[str, ...] = ()
    people: tuple[int, ...] = ()
    from_ns: int | None = None
    """UTC epoch ns; what ends at or after it counts."""
    to_ns: int | None = None
    """The same; what begins at or before it counts."""

    def tracklets(self) -> list[ColumnElement[bool]]:
        """What holds of the tracklets that count, in a query that joins cameras and sightings."""
        found: list[ColumnElement[bool]] = []
        if self.cameras:
            found.append(Camera.name.in_(self.cameras))
        if self.people:
            found.append(SightingRow.identity.in_(self.people))
        if self.from_ns is not None:
            found.append(Tracklet.end_ns >= self.from_ns)
        if self.to_ns is not None:
            found.append(Tracklet.start_ns <= self.to_ns)
        return found

    def boxes(self) -> list[ColumnElement[bool]]:
        """What holds of the boxes that count in a recording, in a query that joins sightings."""
        found: list[ColumnElement[bool]] = []
        if self.people:
            found.append(SightingRow.identity.in_(self.people))
        if self.from_ns is not None:
            found.append(Box.time_ns >= self.from_ns)
        if self.to_ns is not None:
            found.append(Box.time_ns <= self.to_ns)
        return found


EVERYTHING = Filters()


def check_filters(at: Snapshot, filters: Filters) -> None:
    """Refuse what cannot match, because the store does not know it.

    Raises:
        UnknownCameraError, UnknownPersonError: the message names the nearest.
    """
    check_cameras(at.connection, filters.cameras)
    check_people(at.connection, filters.people, at.version)
