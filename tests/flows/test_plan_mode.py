"""`mode: plan`: everything is read, decided and kept, and no system is written to.

The fakes count every call that was to change something there, whatever they answered.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from house import House, house
from sqlalchemy import Connection, select
from test_explaining import command

from core import commands, subscriptions, views
from core.contract import Offer
from core.errors import ConnectorError, Retry
from core.model import BookInvoice
from core.money import Money
from core.prove import prove
from core.store import schema
from core.verbs import Unknown, work_of
from core.web.operations import _page

SYSTEMS = ("shop", "market", "depot", "books")


async def switch(h: House, mode: str, system: str = "") -> None:
    """Stop, write the mode into config.yaml, start: as an operator does."""
    path = h.folder / "config.yaml"
    text = path.read_text()
    for word in ("live", "plan"):
        text = text.replace(f"\nmode: {word}", "").replace(f"\n    mode: {word}", "")
    if system:
        text = text.replace(f"\n  {system}:\n", f"\n  {system}:\n    mode: {mode}\n")
    else:
        text = text.replace("\nstate:", f"\nmode: {mode}\nstate:")
    path.write_text(text)
    await h.restart()


def writes(h: House) -> list[str]:
    return [f"{name}: {one}" for name in SYSTEMS for one in h.host.writes(name)]


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    """Real accounts, connected for the first time: stock, listings that sell, one old order."""
    async with house(tmp_path) as it:
        await switch(it, "plan")
        for sku in ("TEA", "MUG"):
            it.depot.receive(sku, "EAST", 20)
            it.books.set_item(sku, "10.00", "4.00")
            for channel in (it.shop, it.market):
                channel.list_item(sku, quantity=7)
        await it.now()
        yield it


def findings(h: House) -> list[object]:
    with h.app.store.snapshot() as connection:
        return list(prove(connection, h.app.network, h.clock.now()).findings)


def states(h: House) -> list[tuple[str, str, str]]:
    return [(row["system"], row["kind"], row["state"]) for row in h.commands()]


# ------------------------------------------------------------------ nothing leaves


async def test_in_plan_mode_no_system_is_written_to(h: House) -> None:
    await h.shop.place_order("TEA", 2)
    order = await h.market.place_order("MUG")
    await h.settle(600)
    await h.market.cancel(order["id"])
    h.depot.count("TEA", "EAST", 1)
    await h.settle(3600)
    assert writes(h) == []
    assert h.rows("SELECT * FROM attempts") == []
    assert h.rows("SELECT * FROM told") == []
    assert (h.shop.stock()["TEA"], h.market.stock()["TEA"]) == (5, 7)


async def test_in_plan_mode_orders_are_decided_and_commands_wait_with_the_word_why(
    h: House,
) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(120)
    assert h.line("shop", order) == (2, 2, 0, 0, 0)
    assert states(h) == [
        ("books", "book_order", "planned"),
        ("depot", "fulfill_order", "planned"),
    ]
    assert {row["words"] for row in h.commands()} == {"nothing is sent: mode is plan"}
    assert h.sellable("TEA") == 18


async def why_not(h: House, method: str, *, writes_there: bool) -> str:
    with pytest.raises(Retry) as refused:
        await h.app.doors["depot"].call(method, "/orders", json={}, writes=writes_there)
    return str(refused.value)


async def test_the_door_itself_lets_no_write_out(h: House) -> None:
    """Whoever calls a connector by mistake: the one door out is the last to say no."""
    said = []
    for method, writes_there in (("POST", True), ("PUT", False), ("DELETE", False)):
        with contextlib.suppress(ConnectorError):  # sent after all: the counter below says so
            said.append(await why_not(h, method, writes_there=writes_there))
    assert writes(h) == []
    assert said == ["depot is connected in mode plan: nothing is sent to it"] * 3
    offer = Offer(listing="TEA", place="", sku="TEA", quantity=3, shown=7, key="k")
    with pytest.raises(Retry, match="shop is connected in mode plan"):
        await h.app.connectors["shop"].publish([offer])
    assert writes(h) == []


def tried(h: House) -> int:
    return int(h.one("SELECT count(*) FROM attempts"))


async def test_what_is_in_doubt_when_plan_mode_begins_waits(tmp_path: Path) -> None:
    """A look for it would be a read; what may follow from it would not."""
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        h.faults("books", lose_answers=1, only="POST /sales-orders")
        await h.shop.place_order("TEA")
        await h.now()
        await switch(h, "plan")
        before, sent = tried(h), writes(h)
        await h.settle(600)
        assert tried(h) == before
        assert h.command("book_order")["state"] == "in_doubt"
        await switch(h, "live")
        await h.settle(120)
        assert h.command("book_order")["state"] == "done"
        assert len(h.books.documents()) == 1
        assert [one for one in writes(h) if one not in sent] == []


async def test_one_system_alone_may_be_in_plan_mode(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        await switch(h, "plan", "books")
        await h.shop.place_order("TEA")
        await h.settle(60)
        assert states(h) == [
            ("books", "book_order", "planned"),
            ("depot", "fulfill_order", "done"),
        ]
        assert h.host.writes("books") == []
        assert h.market.stock()["TEA"] == 19


async def test_what_waited_when_plan_mode_began_is_planned(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        h.faults("books", down=True)
        h.faults("depot", down=True)
        await h.shop.place_order("TEA")
        await h.now()
        h.faults("books")
        h.faults("depot")
        await switch(h, "plan")
        before = writes(h)
        await h.settle(3600)
        assert [state for *_, state in states(h)] == ["planned", "planned"]
        assert writes(h) == before


# ------------------------------------------------------------------ and then it is live


async def test_going_live_tells_numbers_of_now_and_no_pile_of_old_ones(h: House) -> None:
    for _ in range(5):
        await h.shop.place_order("TEA")
        await h.settle(60)
    assert writes(h) == []
    await switch(h, "live")
    await h.settle(120)
    told = [row["quantity"] for row in h.market.stock_writes() if row["sku"] == "TEA"]
    assert told == [15]
    assert h.host.writes("depot") == []


async def test_an_order_from_before_waits_for_a_person(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(60)
    await switch(h, "live")
    await h.settle(3600)
    assert h.causes() == ["late:planned"]
    assert [name for name in ("depot", "books") if h.host.writes(name)] == []
    later = await h.shop.place_order("TEA")
    await h.settle(60)
    assert len(h.asked()) == 1
    assert h.asked()[0]["lines"][0]["quantity"] == 1
    assert (h.state("shop", order), h.state("shop", later)) == ("released", "released")
    assert findings(h) == []


async def test_a_newer_revision_does_not_send_what_may_be_done(h: House) -> None:
    """Its commands are taken back and decided anew: they are planned again."""
    order = await h.shop.place_order("TEA", 2)
    await h.settle(60)
    await switch(h, "live")
    await h.edit("shop", order, 1)
    await h.settle(600)
    assert [name for name in ("depot", "books") if h.host.writes(name)] == []
    assert h.causes() == ["late:planned"]


async def test_an_order_placed_before_and_captured_after_is_from_before(h: House) -> None:
    h.lost_pushes.add("shop")
    order = await h.shop.place_order("TEA", 2)
    h.clock.advance(5)
    await switch(h, "live")
    await h.settle(120)
    assert h.state("shop", order) == "released"
    assert h.asked() == []
    assert h.causes() == ["late:planned"]


async def test_an_order_the_channel_shows_as_shipped_is_over_and_told_to_nobody(
    h: House,
) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(60)
    await switch(h, "live")
    await h.settle(60)
    h.depot.count("TEA", "EAST", 18)
    await h.shop.ship_by_hand(order["id"])
    await h.settle(120)
    assert h.state("shop", order) == "shipped"
    assert {state for *_, state in states(h)} == {"discarded"}
    assert [name for name in ("depot", "books") if h.host.writes(name)] == []
    assert h.causes() == []
    assert h.sellable("TEA") == 18
    assert h.line("shop", order) == (2, 0, 0, 2, 0)
    assert h.market.stock()["TEA"] == 18
    assert findings(h) == []


async def test_what_left_in_part_by_us_is_a_persons_to_say(tmp_path: Path) -> None:
    """The channel shows as shipped what we have told it, too: no proof that all was by hand."""
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        order = await h.shop.place_order("TEA", 2)
        await h.settle(30)
        await h.depot.ship(h.waiting(), lines=[{"sku": "TEA", "quantity": 1}])
        await h.settle(60)
        await switch(h, "plan")
        await h.shop.ship_by_hand(order["id"])
        await h.settle(60)
        assert h.state("shop", order) == "released"
        assert h.rows("SELECT * FROM handovers") == []


async def test_history_that_has_left_before_we_came_is_not_shipped_again(h: House) -> None:
    h.lost_pushes.add("shop")
    order = await h.shop.place_order("TEA", 2)
    await h.shop.ship_by_hand(order["id"])
    await h.settle(60)
    assert h.state("shop", order) == "shipped"
    assert h.commands() == []
    assert h.line("shop", order) == (2, 0, 0, 0, 2)
    assert h.sellable("TEA") == 20
    assert findings(h) == []


async def test_a_cancel_takes_back_what_is_planned(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(60)
    await switch(h, "live")
    await h.shop.cancel(order["id"])
    await h.settle(60)
    assert h.state("shop", order) == "cancelled"
    assert {state for *_, state in states(h)} == {"taken_back"}
    assert h.causes() == []
    assert [name for name in ("depot", "books") if h.host.writes(name)] == []


# ------------------------------------------------------------------ whose it is


async def test_release_sends_what_was_planned_after_a_look(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(60)
    await switch(h, "live")
    await h.settle(60)
    await h.operate("release", order="shop:#000001", reason="nobody did it", by="Ann")
    await h.settle(120)
    assert h.causes() == []
    assert [one["lines"][0]["quantity"] for one in h.asked()] == [2]
    verbs = h.rows(
        "SELECT a.verb FROM attempts a JOIN outbox o ON o.id = a.outbox_id"
        " WHERE o.kind = 'book_order' ORDER BY a.id"
    )
    assert [row["verb"] for row in verbs] == ["find", "find", "send"]
    await h.depot.ship(h.waiting())
    await h.settle(120)
    assert h.state("shop", order) == "shipped"
    assert [row["state"] for row in h.commands()] == ["done"] * 5
    assert findings(h) == []


async def test_by_hand_tells_nobody_and_its_units_have_left(h: House) -> None:
    orders = [await h.shop.place_order("TEA", 2), await h.market.place_order("TEA", 3)]
    await h.settle(60)
    await switch(h, "live")
    h.depot.count("TEA", "EAST", 15)
    await h.settle(60)
    [hold] = h.rows("SELECT id FROM holds WHERE closed_at IS NULL")
    done = await h.operate("by-hand", hold=hold["id"], reason="packed on Monday", by="Ann")
    assert done == {"done by hand": 2}
    await h.settle(60)
    assert [h.state(*pair) for pair in zip(("shop", "market"), orders, strict=True)] == [
        "shipped",
        "shipped",
    ]
    assert (h.host.writes("depot"), h.host.writes("books")) == ([], [])
    assert h.sellable("TEA") == 10, "nobody said since when the number is without them"
    h.depot.receive("TEA", "EAST", 4)
    await h.settle(60)
    assert h.sellable("TEA") == 19
    assert h.causes() == []
    assert findings(h) == []
    told = json.loads(
        h.rows("SELECT data FROM steps WHERE name = 'order.by_hand' ORDER BY seq")[0]["data"]
    )
    assert told == {"by": "Ann", "reason": "packed on Monday"}
    mail = " ".join(h.mail().split())
    assert "0 unexplained, 4 explained, 0 in flight" in mail
    assert "live, says Ann" in mail


async def test_of_an_order_done_by_hand_nobody_is_told_anything_later(h: House) -> None:
    await h.shop.place_order("TEA", 2)
    await h.settle(60)
    await h.operate("by-hand", order="shop:#000001", reason="packed", by="Ann")
    await switch(h, "live")

    def unit(connection: Connection) -> bool:
        work = work_of(h.app, connection)
        order = connection.execute(select(schema.orders)).one()
        record = BookInvoice(
            reference="truecount:shop:S000001:book_invoice:1",
            order_reference=order.booked,
            channel="shop",
            number=order.number,
            dated=h.clock.now(),
            total=Money(2000, "EUR"),
        )
        return commands.ask(work, "books", "book_invoice", record, order_id=order.id)

    assert not await h.app.store.write(unit)
    await h.settle(60)
    assert {state for *_, state in states(h)} == {"discarded"}
    assert h.host.writes("books") == []


async def test_by_hand_is_for_orders_from_before_only(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        await h.shop.place_order("TEA")
        await h.settle(30)
        with pytest.raises(Unknown, match="is not from before this was live"):
            await h.operate("by-hand", order="shop:#000001", reason="x", by="Ann")


async def test_accept_is_no_answer_to_what_was_planned(h: House) -> None:
    await h.shop.place_order("TEA", 2)
    await h.settle(60)
    await switch(h, "live")
    await h.settle(5)
    [hold] = h.rows("SELECT id FROM holds WHERE closed_at IS NULL")
    with pytest.raises(Unknown, match="`accept` is no answer to it: Not done yet"):
        await h.operate("accept", hold=hold["id"])


# ------------------------------------------------------------------ every face says so


async def test_every_face_says_first_that_nothing_is_sent(
    h: House, monkeypatch: Any, capsys: Any
) -> None:
    says = "Nothing is sent to books, depot, market, shop: mode is plan."
    await h.shop.place_order("TEA", 2)
    await h.settle(60)
    for verb in ("status", "holds", "plan"):
        _, out, _ = await command(h, monkeypatch, capsys, verb)
        assert out.startswith(says), verb
    _, out, _ = await command(h, monkeypatch, capsys, "status", "--json")
    assert json.loads(out)["mode"] == says
    assert h.mail().startswith("NOTHING IS SENT (mode: plan). Acme, Wednesday 25 November")
    with h.app.store.read() as connection:
        page = _page(views.status(connection, h.app.network, h.clock.now()))
    assert page.index(says) < page.index("needs you")


async def test_plan_lists_what_would_leave_from_which_value_to_which_and_why(
    h: House, monkeypatch: Any, capsys: Any
) -> None:
    await h.shop.place_order("TEA", 2)
    await h.settle(60)
    code, out, _ = await command(h, monkeypatch, capsys, "plan", "--json")
    assert code == 0
    rows = json.loads(out)["writes"]
    commands = [(r["system"], r["what"], r["of"], r["asks"]) for r in rows if r["command"]]
    assert commands == [
        ("books", "book_order", "shop:#000001", "2 x TEA from MAIN 20.00 EUR"),
        ("depot", "fulfill_order", "shop:#000001", "2 x TEA from EAST"),
    ]
    assert {r["why"] for r in rows if r["command"]} == {"nothing is sent: mode is plan"}
    numbers = {(r["system"], r["of"]): (r["before"], r["now"]) for r in rows if not r["command"]}
    assert numbers == {
        ("shop", "TEA"): (7, 18),
        ("shop", "MUG"): (7, 20),
        ("market", "TEA"): (7, 18),
        ("market", "MUG"): (7, 20),
    }
    _, out, _ = await command(h, monkeypatch, capsys, "plan", "shop")
    assert "market" not in out.partition("\n\n")[2]
    assert "an order was captured or changed" in out


async def test_a_plan_in_live_mode_names_what_then_leaves(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        h.depot.count("TEA", "EAST", 12)
        h.faults("shop", down=True)
        h.faults("books", down=True)
        await h.market.place_order("TEA")
        await h.settle(60)
        _, out, _ = await command(h, monkeypatch, capsys, "plan", "--json")
        rows = json.loads(out)["writes"]
        assert [(r["system"], r["what"], r["before"], r["now"]) for r in rows] == [
            ("books", "book_order", None, None),
            ("shop", "stock", 20, 11),
        ]
        h.faults("shop")
        h.faults("books")
        await h.settle(400)
        assert h.shop.stock()["TEA"] == 11
        _, out, _ = await command(h, monkeypatch, capsys, "plan")
        assert out == "Nothing would be sent now.\n"


async def test_no_subscription_is_made_in_plan_mode(tmp_path: Path) -> None:
    async with house(tmp_path, boutique=True) as h:
        await switch(h, "plan")
        asked = len(h.wires["boutique"].sent)
        await subscriptions.ensure(h.app)
        assert len(h.wires["boutique"].sent) == asked, "it is not even tried"
        assert h.host.writes("boutique") == []
        await switch(h, "live")
        await subscriptions.ensure(h.app)
        assert h.host.writes("boutique") != []


async def test_the_fakes_count_every_write_of_a_whole_walk_and_no_read(tmp_path: Path) -> None:
    """The counter that the other tests rest on."""
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        await h.shop.place_order("TEA", 2)
        await h.settle(30)
        await h.depot.ship(h.waiting())
        await h.settle(120)
        for name in SYSTEMS:
            sent = [one for one in h.wires[name].sent if not one.startswith("GET ")]
            assert h.host.writes(name) == sent
        assert {one.partition(": ")[2] for one in writes(h)} == {
            "PUT /stock",
            "POST /orders",
            "POST /orders/S000001/shipments",
            "POST /sales-orders",
            "POST /deliveries",
            "POST /invoices",
        }
