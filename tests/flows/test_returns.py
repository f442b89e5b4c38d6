"""Goods come back, money goes back, the books follow: three owners, none waits for another."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from house import House, house
from test_bad_state import cli
from test_refunds import notes, shipped, units

from core import catalog, fulfillment, return_views
from core.model import ParcelEvent
from core.money import Money
from core.operate import operate
from core.work import Work


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as it:
        await it.sells(TEA=20, MUG=20)
        yield it


def reference(h: House, order: Any) -> str:
    """What the warehouse knows the order by."""
    key = f"truecount:shop:{order['id']}:"
    return next(o["reference"] for o in h.depot.orders() if o["reference"].startswith(key))


def back(sku: str, quantity: int, condition: str = "resellable") -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, "condition": condition}


def kept(h: House) -> list[tuple[str, str, str]]:
    rows = h.rows("SELECT external_id, custody, money FROM returns ORDER BY id")
    return [(row["external_id"], row["custody"], row["money"]) for row in rows]


def missing(h: House) -> list[tuple[str, list[str]]]:
    with h.app.store.read() as connection:
        found = return_views.open_returns(connection)
    return [(row["return"], sorted(row["missing"])) for row in found]


async def test_each_of_goods_money_and_books_is_missing_until_its_owner_speaks(h: House) -> None:
    order = await shipped(h)
    asked = await h.shop.ask_return(order["id"], [units("1", 2)], state="asked")
    await h.settle(60)
    assert kept(h) == [(asked["id"], "asked", "awaited")]
    await h.shop.change_return(asked["id"], state="accepted", tracking="BACK1")
    await h.settle(60)
    assert missing(h) == [(asked["id"], ["goods", "money"])]
    h.depot.take_back(reference(h, order), [back("TEA", 2)], returned=asked["id"])
    await h.settle(400)
    assert missing(h) == [(asked["id"], ["money"])]
    h.faults("books", status=503)
    await h.shop.refund(order["id"], [units("1", 2)], returned=asked["id"])
    await h.settle(60)
    assert missing(h) == [(asked["id"], ["credit note"])]
    h.faults("books")
    await h.settle(700)
    assert (missing(h), kept(h)) == ([], [(asked["id"], "received", "given")])
    assert [row["total"] for row in notes(h)] == ["20.00"]
    assert h.causes() == []


async def test_s16_units_return_to_stock_once_and_by_the_warehouses_number_alone(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, warehouse="whole") as h:
        await h.sells(TEA=20)
        order = await shipped(h)
        assert h.sellable("TEA") == 17
        asked = await h.shop.ask_return(order["id"], [units("1", 3)])
        await h.shop.refund(order["id"], [units("1", 3)])
        await h.shop.change_return(asked["id"], state="done")
        await h.settle(400)
        assert h.sellable("TEA") == 17  # the channel's words move no unit
        await h.shop.change_return(asked["id"], state="accepted")
        h.depot.take_back(
            reference(h, order),
            [back("TEA", 1), back("TEA", 1, "damaged"), back("TEA", 1, "missing")],
        )
        await h.settle(400)
        assert h.sellable("TEA") == 18 == h.depot.on_hand("TEA")
        row = h.one("SELECT expected, resellable, damaged, missing FROM return_lines")
        assert tuple(row) == (3, 1, 1, 1)
        assert kept(h) == [(asked["id"], "received", "given")]


async def test_goods_that_nobody_announced_are_a_return_of_their_order(h: House) -> None:
    order = await shipped(h)
    h.depot.take_back(reference(h, order), [back("TEA", 1)])
    await h.settle(400)
    assert kept(h) == [("order", "received", "awaited")]
    # The channel hears of it, and it is that return from now on: not two.
    asked = await h.shop.ask_return(order["id"], [units("1", 1)])
    await h.settle(60)
    assert kept(h) == [(asked["id"], "received", "awaited")]


async def test_a_refused_return_expects_nothing_and_a_continued_one_is_told_once(
    h: House,
) -> None:
    order = await shipped(h)
    first = await h.shop.ask_return(order["id"], [units("1", 1)])
    await h.shop.change_return(first["id"], state="refused")
    second = await h.shop.ask_return(order["id"], [units("1", 2)])
    third = await h.shop.ask_return(order["id"], [units("1", 3)], previous=second["id"])
    await h.settle(60)
    assert kept(h) == [
        (first["id"], "called_off", "none"),
        (third["id"], "expected", "awaited"),
    ]


async def test_h41_what_was_cancelled_too_late_is_settled_when_all_of_it_is_back(h: House) -> None:
    order = await shipped(h)
    order.update(state="cancelled", cancelled_at=h.shop._now(), version=order["version"] + 1)
    await h.hook("shop", order)
    await h.settle(60)
    assert h.causes() == [f"late:cancelled:shop:{order['id']}"]
    h.depot.take_back(reference(h, order), [back("TEA", 2)])
    await h.settle(400)
    assert h.causes() == [f"late:cancelled:shop:{order['id']}"]
    h.depot.take_back(reference(h, order), [back("TEA", 1, "damaged")])
    await h.settle(400)
    assert h.causes() == []


# ------------------------------------------------------------------ any order, any number of times


@pytest.mark.parametrize("turn", sorted(set(permutations((0, 1, 2, 0)))), ids=str)
async def test_s10_told_in_any_order_a_return_ends_the_same(
    tmp_path: Path, turn: tuple[int, ...]
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        order = await shipped(h)
        asked = await h.shop.ask_return(order["id"], [units("1", 2)], push=False)
        refund = await h.shop.refund(order["id"], [units("1", 2)], returned=asked["id"], push=False)

        async def receives() -> None:
            if not h.depot.returns():
                h.depot.take_back(reference(h, order), [back("TEA", 2)], returned=asked["id"])
            await operate(h.app, "sweep", {"system": "depot"})

        said = (
            lambda: h.shop._push("return.changed", asked, "return"),
            lambda: h.shop.push_refund_again(refund["id"]),
            receives,
        )
        for number in turn:
            await said[number]()
            await h.now()
        await h.settle(400)
        assert kept(h) == [(asked["id"], "received", "given")]
        assert tuple(h.one("SELECT expected, resellable FROM return_lines")) == (2, 2)
        assert [row["total"] for row in notes(h)] == ["20.00"]
        assert (missing(h), h.causes()) == ([], [])


# ------------------------------------------------------------------ what cannot be


async def test_a_return_of_what_was_never_sold_is_held_and_delays_nobody(h: House) -> None:
    order, other = await shipped(h), await shipped(h, ("MUG", 1))
    bad = await h.shop.ask_return(order["id"], [{"line": "9", "sku": "VASE", "quantity": 1}])
    good = await h.shop.ask_return(other["id"], [units("1", 1)])
    await h.settle(60)
    [cause] = h.causes()
    assert cause == f"late:return_never_sold:shop:{order['id']}:{bad['id']}"
    assert "1 unit of VASE in return" in h.one("SELECT reason FROM holds")
    assert (good["id"], "expected", "awaited") in kept(h)
    # Corrected there, it closes by itself.
    await h.shop.change_return(bad["id"], lines=[{"line": "1", "sku": "TEA", "quantity": 1}])
    await h.settle(60)
    assert h.causes() == []


async def test_more_units_than_ever_left_are_held(h: House) -> None:
    order = await shipped(h)
    h.depot.take_back(reference(h, order), [back("TEA", 4)])
    await h.settle(400)
    [cause] = h.causes()
    assert cause == f"late:return_never_sold:shop:{order['id']}:RT1"
    hold = h.one("SELECT id FROM holds WHERE closed_at IS NULL")
    await operate(h.app, "accept", {"hold": hold})
    await h.shop.refund(order["id"], adjustment="1.00")  # the returns are looked at again
    await h.settle(400)
    assert h.causes() == []


async def test_a_negative_quantity_and_an_unknown_order_are_held(h: House) -> None:
    order = await shipped(h)
    bad = await h.shop.ask_return(order["id"], [units("1", -1)])
    await h.shop.ask_return(order["id"], [units("1", 1)], push=False)
    h.shop.returns()[1].update(order="P-OLD")
    h.depot.take_back("truecount:shop:S-OTHER:fulfill_order:1", [back("TEA", 1)], place="EAST")
    await h.settle(700)
    assert h.causes() == [
        f"return_negative:shop:{bad['id']}",
        "unknown_order:shop:P-OLD",
        "unknown_order:shop:S-OTHER",
    ]
    assert kept(h) == []


async def test_a_return_that_is_heard_before_its_order_waits_for_it(h: House) -> None:
    h.lost_pushes.add("shop")
    order = await h.shop.place_order("TEA", 1)
    h.lost_pushes.clear()
    asked = await h.shop.ask_return(order["id"], [units("1", 1)])
    await h.now()
    assert h.causes() == [f"unknown_order:shop:{order['id']}"]
    await h.settle(60)
    await h.depot.ship(h.waiting())
    await h.settle(60)
    assert kept(h) == [(asked["id"], "expected", "awaited")]
    assert h.causes() == []


# ------------------------------------------------------------------ couriers: no return object


async def scan(h: House, order: Any, state: str, minutes: int = 0, **words: Any) -> str:
    """A courier of the seller says this of the order's parcel."""
    tracking = words.pop("tracking", "") or next(
        p["tracking"] for p in h.depot.shipments() if p["reference"] == reference(h, order)
    )
    at = h.clock.now() + timedelta(minutes=minutes)
    event = ParcelEvent(
        key=f"{tracking}-{state}-{at.isoformat()}", tracking=tracking, state=state, at=at, **words
    )
    owners = h.app.network.owners
    known = replace(owners, owner={**owners.owner, ("parcel", "rider"): "rider"})

    def unit(connection: Any) -> str:
        network = replace(h.app.network, owners=known)
        work = Work.begin(connection, network, h.app.seal, h.clock.now())
        word = catalog.take_fact(work, "rider", event)
        fulfillment.go_on(work)
        work.finish()
        return word

    return str(await h.app.store.write(unit))


