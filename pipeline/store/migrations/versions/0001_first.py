"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cameras",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("clock_known", sa.Boolean(), nullable=False),
        sa.Column("overlaps", sa.JSON(), nullable=False),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("fps", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_cameras"),
        sa.UniqueConstraint("name", name="uq_cameras_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "identities",
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identities"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "identity_versions",
        sa.Column("id", ID, nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_versions"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "models",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("calibration", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("name", name="uq_models_name"),
    )
    op.create_table(
        "runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "recordings",
        sa.Column("id", ID, nullable=False),
        sa.Column("camera", ID, nullable=False),
        sa.Column("run", ID, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("detected", sa.Integer(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger()),
        sa.ForeignKeyConstraint(["camera"], ["cameras.id"], name="fk_recordings_camera", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_recordings_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        sa.UniqueConstraint("camera", "fingerprint", name="uq_recordings_camera_fingerprint"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_recordings_run", "recordings", ["run"])
    op.create_table(
        "tracklets",
        sa.Column("id", ID, nullable=False),
        sa.Column("recording", ID, nullable=False),
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("first_frame", sa.Integer(), nullable=False),
        sa.Column("last_frame", sa.Integer(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("boxes", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.id"], name="fk_tracklets_recording", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tracklets"),
        sa.UniqueConstraint("recording", "track", "part", name="uq_tracklets_recording_track_part"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tracklets_end_ns", "tracklets", ["end_ns"])
    op.create_table(
        "boxes",
        sa.Column("tracklet", ID, nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("x1", sa.Double(), nullable=False),
        sa.Column("y1", sa.Double(), nullable=False),
        sa.Column("x2", sa.Double(), nullable=False),
        sa.Column("y2", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tracklet"], ["tracklets.id"], name="fk_boxes_tracklet", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tracklet", "frame", name="pk_boxes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "crops",
        sa.Column("id", ID, nullable=False),
        sa.Column("tracklet", ID, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("x1", sa.Double(), nullable=False),
        sa.Column("y1", sa.Double(), nullable=False),
        sa.Column("x2", sa.Double(), nullable=False),
        sa.Column("y2", sa.Double(), nullable=False),
        sa.Column("quality", sa.Double(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("jpeg", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["tracklet"], ["tracklets.id"], name="fk_crops_tracklet", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_crops"),
        sa.UniqueConstraint("tracklet", "rank", name="uq_crops_tracklet_rank"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sightings",
        sa.Column("version", ID, nullable=False),
        sa.Column("tracklet", ID, nullable=False),
        sa.Column("identity", ID, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("distance", sa.Double()),
        sa.Column("probability", sa.Double()),
        sa.Column("runner_up", ID),
        sa.Column("runner_up_distance", sa.Double()),
        sa.Column("runner_up_probability", sa.Double()),
        sa.Column("evidence", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["identity"], ["identities.id"], name="fk_sightings_identity", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["runner_up"], ["identities.id"], name="fk_sightings_runner_up", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["tracklet"], ["tracklets.id"], name="fk_sightings_tracklet", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["identity_versions.id"], name="fk_sightings_version", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version", "tracklet", name="pk_sightings"),
    )
    op.create_index("ix_sightings_identity_version", "sightings", ["identity", "version"])
    op.create_index("ix_sightings_runner_up", "sightings", ["runner_up"])
    op.create_index("ix_sightings_tracklet", "sightings", ["tracklet"])
    op.create_table(
        "embeddings",
        sa.Column("crop", ID, nullable=False),
        sa.Column("model", ID, nullable=False),
        sa.Column("cell_count", sa.Integer(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.Column("foreground", sa.LargeBinary(), nullable=False),
        sa.Column("pooled", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["crop"], ["crops.id"], name="fk_embeddings_crop", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name="fk_embeddings_model"),
        sa.PrimaryKeyConstraint("crop", name="pk_embeddings"),
    )
