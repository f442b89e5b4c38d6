"""A channel's order as a Tryton sale: found or made once, tied to the cent, processed.

Tryton has no idempotency of its own: `reference` is searched before anything is
created, and a sale left half way by a lost answer is carried on from its state.
Forms fill in nothing for an outside caller, so unit, price, taxes, addresses and
warehouse are all sent; a missing one is a 400.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from connectors.tryton import parties, taxes
from connectors.tryton.facts import Company, Facts, Item
from connectors.tryton.split import Part, Rounding, expected_total, prices, tie
from connectors.tryton.values import Row
from core.contract import Receipt
from core.errors import Rejected
from core.model import BookOrder, Collector, Order, Tax
from core.money import Money

SALE = "sale.sale"
FIELDS = ("number", "state", "reference", "total_amount", "comment")
#: Kept on the sale: the invoice's total is compared with the channel's less this.
_THEIRS = "Tax collected by the marketplace, not ours:"
#: Which button leads on from a state. What is not here is finished.
_NEXT = {"draft": "quote", "quotation": "confirm", "confirmed": "process"}
_BOOKED = ("processing", "done")
#: What is sold besides goods, each under a product of its own.
_SPECIALS = ("shipping", "fees", "tip", "rounding")


async def find(facts: Facts, reference: str) -> Row | None:
    """The sale that carries our reference. Two of them is what we promised never to make."""
    company = await facts.company()
    domain = [["reference", "=", reference], ["company", "=", company.id]]
    rows = await facts.rest.search(SALE, domain, FIELDS, limit=2)
    if len(rows) > 1:
        numbers = ", ".join(str(row["number"] or row["id"]) for row in rows)
        raise Rejected(f"Tryton has two sales with the reference {reference}: {numbers}")
    return rows[0] if rows else None


async def booked(facts: Facts, reference: str) -> Row:
    """The sale a later document belongs to."""
    sale = await find(facts, reference)
    if sale is None or sale["state"] not in _BOOKED:
        state = "not there" if sale is None else sale["state"]
        raise Rejected(f"the sale with the reference {reference} is {state} in Tryton")
    return sale


async def receipt(facts: Facts, reference: str) -> Receipt | None:
    """What became of a booking: only a processed sale is one."""
    row = await find(facts, reference)
    done = row is not None and row["state"] in _BOOKED
    return Receipt(reference=row["number"], already=True) if row and done else None


async def book(facts: Facts, record: BookOrder) -> Receipt:
    company = await facts.company()
    order = record.order
    if order.currency != company.currency:
        raise Rejected(f"the order is in {order.currency}, the ledger is in {company.currency}")
    wanted = _owed(order)
    row = await find(facts, record.reference)
    if row and row["state"] in _BOOKED:
        return Receipt(reference=row["number"], already=True)
    if row and row["state"] == "cancelled":
        raise Rejected(
            f"the sale {row['number'] or row['id']} of this order is cancelled in Tryton"
        )
    if row and row["state"] == "draft" and row["total_amount"] != wanted.amount:
        await facts.rest.delete(SALE, row["id"])  # ours, unfinished, and of no effect yet
        row = None
    if row is None:
        row = await _create(facts, company, record)
    if row["total_amount"] != wanted.amount:
        if row["state"] == "draft":
            await facts.rest.delete(SALE, row["id"])
        raise Rejected(
            f"the channel's total is {wanted}, Tryton computes {row['total_amount']} "
            f"{company.currency}: nothing was booked"
        )
    return Receipt(reference=await _process(facts, row))


async def _process(facts: Facts, row: Row) -> str:
    """Press on until it is processed. With a worker the queue may have been faster."""
    while row["state"] in _NEXT:
        row = await facts.rest.press(SALE, row["id"], _NEXT[row["state"]], FIELDS)
    if row["state"] not in _BOOKED:
        raise Rejected(f"the sale {row['number']} became {row['state']} in Tryton meanwhile")
    return str(row["number"])


def _owed(order: Order) -> Money:
    """What the ledger must show: the channel's total without the tax a marketplace remits."""
    return order.total - _theirs(order)


def _theirs(order: Order) -> Money:
    of_lines = [tax for line in order.lines for tax in line.taxes]
    everything = [*of_lines, *order.shipping_taxes, *order.fee_taxes]
    return _sum(everything, Collector.MARKETPLACE, order.currency)


def not_ours(sale: Row) -> Decimal:
    """The marketplace's tax of a booked sale. An edited remark gives 0, and the totals differ."""
    for line in (sale["comment"] or "").splitlines():
        word = line.removeprefix(_THEIRS).strip().partition(" ")[0]
        if line.startswith(_THEIRS) and word.replace(".", "", 1).isdigit():
            return Decimal(word)
    return Decimal(0)


# ---------------------------------------------------------------- the document


async def _create(facts: Facts, company: Company, record: BookOrder) -> Row:
    order = record.order
    lines = await _lines(facts, order)
    code = facts.settings.get("customer", "")
    if code:
        party, address = await parties.named(facts, code)
    else:
        party, address = await parties.customer(facts, order.ship_to, order.email, record.reference)
    warehouse = await facts.warehouse(record.place or facts.settings.get("warehouse", ""))
    values = {
        "company": company.id,
        "reference": record.reference,
        "description": f"{record.channel} {order.number}",
        "comment": f"{_THEIRS} {_theirs(order)}" if _theirs(order) else None,
        "sale_date": order.placed_at.date(),
        "party": party,
        "invoice_address": address,
        "shipment_address": address,
        "warehouse": warehouse.id,
        "currency": company.currency_id,
        # Invoices are made when we say so: "on fulfillment" would invoice the shipping
        # line alone at once, and two documents round tax to another cent than one.
        "invoice_method": "manual",
        "shipment_method": "order",
        "lines": [["create", lines]],
    }
    return await facts.rest.create(SALE, values, FIELDS)


