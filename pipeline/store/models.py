"""The networks whose embeddings the store holds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from pipeline.store.database import Store
from pipeline.store.rows import new_row
from pipeline.store.schema import Model


def newest_model(store: Store) -> str:
    """The model that was in use last; empty where there was none."""
    with store.reading() as connection:
        return connection.scalar(select(Model.name).order_by(Model.id.desc()).limit(1)) or ""


def stored_calibration(store: Store, model: str) -> Any | None:
    """What `set_calibration` kept for a model."""
    with store.reading() as connection:
        return connection.scalar(select(Model.calibration).where(Model.name == model))


def keep_calibration(store: Store, model: str, calibration: Any) -> None:
    """Keep a model's calibration, a JSON value."""
    with store.writing() as connection:
        known = connection.execute(update(Model).where(Model.name == model).values(calibration=calibration))
        if known.rowcount == 0:
            new_row(connection, Model, name=model, calibration=calibration)
