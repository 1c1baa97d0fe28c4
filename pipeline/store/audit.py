"""Who was asked for, and when."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import select

from pipeline.store.database import Store, engine_for, write_transaction
from pipeline.store.database_errors import ReadOnlyStoreError, translated
from pipeline.store.rows import new_row
from pipeline.store.schema import AuditEntry

LOG = logging.getLogger(__name__)


def audit(store: Store, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Note who was asked for; works without being the writer, beside a running one.

    A store that cannot be written is read all the same, with one warning in the log.
    """
    row = {"action": action, "subject": subject, "detail": detail or {}}
    if store.begun is not None:
        new_row(store.begun, AuditEntry, time_ns=store.clock(), **row)
        return
    engine = store.engine if store.writes else engine_for(store.location, write=True)
    try:
        with translated(store.location.name), write_transaction(engine) as connection:
            new_row(connection, AuditEntry, time_ns=store.clock(), **row)
    except ReadOnlyStoreError:
        if not store.warned:
            LOG.warning("%s: cannot be written: this query is not audited", store.location.name)
        store.warned = True
    finally:
        if engine is not store.engine:
            engine.dispose()


def noted(store: Store, action: str, subject: str) -> dict[str, Any] | None:
    """The detail of the last entry about a subject; None where there is none."""
    mine = (AuditEntry.action == action) & (AuditEntry.subject == subject)
    query = select(AuditEntry.detail).where(mine).order_by(AuditEntry.id.desc()).limit(1)
    with store.reading() as connection:
        detail = connection.scalar(query)
    return None if detail is None else dict(detail)
