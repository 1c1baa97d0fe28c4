"""Each start of the program: when, with what configuration, and how it ended."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select, update

from pipeline.store.database import Store
from pipeline.store.rows import new_row
from pipeline.store.schema import Recording, Run
from pipeline.time_zones import zone_named
from pipeline.urls import redact, redact_all


def begin_run(store: Store, *, command: str, config: Any, software: str) -> int:
    """Number of a new run; what an earlier one left running was interrupted.

    Args:
        command: the command line.
        config: any msgspec struct or JSON value.
        software: our version.
    """
    with store.writing() as connection:
        now = store.clock()
        for table in (Run, Recording):
            interrupted = {"state": "interrupted", "ended_ns": now}
            connection.execute(update(table).where(table.state == "running").values(interrupted))
        row = {"started_ns": now, "state": "running", "software": software}
        texts = {"command": redact(command), "config": public_config(config)}
        return new_row(connection, Run, **row, **texts)


def work_owed(store: Store) -> bool:
    """Whether a run over recordings never came to its end: linked, and everybody compared with everybody.

    Asked before `begin_run`. Live runs do not end with that and owe nothing, nor do they pay what an earlier
    run owes.
    """
    watched = select(Recording.id).where(Recording.run == Run.id, Recording.fingerprint.is_(None))
    last = select(Run.state).where(~watched.exists()).order_by(Run.id.desc()).limit(1)
    with store.reading() as connection:
        return connection.scalar(last) not in (None, "done")


def end_run(store: Store, run: int, state: str) -> None:
    """Note how a run ended; recordings it left running ended with it."""
    with store.writing() as connection:
        values = {"state": state, "ended_ns": store.clock()}
        connection.execute(update(Run).where(Run.id == run).values(values))
        left = (Recording.run == run) & (Recording.state == "running")
        connection.execute(update(Recording).where(left).values(values | {"state": "interrupted"}))


def site_zone(store: Store) -> ZoneInfo:
    """The time zone of the site, as its newest run had it; this machine's where that did not say."""
    return zone_named((last_config(store) or {}).get("timezone"))


def last_config(store: Store) -> Any | None:
    """The newest run's configuration as JSON values; None where there was no run."""
    with store.reading() as connection:
        return connection.scalar(select(Run.config).order_by(Run.id.desc()).limit(1))


def public_config(config: Any) -> Any:
    """A configuration as JSON, with credentials cut out of every string."""
    return redact_all(msgspec.to_builtins(config))
