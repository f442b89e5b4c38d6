"""A plain ERP, pretending: orders, deliveries with cost, invoices, prices, its own stock copy.

Its habits: it books the same reference twice without a word (a blind resend is
visible in `documents()`), a validation error is a 417, sometimes a 500, money is
text, and it never pushes.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.fake import World

Row = dict[str, Any]


class Refused(ValueError):
    """What its users read in red letters."""


class Fake:
    """Settings: api_key, currency ("EUR"), crash ("true": a validation error is a 500)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._documents: list[Row] = []
        # The year's documents are many; a reference is looked up with every booking.
        self._by_reference: defaultdict[str, list[Row]] = defaultdict(list)
        self._numbers: Counter[str] = Counter()
        self._cancellations: list[Row] = []
        self._items: dict[str, Row] = {}
        self._stock: dict[tuple[str, str], Row] = {}
        self._locked = 0
        self._asgi = Starlette(
            routes=[
                Route("/documents", self._get_documents),
                Route("/cancellations", self._get_cancellations),
                Route("/items", self._get_items),
                Route("/stock", self._get_stock),
                Route("/sales-orders", self._booking(self._sales_order), methods=["POST"]),
                Route("/deliveries", self._booking(self._delivery), methods=["POST"]),
                Route("/invoices", self._booking(self._invoice), methods=["POST"]),
                Route("/credit-notes", self._booking(self._credit_note), methods=["POST"]),
                Route("/cancellations", self._booking(self._cancellation), methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            self._world.writes.append(f"{scope['method']} {scope['path']}")
        key = self._world.settings.get("api_key", "erp-key")
        if (b"x-api-key", key.encode()) not in scope.get("headers", []):
            refusal = JSONResponse({"message": "unknown key"}, status_code=401)
            await refusal(scope, receive, send)
            return
        await self._asgi(scope, receive, send)

    # ------------------------------------------------------------------ what people there do

    def set_item(
        self,
        sku: str,
        list_price: str,
        unit_cost: str,
        *,
        tax_class: str = "standard",
        tax_rate: str = "0.19",
        hsn_code: str = "",
    ) -> Row:
        """Create an item or change its price, cost or tax."""
        self._items[sku] = {
            "sku": sku,
            "list_price": list_price,
            "unit_cost": unit_cost,
            "currency": self._currency,
            "tax_class": tax_class,
            "tax_rate": tax_rate,
            "hsn_code": hsn_code,
            "version": self._items.get(sku, {}).get("version", 0) + 1,
            "changed_at": self._now(),
        }
        return self._items[sku]

    def set_stock(self, sku: str, warehouse: str, quantity: int) -> Row:
        """Correct its own copy of the stock."""
        row = {"sku": sku, "warehouse": warehouse, "quantity": quantity, "changed_at": self._now()}
        self._stock[(sku, warehouse)] = row
        return row

    def lock(self, calls: int = 1) -> int:
        """The next bookings meet a lock of the ledger: 503."""
        self._locked = calls
        return self._locked

    # ------------------------------------------------------------------ what is true there

    def documents(self, reference: str = "", kind: str = "") -> list[Row]:
        """Everything ever booked, oldest first; duplicates are two rows."""
        rows = self._by_reference.get(reference, []) if reference else self._documents
        return [row for row in rows if kind in ("", row["kind"])]

    def duplicates(self) -> list[str]:
        """References booked more than once with one kind: proof of a blind resend."""
        seen = Counter((row["kind"], row["reference"]) for row in self._documents)
        return sorted({reference for (_, reference), times in seen.items() if times > 1})

    def cancellations(self) -> list[Row]:
        return list(self._cancellations)

    def items(self) -> list[Row]:
        return list(self._items.values())

    def stock(self) -> list[Row]:
        return list(self._stock.values())

    # ------------------------------------------------------------------ booking

    @property
    def _currency(self) -> str:
        return self._world.settings.get("currency", "EUR")

    def _now(self) -> str:
        return self._world.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _book(self, kind: str, prefix: str, reference: str, **words: Any) -> Row:
        self._numbers[kind] += 1
        number = self._numbers[kind]
        row = {
            "id": f"{prefix}{number}",
            "kind": kind,
            "reference": reference,
            "number": f"{prefix}-{self._world.now():%Y}-{number:05d}",
            "state": "open",
            "posted": False,
            "currency": self._currency,
            "total": None,
            "tax": None,
            "cost": None,
            "quantity": None,
            "dated": self._now(),
            "version": 1,
            "changed_at": self._now(),
            **words,
        }
        self._documents.append(row)
        self._by_reference[reference].append(row)
        return row

    def _sales_order(self, body: Row) -> Row:
        """It refuses one whose parts do not come to its total."""
        lines = _lines(body)
        taxes = _all_taxes(body, lines)
        total, parts = _amount(_needed(body, "total")), _added(body, lines, taxes)
        if total != parts:
            raise Refused(f"the total is {total}, its parts come to {parts}")
        return self._book(
            "sales_order",
            "SO",
            _needed(body, "reference"),
            currency=_needed(body, "currency"),
            total=_needed(body, "total"),
            tax=str(_sum(tax["amount"] for tax in taxes)),
            quantity=sum(line["quantity"] for line in lines),
            lines=lines,
            body=body,
            customer=body.get("customer") or {},
            number_theirs=body.get("number", ""),
        )

    def _delivery(self, body: Row) -> Row:
        order = self._order(body)
        lines = _lines(body)
        cost = Decimal(0)
        warehouse = str(body.get("warehouse") or "MAIN")
        for line in lines:
            item = self._items.get(line["sku"], {})
            cost += _amount(item.get("unit_cost", "0")) * line["quantity"]
            row = self._stock.get((line["sku"], warehouse))
            # Its copy may go below zero: nobody corrects it but a person or a count.
            self.set_stock(
                line["sku"], warehouse, (row["quantity"] if row else 0) - line["quantity"]
            )
        self._changed(order, "delivered")
        return self._book(
            "delivery",
            "DN",
            _needed(body, "reference"),
            state="posted",
            posted=True,
            cost=str(cost),
            quantity=sum(line["quantity"] for line in lines),
            order_reference=order["reference"],
            lines=lines,
            tracking=body.get("tracking", ""),
        )

    def _invoice(self, body: Row) -> Row:
        order = self._order(body)
        self._changed(order, "invoiced")
        return self._book(
            "invoice",
            "INV",
            _needed(body, "reference"),
            state="posted",
            posted=True,
            currency=order["currency"],
            total=_needed(body, "total"),
            tax=order["tax"],
            order_reference=order["reference"],
            dated=_needed(body, "dated"),
        )

    def _credit_note(self, body: Row) -> Row:
        """Of an invoice, in the month it says; it refuses one that does not add up."""
        invoices = self.documents(_needed(body, "invoice_reference"), "invoice")
        if not invoices:
            raise Refused("there is no invoice with that reference")
        lines = body.get("lines") or []
        taxes = _all_taxes(body, lines)
        total, tax = _amount(_needed(body, "total")), _sum(tax["amount"] for tax in taxes)
        parts = _sum(line["amount"] for line in lines)
        parts += _sum(
            body[name] for name in ("shipping", "fees", "tip", "rounding") if body.get(name)
        )
        parts += 0 if body.get("tax_included") else tax
        if total != parts:
            raise Refused(f"the total is {total}, its parts come to {parts}")
        if body.get("currency") != invoices[0]["currency"]:
            raise Refused(f"the invoice is in {invoices[0]['currency']}")
        return self._book(
            "credit_note",
            "CR",
            _needed(body, "reference"),
            state="posted",
            posted=True,
            currency=invoices[0]["currency"],
            total=_needed(body, "total"),
            tax=str(tax),
            order_reference=_needed(body, "order_reference"),
            invoice=invoices[0]["number"],
            dated=_needed(body, "dated"),
            posting_date=_needed(body, "posting_date"),
            lines=lines,
            shipping=body.get("shipping"),
            body=body,
        )

    def _cancellation(self, body: Row) -> Row:
        order = self._order(body)
        lines = body.get("lines") or []
        if order["state"] in ("delivered", "invoiced") and not lines:
            raise Refused(f"{order['number']} is delivered; book a credit note")
        if not lines:
            self._changed(order, "cancelled")
        row = {
            "id": f"CN{len(self._cancellations) + 1}",
            "reference": _needed(body, "reference"),
            "order_reference": order["reference"],
            "lines": lines,
        }
        self._cancellations.append(row)
        return row

    def _order(self, body: Row) -> Row:
        reference = _needed(body, "order_reference")
        for row in self._by_reference.get(reference, ()):
            if row["kind"] == "sales_order":
                return row
        raise Refused(f"there is no sales order with reference {reference}")

    def _changed(self, row: Row, state: str) -> None:
        row.update(state=state, version=row["version"] + 1, changed_at=self._now())

    # ------------------------------------------------------------------ its HTTP face

    def _booking(self, book: Callable[[Row], Row]) -> Any:
        async def endpoint(request: Request) -> Response:
            if self._locked:
                self._locked -= 1
                return JSONResponse({"message": "the ledger is locked"}, status_code=503)
            try:
                body = json.loads(await request.body(), parse_float=Decimal)
                row = book(body if isinstance(body, dict) else {})
            except ValueError as error:
                crashes = self._world.settings.get("crash") == "true"
                answer = {"exception": "ValidationError", "message": str(error)}
                return JSONResponse(answer, status_code=500 if crashes else 417)
            return JSONResponse({"data": row})

        return endpoint

    async def _get_documents(self, request: Request) -> Response:
        asked = request.query_params
        return _page(request, self.documents(asked.get("reference", ""), asked.get("kind", "")))

    async def _get_cancellations(self, request: Request) -> Response:
        reference = request.query_params.get("reference", "")
        rows = [row for row in self._cancellations if reference in ("", row["reference"])]
        return JSONResponse({"data": rows})

    async def _get_items(self, request: Request) -> Response:
        return _page(request, self.items())

    async def _get_stock(self, request: Request) -> Response:
        start = int(request.query_params.get("start", "0"))
        rows = self.stock()[start : start + 100]
        more = start + len(rows) < len(self._stock)
        return JSONResponse({"data": rows, "next": f"?start={start + 100}" if more else None})


def _page(request: Request, rows: list[Row]) -> Response:
    """Rows changed at or after `changed_since`, oldest change first, one page of them."""
    since = request.query_params.get("changed_since")
    if since:
        start = datetime.fromisoformat(since)
        rows = [row for row in rows if datetime.fromisoformat(row["changed_at"]) >= start]
    size = min(int(request.query_params.get("page_size", "20")), 100)
    first = (int(request.query_params.get("page", "1")) - 1) * size
    rows = sorted(rows, key=lambda row: row["changed_at"])
    return JSONResponse({"data": rows[first : first + size]})


def _needed(body: Row, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(f"{name} is mandatory")
    return value


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Refused(f"{text} is not an amount") from None


def _sum(amounts: Iterable[str]) -> Decimal:
    return sum((_amount(one) for one in amounts), Decimal(0))


def _all_taxes(body: Row, lines: list[Row]) -> list[Row]:
    of_lines = [tax for line in lines for tax in line.get("taxes") or ()]
    return [*of_lines, *(body.get("shipping_taxes") or ()), *(body.get("fee_taxes") or ())]


def _added(body: Row, lines: list[Row], taxes: list[Row]) -> Decimal:
    """What a sale comes to: goods, discounts, shipping, fees, tip, rounding, tax on top."""
    parts = sum((_amount(line["unit_price"]) * line["quantity"] for line in lines), Decimal(0))
    parts -= _sum(cut["amount"] for line in lines for cut in line.get("discounts") or ())
    parts += _sum(body[name] for name in _BESIDE if body.get(name))
    parts -= _amount(body.get("shipping_discount") or "0")
    return parts if body.get("tax_included") else parts + _sum(tax["amount"] for tax in taxes)


_BESIDE = ("shipping", "other_fees", "tip", "rounding")


def _lines(body: Row) -> list[Row]:
    lines = body.get("lines")
    if not isinstance(lines, list) or not lines:
        raise Refused("lines are mandatory")
    for line in lines:
        if not isinstance(line.get("quantity"), int) or not line.get("sku"):
            raise Refused("each line needs sku and a whole quantity")
    return lines
