"""A credit note of a refund: the invoice's own accounts and taxes, in the month of the refund.

Its lines name no product. A product's line would take back the cost of goods as well, and money
that goes back says nothing about goods: they come back, or do not, as a document of their own.
`accounting_date` is the day of the refund; the date of the document is Tryton's day of posting,
for it refuses one that is earlier than its newest document.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from connectors.tryton import invoicing, taxes
from connectors.tryton.facts import Facts
from connectors.tryton.sale import tax_rounding
from connectors.tryton.split import Part, expected_total, prices, tie
from connectors.tryton.values import Row
from core.contract import Receipt
from core.errors import Rejected
from core.model import BookCreditNote, Collector, CreditLine, Tax
from core.money import Money

_INVOICE = ("number", "state", "party", "invoice_address", "account", "journal", "currency.code")
_LINES = ("product.code", "account", "taxes")


async def find(facts: Facts, record: BookCreditNote) -> Receipt | None:
    row = await invoicing.ours(facts, record.reference)
    done = row is not None and row["state"] in invoicing.POSTED
    return Receipt(reference=row["number"], already=True) if row and done else None


async def book(facts: Facts, record: BookCreditNote) -> Receipt:
    found = await invoicing.ours(facts, record.reference)
    if found and found["state"] in invoicing.POSTED:
        return Receipt(reference=found["number"], already=True)
    # It is made in one write, so what a lost answer left behind is whole.
    draft = found or await _make(facts, record)
    row = await invoicing.post(facts, draft["id"], draft["state"])
    if row["state"] not in invoicing.POSTED:
        raise Rejected(f"credit note {draft['id']} is {row['state']} in Tryton after posting")
    return Receipt(reference=row["number"])


async def _make(facts: Facts, record: BookCreditNote) -> Row:
    company = await facts.company()
    invoice = await _invoice(facts, record)
    if record.total.currency != invoice["currency"]["code"]:
        raise Rejected(
            f"the refund is in {record.total.currency}, the invoice {invoice['number']} in "
            f"{invoice['currency']['code']}"
        )
    lines = await _lines(facts, record, invoice)
    values = {
        "type": "out",
        "company": company.id,
        "party": invoice["party"],
        "invoice_address": invoice["invoice_address"],
        "account": invoice["account"],
        "journal": invoice["journal"],
        "currency": invoice["currency"]["id"],
        "reference": record.reference,
        "description": f"Refund of {record.number}",
        "accounting_date": date.fromisoformat(record.day),
        "lines": [["create", lines]],
    }
    row = await facts.rest.create(invoicing.INVOICE, values, invoicing.FIELDS)
    wanted = _owed(record)
    if row["total_amount"] != -wanted.amount:
        await facts.rest.delete(invoicing.INVOICE, row["id"])
        raise Rejected(
            f"{record.total} were refunded ({wanted} of it ours), Tryton computes "
            f"{-row['total_amount']}: nothing was booked"
        )
    return row


async def _invoice(facts: Facts, record: BookCreditNote) -> Row:
    """The invoice that is credited; several of one sale are told apart by our reference."""
    found = await invoicing.ours(facts, record.invoice_reference)
    if found is None or found["state"] not in invoicing.POSTED:
        state = "not there" if found is None else found["state"]
        raise Rejected(f"the invoice {record.invoice_reference} is {state} in Tryton")
    row = await facts.rest.get(invoicing.INVOICE, found["id"], _INVOICE)
    assert row is not None, "a posted invoice cannot be deleted"
    return row


# ------------------------------------------------------------------ its lines


async def _lines(facts: Facts, record: BookCreditNote, invoice: Row) -> list[Row]:
    company = await facts.company()
    digits, rounding = int(facts.settings["price_digits"]), await tax_rounding(facts)
    book, sold = await taxes.load(facts), await _sold(facts, invoice)
    rates = {one.id: one.rates for one in book.known}
    parts: list[Part] = []
    for line in _credited(facts, record):
        if line.sku not in sold:
            raise Rejected(f"{line.sku!r} is not on invoice {invoice['number']} in Tryton")
        ids = sorted(sold[line.sku]["taxes"] or [])
        parts.append(_part(line, ids, [r for one in ids for r in rates.get(one, ())], record))
    tied = tie(parts, company.currency, rounding, digits)
    rows = [
        row
        for line, part in zip(_credited(facts, record), tied, strict=True)
        for row in _rows(line, part, sold[line.sku], company.currency, digits)
    ]
    rest = _owed(record).minor - expected_total(tied, company.currency, rounding, digits)
    theirs = record.rounding.minor if record.rounding else 0  # the channel's own, given back
    if abs(rest - theirs) > int(facts.settings["rounding_limit"]):
        raise Rejected(
            f"{_owed(record)} of refund {record.refund} are ours, its lines and Tryton's tax come "
            f"to {rest / 100:+.2f} less: nothing was booked"
        )
    if rest:
        words = {"description": "Rounding", "account": next(iter(sold.values()))["account"]}
        rows.append(_row(-1, Money(rest, company.currency), [], words))
    return rows


async def _sold(facts: Facts, invoice: Row) -> dict[str, Row]:
    """The lines of the invoice by the code of their product; all of one have the same taxes."""
    domain = [["invoice", "=", invoice["id"]], ["type", "=", "line"]]
    rows = await facts.rest.search("account.invoice.line", domain, _LINES)
    return {row["product"]["code"]: row for row in rows if row["product"] is not None}


def _credited(facts: Facts, record: BookCreditNote) -> list[CreditLine]:
    """The lines of a credit note, with shipping and fees under the codes they are sold by."""
    found = [line for line in record.lines if line.amount or line.taxes]
    for name, title, amount, charged in (
        ("shipping_product", "Shipping", record.shipping, record.shipping_taxes),
        ("fees_product", "Fees", record.fees, record.fee_taxes),
        ("tip_product", "Tip", record.tip, ()),
    ):
        if amount:
            code = facts.settings[name]
            found.append(CreditLine(line="", sku=code, title=title, amount=amount, taxes=charged))
    return found


def _part(line: CreditLine, ids: Sequence[int], rates: Sequence[Any], note: BookCreditNote) -> Part:
    """As a sale's: what the marketplace remits itself is not ours to credit."""
    ours, theirs = _sum(line.taxes, Collector.SELLER), _sum(line.taxes, Collector.MARKETPLACE)
    minor = line.amount.minor
    paid = minor - theirs if note.tax_included else minor + ours
    net = paid - ours
    if note.tax_included and not line.taxes:  # the channel names none: the invoice knows it
        net = Money.rounded(
            Money(paid, line.amount.currency).amount / (1 + sum(rates)), line.amount.currency
        ).minor
    return Part(
        item=line.sku,
        quantity=max(1, line.quantity),
        net=net,
        paid=paid,
        taxes=tuple(ids),
        rates=tuple(rates),
        free=note.tax_included,
    )


