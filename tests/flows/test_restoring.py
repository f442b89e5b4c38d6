"""A backup of yesterday put back: everything converges, nothing is done or sold twice (G17)."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from house import ENV, ROOT, House, house

from core.clock import stamp
from core.errors import ConfigError, TruecountError
from core.prove import prove
from core.store import backup

DAY = 86_400.0


def quiet(what: str, done: int, of: int) -> None:
    pass


def save(h: House, name: str = "yesterday.db") -> Path:
    target = h.folder / name
    backup.save(
        h.app.store.path, target, key_id=h.app.seal.key_id, at=stamp(h.clock.now()), tell=quiet
    )
    return target


async def put_back(h: House, file: Path, later: float = 60.0) -> Path:
    """As `truecount restore` does, and the daemon starts."""
    await h.stop()
    h.clock.advance(later)
    state = h.app.store.path
    kept = backup.put_back(file, state, at=stamp(h.clock.now()), stamp="NOW", tell=quiet)
    assert kept is not None
    await h.start()
    return kept


def cli(h: House, *words: str) -> subprocess.CompletedProcess[str]:
    at = ("-c", str(h.folder / "config.yaml"))
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME")}
    return subprocess.run(
        [sys.executable, "-m", "core.cli", words[0], *at, *words[1:]],
        env={**environment, **ENV},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def keys(h: House) -> set[tuple[str, str]]:
    return {(row["system"], row["key"]) for row in h.commands()}


def tells_too_much(h: House) -> Callable[[House], None]:
    """No channel is told more than what lies there and nobody has bought."""
    seen = {channel: len(channel.stock_writes()) for channel in (h.shop, h.market)}

    def look(_: House) -> None:
        for channel, known in seen.items():
            writes = channel.stock_writes()
            for write in writes[known:]:
                free = h.depot.on_hand(write["sku"], "EAST") - h.bought(write["sku"])
                assert write["quantity"] <= max(0, free), (write, free)
            seen[channel] = len(writes)

    return look


async def a_day(h: House) -> dict[str, Mapping[str, Any]]:
    """What happens after the backup: the depot, both channels and the books move on."""
    done: dict[str, Mapping[str, Any]] = {}
    done["shipped"] = await h.shop.place_order("TEA", 2)
    await h.settle()
    await h.depot.ship(h.asked()[-1]["reference"])
    await h.settle()
    done["released"] = await h.market.place_order("TEA", 1)
    await h.settle()
    h.depot.receive("CUP", "EAST", 4)
    await h.settle(600)
    return done


@pytest.mark.parametrize("policy", ["shared", "split"])
async def test_h38_yesterdays_backup_converges_and_nothing_is_done_twice(
    tmp_path: Path, policy: str
) -> None:
    # G17, H38
    async with house(tmp_path, policy=policy) as h:
        await h.sells(TEA=10, CUP=5)
        await h.settle()
        before = await h.shop.place_order("TEA", 1)
        await h.settle()
        file = save(h)
        day = await a_day(h)
        asked, shipments = len(h.asked()), len(h.shop.shipments())
        documents = sorted(row["reference"] for row in h.books.documents())
        known = keys(h)
        h.watchers.append(tells_too_much(h))
        await put_back(h, file, DAY)
        unseen = await h.shop.place_order("CUP", 2)  # while it is being read again
        await h.settle(1200)
        h.watchers.clear()
        for name, order in day.items():
            system = "shop" if name == "shipped" else "market"
            assert h.state(system, order) == name
        assert h.state("shop", before) == h.state("shop", unseen) == "released"
        assert len(h.asked()) == asked + 1  # the one sold meanwhile
        assert len(h.shop.shipments()) == shipments
        assert h.books.duplicates() == []
        assert set(documents) <= {row["reference"] for row in h.books.documents()}
        assert known <= keys(h)  # the same decisions gave the same keys
        assert h.causes() == []
        assert all(row["state"] == "done" for row in h.commands())
        assert h.sellable("TEA") == 10 - 1 - 2 - 1
        assert h.sellable("CUP") == 5 + 4 - 2
        for sku, pool in (("TEA", 6), ("CUP", 7)):
            shown = (h.shop.shown(sku), h.market.shown(sku))
            if policy == "shared":
                assert shown == (pool, pool)
            else:  # a part of a divided pool may wait unshown (ADR 0010)
                assert pool - 2 <= sum(shown) <= pool
        with h.app.store.snapshot() as connection:
            assert prove(connection, h.app.network, h.clock.now(), tell=quiet).findings == []


async def test_what_a_killed_backup_left_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    """It is as large as the state. Of a backup that is being made nothing is taken."""
    async with house(tmp_path) as h:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        left = h.folder / f".yesterday.db.{dead.pid}.part"
        beside = h.folder / f".yesterday.db.{dead.pid}.part-journal"
        alive = h.folder / f".yesterday.db.{os.getppid()}.part"
        other = h.folder / f".another.db.{dead.pid}.part"
        for file in (left, beside, alive, other):
            file.write_bytes(b"half")
        save(h)
        assert not left.exists()
        assert not beside.exists()
        assert alive.exists()
        assert other.exists()


@pytest.mark.parametrize("later", ["shop", "depot"])
async def test_h38_what_was_asked_and_cancelled_since_the_backup_needs_nobody(
    tmp_path: Path, later: str
) -> None:
    """The warehouse speaks of a reference that this state never gave; the order is over."""
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.settle()
        file = save(h)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        assert h.state("shop", order) == "released"
        await h.shop.cancel(order["id"])
        await h.settle()
        assert [row["state"] for row in h.depot.orders()] == ["cancelled"]
        h.faults(later, down=True)  # so the other one is heard first
        await put_back(h, file)
        await h.settle(600)
        h.faults(later)
        await h.settle(3600)
        assert h.state("shop", order) == "cancelled"
        assert h.causes() == []
        assert h.rows("SELECT * FROM inbox WHERE state IN ('held', 'pending')") == []
        assert len(h.depot.orders()) == 1
        assert h.sellable("TEA") == 5


async def test_h38_what_was_tried_in_vain_before_the_backup_is_looked_up_first(
    tmp_path: Path,
) -> None:
    """Found by simulation: it was done after the backup, and done once more after the restore."""
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.books.lock()  # 503: it did not happen
        await h.shop.place_order("TEA", 1)
        await h.now()
        assert (h.command("book_order")["state"], h.command("book_order")["attempts"]) == (
            "waiting",
            1,
        )
        file = save(h)
        await h.settle(600)
        assert len(h.books.documents()) == 1
        await put_back(h, file)
        await h.settle(600)
        assert h.command("book_order")["state"] == "done"
        assert h.books.duplicates() == []


async def test_nothing_leaves_before_everything_was_read_once(tmp_path: Path) -> None:
    # G17: yesterday's stock without a day of claims would sell units twice
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.settle()
        file = save(h)
        await h.shop.place_order("TEA", 8)
        await h.settle()
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (2, 2)
        h.faults("shop", down=True)
        await put_back(h, file)
        writes = len(h.market.stock_writes())
        asked = len(h.asked())
        await h.settle(1200)
        assert h.causes() == ["restored:"]
        assert len(h.market.stock_writes()) == writes
        assert len(h.asked()) == asked
        h.faults("shop")
        await h.settle(3600)
        assert h.causes() == []
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (2, 2)
        assert len(h.asked()) == asked
        await h.restart()
        assert not h.app.gate.shut


async def test_a_person_may_go_on_without_a_system_that_is_gone(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.settle()
        file = save(h)
        h.faults("shop", down=True)
        await put_back(h, file)
        await h.settle(120)
        writes = len(h.market.stock_writes())
        hold = h.one("SELECT id FROM holds WHERE closed_at IS NULL")
        assert await h.operate("accept", hold=hold) == {"accepted": 1}
        await h.settle(60)
        assert len(h.market.stock_writes()) > writes
        assert h.causes() == []


async def test_a_number_that_is_again_what_it_was_in_the_backup_is_told(tmp_path: Path) -> None:
    """The backup says that the channels acknowledged 10; since then they were told 7."""
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.settle()
        file = save(h)
        h.depot.count("TEA", "EAST", 7)
        await h.settle()
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (7, 7)
        h.depot.count("TEA", "EAST", 10)  # while we are away
        await put_back(h, file)
        await h.settle(60)  # before any listing is read a second time
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (10, 10)


async def test_a_command_that_was_being_sent_is_in_doubt(tmp_path: Path) -> None:
    # G12, G17: the backup was taken between the intention and the answer
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.settle()
        found: list[Path] = []

        def look(request: Any) -> None:
            if request.method == "POST" and not found:
                found.append(save(h))

        h.wires["depot"].on_request.append(look)
        await h.shop.place_order("TEA", 1)
        await h.settle()
        assert found
        assert len(h.asked()) == 1
        await put_back(h, found[0])
        assert h.command("fulfill_order")["state"] == "in_doubt"
        await h.settle(600)
        assert h.command("fulfill_order")["state"] == "done"
        assert len(h.asked()) == 1
        assert h.books.duplicates() == []


async def test_what_must_not_fall_back_is_taken_along(tmp_path: Path) -> None:
    """A refresh token that was used up since, and a mail that was sent since."""
    async with house(tmp_path) as h:
        await h.write("INSERT INTO tokens VALUES ('shop', 'refresh', x'01', '2026-11-25T09')")
        file = save(h)
        await h.write("UPDATE tokens SET value = x'02', stored_at = '2026-11-25T10'")
        await h.write(
            "INSERT INTO reports (company, day, state, message_id, attempts, words)"
            " VALUES ('Acme', '2026-11-24', 'sent', 'm', 1, '')"
        )
        await put_back(h, file)
        assert h.one("SELECT value FROM tokens") == b"\x02"
        assert h.one("SELECT state FROM reports") == "sent"


# ------------------------------------------------------------------ the verbs, as processes


async def test_backup_beside_a_running_writer_and_restore(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        order = await h.shop.place_order("TEA", 1)
        await h.settle()
        target = h.folder / "copy.db"
        done = cli(h, "backup", str(target))
        assert (done.returncode, done.stderr) == (0, "")
        assert "schema" in done.stdout
        assert "1 orders" in done.stdout
        assert "Not in it, and needed to restore it:\n  the seal key" in done.stdout
        assert target.stat().st_mode & 0o777 == 0o600
        assert [p.name for p in h.folder.iterdir() if "copy" in p.name] == ["copy.db"]
        assert cli(h, "backup", str(target)).returncode == 2  # never over another
        lost = await h.shop.place_order("TEA", 1)
        await h.settle()
        await h.stop()
        done = cli(h, "restore", str(target))
        assert (done.returncode, done.stderr) == (0, "")
        [kept] = (h.folder / "state").glob("truecount.db.before-restore-*")
        assert f"The state before is kept as {kept}." in done.stdout
        assert kept.stat().st_mode & 0o777 == 0o600
        with contextlib.closing(sqlite3.connect(kept)) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        await h.start()
        assert h.state("shop", order) == "released"
        assert h.one("SELECT count(*) FROM orders") == 1
        await h.settle(600)
        assert h.state("shop", lost) == "released"


async def test_a_backup_while_much_is_written_is_of_one_moment(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.write("CREATE TABLE pair (a INTEGER, b BLOB)")
        await h.write("INSERT INTO pair VALUES (0, randomblob(30000000)), (0, x'00')")
        beside = subprocess.Popen(
            [sys.executable, "-m", "core.cli", "backup", "-c", str(h.folder / "config.yaml"),
             str(h.folder / "copy.db")],
            env={"PATH": os.environ["PATH"], **ENV}, cwd=ROOT, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while beside.poll() is None:
            await h.write("UPDATE pair SET a = a + 1")
        assert beside.returncode == 0
        with contextlib.closing(sqlite3.connect(h.folder / "copy.db")) as connection:
            one, other = connection.execute("SELECT a FROM pair").fetchall()
        assert one == other
        assert h.rows("SELECT a FROM pair")[0]["a"] > 0


def bytes_of(h: House) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (h.folder / "state").glob("truecount.db*")}


async def test_what_is_no_backup_is_refused_without_damage(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        good = save(h)
        await h.stop()
        folder = tmp_path / "bad"
        folder.mkdir()

        def changed(name: str, sql: str) -> Path:
            path = folder / name
            path.write_bytes(good.read_bytes())
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute(sql)
                connection.commit()
            return path

        broken = folder / "broken.db"
        whole = bytearray(good.read_bytes())
        whole[4096:16384] = os.urandom(12288)
        broken.write_bytes(whole)
        cut = folder / "cut.db"
        cut.write_bytes(good.read_bytes()[: len(whole) // 2])
        text = folder / "notes.txt"
        text.write_text("this is no database, whatever it is called")
        foreign = folder / "foreign.db"
        with contextlib.closing(sqlite3.connect(foreign)) as connection:
            connection.execute("CREATE TABLE contacts (name)")
        newer = changed("newer.db", "UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        key = changed("key.db", "UPDATE meta SET value = '00000000' WHERE key = 'backup_key'")
        cases = [
            (broken, "it is damaged: ", "Take an older backup."),
            (cut, "it is damaged: ", "Take an older backup."),
            (text, "it is no database: not a backup of Truecount", "`truecount backup` wrote"),
            (foreign, "it is a database, and not one of Truecount", "`truecount backup` wrote"),
            (newer, "it has schema 99, this program knows", "Use the program version that wrote"),
            (key, "it was sealed with key 00000000, and that key is not here", "`seal_key_old`"),
            (folder / "none.db", "it cannot be read: No such file", "`truecount backup` wrote"),
        ]
        before = bytes_of(h)
        for file, what, now in cases:
            done = cli(h, "restore", str(file))
            assert done.returncode == 2, done.stderr
            assert done.stderr.startswith(
                f"truecount restore: nothing was started or changed.\n\n{file}  {what}"
            ), done.stderr
            assert now in done.stderr
            assert bytes_of(h) == before
        await h.start()


async def test_restore_is_refused_while_a_daemon_holds_the_state(tmp_path: Path) -> None:
    from core.daemon import Lock

    async with house(tmp_path) as h:
        good = save(h)
        lock = Lock(h.folder / "state")
        lock.take()
        try:
            done = cli(h, "restore", str(good))
        finally:
            lock.release()
        assert done.returncode == 2
        assert "the state folder is in use by process" in done.stderr
        assert "Stop that one first" in done.stderr


async def test_a_restore_that_dies_halfway_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        file = save(h)
        await h.shop.place_order("TEA", 1)
        await h.settle()
        await h.stop()

        def dies(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(backup, "_put_aside", dies)
        with pytest.raises(TruecountError, match="No space left on device"):
            backup.put_back(file, h.app.store.path, at="", stamp="NOW", tell=quiet)
        monkeypatch.undo()
        assert [name for name in bytes_of(h) if "restore" in name or "part" in name] == []
        await h.start()
        assert h.one("SELECT count(*) FROM orders") == 1


async def test_a_state_that_is_damaged_is_kept_and_replaced(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        file = save(h)
        await h.stop()
        h.app.store.path.write_bytes(b"garbage" * 1000)
        with pytest.raises(ConfigError, match="truecount restore FILE"):
            await h.start()
        kept = backup.put_back(file, h.app.store.path, at="", stamp="NOW", tell=quiet)
        assert kept is not None
        assert kept.read_bytes() == b"garbage" * 1000
        await h.start()
        await h.settle(600)
        assert h.shop.shown("TEA") == 10
