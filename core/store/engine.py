"""One writing connection with group commit; any number of readers (G1).

Everything that changes goes through `Store.write(unit)`: a unit is a plain
function of a connection, run in turn inside one transaction with whatever else
is waiting, each in its own savepoint. COMMIT runs in a thread, so that what
arrives during the fsync joins the next transaction: 13 times the rate of one
commit per event at a ninth of the CPU. Single statements have transactions of
their own, which come first.

SQLite is opened WAL with synchronous=FULL, and only this connection writes or
checkpoints (the WAL-reset fault of SQLite before 3.51.3 needs two). With
synchronous=NORMAL three of four simulated power cuts lost acknowledged rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import StaticPool

from core.crash import crash_point
from core.errors import Busy, InvariantBroken
from core.store.backup import copy_aside
from core.store.migrate import bring_up
from core.store.refusals import refuse_unknown_schema, unusable
from core.store.schema import SCHEMA_VERSION, meta, metadata
from core.store.written import Note, Written

T = TypeVar("T")
Unit = Callable[[Connection], T]

#: Units that share one fsync at most. More would only make the first wait for the last.
UNITS_MAX = 256
#: Of units that are more than one statement so many: the loop stands still while they run.
DECISIONS_MAX = 8


@dataclass(slots=True)
class _Waiting(Generic[T]):
    unit: Unit[T]
    done: asyncio.Future[T]
    single: bool


class Store:
    """The state of one installation. Create, `open()`, and `close()` in one event loop."""

    def __init__(self, path: Path, *, threaded: bool = True) -> None:
        self.path = path
        self._threads = ThreadPoolExecutor(1, "commit") if threaded else None
        self._queue: asyncio.Queue[_Waiting[Any] | None] = asyncio.Queue()
        self._quick: deque[_Waiting[Any]] = deque()
        self._rest: deque[_Waiting[Any]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writer = _writing_engine(path)
        self._reader = _reading_engine(path)
        self._connection: Connection | None = None
        self._written = Written()
        #: Called after each commit with who has to look now (core.store.written).
        self.on_written: Callable[[list[Note]], None] = lambda _: None
        self.closing = False
        self.migrated: Path | None = None  # the state as it was, if its schema was older
        self.commits = 0
        self.units = 0

    def open(self) -> None:
        """Create, check or bring up the schema and start the writer. Refuses a newer one."""
        try:
            # Sealed or not, nobody else on this machine needs to read it.
            self.path.touch(mode=0o600)
            self._connection = self._opened()
        except (DatabaseError, OSError) as error:
            raise unusable(self.path, getattr(error, "orig", None) or error) from error
        self._task = asyncio.get_running_loop().create_task(self._run(), name="store.writer")

    def _opened(self) -> Connection:
        connection = self._writer.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            self.migrated = _bring_up(connection, self.path)
            _assert_durable(connection)
            _make_schema(connection)
            self._written.watch(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Finish what waits, then close. Later writes are refused with Busy."""
        self.closing = True
        if self._task is not None:
            await self._queue.put(None)
            await self._task
        self._reader.dispose()  # first, or it keeps the log from being folded in
        if self._connection is not None:
            crash_point("store.folding")
            # After a clean stop the database is one whole file, safe to copy.
            self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
            self._connection = None
        self._writer.dispose()
        if self._threads is not None:
            self._threads.shutdown()

    async def write(self, unit: Unit[T], *, single: bool = False) -> T:
        """Run `unit` and return its result once it is on the disk.

        Raises what the unit raised (its changes are gone, others' stay), or Busy
        when the transaction could not be made durable (H3, H13 of full disks).
        `single` promises that the unit is one statement and needs no savepoint.
        """
        if self.closing or self._task is None or self._task.done():
            raise Busy("the store is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(unit, done, single))
        return await done

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only connection that sees the last committed state."""
        with self._reader.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """The same, and everything asked inside is of one moment. Never wait inside."""
        with self.read() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @property
    def waiting(self) -> int:
        return self._queue.qsize() + len(self._quick) + len(self._rest)

    async def _run(self) -> None:
        """Single statements first, then some of the rest, in turn: a push that waits for its
        answer has it before a decision of fifty milliseconds begins (H46)."""
        last = False
        while not last or self._quick or self._rest:
            idle = not (last or self._quick or self._rest)
            last |= await self._take_in(wait=idle)
            if self._quick:
                await self._commit_together(_some(self._quick, UNITS_MAX))
                await asyncio.sleep(0)
            if self._rest:
                await self._commit_together(_some(self._rest, DECISIONS_MAX))

    async def _take_in(self, *, wait: bool) -> bool:
        """What was asked for since, in its order; True: it was the last."""
        while wait or not self._queue.empty():
            waiting = await self._queue.get()
            if waiting is None:
                return True
            (self._quick if waiting.single else self._rest).append(waiting)
            wait = False
        return False

    async def _commit_together(self, batch: list[_Waiting[Any]]) -> None:
        connection = self._connection
        assert connection is not None
        results: list[tuple[_Waiting[Any], Any, BaseException | None]] = []
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            crash_point("store.begun")
            for waiting in batch:
                results.append((waiting, *_run_unit(connection, waiting)))
            crash_point("store.applied")
            await self._commit(connection)
        except (DatabaseError, sqlite3.Error) as error:
            _roll_back(connection)
            self._written.taken()
            _refuse(batch, error)
            return
        crash_point("store.telling")
        self.commits += 1
        self.units += len(batch)
        if notes := self._written.taken():
            self.on_written(notes)
        for waiting, value, failure in results:
            if waiting.done.done():
                continue  # its caller gave up; the write stands all the same
            if failure is None:
                waiting.done.set_result(value)
            else:
                waiting.done.set_exception(failure)

    async def _commit(self, connection: Connection) -> None:
        if self._threads is None:
            connection.exec_driver_sql("COMMIT")
            return
        raw = _raw(connection)
        loop = asyncio.get_running_loop()
        # Shielded: a cancelled writer must not leave a COMMIT running behind its back.
        await asyncio.shield(loop.run_in_executor(self._threads, _commit_raw, raw))


def _some(waiting: deque[_Waiting[Any]], most: int) -> list[_Waiting[Any]]:
    return [waiting.popleft() for _ in range(min(most, len(waiting)))]


def _commit_raw(raw: sqlite3.Connection) -> None:
    crash_point("store.committing")
    raw.execute("COMMIT")
    crash_point("store.committed")


def _run_unit(connection: Connection, waiting: _Waiting[Any]) -> tuple[Any, BaseException | None]:
    """One unit, isolated: its failure undoes only its own changes."""
    if waiting.single:
        try:
            return waiting.unit(connection), None
        except Exception as error:  # noqa: BLE001 - handed to whoever asked for the write
            _still_open(connection, error)
            return None, _not_writable(error) or error
    connection.exec_driver_sql("SAVEPOINT unit")
    try:
        value = waiting.unit(connection)
    except Exception as error:  # noqa: BLE001 - handed to whoever asked for the write
        _still_open(connection, error)
        connection.exec_driver_sql("ROLLBACK TO unit")
        connection.exec_driver_sql("RELEASE unit")
        return None, _not_writable(error) or error
    connection.exec_driver_sql("RELEASE unit")
    return value, None


def _still_open(connection: Connection, error: Exception) -> None:
    """SQLITE_FULL and the like roll the whole transaction back by themselves (H3)."""
    if not _raw(connection).in_transaction:
        raise sqlite3.OperationalError(str(error)) from error


def _not_writable(error: Exception) -> Busy | None:
    """A full or failing disk is nobody's bug: the caller waits and tries again (G13, H3)."""
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    if not name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")):
        return None
    return Busy(f"the state could not be written: {name}")


def _roll_back(connection: Connection) -> None:
    if _raw(connection).in_transaction:
        _raw(connection).execute("ROLLBACK")


def _raw(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


def _refuse(batch: list[_Waiting[Any]], error: Exception) -> None:
    words = str(getattr(error, "orig", None) or error)
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(Busy(f"the state could not be written: {words}"))


def _writing_engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=StaticPool,
        hide_parameters=True,  # an error must not carry a buyer or a token (T13)
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 5.0},
    )
    return engine


