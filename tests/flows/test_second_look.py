"""A record that could not be understood is read again from its owner (T7, S7)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from house import House, house
from sqlalchemy import Connection, update

from core import cursors
from core.app import put_right
from core.clock import stamp
from core.second_look import AGAIN
from core.store.schema import cursors as cursors_table

HELD = "SELECT count(*) FROM hold_members WHERE member = 'inbox' AND closed_at IS NULL"


def spoilt(which: str, change: Callable[[Any], None]) -> Callable[[str, bytes], bytes]:
    """Answers to this call with one value of another kind."""

    def spoil(what: str, body: bytes) -> bytes:
        if not what.startswith(which):
            return body
        found = json.loads(body)
        change(found)
        return json.dumps(found).encode()

    return spoil


async def pass_by(h: House, minutes: int) -> None:
    for _ in range(minutes):
        await h.settle(60)
        await h.rounds()


def without_lines(found: Any) -> None:
    for parcel in found["rows"]:
        parcel["lines"] = "planted"


async def test_a_parcel_read_in_a_bad_minute_is_read_again(tmp_path: Path) -> None:
    """Its cursor had passed it: a day of the simulation waited for it for ever."""
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA")
        await h.settle()
        h.wires["depot"].spoil = spoilt("GET /shipments", without_lines)
        await h.depot.ship(h.depot.orders()[0]["reference"])
        await h.settle(70)
        h.wires["depot"].spoil = None
        await pass_by(h, 5)
        assert h.one(HELD) == 1
        assert h.order("shop", order["id"])["state"] == "released"
        await pass_by(h, 10)
        assert h.order("shop", order["id"])["state"] == "shipped"
        assert h.one(HELD) == 0
        assert h.one("SELECT state FROM inbox WHERE reason = ?", AGAIN) == "ignored"
        assert h.one("SELECT count(*) FROM holds WHERE closed_at IS NULL") == 0


async def test_one_without_a_name_is_over_when_its_owner_does_not_say_it_any_more(
    tmp_path: Path,
) -> None:
    """An object with a wrong id is nobody's: only that it does not come again ends it."""

    def without_id(found: Any) -> None:
        for order in found["orders"]:
            order["id"] = {"planted": order["id"]}

    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        h.wires["shop"].spoil = spoilt("GET /orders", without_id)
        order = await h.shop.place_order("TEA")
        await h.settle(45)
        h.wires["shop"].spoil = None
        await pass_by(h, 8)
        assert h.order("shop", order["id"])["state"] == "released"  # by the overlap
        assert h.one(HELD) == 1
        await pass_by(h, 8)
        assert h.one(HELD) == 0


