"""By when what of an order is due: said ahead once, once more when missed, closed by its fact."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from house import House, Killed, house

from core import catalog, deadline_views, exceptions, reconcile, serving, views
from core.cli import looking
from core.clock import stamp
from core.deadlines import BY, CAUSE
from core.model import Cancellation, ParcelEvent, RequestState, Return
from core.terms import Calendar, Term, Terms
from core.work import Work


@asynccontextmanager
async def agreed(tmp_path: Path, text: str, **words: Any) -> AsyncIterator[House]:
    """A house whose config has these deadlines from its next start on."""
    async with house(tmp_path, **words) as h:
        await h.sells(TEA=20)
        await h.stop()
        path = h.folder / "config.yaml"
        path.write_text(f"{path.read_text()}{text}")
        await h.start()
        yield h


SHIP = "deadlines:\n  shop:\n    kinds:\n      ship: {within: 48h, warn: 4h"


def after(h: House, hours: float) -> str:
    return (h.clock.now() + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def said(h: House) -> list[str]:
    """Open exceptions about deadlines: near:ship:shop."""
    rows = h.rows("SELECT cause FROM holds WHERE closed_at IS NULL ORDER BY id")
    return [row["cause"].removeprefix(CAUSE) for row in rows if row["cause"].startswith(CAUSE)]


def ever(h: House, name: str) -> int:
    return len(h.rows(f"SELECT 1 FROM steps WHERE name = '{name}'"))


async def pass_(h: House, hours: float) -> None:
    h.clock.advance(hours * 3600)
    await h.rounds()
    await h.rounds()


def the(h: House, kind: str = "ship") -> dict[str, Any]:
    [row] = h.rows(f"SELECT * FROM deadlines WHERE kind = '{kind}'")
    return dict(row)


# ------------------------------------------------------------------ ship


async def test_a_ship_by_time_is_said_ahead_then_when_missed_and_closes_when_it_left(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        await h.shop.place_order("TEA", 1, by={"ship_by": after(h, 10)})
        await h.settle(5)
        await h.rounds()
        assert said(h) == []
        await pass_(h, 5.9)
        assert said(h) == []
        await pass_(h, 0.2)
        assert said(h) == ["near:ship:shop"]
        await pass_(h, 4)
        assert said(h) == ["missed:ship:shop"]
        await h.depot.ship(h.waiting())
        await h.settle(60)
        await h.rounds()
        assert said(h) == []
        assert (the(h)["state"], ever(h, "deadline.near"), ever(h, "deadline.missed")) == (
            "met", 1, 1,
        )  # fmt: skip


async def test_many_orders_are_one_exception_and_each_leaves_it_with_its_own_fact(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        for _ in range(3):
            await h.shop.place_order("TEA", 1, by={"ship_by": after(h, 3)})
        await h.settle(5)
        await h.rounds()
        members = "SELECT 1 FROM hold_members WHERE closed_at IS NULL"
        assert (said(h), len(h.rows(members))) == (["near:ship:shop"], 3)
        await h.depot.ship(h.depot.orders()[0]["reference"])
        await h.settle(60)
        await h.rounds()
        assert (said(h), len(h.rows(members))) == (["near:ship:shop"], 2)


async def test_it_is_said_once_over_a_restart_a_push_again_and_a_clock_set_back(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        order = await h.shop.place_order("TEA", 1, by={"ship_by": after(h, 3)})
        await h.settle(5)
        await h.rounds()
        assert said(h) == ["near:ship:shop"]
        await h.restart()
        await h.shop.push_again(order["id"])
        await h.settle(5)
        await h.rounds()
        h.clock._at -= timedelta(days=1)
        await h.restart()
        await h.rounds()
        await pass_(h, 24)
        assert (said(h), ever(h, "deadline.near")) == (["near:ship:shop"], 1)


async def test_what_a_person_has_accepted_is_not_said_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        await h.shop.place_order("TEA", 1, by={"ship_by": after(h, 3)})
        await h.settle(5)
        await h.rounds()
        [row] = h.rows("SELECT id FROM holds WHERE closed_at IS NULL")
        await h.operate("accept", hold=row["id"], by="Ann")
        await pass_(h, 1)
        assert said(h) == []
        await pass_(h, 3)  # that it is missed is news
        assert said(h) == ["missed:ship:shop"]


async def test_a_channel_that_gives_more_time_is_believed(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        order = await h.shop.place_order("TEA", 1, by={"ship_by": after(h, 3)})
        await h.settle(5)
        await h.rounds()
        order |= {"ship_by": after(h, 48), "version": order["version"] + 1}
        await h.hook("shop", order)
        await h.settle(5)
        assert said(h) == []
        await pass_(h, 40)
        assert said(h) == []
        await pass_(h, 4.5)
        assert (said(h), ever(h, "deadline.near")) == (["near:ship:shop"], 2)


async def test_a_cancelled_order_is_waited_for_by_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        order = await h.shop.place_order("TEA", 1, by={"ship_by": after(h, 3)}, payment="pending")
        await h.settle(5)
        await h.rounds()
        await h.shop.cancel(order["id"])
        await h.settle(5)
        await h.rounds()
        assert (said(h), the(h)["state"], the(h)["met_at"]) == ([], "over", None)


# ------------------------------------------------------------------ agreed


async def test_where_a_channel_states_no_time_the_calendar_does(tmp_path: Path) -> None:
    text = """\
