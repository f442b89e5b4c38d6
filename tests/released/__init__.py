"""States of every released schema, as SQL, and the tables of the present one.

    python -m tests.released            writes the tables of the present schema

`0001.sql` was dumped from a house (tests/flows) that had lived through some days, with the
warehouse out of reach at the end: commands wait in it. It is sealed with the key of the tests.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from core.store.schema import SCHEMA_VERSION, metadata

HERE = Path(__file__).parent
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