async def test_a_prepaid_parcel_that_is_refused_is_a_return_without_any_return_object(
    h: House,
) -> None:
    order = await shipped(h)
    await scan(h, order, "failed_attempt")
    assert kept(h) == []
    await scan(h, order, "returning", 10, leg="rto")
    key = f"parcel:{h.depot.shipments()[0]['tracking']}"
    assert kept(h) == [(key, "on_the_way", "awaited")]
    await scan(h, order, "moving", 5)  # comes late: it was before
    await scan(h, order, "returned", 60, leg="rto")
    assert kept(h) == [(key, "arrived", "awaited")]
    h.depot.take_back(reference(h, order), [back("TEA", 3)])
    await h.settle(400)
    assert missing(h) == [(key, ["money"])]
    assert notes(h) == []  # the money is the channel's to give back
    await h.shop.refund(order["id"], total="30.00")
    await h.settle(60)
    assert (missing(h), [row["total"] for row in notes(h)]) == ([], ["30.00"])


async def test_cash_on_delivery_that_nobody_paid_is_credited_when_the_parcel_is_back(
    h: House,
) -> None:
    order = await h.shop.place_order("TEA", 2, payment="cod", shipping="4.99")
    await h.now()
    await h.depot.ship(h.waiting())
    await h.settle(60)
    await scan(h, order, "returning", leg="rto")
    await h.settle(60)
    assert notes(h) == []  # it may still be delivered
    await scan(h, order, "returned", 30, leg="rto")
    for _ in range(3):
        await scan(h, order, "returned", 30, leg="rto")
    await h.settle(60)
    [note] = notes(h)
    assert (note["total"], note["tax"], note["shipping"]) == ("24.99", "3.19", "4.99")
    key = f"parcel:{h.depot.shipments()[0]['tracking']}"
    assert kept(h) == [(key, "arrived", "none")]
    h.depot.take_back(reference(h, order), [back("TEA", 2)])
    await h.settle(400)
    assert (missing(h), len(notes(h)), h.causes()) == ([], 1, [])