def _rows(line: CreditLine, part: Part, sold: Row, currency: str, digits: int) -> list[Row]:
    units = f"{line.quantity} x " if line.quantity else "less for "
    words = {
        "description": f"{units}{line.sku} {line.title}".strip(),
        "account": sold["account"],
        "origin": f"account.invoice.line,{sold['id']}",
    }
    return [
        _row(-priced.quantity, priced.unit_price, part.taxes, words)
        for priced in prices(part.net, part.quantity, currency, digits)
        if priced.quantity
    ]


def _row(quantity: int, price: Any, ids: Sequence[int], words: Row) -> Row:
    amount = price.amount if isinstance(price, Money) else price
    line = {"type": "line", "quantity": quantity, "unit_price": amount, **words}
    return line | ({"taxes": [["add", list(ids)]]} if ids else {})


def _owed(record: BookCreditNote) -> Money:
    """The refund less the tax that the marketplace takes back itself."""
    of_lines = [tax for line in record.lines for tax in line.taxes]
    charged = [*of_lines, *record.shipping_taxes, *record.fee_taxes]
    return record.total - Money(_sum(charged, Collector.MARKETPLACE), record.total.currency)


def _sum(charged: Sequence[Tax], collector: Collector) -> int:
    return sum(tax.amount.minor for tax in charged if tax.collected_by is collector)
