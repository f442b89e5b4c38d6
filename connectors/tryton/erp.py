"""Tryton as the ledger: owns prices, costs, taxes and documents; is told sales and parcels."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from connectors.tryton import cancelling, crediting, delivery, feed, invoicing, sale, stock
from connectors.tryton.facts import Facts
from connectors.tryton.rest import Domain, Rest
from connectors.tryton.values import Row, plain, units
from core.contract import Command, Item, Page, Receipt, Setup
from core.errors import InvariantBroken
from core.model import BookCreditNote, BookInvoice, BookOrder, BookShipment, CancelOrder

_DATES = ("write_date", "create_date")
_SALE = ("number", "reference", "state", "sale_date", "total_amount", "tax_amount",
         "currency.code", *_DATES)  # fmt: skip
_SHIPMENT = ("number", "reference", "state", "effective_date", "outgoing_moves.quantity",
             "outgoing_moves.cost_price", "outgoing_moves.state", *_DATES)  # fmt: skip
_INVOICE = ("number", "reference", "state", "invoice_date", "accounting_date", "total_amount",
            "tax_amount", "currency.code", "type", *_DATES)  # fmt: skip
_REFERENCED = ["reference", "!=", None]


class TrytonErp:
    def __init__(self, setup: Setup) -> None:
        self._facts = Facts(Rest(setup.api), setup.settings, ledger=True)

    async def read(self, resource: str, since: str | None, page: str | None) -> Page:
        match resource:
            case "price":
                return await self._prices(page)
            case "stock_reading":
                return await stock.readings(self._facts, page)
            case "document":
                return await self._documents(since, page)
        raise InvariantBroken(f"tryton reads no {resource}")

    async def send(self, command: Command) -> Receipt:
        record = command.record
        match record:
            case BookOrder():
                return await sale.book(self._facts, record)
            case BookShipment():
                return await delivery.book(self._facts, record)
            case BookInvoice():
                return await invoicing.book(self._facts, record)
            case BookCreditNote():
                return await crediting.book(self._facts, record)
            case CancelOrder():
                return await cancelling.cancel(self._facts, record)
        raise InvariantBroken(f"tryton accepts no {command.kind}")

    async def find(self, command: Command) -> Receipt | None:
        record = command.record
        match record:
            case BookOrder():
                return await sale.receipt(self._facts, record.reference)
            case BookShipment():
                return await delivery.find(self._facts, record)
            case BookInvoice():
                return await invoicing.find(self._facts, record)
            case BookCreditNote():
                return await crediting.find(self._facts, record)
            case CancelOrder():
                return await cancelling.find(self._facts, record)
        raise InvariantBroken(f"tryton accepts no {command.kind}")

    # ------------------------------------------------------------ prices

    async def _prices(self, page: str | None) -> Page:
        """List price, cost and tax of every item. A cost changes without the item being
        written (average cost lives elsewhere), so a pass is the whole truth and an item has
        no revision that could be trusted."""
        company = await self._facts.company()
        fields = ("code", "list_price_used", "cost_price", "account_category")
        domain: Domain = [["code", "!=", None]]
        found, place = await feed.rows(
            self._facts.rest, "product.product", domain, fields, feed.Place.of(page)
        )
        rates = await self._rates({row["account_category"] for row in found} - {None})
        items = [
            Item(
                external_id=str(row["id"]),
                body={
                    "id": row["id"],
                    "code": row["code"],
                    "currency": company.currency,
                    "list_price": _minor(row["list_price_used"], company.digits),
                    "cost_price": _minor(row["cost_price"], company.digits),
                    "exact_cost": row["cost_price"],
                    **rates.get(row["account_category"], {"tax_name": "", "tax_rate": None}),
                },
            )
            for row in found
        ]
        return Page(items=items, next=feed.following(found, place, 1))

    async def _rates(self, categories: set[int]) -> dict[int | None, Row]:
        if not categories:
            return {}
        fields = ("customer_taxes.name", "customer_taxes.rate", "customer_taxes.type")
        domain = [["id", "in", sorted(categories)]]
        found = await self._facts.rest.search("product.category", domain, fields)
        return {row["id"]: _rate(row["customer_taxes"] or []) for row in found}

    # ------------------------------------------------------------ documents

    async def _documents(self, since: str | None, page: str | None) -> Page:
        """Sales, then shipments, then invoices: everything that carries a reference."""
        company = await self._facts.company()
        place = feed.Place.of(page)
        model, fields, make = _STAGES[place.stage]
        domain = [_REFERENCED, ["company", "=", company.id], *feed.since_domain(since)]
        found, place = await feed.rows(self._facts.rest, model, domain, fields, place)
        items = [
            Item(
                external_id=f"{model},{row['id']}",
                revision=feed.revision(row),
                body=plain(
                    {
                        "currency": company.currency,
                        **make(row, company.digits),
                        "id": f"{model},{row['id']}",
                    }
                ),
            )
            for row in found
        ]
        following = feed.following(found, place, len(_STAGES))
        return Page(items=items, next=following, since=place.begun or since)


def _sale(row: Row, digits: int) -> Row:  # noqa: ARG001
    booked = row["state"] in ("processing", "done")
    return _document(row, "sales_order", booked, row["sale_date"]) | _amounts(row)


def _invoice(row: Row, digits: int) -> Row:  # noqa: ARG001
    """A credit note is an invoice with a minus there; its amounts count as what was credited."""
    kind, sign = ("credit_note", -1) if row["total_amount"] < 0 else ("invoice", 1)
    posted = row["state"] in ("posted", "paid")
    dated = row["accounting_date"] or row["invoice_date"]
    amounts = _amounts(row)
    amounts |= {name: amounts[name] * sign for name in ("total", "tax")}
    return _document(row, kind, posted, dated) | amounts


def _shipment(row: Row, digits: int) -> Row:
    """What left and what it cost, by the moves' own cost price."""
    moves = [move for move in row["outgoing_moves"] if move["state"] == "done"]
    cost = Decimal(0)
    for move in moves:
        cost += units(move["quantity"]) * (move["cost_price"] or Decimal(0))
    return _document(row, "shipment", row["state"] == "done", row["effective_date"]) | {
        "cost": _minor(cost, digits),
        "quantity": sum(units(move["quantity"]) for move in moves),
    }


def _document(row: Row, kind: str, posted: bool, dated: object) -> Row:
    return {
        "kind": kind,
        "reference": row["reference"],
        "number": row["number"],
        "state": row["state"],
        "posted": posted,
        "dated": dated,
    }


def _amounts(row: Row) -> Row:
    return {
        "total": row["total_amount"],
        "tax": row["tax_amount"],
        "currency": row["currency"]["code"],
    }


_STAGES = (
    (sale.SALE, _SALE, _sale),
    (delivery.SHIPMENT, _SHIPMENT, _shipment),
    (invoicing.INVOICE, _INVOICE, _invoice),
)


def _minor(price: Decimal | None, digits: int) -> Decimal | None:
    """Tryton keeps four decimals of a price; we keep the currency's own. Half up."""
    if price is None:
        return None
    return price.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _rate(taxes: list[Row]) -> Row:
    """Several percentages add up; a fixed amount per piece is no rate."""
    if not taxes or any(tax["type"] != "percentage" for tax in taxes):
        return {"tax_name": ", ".join(tax["name"] for tax in taxes), "tax_rate": None}
    name = " + ".join(tax["name"] for tax in taxes)
    return {"tax_name": name, "tax_rate": sum((tax["rate"] for tax in taxes), Decimal(0))}
