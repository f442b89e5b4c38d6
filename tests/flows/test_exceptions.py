"""Exceptions as an operator works them: what they cost, who is on them, and how each goes on."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from house import ENV, House, house
from sqlalchemy.exc import IntegrityError
from test_explaining import command

from core import exceptions
from core.cli import main
from core.errors import ConfigError
from core.prove import prove
from core.verbs import Unknown

ITEMS = """\
# What we sell. Ann looks after it.
aliases:
  - {sku: TEA, system: shop, their_sku: tea-100g}  # since spring
  # the depot
  - {sku: TEA, system: depot,
     their_sku: TEA}

tags: {drinks: [TEA]}
"""


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    settings = {"depot": {"known_skus": "TEA"}}
    async with house(tmp_path, settings=settings, items=ITEMS) as it:
        await it.sells(TEA=20, MUG=20)
        yield it


def view(h: House, cause: str) -> dict[str, Any]:
    with h.app.store.read() as connection:
        found = exceptions.open_ones(connection, h.clock.now())
    [one] = [row for row in found if row["cause"].startswith(cause)]
    return one


def waiting(h: House) -> list[tuple[str, str]]:
    sql = "SELECT kind, state FROM outbox WHERE state NOT IN ('done', 'taken_back') ORDER BY id"
    return [(row["kind"], row["state"]) for row in h.rows(sql)]


TABLES = (
    *("orders", "lines", "claims", "outbox", "holds", "hold_members", "inbox", "waivers"),
    *("handovers", "steps", "feed", "listings", "items", "item_lists"),
)


def state(h: House) -> list[str]:
    """Every row of every table that a verb could change."""
    return [repr(tuple(row)) for table in TABLES for row in h.rows(f"SELECT * FROM {table}")]


async def unknown(h: House, word: str = "Tee", price: str = "3.00") -> dict[str, Any]:
    """An order for a word nobody has named."""
    h.shop.list_item(word, quantity=5, price=price)
    order: dict[str, Any] = await h.shop.place_order(word, 2)
    await h.settle(5)
    return order


# ------------------------------------------------------------------ what is shown


async def test_an_exception_says_what_is_at_stake_by_currency(h: House) -> None:
    await h.shop.place_order("TEA", 2, payment="pending")
    yen = [{"sku": "TEA", "quantity": 1, "unit_price": "1200", "tax": []}]
    await h.shop.place_order(lines=yen, payment="pending", currency="JPY", total="1200")
    await h.settle(5)
    one = view(h, "payment:pending")
    assert (one["members"], one["at_stake"]) == (2, {"EUR": 2000, "JPY": 1200})
    assert exceptions.at_stake(one) == "20.00 EUR + 1,200 JPY"
    assert one["command"] == f"truecount release --hold {one['id']} --reason TEXT --by NAME"


async def test_a_refused_command_costs_what_its_order_comes_to(h: House) -> None:
    await h.shop.place_order("MUG", 3)
    await h.settle(5)
    one = view(h, "refused:depot")
    assert (one["members"], one["at_stake"]) == (1, {"EUR": 3000})
    assert one["command"] == f"truecount retry --hold {one['id']}"


async def test_an_order_that_has_ended_is_not_at_stake(h: House) -> None:
    order = await h.shop.place_order("MUG", 3)
    await h.settle(5)
    await h.write("UPDATE orders SET state = 'cancelled'")
    assert view(h, "refused:depot")["at_stake"] == {}
    assert order["total"] == "30.00"


async def test_the_nearest_deadline_is_that_of_its_most_urgent_order(h: House) -> None:
    for _ in range(2):
        await h.shop.place_order("TEA", 1, payment="pending")
    await h.settle(5)
    for number, due in ((1, "2026-11-27T09:00:00.000000Z"), (2, "2026-11-26T09:00:00.000000Z")):
        await h.write(f"UPDATE orders SET ship_by = '{due}' WHERE id = {number}")
    assert view(h, "payment:pending")["due"] == "2026-11-26T09:00:00.000000Z"


async def test_the_screen_and_its_json(h: House, monkeypatch: Any, capsys: Any) -> None:
    await unknown(h)
    await h.operate("assign", hold=1, name="Ann", by="Bob")
    await h.operate("note", hold=1, text="asked the maker", by="Ann")
    code, out, _ = await command(h, monkeypatch, capsys, "holds", "1")
    assert code == 1
    assert "6.00 EUR at stake" in out
    assert "Ann is on it: asked the maker" in out
    assert "> truecount map shop Tee YOUR-SKU --by NAME" in out
    assert "shop:#000001" in out
    code, out, _ = await command(h, monkeypatch, capsys, "holds", "--json")
    [one] = json.loads(out)
    assert (one["at_stake"], one["assignee"], one["who"][0]["total"]) == (
        {"EUR": 600},
        "Ann",
        "6.00 EUR",
    )
    code, _, err = await command(h, monkeypatch, capsys, "holds", "77")
    assert (code, err) == (2, "There is no open exception 77.\n")


# ------------------------------------------------------------------ assign, note, snooze


async def test_every_act_keeps_who_and_when_and_is_in_the_walk_of_its_orders(h: House) -> None:
    order = await unknown(h)
    await h.operate("assign", hold=1, name="Ann", by="Bob")
    h.clock.advance(60)
    await h.operate("note", hold=1, text="asked the maker", by="Ann")
    rows = h.rows(
        "SELECT * FROM steps WHERE name LIKE 'hold.%ed' AND order_id = ? ORDER BY seq",
        h.order("shop", order["id"])["id"],
    )
    told = [(row["name"], json.loads(row["data"])) for row in rows]
    assert told == [
        ("hold.assigned", {"hold": 1, "by": "Bob", "words": "Ann"}),
        ("hold.noted", {"hold": 1, "by": "Ann", "words": "asked the maker"}),
    ]
    first, second = (datetime.fromisoformat(row["at"]) for row in rows)
    assert (second - first).total_seconds() == 60


async def test_a_snoozed_one_does_not_alarm_is_counted_in_the_mail_and_comes_back(
    h: House,
) -> None:
    await unknown(h)
    assert "ATTENTION: 1 thing needs you." in h.mail()
    await h.operate("snooze", hold=1, by="Ann", **{"for": "4h"})
    mail = " ".join(h.mail().split())
    assert "ATTENTION" not in mail
    assert "1 put off, listed below." in mail
    assert "PUT OFF" in mail
    h.clock.advance(4 * 3600 + 1)
    assert "ATTENTION: 1 thing needs you." in h.mail()
    assert "PUT OFF" not in h.mail()


async def test_a_snoozed_one_closes_as_ever(h: House) -> None:
    await unknown(h)
    await h.operate("snooze", hold=1, by="Ann", until="2026-11-27 18:00")
    await h.operate("map", system="shop", word="Tee", sku="TEA", by="Ann")
    assert h.causes() == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({}, "say either --for 4h or --until TIME"),
        ({"for": "4h", "until": "2026-11-27 18:00"}, "say either"),
        ({"for": "tomorrow"}, "not a duration like 30s, 5m, 2h or 1d"),
        ({"for": "90d"}, "at most 60 days"),
        ({"for": "0"}, "at most 60 days"),
        ({"until": "2026-11-20 18:00"}, "is over already"),
        ({"for": "4h", "hold": 9}, "no open exception has the number 9"),
        ({"for": "4h", "by": ""}, "--by is a text"),
    ],
)
async def test_a_snooze_that_makes_no_sense_is_refused(
    h: House, words: dict[str, Any], says: str
) -> None:
    await unknown(h)
    with pytest.raises(Unknown, match=says):
        await h.operate("snooze", **({"hold": 1, "by": "Ann"} | words))


# ------------------------------------------------------------------ map


async def test_map_adds_a_line_to_the_items_file_and_held_orders_go_on(h: House) -> None:
    order = await unknown(h)
    assert h.causes() == ["unknown_sku:Tee"]
    await h.operate("map", system="shop", word="Tee", sku="TEA", by="Ann")
    await h.settle(30)
    assert h.state("shop", order) == "released"
    assert h.causes() == []
    added = "     their_sku: TEA}\n  - {sku: TEA, system: shop, their_sku: Tee}\n"
    assert (h.folder / "items.yaml").read_text() == ITEMS.replace("     their_sku: TEA}\n", added)
    [step] = h.rows("SELECT * FROM steps WHERE name = 'operator.mapped'")
    assert json.loads(step["data"]) == {"by": "Ann", "word": "Tee"}


async def test_the_word_of_another_channel_is_asked_for_next(h: House) -> None:
    await unknown(h)
    h.market.list_item("Tee", quantity=5)
    await h.market.place_order("Tee", 1)
    await h.settle(5)
    assert view(h, "unknown_sku")["command"] == "truecount map shop Tee YOUR-SKU --by NAME"
    await h.operate("map", system="shop", word="Tee", sku="TEA", by="Ann")
    assert view(h, "unknown_sku")["command"] == "truecount map market Tee YOUR-SKU --by NAME"
    await h.operate("map", system="market", word="Tee", sku="TEA", by="Ann")
    assert h.causes() == []


async def test_map_writes_no_file_that_would_be_refused(h: House) -> None:
    await unknown(h)
    h.folder.joinpath("items.yaml").chmod(0o640)
    with pytest.raises(ConfigError, match='"tea-100g" of shop is "TEA"'):
        await h.operate("map", system="shop", word="tea-100g", sku="MUG", by="Ann")
    with pytest.raises(Unknown, match="no warehouse, ERP or channel has named the SKU 'TEE'"):
        await h.operate("map", system="shop", word="Tee", sku="TEE", by="Ann")
    with pytest.raises(Unknown, match="no system is called 'shopp'"):
        await h.operate("map", system="shopp", word="Tee", sku="TEA", by="Ann")
    assert (h.folder / "items.yaml").read_text() == ITEMS
    assert h.folder.joinpath("items.yaml").stat().st_mode & 0o777 == 0o640
    assert h.causes() == ["unknown_sku:Tee"]


async def test_a_map_that_could_not_be_kept_leaves_the_file_as_it_was(h: House) -> None:
    await unknown(h)
    await h.write(
        "CREATE TRIGGER full BEFORE INSERT ON item_lists BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(IntegrityError):
        await h.operate("map", system="shop", word="Tee", sku="TEA", by="Ann")
    assert (h.folder / "items.yaml").read_text() == ITEMS
    assert h.causes() == ["unknown_sku:Tee"]


async def test_map_into_a_folder_nobody_may_write_says_the_row_to_add(h: House) -> None:
    await unknown(h)
    text = "aliases: [{sku: TEA, system: shop, their_sku: tea-100g}]\n"
    (h.folder / "items.yaml").write_text(text)
    with pytest.raises(ConfigError, match="- {sku: TEA, system: shop, their_sku: Tee}"):
        await h.operate("map", system="shop", word="Tee", sku="TEA", by="Ann")
    assert (h.folder / "items.yaml").read_text() == text


# ------------------------------------------------------------------ release, hold


async def test_release_lets_an_unpaid_order_go_on_by_a_persons_word(h: House) -> None:
    order = await h.shop.place_order("TEA", 2, payment="pending")
    other = await h.shop.place_order("TEA", 1, payment="pending")
    await h.settle(30)
    await h.operate("release", order="shop:#000001", reason="paid by wire", by="Ann")
    await h.settle(30)
    assert (h.state("shop", order), h.state("shop", other)) == ("released", "held")
    assert [one["lines"][0]["quantity"] for one in h.asked()] == [2]
    assert len(h.books.documents()) == 1
    assert view(h, "payment:pending")["members"] == 1


async def wrong_total(h: House, total: str, units: int = 2) -> dict[str, Any]:
    """An order whose lines do not come to what the channel says."""
    h.lost_pushes.add("shop")
    order: dict[str, Any] = await h.shop.place_order("TEA", units)
    order["total"] = total
    await h.settle(40)
    assert [one.partition(":")[0] for one in h.causes()] == ["total_does_not_tie"]
    return order


async def test_release_ships_what_does_not_tie_and_books_nothing(h: House) -> None:
    order = await wrong_total(h, "19.50")
    await h.operate("release", order=order["id"], reason="it is right", by="Ann")
    await h.settle(30)
    assert h.state("shop", order) == "released"
    assert [one["lines"][0]["quantity"] for one in h.asked()] == [2]
    assert h.books.documents() == []
    assert "-0.50 EUR is unexplained" in view(h, "total_does_not_tie")["reason"]


async def test_a_release_is_about_what_was_said_then(h: House) -> None:
    """The total differs by another amount tomorrow: that is another decision."""
    h.depot.count("TEA", "EAST", 1)
    await h.settle(40)
    h.shop.list_item("TEA", quantity=9)  # it sells what is not there: nothing is asked yet
    h.lost_pushes.add("shop")
    order = await h.shop.place_order("TEA", 2)
    order["total"] = "19.50"
    await h.settle(40)
    await h.operate("release", order=order["id"], reason="it is right", by="Ann")
    order["total"] = "12.00"
    h.shop._touch(order)
    await h.settle(40)
    h.depot.count("TEA", "EAST", 20)
    await h.settle(40)
    assert h.state("shop", order) == "held"
    assert h.asked() == []
    assert "-8.00 EUR is unexplained" in view(h, "total_does_not_tie")["reason"]
    await h.operate("release", order=order["id"], reason="that, too", by="Ann")
    await h.settle(5)
    assert h.state("shop", order) == "released"


async def test_release_is_refused_where_a_fact_is_missing(h: House) -> None:
    await unknown(h)
    with pytest.raises(Unknown, match="waits for what no person can decide: see .* \\[1\\]"):
        await h.operate("release", order="shop:#000001", reason="please", by="Ann")
    await h.shop.place_order("TEA")
    await h.settle(5)
    with pytest.raises(Unknown, match="nothing holds shop:#000002: it is released"):
        await h.operate("release", order="shop:#000002", reason="please", by="Ann")
    with pytest.raises(Unknown, match="there is no order 'shop:#77'"):
        await h.operate("release", order="shop:#77", reason="please", by="Ann")
    with pytest.raises(Unknown, match="--reason is a text"):
        await h.operate("release", order="shop:#000001", by="Ann")


async def test_hold_before_release_keeps_the_order_back_and_its_units(h: House) -> None:
    order = await h.shop.place_order("TEA", 2, payment="pending")
    await h.settle(5)
    await h.operate("hold", order="shop:#000001", reason="looks like fraud", by="Ann")
    await h.shop.pay(order["id"])
    await h.settle(60)
    assert h.state("shop", order) == "held"
    assert h.asked() == []
    assert h.line("shop", order) == (2, 2, 0, 0, 0)
    assert "Ann stopped this order" in view(h, "late:operator")["reason"]
    with pytest.raises(Unknown, match="`accept` is no answer to it"):
        await h.operate("accept", hold=view(h, "late:operator")["id"])
    await h.operate("release", order="shop:#000001", reason="the bank says fine", by="Ann")
    await h.settle(30)
    assert h.state("shop", order) == "released"
    assert h.causes() == []


async def test_hold_after_release_asks_the_warehouse_and_the_channel_ends_it(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(30)
    await h.operate("hold", order="shop:#000001", reason="looks like fraud", by="Ann")
    await h.settle(60)
    assert [one["state"] for one in h.asked()] == ["cancelled"]
    assert h.state("shop", order) == "held"
    assert h.line("shop", order) == (2, 2, 0, 0, 0)
    assert h.causes() == [f"late:operator:shop:{order['id']}"]
    assert not [row for row in h.commands() if row["kind"] == "cancel_order"]
    await h.shop.cancel(order["id"])
    await h.settle(60)
    assert h.state("shop", order) == "cancelled"
    assert h.causes() == []
    assert h.sellable() == 20
    with h.app.store.snapshot() as connection:
        assert prove(connection, h.app.network, h.clock.now()).findings == []


async def test_the_channel_may_cancel_while_the_warehouse_is_asked(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(30)
    h.faults("depot", down=True)
    await h.operate("hold", order="shop:#000001", reason="looks like fraud", by="Ann")
    await h.shop.cancel(order["id"])
    await h.settle(60)
    h.faults("depot")
    await h.settle(400)
    assert h.state("shop", order) == "cancelled"
    assert h.causes() == []
    assert h.sellable() == 20


async def test_a_stopped_order_that_is_released_is_asked_for_again(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle(30)
    await h.operate("hold", order="shop:#000001", reason="looks like fraud", by="Ann")
    await h.settle(60)
    await h.operate("release", order="shop:#000001", reason="it was not", by="Ann")
    await h.settle(60)
    assert [one["state"] for one in h.asked()] == ["cancelled", "open"]
    await h.depot.ship(h.waiting())
    await h.settle(120)
    assert h.state("shop", order) == "shipped"
    assert h.sellable() == 18


async def test_a_warehouse_that_has_shipped_says_so_on_the_exception(h: House) -> None:
    await h.shop.place_order("TEA", 2)
    await h.settle(30)
    h.lost_pushes.add("depot")
    await h.depot.ship(h.waiting())
    await h.operate("hold", order="shop:#000001", reason="looks like fraud", by="Ann")
    await h.settle(5)
    assert "the warehouse has it already" in view(h, "late:operator")["reason"]
    await h.settle(120)
    with pytest.raises(Unknown, match="is shipped: nothing of it can be stopped"):
        await h.operate("hold", order="shop:#000001", reason="again", by="Ann")


# ------------------------------------------------------------------ --plan


async def planned(h: House, verb: str, **words: Any) -> list[tuple[str, str, str]]:
    """What the plan says, after it was made sure that nothing is different."""
    before, file = state(h), (h.folder / "items.yaml").read_text()
    sent = [len(h.wires[name].sent) for name in h.wires]
    done = await h.operate(verb, plan=True, **words)
    assert done["plan"]
    assert state(h) == before
    assert (h.folder / "items.yaml").read_text() == file
    await h.now()
    assert state(h) == before
    assert [len(h.wires[name].sent) for name in h.wires] == sent
    return [(one["system"], one["what"], one["of"]) for one in done["writes"]]


async def really(h: House) -> list[tuple[str, str, str]]:
    """What left since the last look, as the plan names it."""
    rows = h.rows(
        "SELECT a.id, o.system, o.kind, r.system AS channel, r.number FROM attempts a"
        " JOIN outbox o ON o.id = a.outbox_id JOIN orders r ON r.id = o.order_id"
        " WHERE a.verb = 'send' AND a.id > ? ORDER BY a.id",
        h.seen.get("attempt", 0),
    )
    h.seen["attempt"] = max([row["id"] for row in rows], default=h.seen.get("attempt", 0))
    told = h.rows("SELECT * FROM told WHERE id > ? ORDER BY id", h.seen.get("told", 0))
    h.seen["told"] = max([row["id"] for row in told], default=h.seen.get("told", 0))
    found = [(row["system"], row["kind"], f"{row['channel']}:{row['number']}") for row in rows]
    offers = {
        (row["system"], "stock", one["sku"]) for row in told for one in json.loads(row["offers"])
    }
    return found + sorted(offers)


VERBS: dict[str, tuple[str, dict[str, Any]]] = {
    "release": ("release", {"order": "shop:#000001", "reason": "paid", "by": "Ann"}),
    "release all": ("release", {"hold": 1, "reason": "paid", "by": "Ann"}),
    "map": ("map", {"system": "shop", "word": "Tee", "sku": "TEA", "by": "Ann"}),
    "retry": ("retry", {}),
    "discard": ("discard", {"ids": [2], "reason": "by hand", "by": "Ann"}),
    "hold": ("hold", {"order": "shop:#000004", "reason": "fraud", "by": "Ann"}),
    "cancel": ("cancel", {"order": "shop:#000001", "reason": "fraud", "by": "Ann"}),
}


@pytest.mark.parametrize("name", VERBS)
async def test_a_plan_changes_nothing_and_names_exactly_what_then_leaves(
    h: House, name: str
) -> None:
    await h.shop.place_order("TEA", 2, payment="pending")
    h.shop.list_item("Tee", quantity=5, price="3.00")
    await h.shop.place_order("Tee", 1)
    await h.shop.place_order("MUG", 1)
    await h.shop.place_order("TEA", 1)
    await h.settle(60)
    await really(h)
    verb, words = VERBS[name]
    said = await planned(h, verb, **words)
    await h.operate(verb, **words)
    await h.settle(10)  # a retried command is looked up first
    assert sorted(said) == sorted(await really(h))


@pytest.mark.parametrize("verb", ["retry", "discard"])
async def test_a_plan_names_what_waits_behind_a_dead_command(h: House, verb: str) -> None:
    h.faults("books", status=422, only="POST /sales-orders")
    await h.shop.place_order("TEA", 2)
    await h.settle(30)
    await h.depot.ship(h.waiting())
    await h.settle(60)
    h.faults("books")
    await really(h)
    words = {"ids": [h.command("book_order")["id"]]}
    words |= {"reason": "in the books", "by": "Ann"} if verb == "discard" else {}
    said = await planned(h, verb, **words)
    behind = ["book_shipment", "book_invoice"]
    asked = ["book_order", *behind] if verb == "retry" else behind
    assert sorted(said) == sorted(("books", kind, "shop:#000001") for kind in asked)
    await h.operate(verb, **words)
    await h.settle(60)
    assert {one[1] for one in await really(h)} >= {asked[0]}


async def test_the_plan_of_a_replay_decides_the_records_and_undoes_that(h: House) -> None:
    """A record that is held for a cause that is gone."""
    order = await h.shop.place_order("TEA", 2)
    await h.write("UPDATE inbox SET state = 'held' WHERE state = 'pending'")
    await h.write(
        "INSERT INTO holds (cause, system, reason, next_step, opened_at)"
        " VALUES ('malformed:shop:order', 'shop', 'ill', 'wait', '2026-11-25T09:00:00.000000Z')"
    )
    await h.write(
        "INSERT INTO hold_members (hold_id, member, ref, label, since)"
        " SELECT holds.id, 'inbox', inbox.seq, 'shop order', holds.opened_at FROM holds, inbox"
        " WHERE inbox.state = 'held'"
    )
    [hold] = h.rows("SELECT id, cause FROM holds WHERE closed_at IS NULL")
    said = await planned(h, "replay", hold=hold["id"])
    assert sorted(said) == [
        ("books", "book_order", "shop:#000001"),
        ("depot", "fulfill_order", "shop:#000001"),
        ("market", "stock", "TEA"),
        ("shop", "stock", "TEA"),
    ]
    await h.operate("replay", hold=hold["id"])
    await h.settle(5)
    assert h.state("shop", order) == "released"


async def test_the_plan_of_an_accept(tmp_path: Path) -> None:
    """A number that can hardly be true is accepted: the numbers that follow are in the plan."""
    async with house(tmp_path, items=ITEMS) as h:
        await h.sells(TEA=20)
        h.depot.count("TEA", "EAST", 99_999_999)
        await h.settle(60)
        [hold] = h.rows("SELECT id FROM holds WHERE closed_at IS NULL")
        said = await planned(h, "accept", hold=hold["id"])
        assert sorted(said) == [("market", "stock", "TEA"), ("shop", "stock", "TEA")]
        assert h.market.stock()["TEA"] == 20


async def test_a_verb_without_a_plan_says_so(h: House) -> None:
    with pytest.raises(Unknown, match="`sweep` has no plan"):
        await h.operate("sweep", system="shop", plan=True)


# ------------------------------------------------------------------ on the command line


async def test_the_verbs_on_the_command_line_do_it_themselves_where_no_daemon_runs(
    h: House, monkeypatch: Any, capsys: Any
) -> None:
    await unknown(h)
    await h.shop.place_order("TEA", 1, payment="pending")
    await h.settle(5)
    await h.stop()

    async def cli(*words: str) -> tuple[int, str, str]:
        # A verb beside no daemon runs a loop of its own.
        return await asyncio.to_thread(said, monkeypatch, capsys, h, *words)

    paid = ("release", "shop:#000002", "--reason", "paid by wire")
    code, out, err = await cli(*paid, "--plan")
    assert (code, err) == (0, "")
    assert out.startswith("`truecount release` would send this; nothing was sent or changed:")
    assert "fulfill order  shop:#000002  1 x TEA from EAST" in out
    assert out.endswith("To do it: the same without --plan.\n")
    code, out, _ = await cli(*paid, "--plan", "--json")
    assert {one["system"] for one in json.loads(out)["writes"]} == {"books", "depot"}
    for words in (
        ("assign", "1", "Ann"),
        ("note", "1", "asked the maker"),
        ("snooze", "1", "--for", "4h"),
        (*paid, "--by", "Ann"),
        ("map", "shop", "Tee", "TEA"),
        ("cancel", "shop:#000001", "--reason", "fraud"),
        ("release", "shop:#000001", "--reason", "no fraud"),
    ):
        code, out, err = await cli(*words)
        assert (code, err) == (0, ""), (words, out, err)
    code, _, err = await cli("by-hand", "shop:#000001", "--reason", "x")
    assert code == 3
    assert "is not from before this was live" in err
    # The verbs went by the clock of this machine, which is not that of the house.
    h.clock.advance(max(0.0, (datetime.now(UTC) - h.clock.now()).total_seconds()) + 60)
    await h.start()
    await h.settle(60)
    assert sorted(one["lines"][0]["quantity"] for one in h.asked()) == [1, 2]
    who = h.rows("SELECT data FROM steps WHERE name = 'hold.assigned'")[0]["data"]
    assert json.loads(who)["by"] == getpass.getuser()


def said(monkeypatch: Any, capsys: Any, h: House, *words: str) -> tuple[int, str, str]:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    code = main([words[0], "--config", str(h.folder / "config.yaml"), *words[1:]])
    out, err = capsys.readouterr()
    return code, out, err
