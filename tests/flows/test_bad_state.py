"""A state that is damaged, too new, on a full disk, or ahead of the clock: said, and no damage."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from house import ENV, ROOT, House, house

from core import set_back as backwards
from core.app import put_right
from core.daemon import FIRST_S, Daemon
from core.prove import prove
from core.store.schema import SCHEMA_VERSION, metadata


def cli(
    h: House, *words: str, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    at = ("-c", str(h.folder / "config.yaml"))
    return subprocess.run(
        [sys.executable, "-m", "core.cli", words[0], *at, *words[1:]],
        env={"PATH": os.environ["PATH"], **ENV},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=before,
    )


def bytes_of(h: House) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (h.folder / "state").glob("truecount.db*")}


def set_back(h: House) -> None:
    """The wall clock, a day; what counts durations goes on."""
    h.clock._at -= timedelta(days=1)


def full_disk() -> None:
    """No file may grow beyond this: what SQLite is told is what a full disk says."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, 64_000))


@pytest.mark.parametrize("damage", ["no database", "torn"])
async def test_a_damaged_state_is_named_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.stop()
        path = h.app.store.path
        whole = bytearray(path.read_bytes())
        if damage == "torn":
            whole[100:4096] = bytes(3996)
        else:
            whole[:4096] = os.urandom(4096)
        good = path.read_bytes()
        path.write_bytes(whole)
        before = bytes_of(h)
        done = cli(h, "run")
        assert done.returncode == 2, done.stderr
        assert f"{path}  the state is damaged (" in done.stderr
        assert "Put the last backup back with `truecount restore FILE`" in done.stderr
        assert "Traceback" not in done.stderr
        assert bytes_of(h) == before
        path.write_bytes(good)
        await h.start()