def _reading_engine(path: Path) -> Engine:
    return create_engine(
        f"sqlite:///file:{path}?mode=ro&uri=true",
        poolclass=StaticPool,
        hide_parameters=True,  # an error must not carry a buyer or a token (T13)
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 5.0},
    )


def read_only(path: Path) -> Engine:
    """For faces beside a running daemon: sees committed state, can change nothing."""
    return _reading_engine(path)


def state_of(connection: Connection) -> int:
    """Two snapshots with the same number see the very same state. For reading connections only."""
    return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def _assert_durable(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    connection.exec_driver_sql("PRAGMA synchronous=FULL")
    connection.exec_driver_sql("PRAGMA secure_delete=ON")
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    if (mode, level) != ("wal", 2):
        raise InvariantBroken(f"SQLite gave journal_mode={mode}, synchronous={level}")


def schema_of(connection: Connection) -> int | None:
    """The schema of a state; None if it has no tables yet."""
    if not connection.dialect.has_table(connection, "meta"):
        return None
    found = connection.execute(
        select(meta.c.value).where(meta.c.key == "schema_version")
    ).scalar_one_or_none()
    return None if found is None else int(found)


def _bring_up(connection: Connection, path: Path) -> Path | None:
    """Before anything else is written: a state of another version stays as it is, or is
    brought up to ours, whole. Returns the copy of it as it was."""
    found = schema_of(connection)
    if found is None:
        return None
    refuse_unknown_schema(path, found)
    if found == SCHEMA_VERSION:
        return None
    kept = copy_aside(path, f"before-schema-{SCHEMA_VERSION:04}")
    crash_point("schema.kept_aside")
    with _whole(connection):
        bring_up(connection, found)
        crash_point("schema.bringing_up")
    crash_point("schema.brought_up")
    return kept


def _make_schema(connection: Connection) -> None:
    with _whole(connection):
        metadata.create_all(connection)
        connection.execute(
            insert(meta)
            .values(key="schema_version", value=str(SCHEMA_VERSION))
            .on_conflict_do_nothing()
        )
        crash_point("schema.making")
    crash_point("schema.made")


@contextlib.contextmanager
def _whole(connection: Connection) -> Iterator[None]:
    """One transaction: all tables or none."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise
