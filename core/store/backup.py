"""A copy of the state that is whole, and putting it back: files only, no meaning (G17).

A backup is one file. It is made from one snapshot while the daemon writes on,
checked before it gets its name, and says in `meta` when it was taken and with
which key it was sealed. A state that still says so was put back: the daemon
finds it at start and reads again what it cannot know (core/restored.py).

The file is either the old one or the new one at every moment: written beside
its place, fsynced, renamed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.crash import crash_point
from core.errors import TruecountError
from core.store.refusals import refuse, refuse_unknown_schema
from core.store.schema import BACKUP_KEY, BACKUP_TAKEN_AT

#: What a person wants counted, to see that it is the right one.
COUNTED = ("orders", "claims", "outbox", "inbox", "steps")
#: Pages of one step; between two of them progress is told.
_PAGES = 4096
_HEAD = b"SQLite format 3\0"

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stands in a file of ours. `key_id` and `taken_at` are "" in a plain copy."""

    file: Path
    schema: int
    taken_at: str
    key_id: str
    counts: dict[str, int]


# ------------------------------------------------------------------ making one


def save(state: Path, target: Path, *, key_id: str, at: str, tell: Tell) -> Found:
    """Write a checked copy of `state` to `target`. On any failure nothing is there."""
    if target.exists():
        raise refuse(target, "there is a file already", "Name one that does not exist yet.")
    if not state.exists():
        raise refuse(state, "there is no state yet", "Start the daemon once with `truecount run`.")
    with _beside(target) as part:
        _copy(state, part, {BACKUP_TAKEN_AT: at, BACKUP_KEY: key_id}, tell)
        found = examine(part)
        crash_point("backup.copied")
        part.replace(target)
        _sync_folder(target.parent)
        crash_point("backup.named")
    return Found(file=target, schema=found.schema, taken_at=at, key_id=key_id, counts=found.counts)


