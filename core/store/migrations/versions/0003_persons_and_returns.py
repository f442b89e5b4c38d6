"""What a person decided; returns, refunds with their credit notes, and what was invoiced."""

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
    _persons()
    _refunds()
    _returns()
    _deadlines()
    _reconciliation()


def _persons() -> None:
    op.add_column("holds", _word("assignee", ""))
    op.add_column("holds", _word("note", ""))
    op.add_column("holds", sa.Column("snoozed_until", INSTANT))
    op.create_table(
        "waivers",
        sa.Column("order_id", sa.Integer, primary_key=True),
        sa.Column("cause", sa.String, primary_key=True),
        _word("about"),
        _word("by"),
        _word("reason"),
        sa.Column("at", INSTANT, nullable=False),
    )
    op.create_table(
        "handovers",
        sa.Column("order_id", sa.Integer, primary_key=True),
        _word("how"),
        _word("by"),
        _word("reason"),
        sa.Column("at", INSTANT, nullable=False),
    )


def _returns() -> None:
    op.add_column("facts", _word("tracking", ""))
    op.create_index("facts_of_order", "facts", ["order_id"])
    op.create_index(
        "facts_of_tracking", "facts", ["tracking"], sqlite_where=sa.text("tracking != ''")
    )
    op.create_table(
        "returns",
        sa.Column("id", sa.Integer, primary_key=True),
        _word("system"),
        _word("external_id"),
        sa.Column("order_id", sa.Integer, nullable=False),
        _word("kind"),
        _word("state"),
        _word("tracking", ""),
        _word("custody"),
        sa.Column("custody_at", INSTANT, nullable=False),
        _word("money"),
        sa.Column("money_at", INSTANT, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.UniqueConstraint("system", "external_id", "order_id", name="return_once"),
    )
    op.create_index("returns_of_order", "returns", ["order_id"])
    op.create_index(
        "returns_open", "returns", ["opened_at"], sqlite_where=sa.text("closed_at IS NULL")
    )
    op.create_table(
        "return_lines",
        sa.Column("return_id", sa.Integer, primary_key=True),
        sa.Column("line", sa.String, primary_key=True),
        _word("sku"),
        _count("expected"),
        _count("resellable"),
        _count("damaged"),
        _count("missing"),
        _count("unknown"),
    )


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
        sa.Column("return_id", sa.Integer),
        sa.UniqueConstraint("system", "external_id", name="refund_once"),
    )
    op.create_index("refunds_of_order", "refunds", ["order_id"])


def _deadlines() -> None:
    op.create_table(
        "deadlines",
        sa.Column("order_id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("subject", sa.String, primary_key=True),
        _word("system"),
        _word("source"),
        sa.Column("at", INSTANT, nullable=False),
        _word("state", "open"),
        _word("told", ""),
        sa.Column("met_at", INSTANT),
        sqlite_with_rowid=False,
    )
    for name, column, state in (("open", "at", "open"), ("met", "met_at", "met")):
        op.create_index(
            f"deadlines_{name}", "deadlines", [column], sqlite_where=sa.text(f"state = '{state}'")
        )


def _reconciliation() -> None:
    for name in ("tax_minor", "units"):
        op.add_column("orders", sa.Column(name, sa.Integer))
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
