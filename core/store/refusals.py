"""A state that cannot be used: what, where, what now. Nothing was changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from core.errors import ConfigError, Problem
from core.store.schema import SCHEMA_OLDEST, SCHEMA_VERSION


def refuse(file: Path, what: str, fix: str) -> ConfigError:
    return ConfigError([Problem(file=str(file), line=0, what=what, fix=fix)])


def refuse_unknown_schema(file: Path, schema: int) -> None:
    """One that is newer, or older than any release. One in between can be brought up to ours."""
    if SCHEMA_OLDEST <= schema <= SCHEMA_VERSION:
        return
    age = "newer" if schema > SCHEMA_VERSION else "older than any release"
    raise refuse(
        file,
        f"it has schema {schema}, this program knows {SCHEMA_VERSION}: it is {age}",
        "Use the program version that wrote it, or restore a backup of this version.",
    )


def refuse_older_schema(file: Path, schema: int) -> None:
    """For who only reads: the daemon brings a state up, at its start."""
    refuse_unknown_schema(file, schema)
    if schema < SCHEMA_VERSION:
        raise refuse(
            file,
            f"it has schema {schema}, this program reads {SCHEMA_VERSION}",
            "Start the daemon of this version once with `truecount run`: it brings the state"
            " up, and keeps a copy of it as it was.",
        )


def unusable(file: Path, error: BaseException) -> ConfigError:
    """What SQLite says when it opens a state."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return refuse(
            file,
            f"the state is damaged ({error}); it was left as it is",
            "Put the last backup back with `truecount restore FILE`; it keeps this one aside.",
        )
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) or not isinstance(error, sqlite3.Error):
        return refuse(
            file,
            f"the state could not be written ({error}): is the disk full?",
            "Make room on it and start again; nothing was lost.",
        )
    return refuse(
        file,
        f"the state cannot be opened ({error})",
        "Does it belong to the user Truecount runs as, and is the folder on a local disk?",
    )