async def test_a_state_of_a_newer_schema_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    # G19
    async with house(tmp_path) as h:
        await h.stop()
        path = h.app.store.path

        def says(sql: str) -> None:
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=DELETE")
                connection.execute(sql)
                connection.commit()

        says("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        says("DROP TABLE drifts")  # a newer program may need a table of ours no more
        before = bytes_of(h)
        done = cli(h, "run")
        assert done.returncode == 2
        assert f"{path}  it has schema 99, this program knows" in done.stderr
        assert "Use the program version that wrote it" in done.stderr
        assert bytes_of(h) == before
        says(f"UPDATE meta SET value = '{SCHEMA_VERSION}' WHERE key = 'schema_version'")
        await h.start()


async def test_a_state_folder_on_a_full_disk_is_named(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.stop()
        path = h.app.store.path
        good = path.read_bytes()
        path.unlink()  # the first start
        done = cli(h, "run", before=full_disk)
        assert done.returncode == 2, done.stderr
        assert f"{path}  the state could not be written (" in done.stderr
        assert "Make room on it and start again; nothing was lost." in done.stderr
        path.with_name("truecount.db-wal").unlink(missing_ok=True)
        path.write_bytes(good)  # and a later one
        h.clock.advance(1)
        done = cli(h, "backup", str(h.folder / "copy.db"), before=full_disk)
        assert done.returncode == 3
        assert f"{h.folder / 'copy.db'} could not be written: " in done.stderr
        assert "Is there room on that disk" in done.stderr
        assert [p for p in h.folder.iterdir() if "copy" in p.name] == []
        await h.start()
        await h.sells(TEA=3)
        assert h.shop.shown("TEA") == 3


@pytest.mark.parametrize("running", [False, True])
async def test_a_clock_set_back_by_a_day_stops_nothing(
    tmp_path: Path,
    running: bool,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # G18, H12: numbers ordered by request, whose readings are compared by our own clock
    source = "{basis: on_hand, ordered_by: request}"
    async with house(tmp_path, source=source, pushes=False) as h:
        await h.sells(TEA=10)
        first = await h.shop.place_order("TEA", 2)
        await h.settle(120)
        capsys.readouterr()
        if running:
            set_back(h)
            await put_right(h.app)
        else:
            await h.stop()
            set_back(h)
            await h.start()
        # An earlier test in this process may have sent the log elsewhere.
        assert "behind what was written here before" in capsys.readouterr().out + caplog.text
        h.depot.receive("TEA", "EAST", 5)
        await h.depot.ship(h.waiting())
        second = await h.market.place_order("TEA", 1)
        await h.settle(400)
        assert h.state("shop", first) == "shipped"
        assert h.state("market", second) == "released"
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (12, 12)
        assert len(h.asked()) == 2
        assert h.books.duplicates() == []
        assert h.causes() == []


#: Instants of our own clock that a clock set back leaves as they are: nothing is due by them and
#: nothing is compared with them; or what is, takes care of it itself.
HISTORY = {
    "inbox.received_at", "orders.captured_at", "orders.changed_at",
    "claims.ended_at", "oversold.since", "oversold.confirmed_at", "copies.read_at",
    "items.first_seen_at", "lots.read_at", "mapping_texts.since", "drifts.since", "drifts.until",
    "prices.read_at", "shipments.seen_at", "facts.seen_at", "documents.seen_at",
    "holds.opened_at", "holds.closed_at", "hold_members.since", "hold_members.closed_at",
    "outbox.done_at", "outages.since", "outages.back_at", "outages.ended_at",
    "attempts.began_at", "attempts.ended_at", "overrides.since", "overrides.until",
    "overrides.ended_at", "feed.changed_at", "divided.since", "told.began_at", "told.ended_at",
    "steps.at", "reports.sent_at", "tokens.stored_at",
    "ticks.began_at", "ticks.ok_at",  # core/rules_in_force.py
    "returns.opened_at", "returns.custody_at", "returns.money_at", "returns.closed_at",
    "refunds.seen_at", "invoiced.at", "waivers.at", "handovers.at", "holds.snoozed_until",
    "deadlines.met_at", "documents.first_at",
    "differences.first_at", "differences.last_at", "differences.ended_at",
    "differences.written_at",
    "health.at",  # core/breaker.py counts by the monotonic clock
}  # fmt: skip
#: … and those of other clocks, and watermarks in their words.
THEIRS = {
    "orders.placed_at", "orders.cancelled_at", "orders.ship_by",
    "claims.accepted_as_of", "claims.shipped_as_of",
    "stock.as_of", "movements.as_of", "shipments.shipped_at", "documents.dated",
    "inbox.since", "cursors.since", "refunds.refunded_at", "deadlines.at",
}  # fmt: skip


def test_g18_of_every_instant_it_is_known_what_a_clock_set_back_does_to_it() -> None:
    instants = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if column.name.endswith(("_at", "_as_of", "_since", "_until"))
        or column.name in ("at", "as_of", "since", "until", "dated", "ship_by")
    }
    brought = {
        f"{column.table.name}.{column.name}"
        for column in (*backwards.OURS, *backwards.OF_WHAT_WAITS)
    }
    assert instants == brought | HISTORY | THEIRS
    assert not brought & (HISTORY | THEIRS)


async def test_what_runs_every_hour_first_runs_soon_after_a_start(tmp_path: Path) -> None:
    """A daemon that is restarted every half hour would never forget a buyer."""

    async def forget() -> None:
        pass

    async with house(tmp_path) as h:
        daemon = Daemon(h.app)
        daemon.jobs.append(("retention", forget, 3600.0))
        daemon._schedule()
        try:
            first = {
                job.id: job.next_run_time - h.clock.now() for job in daemon.scheduler.get_jobs()
            }
        finally:
            daemon.scheduler.shutdown(wait=False)
        assert first["retention"] == timedelta(seconds=FIRST_S)


async def test_h3_a_lock_that_cannot_be_written_says_that_the_disk_is_full(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from core.daemon import Lock;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); Lock(Path(sys.argv[1])).take()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert "core.errors.ConfigError" in done.stderr
    assert "could not be written" in done.stderr
    assert "Make room on it and start again; nothing was lost." in done.stderr


async def test_g18_the_proof_knows_that_the_clock_was_set_back(tmp_path: Path) -> None:
    """Found by simulation: every number read before it differed from the walk for ever."""
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.shop.place_order("TEA", 2)
        await h.settle(120)
        set_back(h)
        await put_right(h.app)
        with h.app.store.snapshot() as connection:
            assert prove(connection, h.app.network, h.clock.now()).findings == []


async def test_the_daemon_notices_by_itself_that_the_clock_was_set_back(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        daemon = Daemon(h.app)
        daemon._make_loops()
        clock = daemon.loops["clock"]
        assert not await clock.step()
        due = h.app.sweep.next_due("shop")
        set_back(h)
        assert await clock.step()
        assert not await clock.step()
        again = h.app.sweep.next_due("shop")
        assert due is not None
        assert again is not None
        assert again <= h.clock.now()
        assert due - again > timedelta(hours=23)
