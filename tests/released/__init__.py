"""States of every released schema, as SQL, and the tables of the present one.

    python -m tests.released            writes the tables of the present schema

Each was dumped from a house (tests/flows) of its release that had lived for a while, with the
warehouse out of reach at the end: commands wait in it. They are sealed with the key of the tests.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from core.store.schema import SCHEMA_OLDEST, SCHEMA_VERSION, metadata

HERE = Path(__file__).parent
_CREATE = re.compile(r"CREATE (?:UNIQUE )?(?:TABLE|INDEX) ")
TABLES = HERE / f"{SCHEMA_VERSION:04}.tables.sql"


def tables() -> str:
    """The present tables and indexes, by name."""
    dialect = create_engine("sqlite://").dialect
    words = []
    for table in sorted(metadata.tables.values(), key=lambda one: one.name):
        words.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            words.append(str(CreateIndex(index).compile(dialect=dialect)).strip())
    return ";\n".join(words) + ";\n"


def state_of(schema: int, path: Path) -> Path:
    """A state as a program of that schema left it."""
    connection = sqlite3.connect(path)
    try:
        connection.executescript((HERE / f"{schema:04}.sql").read_text("utf-8"))
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
    return path


def take_down(path: Path) -> None:
    """A state of ours without all that came after the oldest schema."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("ATTACH ':memory:' AS old")
        for statement in _made(SCHEMA_OLDEST):
            connection.execute(statement)
        for kind in ("index", "table"):
            for name in _names(connection, "main", kind) - _names(connection, "old", kind):
                connection.execute(f'DROP {kind} "{name}"')
        for name in _names(connection, "main", "table"):
            for column in _columns(connection, "main", name) - _columns(connection, "old", name):
                connection.execute(f'ALTER TABLE main."{name}" DROP COLUMN "{column}"')
        words = (str(SCHEMA_OLDEST),)
        connection.execute("UPDATE main.meta SET value = ? WHERE key = 'schema_version'", words)
    finally:
        connection.close()


def _made(schema: int) -> list[str]:
    """The statements that make its tables and indexes, in the database `old`."""
    scratch = sqlite3.connect(":memory:")
    scratch.executescript((HERE / f"{schema:04}.sql").read_text("utf-8"))
    found = scratch.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        " ORDER BY type DESC"
    ).fetchall()
    scratch.close()
    return [_CREATE.sub(r"\g<0>old.", sql, count=1) for (sql,) in found]


def _names(connection: sqlite3.Connection, database: str, kind: str) -> set[str]:
    rows = connection.execute(
        f"SELECT name FROM {database}.sqlite_master WHERE type = ? AND sql IS NOT NULL"
        " AND name NOT LIKE 'sqlite_%'",
        (kind,),
    )
    return {str(name) for (name,) in rows}


def _columns(connection: sqlite3.Connection, database: str, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f'PRAGMA {database}.table_info("{table}")')}
