"""SQLite: pooled vectors beside their crops, to be read without the cells."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index; PostgreSQL keeps large values apart from their rows anyway."""
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("ix_embeddings_pooled", "embeddings", ["model", "crop", "pooled"])


def downgrade() -> None:
    """Take it away."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_embeddings_pooled", "embeddings")
