"""Money a channel gave back becomes credit notes: each once, to the cent, in its month."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from house import House, Killed, house

from core.operate import operate


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as it:
        await it.sells(TEA=20, MUG=20)
        yield it


async def shipped(h: House, *lines: tuple[str, int], shipping: str = "0.00") -> Any:
    """An order of the shop, shipped and invoiced."""
    wanted = [{"sku": sku, "quantity": units} for sku, units in lines or (("TEA", 3),)]
    order = await h.shop.place_order(lines=wanted, shipping=shipping)
    await h.now()
    await h.depot.ship(h.waiting())
    await h.settle(60)
    return order


def notes(h: House) -> list[dict[str, Any]]:
    return list(h.books.documents(kind="credit_note"))


def of(line: dict[str, Any]) -> tuple[Any, ...]:
    return (line["line"], line["quantity"], line["amount"], [t["amount"] for t in line["taxes"]])


def units(line: str, quantity: int, **words: Any) -> dict[str, Any]:
    return {"line": line, "quantity": quantity, **words}


async def test_s17_two_partial_refunds_are_two_credit_notes_and_the_same_one_is_none(
    h: House,
) -> None:
    order = await shipped(h, ("TEA", 3), shipping="4.99")
    first = await h.shop.refund(order["id"], [units("1", 1)], shipping="2.49")
    await h.settle(60)
    for _ in range(5):
        await h.shop.push_refund_again(first["id"])
    await h.settle(700)  # and the sweep shows it, again and again
    [note] = notes(h)
    # 30.00 of three with 4.79 tax inside: one of them is 10.00 with 1.60.
    assert (note["total"], note["tax"], note["shipping"]) == ("12.49", "1.60", "2.49")
    assert [of(line) for line in note["lines"]] == [("1", 1, "10.00", ["1.60"])]
    await h.shop.refund(order["id"], [units("1", 2)], shipping="2.50")
    await h.settle(60)
    second = notes(h)[1]
    assert (second["total"], second["tax"], second["shipping"]) == ("22.50", "3.19", "2.50")
    [invoice] = h.books.documents(kind="invoice")
    assert float(invoice["total"]) == 12.49 + 22.50
    assert len(notes(h)) == 2
    assert h.causes() == []


async def test_money_alone_is_credited_with_the_tax_of_what_was_sold(h: House) -> None:
    order = await shipped(h, ("TEA", 2), ("MUG", 1))
    await h.shop.refund(order["id"], adjustment="5.00")
    await h.settle(60)
    [note] = notes(h)
    assert note["total"] == "5.00"
    # 5.00 over 20.00 and 10.00; 19 percent are inside of each part.
    assert [of(line) for line in note["lines"]] == [
        ("1", 0, "3.33", ["0.53"]),
        ("2", 0, "1.67", ["0.27"]),
    ]
    assert h.depot.on_hand("TEA") == 18  # no goods came back, and nothing says so


async def test_a_bare_total_of_all_that_is_left_is_all_that_is_left(h: House) -> None:
    order = await shipped(h, ("TEA", 3), shipping="4.99")
    await h.shop.refund(order["id"], [units("1", 1)])
    await h.shop.refund(order["id"], total="24.99")
    await h.settle(60)
    rest = notes(h)[1]
    assert [of(line) for line in rest["lines"]] == [("1", 2, "20.00", ["3.19"])]
    assert rest["shipping"] == "4.99"


async def test_a_refund_waits_for_the_invoice_of_its_order(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.shop.refund(order["id"], [units("1", 1)])
    await h.settle(60)
    assert notes(h) == []
    assert h.one("SELECT state FROM refunds") == "waiting"
    await h.depot.ship(h.waiting())
    await h.settle(60)
    assert [row["kind"] for row in h.books.documents()][-2:] == ["invoice", "credit_note"]
    assert h.one("SELECT state FROM refunds") == "credited"


async def test_of_an_order_that_is_never_invoiced_nothing_is_owed(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.shop.refund(order["id"], [units("1", 2)])
    await h.shop.cancel(order["id"])
    await h.settle(120)
    late = await h.shop.place_order("TEA", 1)
    await h.shop.cancel(late["id"])
    await h.settle(120)
    await h.shop.refund(late["id"], [units("1", 1)])
    await h.settle(60)
    states = [row["state"] for row in h.rows("SELECT state FROM refunds")]
    assert (states, notes(h), h.causes()) == (["not_owed", "not_owed"], [], [])


async def test_what_was_taken_off_before_the_invoice_is_not_credited_as_well(h: House) -> None:
    # H42: the channel removes a unit, gives its money back, and its total follows.
    order = await h.shop.place_order("TEA", 3)
    await h.now()
    reference = h.waiting()
    h.depot.begin(reference)
    await h.shop.refund(order["id"], [units("1", 1)], shipping="1.00")
    await h.edit("shop", order, 2)
    await h.now()
    await h.depot.ship(reference, [{"line": "1", "quantity": 2}])
    await h.settle(60)
    assert [row["total"] for row in h.books.documents(kind="invoice")] == ["20.00"]
    assert [row["total"] for row in notes(h)] == []  # no shipping was ever paid
    [cause] = h.causes()
    assert cause.startswith("late:refund_above_line:shop:")


ARRIVALS = sorted(set(permutations(("order", "refund", "refund", "ships"))))


@pytest.mark.parametrize("turn", ARRIVALS, ids="-".join)
async def test_s10_in_any_order_and_any_number_of_times_it_is_one_credit_note(
    tmp_path: Path, turn: tuple[str, ...]
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=20)
        h.lost_pushes.add("shop")
        order = await h.shop.place_order("TEA", 2)
        refund = await h.shop.refund(order["id"], [units("1", 1)], push=False)
        h.lost_pushes.clear()
        for word in turn:
            if word == "order":
                await h.hook("shop", order)
            elif word == "refund":
                await h.shop.push_refund_again(refund["id"])
            elif h.depot.orders():
                await h.depot.ship(h.waiting())
            await h.now()
        await h.settle(400)
        if not h.depot.shipments():
            await h.depot.ship(h.waiting())
        await h.settle(120)
        assert [(row["total"], row["tax"]) for row in notes(h)] == [("10.00", "1.60")]
        assert h.books.duplicates() == []
        assert h.causes() == []
        assert h.one("SELECT state FROM refunds") == "credited"


# ------------------------------------------------------------------ lost answers, kills


async def test_h21_a_lost_answer_is_looked_up_and_credited_once(h: House) -> None:
    order = await shipped(h)
    h.faults("books", lose_answers=1, only="POST /credit-notes")
    await h.shop.refund(order["id"], [units("1", 1)])
    await h.settle(120)
    assert h.command("book_credit_note")["state"] == "done"
    assert h.wires["books"].count("POST /credit-notes") == 1
    assert (len(notes(h)), h.books.duplicates()) == (1, [])


@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
async def test_h24_killed_around_the_call_it_is_credited_once(h: House, when: str) -> None:
    order = await shipped(h)
    setattr(h.wires["books"], when, "POST /credit-notes")
    await h.shop.refund(order["id"], [units("1", 1)])
    with pytest.raises(Killed):
        await h.settle(60)
    await h.restart()
    await h.settle(120)
    assert (len(notes(h)), h.books.duplicates()) == (1, [])
    assert h.command("book_credit_note")["state"] == "done"


# ------------------------------------------------------------------ what cannot be

WRONG: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "above_paid": ([], {"total": "30.01"}, "30.01 EUR for order"),
    "never_sold": ([units("9", 1, amount="10.00")], {}, "which was never sold in it"),
    "never_sold_units": ([units("1", 4, amount="30.00")], {}, "of which 3 sold"),
    "negative": ([units("1", -1, amount="10.00")], {}, "negative"),
    "negative_money": ([], {"total": "-1.00"}, "negative"),
    "currency": ([], {"total": "10.00", "currency": "USD"}, "refunds USD"),
    "does_not_tie": ([units("1", 1)], {"total": "12.00"}, "2.00 EUR is unexplained"),
    "above_line": ([units("1", 1, amount="30.50")], {"total": "30.00"}, "less than that was paid"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_cannot_be_is_held_with_its_reason_and_delays_nobody(
    h: House, what: str
) -> None:
    lines, words, says = WRONG[what]
    order, other = await shipped(h), await shipped(h, ("MUG", 1))
    bad = await h.shop.refund(order["id"], lines, **words)
    await h.shop.refund(other["id"], [units("1", 1)])
    await h.settle(60)
    hold = h.one("SELECT cause, reason, next_step FROM holds WHERE closed_at IS NULL")
    assert hold["cause"].startswith("late:refund_")
    assert says in hold["reason"]
    assert hold["next_step"]
    assert [row["total"] for row in notes(h)] == ["10.00"]  # that of the other order
    # The channel corrects it: it is credited, and the exception closes by itself.
    bad.update(
        currency="EUR", total="10.00", version=2, lines=[], updated_at=h.shop._now(),
    )  # fmt: skip
    await h.settle(400)
    assert h.causes() == []
    assert [row["total"] for row in notes(h)] == ["10.00", "10.00"]


async def test_a_person_books_by_hand_what_cannot_be_credited(h: House) -> None:
    order = await shipped(h)
    await h.shop.refund(order["id"], total="35.00")
    await h.settle(60)
    hold = h.one("SELECT id FROM holds WHERE closed_at IS NULL")
    await operate(h.app, "accept", {"hold": hold})
    await h.settle(700)
    assert (h.causes(), notes(h)) == ([], [])


async def test_a_refund_of_an_order_nobody_knows_waits_for_it(h: House) -> None:
    order = await shipped(h)
    refund = await h.shop.refund(order["id"], total="5.00", push=False)
    refund["order"] = "P-OLD"
    await h.settle(400)
    assert h.causes() == ["unknown_order:shop:P-OLD"]


async def test_what_is_said_of_a_refund_after_its_credit_note_is_a_persons(h: House) -> None:
    order = await shipped(h)
    refund = await h.shop.refund(order["id"], [units("1", 1)])
    await h.settle(60)
    refund.update(version=2, state="failed", updated_at=h.shop._now())
    await h.settle(400)
    assert h.causes() == [f"late:refund_changed:shop:{refund['id']}"]
    assert len(notes(h)) == 1


async def test_a_refund_that_is_only_announced_is_no_money_yet(h: House) -> None:
    order = await shipped(h)
    refund = await h.shop.refund(order["id"], [units("1", 1)], state="pending")
    await h.settle(60)
    assert (notes(h), h.one("SELECT state FROM refunds")) == ([], "announced")
    refund.update(version=2, state="done", updated_at=h.shop._now())
    await h.settle(400)
    assert len(notes(h)) == 1


# ------------------------------------------------------------------ its month


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        # S13: the last half hour of a month, where it is and where it is over.
        ("Europe/Berlin", "2026-11-30T22:59:59.000000Z", "2026-11-30"),
        ("Europe/Berlin", "2026-11-30T23:00:00.000000Z", "2026-12-01"),
        ("Asia/Kolkata", "2026-11-30T18:29:59.000000Z", "2026-11-30"),
        ("Asia/Kolkata", "2026-11-30T18:30:00.000000Z", "2026-12-01"),
        ("America/Los_Angeles", "2026-12-01T07:59:59.000000Z", "2026-11-30"),
        ("America/Los_Angeles", "2026-12-01T08:00:00.000000Z", "2026-12-01"),
        # Midnight on both sides of the change of the clocks, 25 and 23 hours apart.
        ("America/Los_Angeles", "2026-11-01T06:59:59.000000Z", "2026-10-31"),
        ("America/Los_Angeles", "2026-11-01T07:00:00.000000Z", "2026-11-01"),
        ("America/Los_Angeles", "2026-11-02T07:59:59.000000Z", "2026-11-01"),
        ("Pacific/Auckland", "2026-09-26T11:59:59.000000Z", "2026-09-26"),
        ("Pacific/Auckland", "2026-09-27T11:00:00.000000Z", "2026-09-28"),
        ("Pacific/Auckland", "2026-11-30T11:00:00.000000Z", "2026-12-01"),
    ],
)
async def test_s13_a_credit_note_is_of_the_day_of_the_refund_in_the_companys_zone(
    tmp_path: Path, zone: str, at: str, day: str
) -> None:
    async with house(tmp_path, zone=zone) as h:
        await h.sells(TEA=20)
        order = await shipped(h)
        await h.shop.refund(order["id"], [units("1", 1)], refunded_at=at)
        await h.settle(60)
        assert [row["posting_date"] for row in notes(h)] == [day]
