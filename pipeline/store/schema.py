"""The tables of the store: what was watched, what was seen, and who it is claimed to be."""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISIONS = ("0001", "0002", "0003")
"""Every schema this program knows, oldest first; the last is the one it works with."""

Id = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers only a column declared INTEGER by itself."""

Serial = Annotated[int, mapped_column(Id, primary_key=True)]
TimeNs = Annotated[int, mapped_column(BigInteger)]
Text = Annotated[str, mapped_column(String)]
NEVER_REUSED = {"sqlite_autoincrement": True}
"""A number in a log, an audit entry or an export never comes to name something else."""


def owner(column: str) -> Any:
    """A foreign key whose rows go with their owner."""
    return mapped_column(Id, ForeignKey(column, ondelete="CASCADE"))


def owner_key(column: str) -> Any:
    """The same as part of the primary key."""
    return mapped_column(Id, ForeignKey(column, ondelete="CASCADE"), primary_key=True, autoincrement=False)


class Base(DeclarativeBase):
    """Where the tables are declared; constraints are named so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Run(Base):
    """One start of the program."""

    __tablename__ = "runs"
    __table_args__ = NEVER_REUSED
    id: Mapped[Serial]
    started_ns: Mapped[TimeNs]
    ended_ns: Mapped[TimeNs | None]
    state: Mapped[Text]
    command: Mapped[Text]
    config: Mapped[Any] = mapped_column(JSON(none_as_null=True))
    software: Mapped[Text]


class Camera(Base):
    """One viewpoint, known by its name for ever."""

    __tablename__ = "cameras"
    __table_args__ = NEVER_REUSED
    id: Mapped[Serial]
    name: Mapped[Text] = mapped_column(unique=True)
    clock_known: Mapped[bool]
    overlaps: Mapped[Any] = mapped_column(JSON(none_as_null=True))
    width: Mapped[int | None]
    height: Mapped[int | None]
    fps: Mapped[float | None]


class Recording(Base):
    """One file, folder or stream session of a camera; a fingerprint is stored once for each camera."""

    __tablename__ = "recordings"
    __table_args__ = (UniqueConstraint("camera", "fingerprint"), NEVER_REUSED)
    id: Mapped[Serial]
    camera: Mapped[int] = owner("cameras.id")
    run: Mapped[int] = mapped_column(Id, ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    source: Mapped[Text]
    fingerprint: Mapped[Text | None]
    state: Mapped[Text]
    frames: Mapped[int]
    detected: Mapped[int]
    start_ns: Mapped[TimeNs]
    message: Mapped[Text]
    started_ns: Mapped[TimeNs]
    ended_ns: Mapped[TimeNs | None]


class Tracklet(Base):
    """One part of one person's presence in one recording."""

    __tablename__ = "tracklets"
    __table_args__ = (
        UniqueConstraint("recording", "track", "part"),
        Index("ix_tracklets_end_ns", "end_ns"),
        NEVER_REUSED,
    )
    id: Mapped[Serial]
    recording: Mapped[int] = owner("recordings.id")
    track: Mapped[int] = mapped_column(Id)
    """Negative for a piece that was cut off a track which jumped to somebody else."""
    part: Mapped[int]
    first_frame: Mapped[int]
    last_frame: Mapped[int]
    start_ns: Mapped[TimeNs]
    end_ns: Mapped[TimeNs]
    closed_ns: Mapped[TimeNs | None]
    """When the track it was cut from ended: it is linked in that order; None: its own end."""
    boxes: Mapped[int]
    confidence: Mapped[float]


class Box(Base):
    """Where the person was in one frame: xyxy, px."""

    __tablename__ = "boxes"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 (SQLAlchemy reads the name)
    tracklet: Mapped[int] = owner_key("tracklets.id")
    frame: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time_ns: Mapped[TimeNs]
    x1: Mapped[float]
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]
    confidence: Mapped[float]


class CropRow(Base):
    """One picture of a tracklet; rank 0 is the best."""

    __tablename__ = "crops"
    __table_args__ = (UniqueConstraint("tracklet", "rank"), NEVER_REUSED)
    id: Mapped[Serial]
    tracklet: Mapped[int] = owner("tracklets.id")
    rank: Mapped[int]
    frame: Mapped[int]
    time_ns: Mapped[TimeNs]
    x1: Mapped[float]
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]
    quality: Mapped[float]
    width: Mapped[int]
    height: Mapped[int]
    jpeg: Mapped[bytes] = mapped_column(LargeBinary)


