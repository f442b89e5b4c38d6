"""The invoice of what was shipped: one document, posted, with the cost of what left.

Tryton makes the draft with everything not yet invoiced; we cut it down to the units
that really left and name their moves, so that the cost of goods is the moves' own cost
and not today's. The invoice date is Tryton's day of posting: it refuses an earlier
date than its newest invoice, and the law of most countries agrees.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from connectors.tryton import delivery
from connectors.tryton import sale as sales
from connectors.tryton.facts import Facts
from connectors.tryton.values import Row, units
from core.contract import Receipt
from core.errors import Rejected
from core.model import BookInvoice
from core.money import Money

INVOICE = "account.invoice"
FIELDS = ("number", "reference", "state", "total_amount", "currency.code")
_LINES = ("id", "quantity", "origin", "product.type", "product.code", "unit_price")
POSTED = ("posted", "paid")


async def find(facts: Facts, record: BookInvoice) -> Receipt | None:
    row = await ours(facts, record.reference)
    done = row is not None and row["state"] in POSTED
    return Receipt(reference=row["number"], already=True) if row and done else None


async def book(facts: Facts, record: BookInvoice) -> Receipt:
    found = await ours(facts, record.reference)
    if found and found["state"] in POSTED:
        return Receipt(reference=found["number"], already=True)
    sale = await sales.booked(facts, record.order_reference)
    draft = found or await _draft(facts, sale)
    if draft["state"] == "draft":  # a validated one was cut before its answer was lost
        await _cut(facts, draft, sale, record.reference)
    await _must_tie(facts, await _total(facts, draft["id"]), sale, record)
    row = await post(facts, draft["id"], draft["state"])
    if row["state"] not in POSTED:
        raise Rejected(f"invoice {draft['id']} is {row['state']} in Tryton after posting")
    return Receipt(reference=row["number"])


async def post(facts: Facts, record: int, state: str) -> Row:
    """Validate, then post.

    Where a line's tax is not its product's usual one, Tryton asks a person whether that is
    meant. It is: the taxes are the channel's, matched with Tryton's own records when the
    sale was booked. That question is asked on validating only, so its warnings are skipped
    there; whatever Tryton asks on posting (a tax number, a date) still stops us.
    """
    if state == "draft":
        skipping = {"_skip_warnings": True}
        await facts.rest.press(INVOICE, record, "validate_invoice", context=skipping)
    return await facts.rest.press(INVOICE, record, "post", FIELDS)


async def ours(facts: Facts, reference: str) -> Row | None:
    """The invoice or credit note that carries our reference."""
    company = await facts.company()
    domain = [["reference", "=", reference], ["company", "=", company.id], ["type", "=", "out"]]
    rows = await facts.rest.search(
        INVOICE, [*domain, ["state", "!=", "cancelled"]], FIELDS, limit=2
    )
    if len(rows) > 1:
        raise Rejected(f"Tryton has two invoices with the reference {reference}")
    return rows[0] if rows else None


async def _draft(facts: Facts, sale: Row) -> Row:
    """The sale's open draft; a broken attempt may have left one without our reference."""
    row = await _open_draft(facts, sale)
    if row is None:
        await facts.rest.press(sales.SALE, sale["id"], "manual_invoice")
        row = await _open_draft(facts, sale)
    if row is None:
        raise Rejected(f"nothing is left to invoice on sale {sale['number']}")
    return row


async def _open_draft(facts: Facts, sale: Row) -> Row | None:
    domain = [["lines.origin.sale", "=", sale["id"], "sale.line"], ["state", "=", "draft"]]
    rows = await facts.rest.search(INVOICE, domain, FIELDS, limit=1)
    return rows[0] if rows else None


async def _cut(facts: Facts, draft: Row, sale: Row, reference: str) -> None:
    """Goods: the units that left and are not on an earlier invoice. Services: as they are."""
    shipped = await _shipped(facts, sale)
    lines = await facts.rest.search(
        "account.invoice.line", [["invoice", "=", draft["id"]], ["type", "=", "line"]], _LINES
    )
    billed = await _billed(facts, sale, draft["id"])
    changes: list[Any] = []
    gone: list[int] = []
    goods = 0
    for line in lines:
        if line["product"] is None or line["product"]["type"] != "goods":
            continue
        moves = shipped.get(line["origin"], [])
        left = sum((units(move["quantity"]) for move in moves), Decimal(0))
        left -= billed.get(line["origin"], Decimal(0))
        if left <= 0:
            gone.append(line["id"])
            continue
        goods += 1
        linked = [["add", [move["id"] for move in moves]]]
        changes.append(["write", [line["id"]], {"quantity": units(left), "stock_moves": linked}])
    if not goods:
        raise Rejected(f"nothing of sale {sale['number']} has left that is not invoiced yet")
    if gone:
        changes.append(["delete", gone])
    values: dict[str, Any] = {"reference": reference, "lines": changes}
    await facts.rest.update(INVOICE, draft["id"], values)