async def test_what_its_owner_goes_on_saying_stays_held_and_is_seldom_asked_for(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        await h.shop.place_order("TEA")
        await h.settle()
        began, cursor = [], "SELECT since FROM cursors WHERE resource = 'shipment'"
        h.wires["depot"].spoil = spoilt("GET /shipments", without_lines)
        await h.depot.ship(h.depot.orders()[0]["reference"])
        for _ in range(80):
            await pass_by(h, 1)
            began.append(h.one(cursor))
        assert h.one(HELD) == 1
        assert h.one("SELECT polls FROM inbox WHERE state = 'held'") == 3  # after 10 and 60 minutes
        assert began[-1] == "1"
        assert (
            began.count(None) <= 2 + 2
        )  # from its beginning, where the parcel was among the first


async def test_where_every_pass_shows_everything_nobody_is_sent_back(tmp_path: Path) -> None:
    """Its next passes end the hold; sent back, it would only be asked more often."""

    def without_sku(found: Any) -> None:
        for row in found["listings"]:
            row["sku"] = {"planted": 1}

    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        h.wires["shop"].spoil = spoilt("GET /listings", without_sku)
        await pass_by(h, 30)
        assert h.one(HELD) == 1
        before = h.wires["shop"].sent.count("GET /listings")
        await pass_by(h, 60)
        assert h.wires["shop"].sent.count("GET /listings") - before == 12
        h.wires["shop"].spoil = None
        await pass_by(h, 25)  # gone from two passes
        assert h.one(HELD) == 0


SENT = "resource = 'shipment'"
SHIPMENTS = f"SELECT * FROM cursors WHERE {SENT}"
ORDERS = "system = 'shop' AND resource = 'order'"


async def test_a_cursor_sent_back_while_a_page_is_under_way_stays_sent_back(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        await h.shop.place_order("TEA")
        await h.settle()
        await h.depot.ship(h.depot.orders()[0]["reference"])
        await h.settle()
        assert h.one(SHIPMENTS)["since"] == "1"

        def send_back(request: httpx.Request) -> None:
            if request.url.path.endswith("/shipments") and "since" in request.url.params:
                at = stamp(h.clock.now())
                with sqlite3.connect(h.app.store.path) as other:
                    other.execute(f"UPDATE cursors SET since = NULL, due_at = '{at}' WHERE {SENT}")

        h.wires["depot"].on_request.append(send_back)
        due = h.clock.now()
        for _ in range(120):
            h.clock.advance(1)
            await h.app.sweep.run_due("depot")
            if h.one(SHIPMENTS)["since"] is None:
                break
        after = h.one(SHIPMENTS)
        assert (after["since"], after["due_at"]) == (None, stamp(h.clock.now()))
        h.wires["depot"].on_request.clear()
        await h.settle(70)
        assert (h.one(SHIPMENTS)["since"], h.one(SHIPMENTS)["full_at"] > stamp(due)) == ("1", True)


async def test_pages_of_a_pass_that_was_sent_back_are_not_gone_on_with(tmp_path: Path) -> None:
    """The next page of where we were would skip what we were sent back for."""
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        await h.shop.place_order("TEA")
        await h.settle()

        def one_more(found: Any) -> None:
            with sqlite3.connect(h.app.store.path) as other:
                other.execute(f"UPDATE cursors SET since = NULL WHERE {ORDERS}")
            found["next_cursor"] = "1"

        h.wires["shop"].spoil = spoilt("GET /orders", one_more)
        for _ in range(120):
            h.clock.advance(1)
            await h.app.sweep.run_due("shop")
            if h.one(f"SELECT since FROM cursors WHERE {ORDERS}") is None:
                break
        after = h.one(f"SELECT * FROM cursors WHERE {ORDERS}")
        assert (after["since"], after["page"]) == (None, None)


async def test_what_is_to_be_read_from_its_beginning_is_not_sent_to_a_later_place(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        for before, asked, after in (("5", "3", "3"), (None, "3", None), ("5", None, None)):

            def unit(connection: Connection, before: Any = before, asked: Any = asked) -> bool:
                connection.execute(update(cursors_table).values(since=before, page=None))
                return cursors.go_back(connection, "depot", "shipment", asked, h.clock.now())

            assert await h.app.store.write(unit)
            assert h.one(SHIPMENTS)["since"] == after
        await h.app.store.write(
            lambda connection: connection.execute(update(cursors_table).values(page="2"))
        )
        assert not await h.app.store.write(
            lambda connection: cursors.go_back(connection, "depot", "shipment", "3", h.clock.now())
        )


@pytest.mark.parametrize("policy", ["split", "adaptive"])
async def test_a_held_order_keeps_a_drain_waiting_without_a_storm_of_calls(
    tmp_path: Path, policy: str
) -> None:
    """It was asked for every two seconds for as long as a record was held: 35,000 calls a day."""

    def without_total(found: Any) -> None:
        for order in found["orders"]:
            order["total"] = ["planted"]

    async with house(tmp_path, policy=policy, pushes=False) as h:
        await h.sells(TEA=9)
        await h.settle(300)
        h.wires["shop"].spoil = spoilt("GET /orders", without_total)
        await h.shop.place_order("TEA", 2)
        h.depot.receive("TEA", "EAST", -4)
        await h.settle(120)
        before = h.wires["shop"].sent.count("GET /orders")
        await pass_by(h, 60)
        asked = h.wires["shop"].sent.count("GET /orders") - before
        assert asked <= 120 + 40  # it is read every 30 seconds
        h.wires["shop"].spoil = None
        await pass_by(h, 20)
        assert h.one(HELD) == 0
        assert h.one("SELECT state FROM orders") == "released"


async def test_g18_a_clock_set_back_does_not_put_off_the_second_look(tmp_path: Path) -> None:
    """What was held and seen a day ahead was asked for again a day later."""
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA")
        await h.settle()
        h.wires["depot"].spoil = spoilt("GET /shipments", without_lines)
        await h.depot.ship(h.depot.orders()[0]["reference"])
        await h.settle(70)
        h.wires["depot"].spoil = None
        await pass_by(h, 1)
        assert h.one(HELD) == 1
        h.clock._at -= timedelta(days=1)
        await put_right(h.app)
        await pass_by(h, 14)
        assert h.order("shop", order["id"])["state"] == "shipped"
        assert h.one(HELD) == 0
