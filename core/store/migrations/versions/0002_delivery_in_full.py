"""Silence, outages, what a failed attempt said; quotas know when units were last put back (S16)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INSTANT = sa.String(27)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))


def upgrade() -> None:
    op.add_column("inbox", sa.Column("seen_at", INSTANT))
    op.add_column("inbox", sa.Column("since", sa.String))
    op.add_column("quotas", sa.Column("back_at", INSTANT))
    op.add_column("quotas", sa.Column("known_at", INSTANT))
    op.execute("UPDATE quotas SET known_at = anchor_at")
    op.add_column("attempts", sa.Column("said", sa.LargeBinary))
    op.create_index(
        "inbox_pending_of", "inbox", ["system", "seq"], sqlite_where=sa.text("state = 'pending'")
    )
    op.create_index(
        "outbox_dead", "outbox", ["system", "lane"], sqlite_where=sa.text("state = 'dead'")
    )
    _silence()
    _outages()


def _silence() -> None:
    op.create_table(
        "heard",
        sa.Column("system", sa.String, primary_key=True),
        sa.Column("came_at", INSTANT, nullable=False),
        sa.Column("pushed_at", INSTANT),
        _count("pushed_seq"),
        _count("passes"),
    )
    op.create_table(
        "heard_hours",
        sa.Column("system", sa.String, primary_key=True),
        sa.Column("hour", sa.String(13), primary_key=True),
        _count("value"),
    )
    op.create_table(
        "listened",
        sa.Column("hour", sa.String(13), primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
    )


def _outages() -> None:
    op.create_table(
        "outages",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("back_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        _count("upto"),
        _count("commands"),
        _count("skus"),
        _count("left_over"),
        sa.Column("per_second", sa.Float, nullable=False),
        sa.Column("words", sa.String, nullable=False, server_default=sa.text("''")),
        sqlite_autoincrement=True,
    )
    op.create_index("outages_open", "outages", ["system"], sqlite_where=sa.text("ended_at IS NULL"))
