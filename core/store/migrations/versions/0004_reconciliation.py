"""Differences are remembered; what a comparison needs besides the total; orders that are open."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

INSTANT = sa.String(27)


def _word(name: str, default: str | None = None) -> sa.Column[str]:
    if default is None:
        return sa.Column(name, sa.String, nullable=False)
    return sa.Column(name, sa.String, nullable=False, server_default=sa.text(f"'{default}'"))


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))


def upgrade() -> None:
    for name in ("tax_minor", "units"):
        op.add_column("orders", sa.Column(name, sa.Integer))
    op.add_column("orders", sa.Column("cancelled_at", INSTANT))
    live = sa.text("state IN ('held', 'released')")
    op.create_index("orders_open", "orders", ["id"], sqlite_where=live)
    op.add_column("documents", sa.Column("quantity", sa.Integer))
    op.add_column("documents", _count("cancelled"))
    op.add_column("documents", sa.Column("first_at", INSTANT))
    op.create_table(
        "differences",
        sa.Column("id", sa.String, primary_key=True),
        *(_word(name) for name in ("what", "key", "cause")),
        *(_count(name) for name in ("units", "minor")),
        _word("currency", ""),
        *(sa.Column(name, INSTANT, nullable=False) for name in ("first_at", "last_at")),
        sa.Column("ended_at", INSTANT),
        *(_word(name, "") for name in ("assignee", "said", "written_by", "reason")),
        sa.Column("written_at", INSTANT),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "differences_open", "differences", ["first_at"], sqlite_where=sa.text("ended_at IS NULL")
    )
