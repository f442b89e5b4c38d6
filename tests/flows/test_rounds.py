"""What about a system needs a person, though no record says so; and what is no alarm."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from house import ENV, START, House, house
from sqlalchemy import Connection

from core.clock import stamp
from core.config import load_config
from core.daemon import Daemon
from core.errors import ConfigError


async def calls_during(h: House, system: str, seconds: float) -> int:
    before = len(h.wires[system].sent)
    await h.settle(seconds)
    return len(h.wires[system].sent) - before


# ------------------------------------------------------------------ logins


async def test_h28_a_refused_login_pauses_one_system_says_so_once_and_heals(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        h.faults("books", status=401)
        orders = [await h.shop.place_order("TEA") for _ in range(12)]
        await h.settle(60)
        await h.rounds()
        assert h.causes() == ["needs_login:books"]
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert "systems.books.secrets.api_key" in reason
        assert await calls_during(h, "books", 3600) <= 14  # one call now and then, not one each
        for asked in h.asked():
            await h.depot.ship(asked["reference"])
        await h.settle(120)
        assert {h.state("shop", order) for order in orders} == {"shipped"}  # nobody else waits
        h.faults("books")
        await h.settle(1200)
        await h.rounds()
        assert h.causes() == []
        assert {row["state"] for row in h.commands()} == {"done"}
        assert h.books.duplicates() == []


async def test_after_a_restart_with_a_new_credential_nobody_waits_for_the_old_pause(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.faults("depot", status=401)
        await h.settle(120)
        h.faults("depot")
        await h.restart()
        h.depot.count("TEA", "EAST", 2)
        await h.settle(1)
        assert h.shop.shown("TEA") == 2


async def test_a_login_that_ends_is_said_two_weeks_before(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        text = (h.folder / "config.yaml").read_text()
        ends = '    secrets: {api_key: "${BOOKS}"}\n    login_ends: 2026-12-31\n'
        (h.folder / "config.yaml").write_text(
            text.replace('    secrets: {api_key: "${BOOKS}"}\n', ends)
        )
        await h.restart()
        await h.rounds()
        assert h.causes() == []
        h.clock.advance(24 * 86_400)  # it is the nineteenth of December
        await h.settle(700)
        await h.rounds()
        assert h.causes() == ["login_ends:books"]
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert reason == "the login of books ends in 12 days, on 2027-01-01"
        h.clock.advance(86_400)
        await h.settle(700)
        await h.rounds()
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert reason.startswith("the login of books ends in 11 days")
        (h.folder / "config.yaml").write_text(text)
        await h.restart()
        await h.rounds()
        assert h.causes() == []


@pytest.mark.parametrize("day", ["31.12.2026", "soon", "2026-02-30"])
async def test_a_day_that_is_none_is_refused_with_its_line(tmp_path: Path, day: str) -> None:
    async with house(tmp_path) as h:
        text = (h.folder / "config.yaml").read_text()
        key = '    secrets: {api_key: "${BOOKS}"}\n'
        (h.folder / "config.yaml").write_text(text.replace(key, f"{key}    login_ends: {day}\n"))
        with pytest.raises(ConfigError, match=r"config.yaml:\d+.*login_ends is .* not a day like"):
            load_config(h.folder / "config.yaml", ENV, [h.folder / "connectors"])


# ------------------------------------------------------------------ silence


async def learned(h: House, per_hour: int, *, channel: str = "shop", opens: int = 8) -> None:
    """Four weeks of this channel, from `opens` to 22 o'clock UTC, before the house was built."""
    hours = [START - timedelta(hours=number) for number in range(1, 28 * 24)]

    def unit(connection: Connection) -> None:
        for hour in hours:
            at = stamp(hour)[:13]
            connection.exec_driver_sql("INSERT OR REPLACE INTO listened VALUES (?, 3600)", (at,))
            if opens <= hour.hour < 22:
                row = (channel, at, per_hour)
                connection.exec_driver_sql("INSERT INTO heard_hours VALUES (?, ?, ?)", row)

    await h.app.store.write(unit)


async def passes(h: House, minutes: float) -> None:
    """Time passes, with rounds as the daemon makes them."""
    for _ in range(int(minutes)):
        await h.settle(60)
        await h.rounds()