async def _shipped(facts: Facts, sale: Row) -> dict[str, list[Row]]:
    """Done moves to the customer, by the sale line they come from."""
    domain = [
        ["origin.sale", "=", sale["id"], "sale.line"],
        ["state", "=", "done"],
        ["to_location.type", "=", "customer"],
    ]
    by_line: dict[str, list[Row]] = {}
    for move in await facts.rest.search("stock.move", domain, ("quantity", "origin")):
        by_line.setdefault(move["origin"], []).append(move)
    return by_line


async def _billed(facts: Facts, sale: Row, draft: int) -> dict[str, Decimal]:
    """Units on this sale's other invoices, by sale line."""
    domain = [
        ["origin.sale", "=", sale["id"], "sale.line"],
        ["invoice", "!=", draft],
        ["invoice.state", "!=", "cancelled"],
    ]
    billed: dict[str, Decimal] = {}
    for line in await facts.rest.search("account.invoice.line", domain, ("quantity", "origin")):
        billed[line["origin"]] = billed.get(line["origin"], Decimal(0)) + units(line["quantity"])
    return billed


async def _total(facts: Facts, record: int) -> Row:
    row = await facts.rest.get(INVOICE, record, FIELDS)
    if row is None:
        raise Rejected(f"invoice {record} was deleted in Tryton meanwhile")
    return row


async def _must_tie(facts: Facts, row: Row, sale: Row, record: BookInvoice) -> None:
    """When all has left, all invoices together are the channel's total, to the cent.

    A part has no total of the channel to compare with; its own prices and taxes stand.
    Several invoices may round tax to a cent more or less than one: the last one carries
    the same named rounding line as a sale, below the same limit.
    """
    shipments = await delivery.of_sale(facts, sale["id"])
    if any(one["state"] in delivery.OPEN for one in shipments) or await _cancelled(facts, sale):
        return
    domain = [
        ["lines.origin.sale", "=", sale["id"], "sale.line"],
        ["state", "!=", "cancelled"],
        ["id", "!=", row["id"]],
    ]
    others = await facts.rest.search(INVOICE, domain, ("total_amount",))
    together = row["total_amount"] + sum((one["total_amount"] for one in others), Decimal(0))
    wanted = record.total.amount - sales.not_ours(sale)
    rest = Money.parse(wanted - together, record.total.currency)
    if not rest:
        return
    if row["state"] == "draft" and abs(rest.minor) <= int(facts.settings["rounding_limit"]):
        await _round(facts, row["id"], rest)
        return
    raise Rejected(
        f"the channel's total is {record.total} ({wanted} of it ours), the invoices of sale "
        f"{sale['number']} come to {together} {row['currency']['code']}: nothing was posted"
    )


async def _round(facts: Facts, invoice: int, rest: Money) -> None:
    code = facts.settings["rounding_product"]
    item = (await facts.items([code]))[code]
    fields = ("account_revenue",)
    category = await facts.rest.get("product.category", item.category or 0, fields)
    account = category["account_revenue"] if category else None
    if account is None:
        raise Rejected(f"the product {code} has no revenue account in Tryton")
    line = {
        "type": "line",
        "product": item.id,
        "unit": item.unit,
        "quantity": 1,
        "unit_price": rest.amount,
        "account": account,
        "description": "Rounding",
    }
    await facts.rest.update(INVOICE, invoice, {"lines": [["create", [line]]]})


async def _cancelled(facts: Facts, sale: Row) -> bool:
    """Units that will never leave: the total of the whole order is no measure any more."""
    domain = [
        ["origin.sale", "=", sale["id"], "sale.line"],
        ["state", "=", "cancelled"],
        ["to_location.type", "=", "customer"],
    ]
    return bool(await facts.rest.search("stock.move", domain, ("id",), limit=1))