def copy_aside(state: Path, word: str) -> Path:
    """A whole copy of a state, beside it. One of the same name is replaced."""
    kept = state.with_name(f"{state.name}.{word}")
    with _beside(kept) as part:
        _copy(state, part, {}, lambda *_: None)
        part.replace(kept)
        _sync_folder(kept.parent)
    return kept


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A file that only we can read, in the folder of `target`; gone at the end (T15)."""
    _clear_away(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield part
    except (OSError, sqlite3.Error) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise TruecountError(
            f"{target} could not be written: {words}. Nothing was changed."
            " Is there room on that disk, and may we write there?"
        ) from error
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            part.with_name(part.name + end).unlink(missing_ok=True)


def _clear_away(target: Path) -> None:
    """Whoever was killed while it wrote the same file left a part as large as the state."""
    for part in target.parent.glob(f".{target.name}.*.part*"):
        pid = part.name.removeprefix(f".{target.name}.").partition(".")[0]
        if pid.isdecimal() and not _lives(int(pid)):
            part.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _copy(source: Path, part: Path, marks: dict[str, str], tell: Tell) -> None:
    """One snapshot of `source`, whoever writes to it meanwhile, as one whole file."""
    with (
        contextlib.closing(_read(source)) as reading,
        contextlib.closing(sqlite3.connect(part, isolation_level=None)) as writing,
    ):
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the snapshot is now

        def progress(_: int, remaining: int, total: int) -> None:
            tell("pages", total - remaining, total)

        reading.backup(writing, pages=_PAGES, progress=progress)
        # No log beside it: a copy of this one file is a copy of everything.
        writing.execute("PRAGMA journal_mode=DELETE")
        writing.execute("PRAGMA synchronous=FULL")
        writing.execute("BEGIN IMMEDIATE")
        for key, value in marks.items():
            writing.execute(
                "INSERT INTO meta (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )
        writing.execute("COMMIT")
    with part.open("rb") as file:
        os.fsync(file.fileno())


def _read(path: Path) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30.0)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ------------------------------------------------------------------ looking at one


def examine(file: Path) -> Found:
    """What is in it, if it is whole and ours. ConfigError says what it is instead."""
    other = "Name a file that `truecount backup` wrote."
    try:
        with file.open("rb") as opened:
            head = opened.read(len(_HEAD))
    except OSError as error:
        raise refuse(file, f"it cannot be read: {error.strerror}", other) from error
    if head != _HEAD:
        raise refuse(file, "it is no database: not a backup of Truecount", other)
    try:
        with contextlib.closing(_read(file)) as reading:
            return _found(file, reading)
    except sqlite3.DatabaseError as error:
        raise refuse(file, f"it is damaged: {error}", "Take an older backup.") from error


def _found(file: Path, reading: sqlite3.Connection) -> Found:
    checked = [str(row[0]) for row in reading.execute("PRAGMA integrity_check(3)")]
    if checked != ["ok"]:
        raise refuse(file, f"it is damaged: {checked[0][:200]}", "Take an older backup.")
    there = {row[0] for row in reading.execute("SELECT name FROM sqlite_master")}
    if not {"meta", "inbox", "steps"} <= there:
        raise refuse(
            file,
            "it is a database, and not one of Truecount",
            "Name a file that `truecount backup` wrote.",
        )
    meta = dict(reading.execute("SELECT key, value FROM meta").fetchall())
    schema = int(meta.get("schema_version", 0))
    refuse_unknown_schema(file, schema)
    counts = {
        table: int(reading.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own names
        for table in COUNTED
    }
    return Found(
        file=file,
        schema=schema,
        taken_at=meta.get(BACKUP_TAKEN_AT, ""),
        key_id=meta.get(BACKUP_KEY, ""),
        counts=counts,
    )


# ------------------------------------------------------------------ putting one back


def put_back(backup: Path, state: Path, *, at: str, stamp: str, tell: Tell) -> Path | None:
    """`state` becomes this backup, all at once. Returns where the state before was put.

    The caller holds the lock and has examined the backup.
    """
    taken = examine(backup).taken_at or at
    with _beside(state) as part:
        _copy(backup, part, {BACKUP_TAKEN_AT: taken}, tell)
        examine(part)
        _take_along(state, part)
        crash_point("restore.copied")
        kept = _put_aside(state, stamp)
        crash_point("restore.log_gone")
        part.replace(state)
        crash_point("restore.replaced")
        _sync_folder(state.parent)
    return kept


def _take_along(state: Path, part: Path) -> None:
    """What must not fall back: a refresh token that is used up, and mails that were sent.

    A state that cannot be read has nothing to give.
    """
    if not state.exists():
        return
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as writing:
        try:
            writing.execute("ATTACH ? AS present", (str(state),))
            writing.execute("BEGIN IMMEDIATE")
            for table, condition in _ALONG:
                _bring_along(writing, table, condition)
            writing.execute("COMMIT")
        except sqlite3.DatabaseError:
            if writing.in_transaction:
                writing.execute("ROLLBACK")
    with part.open("rb") as file:
        os.fsync(file.fileno())


_ALONG = (
    (
        "tokens",
        "NOT EXISTS (SELECT 1 FROM main.tokens AS old WHERE old.system = new.system"
        " AND old.name = new.name AND old.stored_at >= new.stored_at)",
    ),
    ("reports", "new.state = 'sent'"),
)


def _bring_along(writing: sqlite3.Connection, table: str, condition: str) -> None:
    """Rows of the present state that the backup may not be without. Their schemas may differ."""
    both = [
        {row[1] for row in writing.execute(f"PRAGMA {schema}.table_info({table})")}
        for schema in ("main", "present")
    ]
    columns = ", ".join(sorted(both[0] & both[1]))
    writing.execute(
        f"INSERT OR REPLACE INTO main.{table} ({columns})"  # noqa: S608 - our own names
        f" SELECT {columns} FROM present.{table} AS new WHERE {condition}"
    )


def _put_aside(state: Path, stamp: str) -> Path | None:
    """The state before, whole, under a name of its own; `state` itself stays until replaced."""
    if not state.exists():
        return None
    with contextlib.suppress(sqlite3.DatabaseError):  # damaged: keep it as it is
        with contextlib.closing(sqlite3.connect(state, isolation_level=None)) as folding:
            busy = folding.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise TruecountError("another verb reads the state; nothing was changed, try again")
    kept = state.with_name(f"{state.name}.before-restore-{stamp}")
    for end in ("", "-wal"):
        old = state.with_name(state.name + end)
        if old.exists():
            shutil.copyfile(old, new := kept.with_name(kept.name + end))
            new.chmod(0o600)
            with new.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(state.parent)
    crash_point("restore.aside")
    for end in ("-wal", "-shm"):  # a log of the old state must never meet the new one
        state.with_name(state.name + end).unlink(missing_ok=True)
    return kept
