"""Removing recordings and tracklets, and the identities that nothing supports any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, select, update

from pipeline.store.rows import pages
from pipeline.store.schema import Identity, Recording, SightingRow, Tracklet

FINISHED = ("done", "short")
"""States of a recording that need not be processed again."""


def remove_unfinished(connection: Connection, camera: int, fingerprint: str) -> None:
    """Remove the recording of this content, if there is one; refuse a finished one."""
    same = (Recording.camera == camera) & (Recording.fingerprint == fingerprint)
    earlier = connection.execute(select(Recording.id, Recording.state).where(same)).first()
    if earlier and earlier.state in FINISHED:
        raise ValueError(f"recording {earlier.id} is {earlier.state}: forget it first")
    if earlier:
        remove_recordings(connection, [earlier.id])


def remove_recordings(connection: Connection, recordings: Sequence[int]) -> None:
    """Remove recordings with all they held, and the identities that nobody else supports."""
    for recording in recordings:
        seen = select(SightingRow.identity).join(Tracklet, SightingRow.tracklet == Tracklet.id)
        identities = set(connection.scalars(seen.where(Tracklet.recording == recording)))
        connection.execute(delete(Recording).where(Recording.id == recording))
        remove_empty_identities(connection, identities)


def remove_identities(connection: Connection, identities: Sequence[int]) -> None:
    """Remove identities, and what other people's sightings say about them as runners-up."""
    nobody = {"runner_up": None, "runner_up_distance": None, "runner_up_probability": None}
    rivals = update(SightingRow).where(SightingRow.runner_up.in_(identities))
    connection.execute(rivals.values(nobody))
    connection.execute(delete(Identity).where(Identity.id.in_(identities)))


def remove_empty_identities(connection: Connection, identities: Iterable[int]) -> None:
    """Remove those of `identities` without any sighting in any version."""
    seen = select(SightingRow.tracklet).where(SightingRow.identity == Identity.id).exists()
    for page in pages(identities):
        empty = connection.scalars(select(Identity.id).where(Identity.id.in_(page), ~seen)).all()
        remove_identities(connection, empty)