deadlines:
  shop:
    timezone: Asia/Kolkata
    cutoff: "14:00"
    days_off: [saturday, sunday]
    holidays: [2026-11-27]
    kinds:
      ship: {within: 1 business day}
"""
    async with agreed(tmp_path, text) as h:
        await h.shop.place_order("TEA", 1)  # Wednesday 09:00 UTC is 14:30 there: Thursday's
        await h.market.place_order("TEA", 1)  # nothing is agreed with it
        await h.settle(5)
        # One business day after Thursday is Monday: Friday is a holiday.
        assert (the(h)["at"], the(h)["source"]) == ("2026-11-30T18:30:00.000000Z", "agreed")


async def test_what_a_channel_states_goes_before_what_is_agreed(tmp_path: Path) -> None:
    async with agreed(tmp_path, f"{SHIP}}}\n") as h:
        by = after(h, 10)
        await h.shop.place_order("TEA", 1, by={"ship_by": by})
        await h.settle(5)
        assert the(h)["source"] == "stated"
        assert the(h)["at"][:19] == by[:19]


# ------------------------------------------------------------------ policies


async def test_escalate_puts_somebody_on_it_even_where_it_was_put_off(tmp_path: Path) -> None:
    async with agreed(tmp_path, f"{SHIP}, policy: escalate, to: Ann}}\n") as h:
        await h.shop.place_order("TEA", 1)
        await h.settle(5)
        await pass_(h, 47)
        rows = (
            f"SELECT cause, assignee FROM holds WHERE closed_at IS NULL AND cause LIKE '{CAUSE}%'"
        )
        assert [row["assignee"] for row in h.rows(rows)] == [""]
        await pass_(h, 1.1)
        [row] = h.rows(rows)
        assert (row["cause"], row["assignee"]) == (f"{CAUSE}missed:ship:shop", "Ann")


async def test_cancel_ends_on_its_channel_what_no_warehouse_has(
    tmp_path: Path,
) -> None:
    async with agreed(tmp_path, f"{SHIP}, policy: cancel}}\n") as h:
        order = await h.shop.place_order("TEA", 1, payment="pending")
        await h.settle(5)
        await pass_(h, 48.1)
        await h.settle(5)
        assert h.state("shop", order) == "held"
        assert f"late:cancelled_by_us:shop:{order['id']}" in h.causes()
        await h.settle(120)
        assert (h.state("shop", order), h.asked()) == ("cancelled", [])
        assert h.shop.orders()[0]["cancel_reason"] == "other"
        [step] = h.rows("SELECT data FROM steps WHERE name = 'operator.stopped_order'")
        assert BY in step["data"]


async def test_s15_cancel_after_release_is_asked_of_the_warehouse_which_decides(
    tmp_path: Path,
) -> None:
    async with agreed(tmp_path, f"{SHIP}, policy: cancel}}\n") as h:
        order = await h.shop.place_order("TEA", 1)
        await h.settle(5)
        assert h.state("shop", order) == "released"
        await pass_(h, 48.1)
        await h.settle(60)
        kinds = [row["kind"] for row in h.rows("SELECT kind FROM outbox ORDER BY id")]
        assert kinds.count("cancel_fulfillment") == 1
        await h.restart()
        await pass_(h, 1)
        kinds = [row["kind"] for row in h.rows("SELECT kind FROM outbox ORDER BY id")]
        assert kinds.count("cancel_fulfillment") == 1


async def test_under_mode_plan_it_is_said_and_stopped_and_nothing_is_sent(tmp_path: Path) -> None:
    async with agreed(tmp_path, f"mode: plan\n{SHIP}, policy: cancel}}\n") as h:
        before = sum(wire.count("POST") for wire in h.wires.values())
        order = await h.shop.place_order("TEA", 1)
        await h.settle(5)
        await pass_(h, 45)
        assert said(h) == ["near:ship:shop"]
        await pass_(h, 4)
        await h.settle(60)
        assert said(h) == ["missed:ship:shop"]
        assert h.state("shop", order) == "held"
        assert h.rows("SELECT 1 FROM outbox WHERE kind = 'cancel_fulfillment'") == []
        assert sum(wire.count("POST") for wire in h.wires.values()) == before


# ------------------------------------------------------------------ answers and parcels


async def fact(h: House, system: str, record: Any) -> None:
    def unit(connection: Any) -> None:
        work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
        catalog.take_fact(work, system, record)
        work.finish()

    await h.app.store.write(unit)


def wish(h: House, order: str, **words: Any) -> Cancellation:
    given = {"key": "W1", "order": order, "decide_by": h.clock.now() + timedelta(hours=2)}
    return Cancellation(**given | words)


def back(h: House, order: str, **words: Any) -> Return:
    given = {"key": "R1", "order": order, "decide_by": h.clock.now() + timedelta(hours=2)}
    return Return(**given | words)


@pytest.mark.parametrize("make", [wish, back])
async def test_a_question_is_said_until_the_channel_says_that_it_is_answered(
    tmp_path: Path, make: Callable[..., Any]
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        order = await h.shop.place_order("TEA", 1)
        await h.settle(5)
        asked = make(h, order["id"])
        await fact(h, "shop", asked)
        await h.rounds()
        kind = "cancel_decision" if make is wish else "return_decision"
        assert said(h) == [f"near:{kind}:shop"]
        await fact(h, "shop", asked)
        await h.rounds()
        answered = make(h, order["id"], state=RequestState.REFUSED, decide_by=asked.decide_by)
        await fact(h, "shop", answered)
        assert (said(h), the(h, kind)["state"], ever(h, "deadline.near")) == ([], "met", 1)


def rider(h: House) -> None:
    """A courier of the seller, and what is agreed with it."""
    network = h.app.network
    calendar = Calendar(zone=ZoneInfo("UTC"))
    found = dict(network.terms.of)
    for kind, system in (("ndr_decision", "rider"), ("deliver", "shop")):
        found[system, kind] = Term(calendar=calendar, hours_s=24 * 3600.0)
    owner = {**network.owners.owner, ("parcel", "rider"): "rider"}
    h.app.network = replace(
        network, terms=Terms(found), owners=replace(network.owners, owner=owner)
    )


async def scan(h: House, state: str, at: Any = None, *, key: str = "", tracking: str = "") -> None:
    known = tracking or str(h.rows("SELECT tracking FROM shipments")[0]["tracking"])
    at = at or h.clock.now()
    event = ParcelEvent(key=key or f"{state}:{at}", tracking=known, state=state, at=at)
    await fact(h, "rider", event)


async def on_its_way(h: House) -> None:
    await h.sells(TEA=20)
    rider(h)
    await h.shop.place_order("TEA", 1)
    await h.settle(5)
    await h.depot.ship(h.waiting())
    await h.settle(60)


async def test_a_failed_attempt_waits_for_a_decision_until_a_later_scan(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await on_its_way(h)
        failed = h.clock.now()
        await scan(h, "failed_attempt", failed)
        await scan(h, "failed_attempt", failed)  # couriers say things twice
        await pass_(h, 20.5)
        assert "near:ndr_decision:rider" in said(h)
        await scan(h, "moving", failed - timedelta(hours=1))  # … and late
        assert "near:ndr_decision:rider" in said(h)
        await scan(h, "out_for_delivery")
        assert the(h, "ndr_decision")["state"] == "met"
        again = h.clock.now() + timedelta(hours=1)
        await scan(h, "failed_attempt", again)  # a second attempt failed: asked anew
        row = the(h, "ndr_decision")
        assert (row["state"], row["at"]) == ("open", stamp(again + timedelta(hours=24)))


async def test_a_delivery_is_met_when_all_its_parcels_have_come(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        rider(h)
        await h.shop.place_order("TEA", 2)
        await h.settle(5)
        for _ in range(2):
            await h.depot.ship(h.waiting(), [{"sku": "TEA", "quantity": 1}], complete=False)
            await h.settle(60)
        first, second = (row["tracking"] for row in h.rows("SELECT tracking FROM shipments"))
        await scan(h, "delivered", tracking=first, key="1")
        assert the(h, "deliver")["state"] == "open"
        await scan(h, "delivered", tracking=second, key="2")
        assert the(h, "deliver")["state"] == "met"


async def test_an_agreed_time_to_answer_begins_when_we_first_hear_of_the_question(
    tmp_path: Path,
) -> None:
    text = "deadlines:\n  shop:\n    kinds:\n      cancel_decision: {within: 24h}\n"
    async with agreed(tmp_path, text) as h:
        order = await h.shop.place_order("TEA", 1)
        await h.settle(5)
        due = stamp(h.clock.now() + timedelta(hours=24))
        for _ in range(2):
            await fact(h, "shop", wish(h, order["id"], decide_by=None))
            assert the(h, "cancel_decision")["at"] == due
            h.clock.advance(3600)


# ------------------------------------------------------------------ how close we run


async def three(h: House) -> None:
    """One that left with 4 h to spare, one that left 2 h late, one that waits and is overdue."""
    for hours in (6, 8, 20):
        await h.shop.place_order("TEA", 1, by={"ship_by": after(h, hours)})
    await h.settle(5)
    first, second, _ = (order["reference"] for order in h.depot.orders())
    for reference, wait in ((first, 2), (second, 8)):
        h.clock.advance(wait * 3600)
        await h.depot.ship(reference)
        await h.settle(60)
        await h.rounds()
    await pass_(h, 11)


async def test_how_close_we_run_is_in_status_mail_and_metrics(tmp_path: Path, capsys: Any) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        await three(h)
        with h.app.store.read() as connection:
            [row] = deadline_views.numbers(connection, h.clock.now())
        assert (row["system"], row["kind"]) == ("shop", "ship")
        assert (row["open"], row["overdue"], row["missed"], row["came"]) == (1, 1, 2, 2)
        assert row["least_left_s"] == pytest.approx(-2 * 3600, abs=300)
        assert row["median_left_s"] == pytest.approx(3600, abs=300)
        await serving.gauges(h.app)
        text = h.app.metrics.text().decode()
        assert 'truecount_deadlines{kind="ship",system="shop",within="overdue"} 1.0' in text
        assert 'truecount_deadlines_missed{kind="ship",system="shop"} 2.0' in text
        assert 'truecount_deadline_left_seconds{kind="ship",system="shop",which="least"}' in text
        with h.app.store.read() as connection:
            rows = views.status(connection, h.app.network, h.clock.now())["deadlines"]
        looking.print_deadlines(rows)
        [line] = [
            line for line in capsys.readouterr().out.splitlines() if line.startswith("  shop")
        ]
        assert line.split()[2:] == ["1", "0", "0", "0", "2", "2", "h", "late", "59", "min"]
        mail = h.mail()
        assert "DEADLINES" in mail
        assert "2 h late" in mail
        with h.app.store.read() as connection:
            now = h.clock.now()
            found = reconcile.compare(connection, h.app.network, now.date(), now, every_s={})
        assert [row["overdue"] for row in found.leave_soon] == [True]
        assert found.overdue == []  # the exception says it already


async def test_what_is_due_soon_is_counted_by_hours(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        for hours in (0.5, 3, 20, 30):
            await h.shop.place_order("TEA", 1, by={"ship_by": after(h, hours)})
        await h.settle(5)
        with h.app.store.read() as connection:
            [row] = deadline_views.numbers(connection, h.clock.now())
        assert [row[name] for name in ("open", "due_1h", "due_4h", "due_24h")] == [4, 1, 2, 3]


async def test_an_exception_is_due_when_its_own_kind_is(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        deliver = after(h, 3)
        order = await h.shop.place_order(
            "TEA", 1, by={"ship_by": after(h, 1), "deliver_by": deliver}
        )
        await h.settle(5)
        await h.rounds()
        with h.app.store.read() as connection:
            found = exceptions.open_ones(connection, h.clock.now())
        due = {one["cause"]: one["due"][:19] + "Z" for one in found}
        assert due[f"{CAUSE}near:deliver:shop"] == deliver
        assert due[f"{CAUSE}near:ship:shop"] == order["ship_by"]


# ------------------------------------------------------------------ accept


@asynccontextmanager
async def portal(tmp_path: Path, hours: float = 6, **words: Any) -> AsyncIterator[House]:
    """A shop that wants its orders accepted within so many hours, and cancels the others."""
    settings = {"shop": {"accept_hours": str(hours)}}
    async with house(tmp_path, settings=settings, **words) as h:
        await h.sells(TEA=20)
        yield h


ACCEPT = "POST /orders/S000001/acceptances"


async def test_an_order_is_accepted_first_and_then_released(tmp_path: Path) -> None:
    async with portal(tmp_path) as h:
        order = await h.shop.place_order("TEA", 1)
        await h.settle(5)
        assert h.wires["shop"].count(ACCEPT) == 1
        assert h.state("shop", order) == "released"
        kinds = [row["kind"] for row in h.rows("SELECT kind FROM outbox ORDER BY id")]
        assert kinds.index("accept_order") < kinds.index("fulfill_order")
        await h.depot.ship(h.waiting())
        await h.settle(120)
        assert h.state("shop", order) == "shipped"
        assert (the(h, "accept")["state"], h.wires["shop"].count(ACCEPT)) == ("met", 1)
        assert h.shop.orders()[0]["state"] == "shipped"


async def test_the_answer_of_the_channel_is_the_fact_not_the_next_revision(
    tmp_path: Path,
) -> None:
    async with portal(tmp_path, pushes=False) as h:
        await h.hook("shop", await h.shop.place_order("TEA", 1))
        await h.now()
        assert (h.wires["shop"].count(ACCEPT), the(h, "accept")["state"]) == (1, "met")


async def test_no_warehouse_is_asked_until_the_channel_has_answered(tmp_path: Path) -> None:
    async with portal(tmp_path) as h:
        h.faults("shop", down=True)
        order = await h.shop.place_order("TEA", 1)
        await h.settle(60)
        assert (h.asked(), h.state("shop", order)) == ([], "captured")
        h.faults("shop")
        await h.settle(900)
        assert len(h.asked()) == 1


async def test_a_lost_answer_is_looked_up_and_the_order_is_accepted_once(tmp_path: Path) -> None:
    async with portal(tmp_path) as h:
        h.wires["shop"].kill_after = ACCEPT
        with pytest.raises(Killed):
            await h.shop.place_order("TEA", 1)
            await h.settle(5)
        await h.restart()
        await h.settle(120)
        assert len(h.asked()) == 1
        assert len(h.shop._acceptances["S000001"]) == 1


async def test_a_held_order_is_not_accepted_warns_and_lapses_as_in_a_marketplace(
    tmp_path: Path,
) -> None:
    async with portal(tmp_path) as h:
        order = await h.shop.place_order("TEA", 1, payment="pending")
        await h.settle(5)
        assert h.wires["shop"].count(ACCEPT) == 0
        await pass_(h, 3)
        assert said(h) == ["near:accept:shop"]
        await pass_(h, 3.1)
        await h.settle(60)
        await h.rounds()
        assert (h.state("shop", order), said(h)) == ("cancelled", [])
        assert h.shop.shown("TEA") == 20


async def test_a_channel_that_has_cancelled_is_asked_for_no_acceptance_any_more(
    tmp_path: Path,
) -> None:
    async with portal(tmp_path, hours=0.1) as h:
        h.faults("shop", down=True)
        order = await h.shop.place_order("TEA", 1)
        await h.settle(600)
        h.faults("shop")
        await h.settle(1800)
        await h.rounds()
        assert h.state("shop", order) == "cancelled"
        sql = "SELECT state FROM outbox WHERE kind = 'accept_order'"
        assert {row["state"] for row in h.rows(sql)} <= {"taken_back", "discarded"}
        assert (h.asked(), said(h)) == ([], [])


async def test_an_order_stopped_before_it_was_accepted_is_not_accepted(tmp_path: Path) -> None:
    async with portal(tmp_path) as h:
        h.faults("shop", status=500, only="POST /orders")
        order = await h.shop.place_order("TEA", 1)
        await h.app.intake.run_once()
        name = f"shop:{order['number']}"
        await h.operate("hold", order=name, by="Ann", reason="fraud")
        h.faults("shop")
        await h.settle(120)
        assert (h.wires["shop"].count(ACCEPT), h.asked()) == (0, [])
        await h.operate("release", order=name, by="Ann", reason="no fraud")
        await h.settle(120)
        assert (h.wires["shop"].count(ACCEPT), len(h.asked())) == (1, 1)


async def test_what_no_command_can_accept_waits_for_a_person_on_the_channel(
    tmp_path: Path,
) -> None:
    async with portal(tmp_path, fields={"shop": "by_hand"}) as h:
        order = await h.shop.place_order("TEA", 1)
        await h.settle(5)
        assert h.state("shop", order) == "held"
        assert (h.causes(), h.asked()) == (["not_accepted:shop"], [])
        order |= {"accepted": True, "version": order["version"] + 1}
        await h.hook("shop", order)
        await h.settle(5)
        assert (h.causes(), h.state("shop", order), len(h.asked())) == ([], "released", 1)
        assert the(h, "accept")["state"] == "met"


async def test_under_mode_plan_the_acceptance_is_planned_and_nobody_hears_of_it(
    tmp_path: Path,
) -> None:
    async with portal(tmp_path) as h:
        await h.stop()
        path = h.folder / "config.yaml"
        path.write_text(f"mode: plan\n{path.read_text()}")
        await h.start()
        await h.shop.place_order("TEA", 1)
        await h.settle(60)
        states = h.rows("SELECT state FROM outbox WHERE kind = 'accept_order'")
        assert [row["state"] for row in states] == ["planned"]
        assert (h.wires["shop"].count(ACCEPT), h.asked()) == (0, [])
