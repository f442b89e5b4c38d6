"""What a person says of an exception, of a held order, and of one from before we were live."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANT = sa.String(27)


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _no_word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default=sa.text("''"))


def upgrade() -> None:
    _persons()


def _persons() -> None:
    op.add_column("holds", _no_word("assignee"))
    op.add_column("holds", _no_word("note"))
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
