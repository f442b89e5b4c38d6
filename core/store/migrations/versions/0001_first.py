"""The first schema. A state without a number in `meta` never left a developer's machine."""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """There is nothing before it to come from."""
