"""Refunds in the real ledger: credit notes of the channel's amounts, in the refund's month."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core import crediting
from core.contract import Receipt
from core.errors import InDoubt, Rejected
from core.model import (
    BookCreditNote,
    BookOrder,
    Collector,
    CreditLine,
    Order,
    Refund,
    RefundLine,
)
from core.money import Money
from tests.tryton.builders import (
    a_line,
    an_order,
    book_invoice,
    book_shipment,
    credit_note,
    gst,
    usd,
)
from tests.tryton.harness import Bookkeeper, Losing, book, command, connector, documents_of
from tests.tryton.server import TrytonServer

pytestmark = pytest.mark.real


async def invoiced(system: Any, order: Order, **units: int) -> BookOrder:
    booked = await book(system, order)
    await system.send(command("book_shipment", book_shipment(booked, **units)))
    await system.send(command("book_invoice", book_invoice(booked)))
    return booked


def units(sku: str, quantity: int, amount: str, *, inside: bool = False) -> CreditLine:
    paid = usd(amount)
    return CreditLine(
        line="1", sku=sku, title=f"Thing {sku}", quantity=quantity, amount=paid,
        taxes=(gst(paid, inside=inside),),
    )  # fmt: skip


def yesterday() -> date:
    """In another month, if today is the first; in the same year, whose periods are open."""
    today = datetime.now(UTC).date()
    return max(today - timedelta(days=1), today.replace(month=1, day=1))


async def test_one_unit_and_half_the_shipping_are_credited_to_the_cent(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    order = an_order(
        a_line("SKU-0001", 2, "49.90"), a_line("SKU-0002", 1, "19.99"), shipping="5.00"
    )
    booked = await invoiced(tryton_erp, order, SKU_0001=2, SKU_0002=1)
    note = credit_note(
        booked, units("SKU-0001", 1, "49.90"), shipping="2.50", day=yesterday().isoformat()
    )
    assert note.total == usd("61.83")  # 49.90 and 2.50, 18 % on top
    assert await tryton_erp.find(command("book_credit_note", note)) is None
    posted = await tryton_erp.send(command("book_credit_note", note))
    # Nothing about goods: they come back, or do not, as a document of their own.
    assert bookkeeper.postings(posted.reference) == {
        "receivable": Decimal("-61.83"),
        "revenue": Decimal("52.40"),
        "tax": Decimal("9.43"),
    }
    (entry,) = bookkeeper.rows(
        "account.invoice", [["number", "=", posted.reference]], ["move.date", "move.period.name"]
    )
    assert entry["move."]["date"] == yesterday()
    (paper,) = (await documents_of(tryton_erp, booked))["credit_note"]
    assert (paper.posted, paper.total, paper.tax) == (True, note.total, usd("9.43"))
    assert paper.reference == note.reference


async def test_refunds_of_parts_leave_nothing_of_a_tax_inclusive_invoice(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    """As the daemon reckons them: revenue, tax and receivable of all documents are zero."""
    order = an_order(
        a_line("SKU-0001", 3, "33.33", inside=True, off="7.77"),
        a_line("SKU-0002", 1, "19.99", inside=True),
        tax_included=True,
        shipping="4.99",
    )
    booked = await invoiced(tryton_erp, order, SKU_0001=3, SKU_0002=1)
    (invoice,) = (await documents_of(tryton_erp, booked))["invoice"]
    one = RefundLine(sku="SKU-0001", quantity=1)
    worth = Money.rounded((order.lines[0].unit_price * 3 - usd("7.77")).amount / 3, "USD")
    notes: list[BookCreditNote] = []
    for part, (total, lines) in enumerate(
        [(worth, (one,)), (usd("10.00"), ()), (None, ())], start=1
    ):
        left = crediting.refundable(order, notes)
        refund = Refund(
            key=f"R{part}", order=order.key, refunded_at=datetime.now(UTC), total=total or left,
            lines=lines,
        )  # fmt: skip
        credit = crediting.credit(order, refund, notes, system="shop", limit=0)
        note = credit_note(booked, *credit.lines, part=part, total=credit.total)
        note = _with_shipping(note, credit)
        await tryton_erp.send(command("book_credit_note", note))
        notes.append(note)
    documents = await documents_of(tryton_erp, booked)
    credited = [paper.total for paper in documents["credit_note"] if paper.total]
    assert len(credited) == 3
    assert Money.total(credited, "USD") == invoice.total == order.total
    sums: dict[str, Decimal] = {}
    for paper in [invoice, *documents["credit_note"]]:
        for role, amount in bookkeeper.postings(paper.number).items():
            sums[role] = sums.get(role, Decimal(0)) + amount
    assert sums["receivable"] == 0
    # Each document rounds its own tax: a cent between revenue and tax, none in their sum.
    assert sums["revenue"] + sums["tax"] == 0
    assert abs(sums["tax"]) <= Decimal("0.02")


def _with_shipping(note: BookCreditNote, credit: crediting.Credit) -> BookCreditNote:
    return replace(note, shipping=credit.shipping, shipping_taxes=credit.shipping_taxes)


async def test_money_alone_and_a_marketplaces_tax(tryton_erp: Any, bookkeeper: Bookkeeper) -> None:
    theirs = a_line("SKU-0001", 1, "100.00", by=Collector.MARKETPLACE)
    booked = await invoiced(tryton_erp, an_order(theirs), SKU_0001=1)
    less = CreditLine(
        line="1", sku="SKU-0001", amount=usd("10.00"),
        taxes=(gst(usd("10.00"), by=Collector.MARKETPLACE),),
    )  # fmt: skip
    posted = await tryton_erp.send(command("book_credit_note", credit_note(booked, less)))
    # The buyer got 11.80; 1.80 of it the marketplace takes back itself.
    assert bookkeeper.postings(posted.reference) == {
        "receivable": Decimal("-10.00"), "revenue": Decimal("10.00")
    }  # fmt: skip


async def test_a_credit_note_that_cannot_be_is_refused_and_leaves_nothing(tryton_erp: Any) -> None:
    booked = await invoiced(tryton_erp, an_order(a_line()), SKU_0001=1)
    other = credit_note(booked, units("SKU-0002", 1, "10.00"))
    with pytest.raises(Rejected, match="'SKU-0002' is not on invoice"):
        await tryton_erp.send(command("book_credit_note", other))
    wrong = credit_note(booked, units("SKU-0001", 1, "10.00"), total=usd("20.00"))
    with pytest.raises(Rejected, match="nothing was booked"):
        await tryton_erp.send(command("book_credit_note", wrong))
    unbooked = await book(tryton_erp, an_order(a_line()))
    early = credit_note(unbooked, units("SKU-0001", 1, "10.00"))
    with pytest.raises(Rejected, match="is not there in Tryton"):
        await tryton_erp.send(command("book_credit_note", early))
    assert (await documents_of(tryton_erp, booked)).get("credit_note", []) == []


async def test_whatever_answer_is_lost_there_is_one_credit_note(
    erp_server: TrytonServer, tryton_erp: Any
) -> None:
    for lose in range(1, 10):
        booked = await invoiced(tryton_erp, an_order(a_line("SKU-0001", 2, "49.90")), SKU_0001=2)
        sent = command("book_credit_note", credit_note(booked, units("SKU-0001", 1, "49.90")))
        async with connector(erp_server, transport=Losing(lose)) as shaky:
            try:
                await shaky.send(sent)
                break  # it needs fewer writes than that
            except InDoubt:
                pass
        done = await tryton_erp.find(sent) or await tryton_erp.send(sent)
        again = await tryton_erp.send(sent)
        assert again == Receipt(reference=done.reference, already=True)
        (paper,) = (await documents_of(tryton_erp, booked))["credit_note"]
        assert (paper.posted, paper.total) == (True, usd("58.88"))
    assert lose > 2
