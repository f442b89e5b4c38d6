"""Quotas know when units were last put back (S16)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("quotas", sa.Column("back_at", sa.String(27)))