async def _lines(facts: Facts, order: Order) -> list[Row]:
    """The sale's lines, one of them the named rounding line where it is needed."""
    settings = facts.settings
    specials = {name: settings[f"{name}_product"] for name in _SPECIALS}
    sold = [line.sku for line in order.lines if line.quantity]
    needs = {*sold, specials["rounding"]}
    if order.shipping_fee:
        needs.add(specials["shipping"])
    if order.other_fees:
        needs.add(specials["fees"])
    if order.tip:
        needs.add(specials["tip"])
    items = await facts.items(needs)
    refused = [code for code in sold if not items[code].salable]
    if refused:
        raise Rejected("not salable in Tryton: " + ", ".join(refused))
    book = await taxes.load(facts)
    prescribed = await taxes.of_products(facts, book, _categories(order, items))
    maker = _Maker(order, items, book, prescribed)
    for line in order.lines:
        if line.quantity:
            paid = line.unit_price * line.quantity
            paid -= Money.total((cut.amount for cut in line.discounts), order.currency)
            maker.add(line.sku, line.quantity, paid, line.taxes, line.title)
    if order.shipping_fee:
        fee = order.shipping_fee - (order.shipping_discount or Money.zero(order.currency))
        maker.add(specials["shipping"], 1, fee, order.shipping_taxes, order.shipping_service)
    if order.other_fees:
        maker.add(specials["fees"], 1, order.other_fees, order.fee_taxes, "")
    if order.tip:
        maker.add(specials["tip"], 1, order.tip, (), "Tip", taxed=False)
    rounding = await tax_rounding(facts)
    digits = int(settings["price_digits"])
    parts = tie(maker.parts, order.currency, rounding, digits)
    rest = _owed(order).minor - expected_total(parts, order.currency, rounding, digits)
    theirs = order.rounding.minor if order.rounding else 0  # what the channel itself rounded by
    if abs(rest - theirs) > int(settings["rounding_limit"]):
        computed = Money(_owed(order).minor - rest, order.currency)
        raise Rejected(
            f"the channel's total is {_owed(order)}, lines, tax and shipping come to {computed} "
            f"in Tryton: {Money(rest, order.currency)} is more than settings.rounding_limit"
        )
    rows = [row for part, text in zip(parts, maker.texts, strict=True)
            for row in _rows(part, text, items[part.item], order.currency, digits)]  # fmt: skip
    if rest:
        part = Part(item=specials["rounding"], quantity=1, net=rest, paid=rest)
        rows += _rows(part, "Rounding", items[part.item], order.currency, digits)
    return rows


class _Maker:
    """Collects the parts of one order with their taxes and texts."""

    def __init__(
        self,
        order: Order,
        items: dict[str, Item],
        book: taxes.Taxes,
        prescribed: dict[int, list[taxes.ErpTax]],
    ) -> None:
        self._order, self._items, self._book, self._prescribed = order, items, book, prescribed
        self.parts: list[Part] = []
        self.texts: list[str] = []

    def add(
        self,
        code: str,
        quantity: int,
        amount: Money,
        charged: Sequence[Tax],
        text: str,
        *,
        taxed: bool = True,
    ) -> None:
        """`amount`: what the channel shows for the line after discounts."""
        inside = self._order.tax_included
        theirs = _sum(charged, Collector.MARKETPLACE, amount.currency)
        ours = _sum(charged, Collector.SELLER, amount.currency)
        paid = amount - theirs if inside else amount + ours
        net = paid - ours
        chosen = self._book.of(charged, net.minor, code)
        if taxed and inside and not charged and self._items[code].category is not None:
            # Many marketplaces show one price and name no tax. The rate is the ERP's to
            # know: its own tax of the product is taken out of the price.
            chosen = tuple(self._prescribed.get(self._items[code].category or 0, ()))
            rates = [rate for tax in chosen for rate in tax.rates]
            net = Money.rounded(paid.amount / (1 + sum(rates)), amount.currency)
        self.parts.append(
            Part(
                item=code,
                quantity=quantity,
                net=net.minor,
                paid=paid.minor,
                taxes=tuple(sorted(tax.id for tax in chosen)),
                rates=tuple(rate for tax in chosen for rate in tax.rates),
                free=inside,
            )
        )
        self.texts.append(text)


def _categories(order: Order, items: dict[str, Item]) -> set[int]:
    """Accounting categories whose taxes must be known: lines with tax inside and none named."""
    if not order.tax_included:
        return set()
    return {item.category for item in items.values() if item.category is not None}


def _sum(charged: Sequence[Tax], collector: Collector, currency: str) -> Money:
    return Money.total((tax.amount for tax in charged if tax.collected_by is collector), currency)


def _rows(part: Part, text: str, item: Item, currency: str, digits: int) -> list[Row]:
    return [
        {
            "product": item.id,
            "unit": item.unit,
            "quantity": priced.quantity,
            "unit_price": priced.unit_price,
            "description": text or part.item,
            "taxes": [["add", list(part.taxes)]],
        }
        for priced in prices(part.net, part.quantity, currency, digits)
        if priced.quantity
    ]


async def tax_rounding(facts: Facts) -> Rounding:
    """How this ledger rounds tax: per document, or per line."""
    rows = await facts.rest.search("account.configuration", [], ("tax_rounding",), limit=1)
    return "line" if rows and rows[0]["tax_rounding"] == "line" else "document"
