"""States of every released schema are brought up to ours, whole or not at all (G19)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from house import house
from test_bad_state import bytes_of, cli
from test_proving import proven

from core.store import migrate
from core.store.engine import Store
from core.store.schema import SCHEMA_OLDEST, SCHEMA_VERSION
from tests.released import HERE, TABLES, state_of, tables

OLDER = range(SCHEMA_OLDEST, SCHEMA_VERSION)


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def shape_of(path: Path) -> dict[str, object]:
    """Every table with its columns, every index with its statement."""
    found: dict[str, object] = {}
    for (name,) in asked(path, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        columns = asked(path, f"PRAGMA table_info('{name}')")
        found[f"table {name}"] = sorted(column[1:] for column in columns)
    for name, sql in asked(path, "SELECT name, sql FROM sqlite_master WHERE type = 'index'"):
        found[f"index {name}"] = " ".join(str(sql).split())
    return found


def test_a_changed_table_asks_for_a_new_schema() -> None:
    """What is written in the file of a schema is what its states have, from its release on."""
    assert TABLES.read_text("utf-8") == tables(), (
        "core/store/schema.py differs from the tables of its schema. If that schema was released:"
        " raise SCHEMA_VERSION and add a revision. Then run `python -m tests.released`."
    )


def test_every_released_schema_is_here() -> None:
    assert [path.name for path in sorted(HERE.glob("????.sql"))] == [
        f"{one:04}.sql" for one in OLDER
    ]


@pytest.mark.parametrize("schema", OLDER)
async def test_a_migrated_state_has_the_tables_of_a_new_one(tmp_path: Path, schema: int) -> None:
    paths = state_of(schema, tmp_path / "old.db"), tmp_path / "new.db"
    for path in paths:
        store = Store(path, threaded=False)
        store.open()
        await store.close()
    assert shape_of(paths[0]) == shape_of(paths[1])
    assert asked(paths[0], "SELECT value FROM meta WHERE key = 'schema_version'") == [
        (str(SCHEMA_VERSION),)
    ]


@pytest.mark.parametrize("schema", OLDER)
async def test_an_old_state_goes_on_where_it_was(tmp_path: Path, schema: int) -> None:
    old = state_of(schema, tmp_path / "old.db")
    [(before,)] = asked(old, "SELECT count(*) FROM steps")
    [(waiting,)] = asked(old, "SELECT count(*) FROM outbox WHERE state != 'done'")
    assert waiting
    async with house(tmp_path, policy="split", state=old.read_bytes()) as h:
        kept = h.app.store.migrated
        assert kept is not None
        assert asked(kept, "SELECT count(*) FROM steps") == [(before,)]
        assert kept.stat().st_mode & 0o077 == 0
        await h.sells(TEA=20, MUG=9, POT=5)
        await h.settle(200)
        last = "SELECT key FROM outbox WHERE kind = 'fulfill_order' ORDER BY id DESC LIMIT 1"
        waited = h.one(last)
        assert [order["reference"] for order in h.depot.orders()].count(waited) == 1
        await h.market.place_order("TEA", 1)
        await h.settle(60)
        assert proven(h).findings == []
        await h.restart()
        assert h.app.store.migrated is None


@pytest.mark.parametrize("schema", OLDER)
async def test_one_that_fails_on_its_way_is_as_it_was_and_is_brought_up_the_next_time(
    tmp_path: Path, schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state_of(schema, tmp_path / "old.db")
    before = shape_of(path), asked(path, "SELECT * FROM meta")
    whole = migrate._steps

    def half(found: int) -> Iterable[object]:
        yield from whole(found)
        raise KeyboardInterrupt

    monkeypatch.setattr(migrate, "_steps", half)
    store = Store(path, threaded=False)
    with pytest.raises(KeyboardInterrupt):
        store.open()
    await store.close()
    assert (shape_of(path), asked(path, "SELECT * FROM meta")) == before
    monkeypatch.undo()
    store = Store(path, threaded=False)
    store.open()
    await store.close()
    assert store.migrated is not None


async def test_who_only_reads_an_older_state_says_what_to_do(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.stop()
        h.app.store.path.unlink()
        state_of(SCHEMA_OLDEST, h.app.store.path)
        before = bytes_of(h)["truecount.db"]
        done = cli(h, "status")
        assert done.returncode == 2
        assert f"it has schema {SCHEMA_OLDEST}, this program reads {SCHEMA_VERSION}" in done.stderr
        assert "`truecount run`: it brings the state up" in done.stderr
        checked = cli(h, "check")
        assert checked.returncode == 0, checked.stderr
        assert f"The state has schema {SCHEMA_OLDEST}. The next `truecount run`" in checked.stderr
        assert bytes_of(h)["truecount.db"] == before
        await h.start()
        assert h.app.store.migrated is not None


async def test_a_backup_of_an_older_schema_is_put_back_and_brought_up(tmp_path: Path) -> None:
    old = state_of(SCHEMA_OLDEST, tmp_path / "old.db")
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    async with house(tmp_path) as h:
        await h.settle(10)
        await h.stop()
        done = cli(h, "restore", str(old))
        assert done.returncode == 0, done.stderr
        await h.start()
        assert h.app.store.migrated is not None
        assert h.one("SELECT count(*) FROM orders") > 0


async def test_an_order_invoiced_before_that_was_kept_is_credited_as_it_is_known(
    tmp_path: Path,
) -> None:
    # What was invoiced is remembered since schema 3.
    old = state_of(2, tmp_path / "old.db")
    async with house(tmp_path, policy="split", state=old.read_bytes()) as h:
        row = h.rows("SELECT * FROM orders WHERE state = 'shipped' AND system = 'shop'")[0]
        key = f"truecount:shop:{row['external_id']}:book_invoice:1"
        body = {"order_reference": f"truecount:shop:{row['external_id']}:book_order:1"}
        h.books._book("sales_order", "SO", body["order_reference"], tax="3.19")
        h.books._invoice(
            body | {"reference": key, "total": "20.00", "dated": "2026-11-25T09:00:00Z"}
        )
        h.lost_pushes.add("shop")
        for _ in range(3):  # it is a new channel with the old orders
            h.shop.list_item("TEA", quantity=9)
            await h.shop.place_order("TEA", 2)
        h.lost_pushes.clear()
        await h.shop.refund(row["external_id"], [{"line": "1", "quantity": 1}])
        await h.settle(60)
        [note] = h.books.documents(kind="credit_note")
        assert (note["total"], note["tax"]) == ("10.00", "1.60")
