"""A state of an older schema becomes one of this.

It runs in one transaction with the new number of the schema: killed at any moment the
state is what it was, and the next start begins anew, for SQLite undoes tables as it
undoes rows. `meta.schema_version` is the only word on what a state is; Alembic brings
the operations and the order of the revisions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, update

from core.store.schema import SCHEMA_VERSION, meta

_REVISIONS = Path(__file__).with_name("migrations")


def bring_up(connection: Connection, found: int) -> None:
    """From schema `found` to SCHEMA_VERSION, inside the transaction of the caller."""
    _upgrade(connection, found)
    connection.execute(
        update(meta).where(meta.c.key == "schema_version").values(value=str(SCHEMA_VERSION))
    )


def _upgrade(connection: Connection, found: int) -> None:
    # Imported here: nine starts of ten have nothing to migrate.
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"render_as_batch": True})
    with Operations.context(context):
        for upgrade in _steps(found):
            upgrade()


def _steps(found: int) -> list[Callable[[], None]]:
    """The upgrades above `found`, oldest first."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(_REVISIONS))
    later = list(script.walk_revisions(f"{found:04}", f"{SCHEMA_VERSION:04}"))
    return [one.module.upgrade for one in reversed(later) if one.revision > f"{found:04}"]
