"""A system is away for hours or days: nothing is lost, little is asked, the drain is announced."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from house import ENV, House, house
from structlog.testing import capture_logs

from core import views
from core.cli import main
from core.serving import gauges

#: reliability.md, 5.10: what an outage may cost.
CALLS_PER_ORDER_MAX = 3.0


def away(h: House) -> list[dict[str, Any]]:
    """As `truecount status` shows it."""
    with h.app.store.read() as connection:
        shown = views.status(connection, h.app.network, h.clock.now())
    found: list[dict[str, Any]] = shown["away"]
    return found


async def rounds_for(h: House, seconds: float, step: float = 10.0) -> None:
    for _ in range(int(seconds / step)):
        await h.settle(step)
        await h.rounds()


async def test_g11_a_drain_is_announced_before_it_begins_and_told_when_it_is_over(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=500)
        h.faults("depot", down=True)
        await h.shop.place_order("TEA")
        await rounds_for(h, 120)
        for _ in range(59):
            await h.shop.place_order("TEA")
        await h.now()
        await h.rounds()
        [one] = away(h)
        assert (one["system"], one["waiting"], one["back_at"]) == ("depot", 60, None)
        assert one["words"] == (
            "60 commands waiting for depot, at 20 calls a second done in about 3 seconds"
        )
        h.faults("depot")
        with capture_logs() as lines:
            while not [line for line in lines if line["event"] == "drain.began"]:
                await h.step()
                await h.rounds()
                h.clock.advance(1)
            await rounds_for(h, 60)
        began = next(line for line in lines if line["event"] == "drain.began")
        assert re.fullmatch(r"\d+ commands waiting for depot, at .* seconds", began["words"])
        assert [line["waiting"] for line in lines if line["event"] == "drain.ended"] == [0]
        assert away(h) == []
        assert len(h.asked()) == 60
        mail = h.mail()
        assert "SYSTEMS THAT WERE AWAY" in mail.upper()
        assert "depot" in mail


async def test_a_drain_says_how_far_it_is_by_what_was_measured(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=500)
        h.faults("depot", down=True)
        await h.shop.place_order("TEA")
        await rounds_for(h, 60)
        for _ in range(50):
            await h.shop.place_order("TEA")
        h.faults("depot")
        while not [one for one in away(h) if one["back_at"]]:
            await h.step()
            await h.rounds()
            h.clock.advance(5)
        for _ in range(3):
            h.clock.advance(20)
            await h.app.outbox.deliver_due("depot", 4)
            await h.rounds()
        [one] = away(h)
        left = one["waiting"]
        assert 0 < left < 50
        per_second = h.one("SELECT per_second FROM outages WHERE ended_at IS NULL")
        assert 0.05 < per_second < 0.7  # four in twenty seconds, not the twenty a second allowed


async def test_a_moment_without_an_answer_announces_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=50)
        h.faults("depot", down=True)
        with capture_logs() as lines:
            await h.shop.place_order("TEA")
            await rounds_for(h, 60)
            h.faults("depot")
            await rounds_for(h, 120)
        events = [line["event"] for line in lines]
        assert ("drain.began" in events, "system.back" in events) == (False, True)
        assert away(h) == []


async def test_a_system_that_goes_again_while_it_is_drained_is_away_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=500)
        h.faults("depot", down=True)
        await h.shop.place_order("TEA")
        await rounds_for(h, 60)
        for _ in range(60):
            await h.shop.place_order("TEA")
        await h.app.intake.run_once()
        h.faults("depot")
        while not [one for one in away(h) if one["back_at"]]:
            await h.app.outbox.deliver_due("depot", 1)
            await h.rounds()
            h.clock.advance(5)
        h.faults("depot", down=True)
        await rounds_for(h, 60)
        [one] = away(h)
        assert one["back_at"] is None
        h.faults("depot")
        await rounds_for(h, 600)
        assert away(h) == []
        assert len(h.asked()) == 61
        assert h.one("SELECT count(*) FROM outages") == 1


async def test_what_waits_behind_a_dead_command_keeps_no_drain_open(tmp_path: Path) -> None:
    async with house(tmp_path, settings={"depot": {"known_skus": "TEA"}}) as h:
        await h.sells(TEA=500, MUG=500)
        h.faults("depot", down=True)
        await h.shop.place_order("TEA")
        await rounds_for(h, 60)
        bad = await h.shop.place_order("MUG")
        for _ in range(40):
            await h.shop.place_order("TEA")
        h.faults("depot")
        await rounds_for(h, 400)
        await h.shop.cancel(bad["id"])
        await rounds_for(h, 60)
        assert away(h) == []
        assert h.one("SELECT left_over FROM outages") == 0


# ------------------------------------------------------------------ what it costs


@pytest.mark.whole
@pytest.mark.parametrize(
    ("hours", "per_hour"), [(12, 40), pytest.param(48, 20, marks=pytest.mark.long)]
)
async def test_g11_h30_an_outage_of_days_costs_few_calls_and_loses_nothing(
    tmp_path: Path, hours: int, per_hour: int, record_property: Callable[[str, object], None]
) -> None:
    async with house(tmp_path) as h:
        seldom = re.sub(
            r"(order|\w+_reading|shipment|listing|document|price): \d+[sm]",
            r"\1: 1h",
            (h.folder / "config.yaml").read_text(),
        )
        (h.folder / "config.yaml").write_text(seldom)
        await h.restart()
        await h.sells(TEA=5000)
        h.faults("depot", down=True)
        began, end = len(h.wires["depot"].sent), h.clock.now() + timedelta(hours=hours)
        orders = []
        while h.clock.now() < end:
            orders.append(await h.shop.place_order("TEA"))
            await h.settle(3600 / per_hour)
        probes = len(h.wires["depot"].sent) - began
        assert probes <= hours * 12 + 12  # one in five minutes once it is long gone
        h.faults("depot")
        back = h.clock.now()
        while h.one("SELECT count(*) FROM outbox WHERE system = 'depot' AND state != 'done'"):
            await h.settle(10)
        calls = len(h.wires["depot"].sent) - began
        drained_s = (h.clock.now() - back).total_seconds()
        assert calls / len(orders) <= CALLS_PER_ORDER_MAX
        assert len({one["reference"] for one in h.asked()}) == len(h.asked()) == len(orders)
        assert {h.state("shop", order) for order in orders} == {"released"}
        record_property(
            "figure",
            f"warehouse away for {hours} h: {len(orders)} orders, {calls} calls to it, "
            f"{calls / len(orders):.2f} an order; drained within {drained_s:.0f} s of its return",
        )


async def test_metrics_say_which_system_is_left_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.faults("depot", down=True)
        await h.shop.place_order("TEA")
        await h.settle(60)
        await gauges(h.app)
        said = h.app.metrics.text().decode()
        assert 'truecount_breaker_state{system="depot"} 2.0' in said
        assert 'truecount_breaker_state{system="shop"} 0.0' in said


async def test_status_prints_who_is_away_and_how_long_the_drain_will_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    async with house(tmp_path) as h:
        await h.sells(TEA=100)
        h.faults("depot", down=True)
        for _ in range(25):
            await h.shop.place_order("TEA")
        await rounds_for(h, 120)
        assert main(["status", "--config", str(h.folder / "config.yaml")]) in (0, 1)
        said = capsys.readouterr().out
        words = "25 commands waiting for depot, at 20 calls a second done in about 1 second"
        assert re.search(rf"^Away since .*: {words}$", said, re.MULTILINE), said