class Model(Base):
    """One set of ReID weights; embeddings of different models are never compared."""

    __tablename__ = "models"
    id: Mapped[Serial]
    name: Mapped[Text] = mapped_column(unique=True)
    calibration: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))


class EmbeddingRow(Base):
    """What a model says about a crop: little-endian float16 arrays."""

    __tablename__ = "embeddings"
    __table_args__ = (Index("ix_embeddings_pooled", "model", "crop", "pooled").ddl_if(dialect="sqlite"),)
    """SQLite reads pooled vectors from here: in the table each lies behind 16 KB of cells."""
    crop: Mapped[int] = owner_key("crops.id")
    model: Mapped[int] = mapped_column(Id, ForeignKey("models.id"))
    cell_count: Mapped[int]
    channels: Mapped[int]
    cells: Mapped[bytes] = mapped_column(LargeBinary)
    foreground: Mapped[bytes] = mapped_column(LargeBinary)
    pooled: Mapped[bytes] = mapped_column(LargeBinary)


class IdentityVersion(Base):
    """One complete opinion on who is who; the newest counts."""

    __tablename__ = "identity_versions"
    __table_args__ = NEVER_REUSED
    id: Mapped[Serial]
    created_ns: Mapped[TimeNs]
    kind: Mapped[Text]
    note: Mapped[Text]
    late: Mapped[bool]
    """Whether tracklets were linked out of their order."""


class Identity(Base):
    """A person: nothing but a number."""

    __tablename__ = "identities"
    __table_args__ = NEVER_REUSED
    id: Mapped[Serial]


class SightingRow(Base):
    """The claim that a tracklet shows an identity, with how sure it is and who else it could be."""

    __tablename__ = "sightings"
    __table_args__ = (Index("ix_sightings_identity_version", "identity", "version"),)
    version: Mapped[int] = owner_key("identity_versions.id")
    tracklet: Mapped[int] = mapped_column(
        Id, ForeignKey("tracklets.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    )
    identity: Mapped[int] = owner("identities.id")
    state: Mapped[Text]
    distance: Mapped[float | None]
    probability: Mapped[float | None]
    runner_up: Mapped[int | None] = mapped_column(
        Id, ForeignKey("identities.id", ondelete="SET NULL"), index=True
    )
    runner_up_distance: Mapped[float | None]
    runner_up_probability: Mapped[float | None]
    evidence: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))


class CorrectionRow(Base):
    """What an operator said about who is who; nothing is ever changed here, `undo` is one more row."""

    __tablename__ = "corrections"
    __table_args__ = NEVER_REUSED
    id: Mapped[Serial]
    time_ns: Mapped[TimeNs]
    kind: Mapped[Text]
    version: Mapped[int | None] = mapped_column(
        Id, ForeignKey("identity_versions.id", ondelete="SET NULL"), index=True
    )
    """The identity version it was carried out in."""
    undoes: Mapped[int | None] = mapped_column(
        Id, ForeignKey("corrections.id", ondelete="CASCADE"), index=True
    )
    note: Mapped[Text]


class CorrectionMember(Base):
    """One tracklet that a correction is about."""

    __tablename__ = "correction_members"
    correction: Mapped[int] = owner_key("corrections.id")
    tracklet: Mapped[int] = mapped_column(
        Id, ForeignKey("tracklets.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    )
    side: Mapped[int]
    """0 or 1: the two sides are the same person, or are not."""
    before: Mapped[int | None] = mapped_column(
        Id, ForeignKey("identities.id", ondelete="SET NULL"), index=True
    )
    """The identity it was filed under."""
    after: Mapped[int | None] = mapped_column(
        Id, ForeignKey("identities.id", ondelete="SET NULL"), index=True
    )


class AuditEntry(Base):
    """Who asked what of the store, without any biometric content."""

    __tablename__ = "audit"
    __table_args__ = NEVER_REUSED
    id: Mapped[Serial]
    time_ns: Mapped[TimeNs]
    action: Mapped[Text]
    subject: Mapped[Text]
    detail: Mapped[Any] = mapped_column(JSON(none_as_null=True))
