"""Stop 5: commands leave lane by lane, once in effect, whatever is lost, refused or down."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from house import House, Killed, house

from core.restored import look_first


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, settings={"depot": {"known_skus": "TEA"}}) as it:
        await it.sells(TEA=20, MUG=20)
        yield it


def verbs(h: House, kind: str) -> list[str]:
    return [
        row["verb"]
        for row in h.rows(
            "SELECT a.verb FROM attempts a JOIN outbox o ON o.id = a.outbox_id"
            " WHERE o.kind = ? ORDER BY a.id",
            kind,
        )
    ]


async def test_h21_s9_a_lost_answer_is_looked_up_and_booked_once(h: House) -> None:
    h.faults("books", lose_answers=1, only="POST /sales-orders")
    await h.shop.place_order("TEA")
    await h.now()
    assert h.command("book_order")["state"] == "in_doubt"
    await h.settle(60)
    row = h.command("book_order")
    assert (row["state"], row["reference"]) == ("done", "SO1")
    assert verbs(h, "book_order") == ["send", "find"]
    assert h.wires["books"].count("POST /sales-orders") == 1
    assert (len(h.books.documents()), h.books.duplicates()) == (1, [])


@pytest.mark.parametrize("kind", ["book_shipment", "book_invoice"])
async def test_h21_every_document_of_the_books_survives_a_lost_answer(h: House, kind: str) -> None:
    path = {"book_shipment": "POST /deliveries", "book_invoice": "POST /invoices"}[kind]
    await h.shop.place_order("TEA")
    await h.now()
    h.faults("books", lose_answers=1, only=path)
    await h.depot.ship(h.waiting())
    await h.settle(120)
    assert h.command(kind)["state"] == "done"
    assert h.wires["books"].count(path) == 1
    assert len(h.books.documents()) == 3


async def test_h22_two_lookups_apart_come_before_a_second_send(h: House) -> None:
    h.faults("books", status=502, only="POST /sales-orders")  # it never happened
    await h.shop.place_order("TEA")
    await h.now()
    h.faults("books")
    await h.settle(120)
    assert h.command("book_order")["state"] == "done"
    assert verbs(h, "book_order") == ["send", "find", "find", "send"]
    at = [
        datetime.fromisoformat(row["began_at"])
        for row in h.rows("SELECT began_at FROM attempts WHERE outbox_id = 1 ORDER BY id")
    ]
    assert all((b - a).total_seconds() >= 15 for a, b in zip(at[:2], at[1:3], strict=True))
    assert len(h.books.documents()) == 1


async def test_h21_a_second_answer_to_a_unique_reference_counts_as_done(h: House) -> None:
    h.faults("depot", lose_answers=1, only="POST /orders")
    order = await h.shop.place_order("TEA")
    await h.settle(120)
    assert h.command("fulfill_order")["state"] == "done"
    assert len(h.asked()) == 1
    await h.depot.ship(h.waiting())
    h.faults("shop", lose_answers=1, only="POST /orders")
    await h.settle(120)
    assert h.command("confirm_shipment")["state"] == "done"
    assert len(h.shop.shipments()) == 1
    assert h.state("shop", order) == "shipped"


async def test_h26_g10_a_refusal_stops_its_lane_only_and_retry_goes_on(h: House) -> None:
    poisoned = await h.shop.place_order("MUG")
    fine = await h.shop.place_order("TEA")
    await h.settle()
    dead = [row for row in h.commands("fulfill_order") if row["state"] == "dead"]
    assert [row["key"] for row in dead] == ["truecount:shop:S000001:fulfill_order:1"]
    assert "there is no article MUG" in dead[0]["words"]
    assert [cause.split(":")[0] for cause in h.causes()] == ["refused"]
    await h.depot.ship(h.waiting())
    await h.settle()
    assert h.state("shop", fine) == "shipped"
    sent = h.wires["depot"].count("POST /orders")
    await h.shop.cancel(poisoned["id"])  # waits behind the dead command, FIFO
    await h.settle(600)
    assert h.wires["depot"].count("POST /orders") == sent
    h.depot._world.settings["known_skus"] = "TEA,MUG"
    assert await h.operate("retry") == {"retried": 1}
    await h.settle(120)
    assert h.causes() == []
    assert h.state("shop", poisoned) == "cancelled"
    assert [order["state"] for order in h.asked()] == ["shipped", "cancelled"]


async def test_h29_retry_after_is_honored_and_no_call_is_made_before(h: House) -> None:
    h.faults("books", status=429, retry_after=120, only="POST /sales-orders")
    await h.shop.place_order("TEA")
    await h.now()
    assert h.wires["books"].count("POST /sales-orders") == 1
    h.faults("books")
    await h.settle(110)
    assert h.wires["books"].count("POST /sales-orders") == 1
    assert h.command("book_order")["state"] == "waiting"
    await h.settle(20)
    assert h.command("book_order")["state"] == "done"


async def test_g11_the_books_down_for_hours_lose_nothing_and_delay_nobody(h: House) -> None:
    h.faults("books", down=True)
    began = len(h.wires["books"].sent)
    orders = [await h.shop.place_order("TEA") for _ in range(6)]
    await h.settle(60)
    for asked in h.asked():
        await h.depot.ship(asked["reference"])
    await h.settle(120)
    assert {h.state("shop", order) for order in orders} == {"shipped"}
    assert len(h.shop.shipments()) == 6
    assert h.books.documents() == []
    await h.settle(3600)
    calls = len(h.wires["books"].sent) - began
    assert calls < 100, calls  # H30: the breaker asks once in a while, not each row
    h.faults("books")
    await h.settle(1800)
    kinds = [row["kind"] for row in h.books.documents()]
    assert sorted(kinds) == ["delivery"] * 6 + ["invoice"] * 6 + ["sales_order"] * 6
    assert h.books.duplicates() == []
    assert {row["state"] for row in h.commands()} == {"done"}
    for order in orders:  # G10: in order, for each of them
        number = f":{order['id']}:"
        own = [r["kind"] for r in h.books.documents() if number in r["reference"]]
        assert own == ["sales_order", "delivery", "invoice"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("system", "call", "kind"),
    [
        ("books", "POST /sales-orders", "book_order"),
        ("depot", "POST /orders", "fulfill_order"),
        ("shop", "POST /orders", "confirm_shipment"),
    ],
)
async def test_g12_killed_around_a_call_nothing_is_lost_or_done_twice(
    h: House, when: str, system: str, call: str, kind: str
) -> None:
    setattr(h.wires[system], f"kill_{when}", call)
    with pytest.raises(Killed):
        await h.shop.place_order("TEA")
        await h.settle()
        await h.depot.ship(h.waiting())
        await h.settle()
    assert h.command(kind)["state"] == "sending"
    await h.restart()
    await h.settle(120)
    if h.depot.shipments() == []:
        await h.depot.ship(h.waiting())
    await h.settle(120)
    assert {row["state"] for row in h.commands()} == {"done"}
    assert len(h.asked()) == len(h.shop.shipments()) == 1
    assert [row["kind"] for row in h.books.documents()] == ["sales_order", "delivery", "invoice"]


async def test_an_attempt_is_on_the_disk_before_its_first_byte_leaves(h: House) -> None:
    seen: list[tuple[str, int]] = []

    def look(request: httpx.Request) -> None:
        if request.method == "POST":
            connection = sqlite3.connect(h.app.store.path)
            state = "SELECT state, attempts FROM outbox WHERE kind = 'book_order'"
            seen.extend(connection.execute(state).fetchall())
            connection.close()

    h.wires["books"].on_request.append(look)
    await h.shop.place_order("TEA")
    await h.now()
    assert seen == [("sending", 1)]


async def test_a_command_nobody_can_look_up_is_sent_at_most_once(h: House) -> None:
    # G9: no dedup mode, and the process dies: a person decides
    accepts = dict(h.app.network.accepts)
    kind = ("books", "book_order")
    accepts[kind] = dataclasses.replace(accepts[kind], safe_by="none")
    h.app.network = dataclasses.replace(h.app.network, accepts=accepts)
    h.wires["books"].kill_after = "POST /sales-orders"
    with pytest.raises(Killed):
        await h.shop.place_order("TEA")
        await h.now()
    await h.restart()
    await h.settle(600)
    assert h.command("book_order")["state"] == "dead"
    assert h.wires["books"].count("POST /sales-orders") == 1
    assert [cause.split(":")[0] for cause in h.causes()] == ["refused"]


async def test_keys_come_from_the_fact_and_stay_the_same_over_everything(h: House) -> None:
    # G17, S26
    h.faults("books", status=503)
    order = await h.shop.place_order("TEA")
    await h.settle(200)
    await h.restart()
    h.faults("books")
    await h.settle(700)
    await h.depot.ship(h.waiting())
    await h.settle(60)
    keys = [row["key"].removeprefix(f"truecount:shop:{order['id']}:") for row in h.commands()]
    assert keys == [
        "book_order:1",
        "fulfill_order:1",
        "confirm_shipment:1",
        "book_shipment:S1",
        "book_invoice:1",
    ]
    assert [row["reference"] for row in h.books.documents()] == [
        h.commands()[index]["key"] for index in (0, 3, 4)
    ]


async def test_a_backup_of_yesterday_resends_the_same_keys_and_books_nothing_twice(
    tmp_path: Path,
) -> None:
    # H38, G17
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        await h.stop()
        database = h.folder / "state" / "truecount.db"
        yesterday = database.read_bytes()
        await h.start()
        first = await h.shop.place_order("TEA", 2)
        await h.settle()
        await h.depot.ship(h.waiting())
        await h.settle()
        await h.stop()
        for file in database.parent.glob("truecount.db*"):
            file.unlink()
        database.write_bytes(yesterday)
        await h.start()
        await h.app.store.write(lambda connection: look_first(connection, h.clock.now()))
        await h.settle(400)
        assert h.state("shop", first) == "shipped"
        assert len(h.asked()) == len(h.shop.shipments()) == 1
        assert h.books.duplicates() == []
        assert h.sellable("TEA") == h.shop.shown("TEA") == 18


@pytest.mark.parametrize("days", [0, 2])
async def test_h23_a_key_older_than_the_memory_of_the_other_side_is_looked_up_first(
    h: House, days: int
) -> None:
    accepts = dict(h.app.network.accepts)
    kind = ("books", "book_order")
    accepts[kind] = dataclasses.replace(accepts[kind], safe_by="key")
    h.app.network = dataclasses.replace(h.app.network, accepts=accepts)
    h.faults("books", lose_answers=1, only="POST /sales-orders")
    await h.shop.place_order("TEA")
    await h.now()
    assert h.command("book_order")["state"] == "in_doubt"
    h.faults("books", down=bool(days))
    await h.settle(30)
    h.clock.advance(days * 86_400)
    h.faults("books")
    await h.settle(700)
    assert h.command("book_order")["state"] == "done"
    # Within its memory the same key is simply sent again; afterwards nobody would know it.
    assert verbs(h, "book_order")[-1] == ("find" if days else "send")
    if days:
        assert (len(h.books.documents()), h.books.duplicates()) == (1, [])


async def test_two_systems_of_one_account_share_its_budget_and_its_login(tmp_path: Path) -> None:
    # a vendor counts by credential: two marketplaces of one seller are one caller
    async with house(tmp_path) as h:
        text = (h.folder / "config.yaml").read_text()
        (h.folder / "config.yaml").write_text(text.replace(":9/market", ":9/shop"))
        await h.restart()
        limiters, logins = h.app.limiters, h.app.logins
        assert limiters["shop"] is limiters["market"] is not limiters["depot"]
        assert logins["shop"] is logins["market"] is not logins["depot"]
        before = limiters["market"].snapshot()["calls"]["left"]
        await limiters["shop"].acquire("calls", 150)
        assert limiters["market"].snapshot()["calls"]["left"] == before - 150
        await h.app.store.write(lambda _: None)  # what is to be saved is saved by now
        await h.restart()
        assert h.app.limiters["market"].snapshot()["calls"]["left"] <= before - 150
