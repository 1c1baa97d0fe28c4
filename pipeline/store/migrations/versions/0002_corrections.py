"""What operators said about who is who; tracklets cut off a track."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of corrections; let a tracklet be a piece of a track."""
    op.add_column("tracklets", sa.Column("closed_ns", sa.BigInteger()))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("tracklets", "track", type_=sa.BigInteger())
    op.create_table(
        "corrections",
        sa.Column("id", ID, nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", ID),
        sa.Column("undoes", ID),
        sa.Column("note", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["identity_versions.id"], name="fk_corrections_version", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["undoes"], ["corrections.id"], name="fk_corrections_undoes", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_version", "corrections", ["version"])
    op.create_index("ix_corrections_undoes", "corrections", ["undoes"])
    op.create_table(
        "correction_members",
        sa.Column("correction", ID, nullable=False),
        sa.Column("tracklet", ID, nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("before", ID),
        sa.Column("after", ID),
        sa.ForeignKeyConstraint(
            ["correction"], ["corrections.id"], name="fk_correction_members_correction", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tracklet"], ["tracklets.id"], name="fk_correction_members_tracklet", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["before"], ["identities.id"], name="fk_correction_members_before", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["after"], ["identities.id"], name="fk_correction_members_after", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("correction", "tracklet", name="pk_correction_members"),
    )
    op.create_index("ix_correction_members_tracklet", "correction_members", ["tracklet"])
    op.create_index("ix_correction_members_before", "correction_members", ["before"])
    op.create_index("ix_correction_members_after", "correction_members", ["after"])