async def test_cash_that_was_collected_is_given_back_by_the_channel_alone(h: House) -> None:
    order = await h.shop.place_order("TEA", 2, payment="cod")
    await h.now()
    await h.depot.ship(h.waiting())
    await h.settle(60)
    await scan(h, order, "delivered", cod_collected=Money(2000, "EUR"))
    asked = await h.shop.ask_return(order["id"], [units("1", 2)])
    h.depot.take_back(reference(h, order), [back("TEA", 2)])
    await h.settle(400)
    assert kept(h) == [(asked["id"], "received", "awaited")]
    assert notes(h) == []


async def test_a_parcel_that_is_lost_is_waited_for_by_nobody(h: House) -> None:
    order = await shipped(h)
    await scan(h, order, "lost")
    key = f"parcel:{h.depot.shipments()[0]['tracking']}"
    assert kept(h) == [(key, "lost", "awaited")]
    assert missing(h) == [(key, ["money"])]
    # It is found after all, and delivered: then nothing comes back.
    await scan(h, order, "delivered", 600)
    assert kept(h) == []


async def test_a_scan_that_is_read_before_its_parcel_counts_once_it_is(h: House) -> None:
    order = await h.shop.place_order("TEA", 1)
    await h.now()
    await scan(h, order, "returned", 30, tracking="PX1", leg="rto")
    assert kept(h) == []
    await h.depot.ship(h.waiting(), tracking="PX1")
    await h.settle(60)
    assert kept(h) == [("parcel:PX1", "arrived", "awaited")]