async def test_a_channel_that_falls_silent_by_day_is_noticed_and_its_next_order_ends_it(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        await learned(h, 12)
        await h.rounds()
        await h.shop.place_order("TEA")
        await passes(h, 30)
        assert h.causes() == []  # six that did not come may be chance
        await passes(h, 15)
        [cause] = h.causes()
        assert cause.startswith("silent:shop:")
        assert "nothing has come from shop since 2026-11-25 10:00" in h.one(
            "SELECT reason FROM holds WHERE closed_at IS NULL"
        )
        await h.shop.place_order("TEA")
        await passes(h, 2)
        assert h.causes() == []


async def test_a_channel_that_sleeps_or_was_never_busy_is_no_alarm(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        await learned(h, 30, opens=11)  # it is nine o'clock
        await learned(h, 0, channel="market")
        await h.rounds()
        await h.shop.place_order("TEA")
        await h.market.place_order("TEA")
        await passes(h, 110)
        assert h.causes() == []
        await passes(h, 30)
        assert [cause.split(":")[:2] for cause in h.causes()] == [["silent", "shop"]]


async def test_a_silence_that_a_person_has_explained_is_not_said_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        await learned(h, 60)
        await h.rounds()
        await h.shop.place_order("TEA")
        await passes(h, 12)
        number = h.one("SELECT id FROM holds WHERE closed_at IS NULL")
        assert await h.operate("accept", hold=number) == {"accepted": 1}
        await passes(h, 20)
        assert h.causes() == []
        await h.shop.place_order("TEA")
        await passes(h, 15)
        assert [cause.split(":")[0] for cause in h.causes()] == ["silent"]


async def test_after_a_stop_of_ours_nobody_counts_as_silent(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        await learned(h, 60)
        await h.rounds()
        await h.shop.place_order("TEA")
        await passes(h, 2)
        await h.stop()
        h.clock.advance(6 * 3600)
        await h.start()
        await passes(h, 3)
        assert h.causes() == []


async def test_h10_pushes_that_stopped_are_noticed_by_what_only_the_sweep_brings(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        for _ in range(3):
            await h.shop.place_order("TEA")
            await passes(h, 1)
        assert h.causes() == []
        h.lost_pushes.add("shop")
        for _ in range(2):
            await h.shop.place_order("TEA", 2)
            await h.shop.place_order("TEA")
            await passes(h, 1)
        assert h.causes() == []  # one push can be lost
        await h.shop.place_order("TEA")
        await passes(h, 2)
        assert h.causes() == ["dead_pushes:shop"]
        h.lost_pushes.clear()
        await h.shop.place_order("TEA")
        await passes(h, 2)
        assert h.causes() == []


async def test_what_a_sweep_finds_after_a_stop_of_ours_is_no_dead_webhook(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        await h.shop.place_order("TEA")
        await passes(h, 2)
        await h.stop()
        h.lost_pushes.add("shop")
        for _ in range(9):
            await h.shop.place_order("TEA")
            h.clock.advance(600)
        h.lost_pushes.clear()
        await h.start()
        await passes(h, 3)
        assert h.causes() == []


# ------------------------------------------------------------------ what stands still


async def test_an_owner_that_is_read_no_more_is_noticed_whatever_the_reason(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.faults("depot", status=500, only="GET /stock")
        await passes(h, 8)
        assert h.causes() == []
        await passes(h, 5)
        assert h.causes() == ["not_read:depot"]
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert reason.endswith("since 2026-11-25 10:00: stock reading")
        h.faults("depot")
        await passes(h, 12)
        assert h.causes() == []


async def test_a_scheduler_that_wakes_nobody_is_noticed(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        woken_at = h.clock.monotonic()
        h._rounds.woken_at = lambda: woken_at
        h.clock.advance(30)
        await h.rounds()
        assert h.causes() == []
        h.clock.advance(60)
        await h.rounds()
        assert h.causes() == ["scheduler:"]
        woken_at = h.clock.monotonic()
        await h.rounds()
        assert h.causes() == []


async def test_a_scheduler_that_is_really_stuck_is_replaced_and_what_it_wakes_goes_on(
    tmp_path: Path,
) -> None:
    """It was only said in `status`, and the mail that would have told a person never went."""
    sent = asyncio.Event()

    async def send() -> None:
        sent.set()

    async with house(tmp_path) as h:
        daemon = Daemon(h.app)
        daemon.jobs.append(("report", send, 30.0))
        daemon._schedule()
        stuck = daemon.scheduler
        assert isinstance(stuck, AsyncIOScheduler)
        stuck.pause()
        h.clock.advance(60)
        await daemon.revive_scheduler()
        assert daemon.scheduler is stuck
        await asyncio.sleep(0)
        assert not sent.is_set()
        h.clock.advance(60)
        await daemon.revive_scheduler()
        try:
            async with asyncio.timeout(10):
                await sent.wait()
            assert not stuck.running
            h.clock.advance(60)
            await daemon.revive_scheduler()
            assert daemon.scheduler.running
        finally:
            daemon.scheduler.shutdown(wait=False)


async def test_the_daemon_tells_the_rounds_and_readyz_when_its_scheduler_last_woke(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        daemon = Daemon(h.app)
        daemon._schedule()
        try:
            before = daemon.woken_at
            h.clock.advance(5)
            [job] = [one for one in daemon.scheduler.get_jobs() if one.id == "breakers"]
            await job.func()
            assert daemon.rounds.woken_at is not None
            assert daemon.rounds.woken_at() == daemon.woken_at == before + 5
        finally:
            daemon.scheduler.shutdown(wait=False)
