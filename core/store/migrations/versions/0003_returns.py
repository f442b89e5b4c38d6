"""Refunds with their credit notes, and what was invoiced of an order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANT = sa.String(27)


def _word(name: str, default: str | None = None) -> sa.Column[str]:
    if default is None:
        return sa.Column(name, sa.String, nullable=False)
    return sa.Column(name, sa.String, nullable=False, server_default=sa.text(f"'{default}'"))


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))


def upgrade() -> None:
    _refunds()


def _refunds() -> None:
    op.create_table(
        "invoiced",
        sa.Column("order_id", sa.Integer, primary_key=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("doc", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.Integer, primary_key=True),
        _word("system"),
        _word("external_id"),
        sa.Column("order_id", sa.Integer, nullable=False),
        _word("returned", ""),
        _word("revision", ""),
        _word("state"),
        _word("currency"),
        sa.Column("total_minor", sa.Integer, nullable=False),
        _count("channel_tax_minor"),
        sa.Column("refunded_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        _word("note", ""),
        sa.Column("doc", sa.LargeBinary, nullable=False),
        _word("doc_hash"),
        sa.Column("credit", sa.LargeBinary),
        sa.UniqueConstraint("system", "external_id", name="refund_once"),
    )
    op.create_index("refunds_of_order", "refunds", ["order_id"])