async def test_a_courier_return_that_the_channel_has_an_object_for_is_one_return(h: House) -> None:
    order = await shipped(h)
    await scan(h, order, "returning", leg="rto")
    asked = await h.shop.ask_return(order["id"], kind="refused")
    await h.settle(60)
    assert kept(h) == [(asked["id"], "on_the_way", "awaited")]


# ------------------------------------------------------------------ exchanges


def balance(h: House) -> float:
    """What the buyer holds goods for, as the books say: invoices less credit notes."""
    invoices = sum(float(row["total"]) for row in h.books.documents(kind="invoice"))
    return round(invoices - sum(float(row["total"]) for row in notes(h)), 2)


@pytest.mark.parametrize("first", ["refund", "goods"])
@pytest.mark.parametrize("price", ["6.50", "10.00", "14.25"], ids=["cheaper", "equal", "dearer"])
async def test_s18_an_exchange_leaves_exactly_the_difference_of_the_prices(
    h: House, price: str, first: str
) -> None:
    h.books.set_item("CUP", price, "2.00")
    h.depot.receive("CUP", "EAST", 5)
    h.shop.list_item("CUP", price=price, quantity=5)
    await h.settle(60)
    order = await shipped(h, ("TEA", 1), ("MUG", 1))
    asked = await h.shop.ask_return(order["id"], [units("1", 1)], kind="exchange")
    other = await h.shop.place_order("CUP")  # what it is exchanged for
    await h.settle(60)
    await h.depot.ship(reference(h, other))
    less = round(10.00 - float(price), 2)

    async def refunds() -> None:
        if less > 0:  # the buyer gets the difference, and no more
            await h.shop.refund(order["id"], adjustment=f"{less:.2f}", returned=asked["id"])
        await h.settle(60)

    async def receives() -> None:
        h.depot.take_back(reference(h, order), [back("TEA", 1)], returned=asked["id"])
        await h.settle(400)

    for step in (refunds, receives) if first == "refund" else (receives, refunds):
        await step()
    await h.settle(700)
    assert balance(h) == round(10.00 + float(price), 2)  # the mug stays
    assert sum(float(row["total"]) for row in notes(h)) == 10.00
    assert (h.causes(), missing(h), h.books.duplicates()) == ([], [], [])
    assert h.state("shop", order) == h.state("shop", other) == "shipped"


async def test_an_exchange_that_the_channel_finishes_is_credited_before_its_goods_are_here(
    h: House,
) -> None:
    order = await shipped(h)
    asked = await h.shop.ask_return(order["id"], [units("1", 1)], kind="exchange")
    await h.settle(60)
    assert notes(h) == []
    for _ in range(3):
        await h.shop.change_return(asked["id"], state="done")
        await h.settle(60)
    assert [row["total"] for row in notes(h)] == ["10.00"]
    assert missing(h) == [(asked["id"], ["goods"])]


# ------------------------------------------------------------------ what operators see


async def test_the_mail_and_the_walk_say_what_is_missing_and_since_when(h: House) -> None:
    gone, paid, back_home = await shipped(h), await shipped(h), await shipped(h, ("MUG", 1))
    await h.shop.ask_return(gone["id"], [units("1", 1)])
    asked = await h.shop.ask_return(paid["id"], [units("1", 3)])
    await h.shop.refund(paid["id"], [units("1", 3)], returned=asked["id"])
    h.depot.take_back(reference(h, back_home), [back("MUG", 1, "damaged")])
    await h.settle(7200)
    words = " ".join(h.mail().split())
    number = {order["id"]: order["number"] for order in h.shop.orders()}
    assert f"on their way back shop:{number[gone['id']]}" in words
    assert f"money given back, and not received shop:{number[paid['id']]}" in words
    assert f"received, and no money given back shop:{number[back_home['id']]}" in words
    done = cli(h, "returns", "--json")
    assert done.returncode == 0, done.stderr
    found = {row["return"]: row for row in json.loads(done.stdout)}
    assert list(found[asked["id"]]["missing"]) == ["goods"]
    assert found["order"]["lines"] == [
        {"sku": "MUG", "expected": 0, "resellable": 0, "damaged": 1, "missing": 0, "unknown": 0}
    ]
    plain = cli(h, "returns")
    assert "Missing, and for how long" in plain.stdout
    assert "0 MUG (1 damaged)" in plain.stdout
    walk = cli(h, "trace", f"shop:{paid['id']}").stdout
    assert f"return {asked['id']} (return_refund): goods expected, money given" in walk
    for step in ("return.opened", "return.told", "refund.read", "refund.credited"):
        assert step in walk


async def test_no_open_return_is_said_in_a_word(h: House) -> None:
    await shipped(h)
    assert cli(h, "returns").stdout == "No return is open.\n"
    assert "returns" not in h.mail().lower()
