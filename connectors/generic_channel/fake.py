"""A plain channel, pretending: its own numbers, orders, signed pushes of whole orders.

It never sells more than it shows. A cancel puts the units back on its own
number, as real channels do. Plain ASGI and one dictionary per lookup: the
benchmark runs eight of these at once.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import orjson

from core.fake import World, body_of, say

Row = dict[str, Any]
Answer = tuple[int, Any]
CENT = Decimal("0.01")
BATCH_MAX = 100


class SoldOut(ValueError):
    """The channel shows fewer units than somebody wants to buy."""


class NotPossible(ValueError):
    """There is no such listing or order, or it is too late for that."""


class Fake:
    """Settings: api_token, webhook_secret, push ("false" is silent), currency, prefix (of order
    ids), tax_rate ("0.19"), tax_included ("false": it is on top of the prices), restock ("false":
    a cancel does not put units back), field ("gross": its quantity still contains the units of
    its own open orders), refuses_whole ("true": one bad row, and a stock write is refused without
    a word about which), silent_about (SKUs it takes and says nothing of), refuses (SKUs whose
    number it refuses), keeps (SKUs whose number it acknowledges and does not change),
    accept_hours (so long it waits for an order to be accepted, then it cancels it)."""

    def __init__(self, world: World) -> None:
        self._world = world
        settings = world.settings
        self._bearer = f"Bearer {settings.get('api_token', 'channel-token')}".encode()
        self._secret = settings.get("webhook_secret", "channel-webhook-secret").encode()
        self._listings: dict[str, Row] = {}
        self._orders: dict[str, Row] = {}
        self._shipments: dict[str, list[Row]] = {}
        self._acceptances: dict[str, list[Row]] = {}
        self._answers: dict[str, list[Row]] = {}
        self._wished: dict[str, None] = {}  # orders that a buyer asked to cancel
        self._refunds: list[Row] = []  # oldest first
        self._returns: list[Row] = []
        self._changes: list[str] = []  # order ids, oldest change first
        self._events = 0
        self._writes: list[Row] = []
        self._gross = settings.get("field") == "gross"

    # ------------------------------------------------------------------ what people there do

    def list_item(
        self, sku: str, *, title: str = "", price: str = "10.00", quantity: int = 0
    ) -> Row:
        """Offer an article; a new number replaces the old one."""
        row = {
            "sku": sku,
            "title": title or sku,
            "price": price,
            "quantity": quantity,
            "allocated": 0,
            "active": True,
        }
        self._listings[sku] = row
        return row

    async def place_order(
        self,
        sku: str = "",
        quantity: int = 1,
        *,
        lines: list[Row] | None = None,
        buyer: Row | None = None,
        payment: str = "paid",
        shipping: str = "0.00",
        by: Mapping[str, str] | None = None,
        **words: Any,
    ) -> Row:
        """Sell `quantity` of `sku`, or `lines` of {sku, quantity}. Refuses beyond its number.

        `by`: the deadlines it states, as {ship_by: instant}. `words` replace what it would say of
        it, as do those of a line (tax, unit_price, hsn).
        """
        wanted = lines or [{"sku": sku, "quantity": quantity}]
        for line in wanted:
            listing = self._listing(line["sku"])
            asked = sum(other["quantity"] for other in wanted if other["sku"] == line["sku"])
            if asked > self.shown(line["sku"]):
                raise SoldOut(f"{line['sku']} shows {listing['quantity']}, {asked} are wanted")
        for line in wanted:
            self._take(line["sku"], line["quantity"])
        order = self._ordered(wanted, buyer, payment, Decimal(shipping))
        order.update(by or {})
        if hours := self._world.settings.get("accept_hours"):
            until = self._world.now() + timedelta(hours=float(hours))
            order |= {"accepted": False, "accept_by": _instant(until)}
        order.update(words)
        self._touch(order)
        await self._push("order.created", order)
        return order

    async def pay(self, order: str) -> Row:
        """The money of a pending order arrives."""
        row = self._order(order)
        row["payment"] = "paid"
        self._touch(row)
        await self._push("order.changed", row)
        return row

    async def edit(self, order: str, units: Mapping[str, int], *, push: bool = True) -> Row:
        """Other units of some lines, by line id, at the same prices; 0 leaves the line empty."""
        row = self._order(order)
        if row["state"] in ("cancelled", "shipped"):
            raise NotPossible(f"order {order} is {row['state']}")
        self._units(row, units)
        self._touch(row)
        if push:
            await self._push("order.changed", row)
        return row

    async def cancel(self, order: str, *, reason: str = "changed my mind") -> Row:
        """The buyer cancels; what has been shipped cannot be."""
        row = self._order(order)
        if row["state"] in ("cancelled", "shipped"):
            raise NotPossible(f"order {order} is {row['state']}")
        self._cancel(row, reason)
        await self._push("order.cancelled", row)
        return row

    async def wish(
        self, order: str, units: Mapping[str, int] | None = None, *, hours: float = 0
    ) -> Row:
        """The buyer asks to cancel it, or so many units by line id; to be answered within
        `hours`, and granted by itself then. 0: it waits for ever."""
        row = self._order(order)
        if row["state"] in ("cancelled", "shipped"):
            raise NotPossible(f"order {order} is {row['state']}")
        wish: Row = {"id": f"{order}-C{len(row['cancellations']) + 1}", "by": "buyer"}
        wish |= {"state": "requested", "reason": "changed my mind"}
        wish["lines"] = [{"line": line, "quantity": n} for line, n in (units or {}).items()]
        if hours:
            wish["decide_by"] = _instant(self._world.now() + timedelta(hours=hours))
        row["cancellations"].append(wish)
        self._wished[order] = None
        self._touch(row)
        await self._push("order.changed", row)
        return wish

    async def withdraw(self, order: str) -> Row:
        """The buyer wants it after all."""
        row = self._order(order)
        for wish in row["cancellations"]:
            if wish["state"] == "requested":
                wish["state"] = "withdrawn"
        self._touch(row)
        await self._push("order.changed", row)
        return row

    async def ship_by_hand(self, order: str) -> Row:
        """Somebody writes into its own pages that all of an order has left."""
        row = self._order(order)
        row["state"] = "shipped"
        for line in row["lines"]:
            line["fulfilled"] = line["quantity"]
        self._touch(row)
        await self._push("order.changed", row)
        return row

    async def refund(
        self,
        order: str,
        lines: list[Row] | None = None,
        *,
        shipping: str = "0.00",
        adjustment: str = "0.00",
        returned: str = "",
        push: bool = True,
        **words: Any,
    ) -> Row:
        """Give money back: for `lines` of {line, quantity, amount?}, for shipping, for nothing.

        It is not asked whether that was ever paid, as a person with a terminal is not; `words`
        replace what it would say of it (currency, total, refunded_at).
        """
        row = self._order(order)
        own = {line["id"]: line for line in row["lines"]}
        given = [_refunded(own.get(one["line"], {}), one) for one in lines or ()]
        total = sum((Decimal(line["amount"]) for line in given), Decimal(0))
        total += self._on_top(line["tax"] for line in given)
        refund = {
            "id": f"{order}-R{len(self._refunds) + 1}",
            "order": order,
            "returned": returned,
            "version": 1,
            "state": "done",
            "refunded_at": self._now(),
            "updated_at": self._now(),
            "currency": row["currency"],
            "total": str(total + Decimal(shipping) + Decimal(adjustment)),
            "shipping": shipping,
            "adjustment": adjustment,
            "lines": given,
            **words,
        }
        self._refunds.append(refund)
        if push:
            await self._push("refund.created", refund, "refund")
        return refund

    async def ask_return(
        self, order: str, lines: list[Row] | None = None, *, push: bool = True, **words: Any
    ) -> Row:
        """A buyer wants to send back `lines` of {line, quantity}; `words` replace what it says."""
        row = self._order(order)
        own = {line["id"]: line["sku"] for line in row["lines"]}
        wanted = row["lines"] if lines is None else lines
        asked = {
            "id": f"{order}-T{len(self._returns) + 1}",
            "order": order,
            "version": 1,
            "kind": "return",
            "state": "accepted",
            "tracking": "",
            "previous": "",
            "updated_at": self._now(),
            "lines": [
                {
                    "line": line.get("line") or line["id"],
                    "sku": own.get(line.get("line") or line["id"], line.get("sku", "")),
                    "quantity": line["quantity"],
                }
                for line in wanted
            ],
            **words,
        }
        self._returns.append(asked)
        if push:
            await self._push("return.changed", asked, "return")
        return asked

    async def change_return(self, returned: str, **words: Any) -> Row:
        """The channel decides, or learns something, about a return."""
        row = next(one for one in self._returns if one["id"] == returned)
        row.update(words, version=row["version"] + 1, updated_at=self._now())
        await self._push("return.changed", row, "return")
        return row

    async def push_again(self, order: str, topic: str = "order.changed") -> int:
        """Send an order once more, as channels do hours later. Returns the receiver's status."""
        return await self._push(topic, self._order(order))

    async def push_refund_again(self, refund: str) -> int:
        found = next(row for row in self._refunds if row["id"] == refund)
        return await self._push("refund.created", found, "refund")

    # ------------------------------------------------------------------ what is true there

    def shown(self, sku: str) -> int:
        """What it sells."""
        row = self._listing(sku)
        return max(0, int(row["quantity"]) - int(row["allocated"]))

    def stock(self) -> dict[str, int]:
        return {sku: self.shown(sku) for sku in self._listings}

    def orders(self) -> list[Row]:
        return list(self._orders.values())

    def sold(self) -> dict[str, int]:
        """Units of orders that were not cancelled, by SKU."""
        units: dict[str, int] = {}
        for order in self._orders.values():
            for line in order["lines"] if order["state"] != "cancelled" else ():
                units[line["sku"]] = units.get(line["sku"], 0) + line["quantity"]
        return units

    def shipments(self) -> list[Row]:
        return [row for rows in self._shipments.values() for row in rows]

    def refunds(self) -> list[Row]:
        return list(self._refunds)

    def returns(self) -> list[Row]:
        return list(self._returns)

    def stock_writes(self) -> list[Row]:
        """Every number it was told, in order: {sku, quantity, at, shown_before}."""
        return list(self._writes)

    # ------------------------------------------------------------------ inside

    def _take(self, sku: str, units: int) -> None:
        """They are ordered; below 0 an order is cancelled."""
        row = self._listings[sku]
        if self._gross:
            row["allocated"] += units
        else:
            row["quantity"] -= units

    def _now(self) -> str:
        return _instant(self._world.now())

    def _listing(self, sku: str) -> Row:
        if sku not in self._listings:
            raise NotPossible(f"nothing is listed as {sku}")
        return self._listings[sku]

    def _order(self, order: str) -> Row:
        if order not in self._orders:
            raise NotPossible(f"there is no order {order}")
        return self._orders[order]

    def _touch(self, order: Row) -> None:
        order["version"] += 1
        order["updated_at"] = self._now()
        self._changes.append(order["id"])

    def _ordered(self, wanted: list[Row], buyer: Row | None, payment: str, fee: Decimal) -> Row:
        number = len(self._orders) + 1
        lines: list[Row] = []
        for index, line in enumerate(wanted, start=1):
            listing = self._listings[line["sku"]]
            amount = Decimal(listing["price"]) * line["quantity"]
            lines.append(
                {
                    "id": str(index),
                    "sku": line["sku"],
                    "title": listing["title"],
                    "quantity": line["quantity"],
                    "unit_price": listing["price"],
                    "tax": self._tax(amount),
                    **line,
                }
            )
        order: Row = {
            "id": f"{self._world.settings.get('prefix', 'P')}{number:06d}",
            "number": f"#{number:06d}",
            "version": 0,
            "placed_at": self._now(),
            "updated_at": self._now(),
            "cancelled_at": None,
            "cancel_reason": None,
            "state": "open",
            "payment": payment,
            "currency": self._world.settings.get("currency", "EUR"),
            "total": self._total(lines, fee),
            "shipping": str(fee.quantize(CENT)),
            "tax_included": self._tax_included,
            "buyer": buyer or _BUYER,
            "lines": lines,
            "cancellations": [],
        }
        self._orders[order["id"]] = order
        return order

    @property
    def _tax_included(self) -> bool:
        return self._world.settings.get("tax_included") != "false"

    def _total(self, lines: list[Row], shipping: Decimal) -> str:
        total = self._on_top(line["tax"] for line in lines) + shipping
        for line in lines:
            total += Decimal(line["unit_price"]) * line["quantity"]
        return str(total.quantize(CENT))

    def _on_top(self, taxes: Iterable[list[Row]]) -> Decimal:
        """What is paid beyond the prices."""
        if self._tax_included:
            return Decimal(0)
        return sum((Decimal(tax["amount"]) for line in taxes for tax in line), Decimal(0))

    def _tax(self, amount: Decimal) -> list[Row]:
        """Inside the prices, as a shopper sees them, or on top."""
        rate = Decimal(self._world.settings.get("tax_rate", "0.19"))
        tax = (amount * rate / (1 + rate if self._tax_included else 1)).quantize(CENT)
        return [{"title": "VAT", "rate": str(rate), "amount": str(tax)}]

    async def _push(self, topic: str, row: Row, kind: str = "order") -> int:
        if self._world.settings.get("push") == "false":
            return 0
        self._events += 1
        body = orjson.dumps({kind: row})
        headers = {
            "content-type": "application/json",
            "x-channel-topic": topic,
            "x-channel-event": f"{row['id']}-{row['version']}-{topic}",
            "x-channel-signature": hmac.digest(self._secret, body, "sha256").hex(),
        }
        # Sent once: what gets lost is found by the poll (S11).
        return await self._world.deliver(headers, body)

    # ------------------------------------------------------------------ its HTTP face

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "GET":
            self._world.writes.append(f"{scope['method']} {scope['path']}")
        body = await body_of(receive)
        if (b"authorization", self._bearer) in scope["headers"]:
            status, answer = self._answer(scope, body)
        else:
            status, answer = _error(401, "no_login", "the token is wrong")
        await say(send, status, answer)

    def _answer(self, scope: Mapping[str, Any], body: bytes) -> Answer:
        self._lapse()
        asked = dict(parse_qsl(scope["query_string"].decode()))
        method = scope["method"]
        match [method, *scope["path"].strip("/").split("/")]:
            case ["PUT", "stock"]:
                return self._put_stock(body)
            case ["GET", "orders"]:
                return self._get_orders(asked)
            case ["GET", "refunds"]:
                return self._get_changed("refunds", self._refunds, asked)
            case ["GET", "returns"]:
                return self._get_changed("returns", self._returns, asked)
            case ["GET", "listings"]:
                start, limit = int(asked.get("offset", "0")), int(asked.get("limit", "100"))
                return 200, {"listings": list(self._listings.values())[start : start + limit]}
            case ["GET", "orders", order] if order in self._orders:
                return 200, self._orders[order]
            case ["GET", "orders", order, "acceptances"] if order in self._orders:
                return 200, {"acceptances": self._acceptances.get(order, [])}
            case ["POST", "orders", order, "acceptances"] if order in self._orders:
                return self._post_acceptance(self._orders[order], body)
            case ["GET", "orders", order, "cancellations"] if order in self._orders:
                return 200, {"cancellations": self._orders[order]["cancellations"]}
            case ["POST", "orders", order, "cancellations"] if order in self._orders:
                return self._post_cancellation(self._orders[order], body)
            case ["GET", "orders", order, "answers"] if order in self._orders:
                return 200, {"answers": self._answers.get(order, [])}
            case ["POST", "orders", order, "answers"] if order in self._orders:
                return self._post_answer(self._orders[order], body)
            case ["GET", "orders", order, "shipments"] if order in self._orders:
                return 200, {"shipments": self._shipments.get(order, [])}
            case ["POST", "orders", order, "shipments"] if order in self._orders:
                return self._post_shipment(self._orders[order], body)
        return _error(404, "not_found", "there is no such thing")

    def _get_orders(self, asked: Mapping[str, str]) -> Answer:
        """Orders changed at or after `since`, oldest change first; `next_cursor` to go on."""
        limit = min(int(asked.get("limit", "50")), 200)
        start = int(asked.get("cursor") or self._first_change(asked.get("since")))
        ids = self._changes[start : start + limit]
        end = start + len(ids)
        return 200, {
            # An order that changed twice appears once in a page, as it is now.
            "orders": [self._orders[order] for order in dict.fromkeys(ids)],
            "next_cursor": str(end) if end < len(self._changes) else None,
        }

    def _get_changed(self, name: str, own: list[Row], asked: Mapping[str, str]) -> Answer:
        """Those made or changed at or after `since`, oldest first."""
        limit = min(int(asked.get("limit", "50")), 200)
        since = asked.get("since")
        rows = sorted(own, key=lambda row: str(row["updated_at"]))
        if since:
            start = datetime.fromisoformat(since)
            rows = [row for row in rows if datetime.fromisoformat(row["updated_at"]) >= start]
        first = int(asked.get("cursor") or "0")
        end = first + limit
        return 200, {
            name: rows[first:end],
            "next_cursor": str(end) if end < len(rows) else None,
        }

    def _first_change(self, since: str | None) -> int:
        if not since:
            return 0
        start = datetime.fromisoformat(since)
        index = len(self._changes)
        # From the end: a poll asks for the last minutes, whatever the year has brought.
        while index:
            changed = self._orders[self._changes[index - 1]]["updated_at"]
            if datetime.fromisoformat(changed) < start:
                break
            index -= 1
        return index

    def _put_stock(self, body: bytes) -> Answer:
        rows = orjson.loads(body).get("rows", [])
        if len(rows) > BATCH_MAX:
            return _error(422, "too_many", f"{BATCH_MAX} rows in one call")
        whole = self._world.settings.get("refuses_whole") == "true"
        if whole and any(row["sku"] not in self._listings for row in rows):
            return _error(422, "bad_request", "a row is not valid")
        now = self._now()
        results = [self._write(row, now) for row in rows]
        silent = self._named("silent_about")
        return 200, {"results": [one for one in results if one["sku"] not in silent]}

    def _named(self, setting: str) -> list[str]:
        """SKUs of one setting."""
        return self._world.settings.get(setting, "").split(",")

    def _write(self, row: Row, now: str) -> Row:
        listing = self._listings.get(row["sku"])
        if listing is None:
            return {"sku": row["sku"], "status": "error", "message": "nothing is listed as this"}
        quantity = row["quantity"] if "quantity" in row else listing["quantity"] + row["change"]
        if not isinstance(quantity, int) or quantity < 0:
            return {"sku": row["sku"], "status": "error", "message": "not a quantity"}
        if row["sku"] in self._named("refuses"):
            return {"sku": row["sku"], "status": "error", "message": "locked for a sale"}
        if row["sku"] in self._named("keeps"):
            return {"sku": row["sku"], "status": "ok", "quantity": quantity}
        before = self.shown(row["sku"])
        self._writes.append(
            {"sku": row["sku"], "quantity": quantity, "at": now, "shown_before": before}
        )
        listing["quantity"] = quantity
        return {"sku": row["sku"], "status": "ok", "quantity": quantity}

    def _post_acceptance(self, order: Row, body: bytes) -> Answer:
        sent = orjson.loads(body)
        rows = self._acceptances.setdefault(order["id"], [])
        if any(row["reference"] == sent.get("reference") for row in rows):
            return _error(409, "duplicate_reference", "this acceptance is there already")
        if order["state"] == "cancelled":
            return _error(422, "cancelled", "the order is cancelled")
        row = {"reference": sent["reference"], "id": f"{order['id']}-A1", "at": self._now()}
        rows.append(row)
        order["accepted"] = True
        self._touch(order)
        return 201, row

    def _post_cancellation(self, order: Row, body: bytes) -> Answer:
        """The seller cancels it, or so many units of some lines."""
        sent = orjson.loads(body)
        rows = order["cancellations"]
        if any(row.get("reference") == sent.get("reference") for row in rows):
            return _error(409, "duplicate_reference", "this cancellation is there already")
        if order["state"] in ("cancelled", "shipped"):
            return _error(422, order["state"], f"the order is {order['state']}")
        if sent.get("reason") not in _REASONS:
            return _error(422, "no_reason", "say why, in one of our words")
        units = {row["line"]: row["quantity"] for row in sent.get("lines", ())}
        if any(n > self._line(order, line)["quantity"] for line, n in units.items()):
            return _error(422, "too_many", "so many units were not ordered")
        row = {**sent, "id": f"{order['id']}-C{len(rows) + 1}", "by": "seller"}
        rows.append(row | {"state": "completed"})
        self._take_out(order, units, sent["reason"])
        return 201, rows[-1]

    def _post_answer(self, order: Row, body: bytes) -> Answer:
        """The seller answers what its buyer asks."""
        sent = orjson.loads(body)
        rows = self._answers.setdefault(order["id"], [])
        if any(row["reference"] == sent.get("reference") for row in rows):
            return _error(409, "duplicate_reference", "this answer is there already")
        wishes = [one for one in order["cancellations"] if one["id"] == sent.get("request")]
        if not wishes or wishes[0]["state"] != "requested":
            return _error(422, "not_open", "nobody asks that (any more)")
        rows.append({**sent, "id": f"{wishes[0]['id']}-A"})
        if sent["granted"]:
            self._grant(order, wishes[0])
        else:
            wishes[0]["state"] = "refused"
            self._touch(order)
        return 201, rows[-1]

    def _grant(self, order: Row, wish: Row) -> None:
        wish["state"] = "completed"
        units = {row["line"]: row["quantity"] for row in wish["lines"]}
        self._take_out(order, units, "the buyer asked for it")

    def _take_out(self, order: Row, units: Mapping[str, int], reason: str) -> None:
        """So many units by line; of none, or of all, the order is cancelled."""
        left = {line["id"]: line["quantity"] - units.get(line["id"], 0) for line in order["lines"]}
        if not units or not any(left.values()):
            self._cancel(order, reason)
            return
        self._units(order, left)
        self._touch(order)

    def _line(self, order: Row, line: str) -> Row:
        return next((row for row in order["lines"] if row["id"] == line), {"quantity": 0})

    def _lapse(self) -> None:
        """As marketplaces do: an order that nobody accepted in time is cancelled, and a buyer's
        wish that nobody answered in time is granted."""
        now = self._now()
        waits = self._orders if self._world.settings.get("accept_hours") else self._wished
        for row in [self._orders[order] for order in waits]:
            if row["state"] in ("cancelled", "shipped"):
                continue
            if not row.get("accepted", True) and row["accept_by"] <= now:
                self._cancel(row, "not accepted in time")
            for wish in row["cancellations"]:
                if wish["state"] == "requested" and wish.get("decide_by", "9") <= now:
                    self._grant(row, wish)

    def _units(self, row: Row, units: Mapping[str, int]) -> None:
        """Other units of some lines, at the same prices."""
        for line in row["lines"]:
            wanted = units.get(line["id"], line["quantity"])
            more = wanted - line["quantity"]
            if more > max(0, self.shown(line["sku"])):
                raise SoldOut(f"{line['sku']} has not {more} more")
            self._take(line["sku"], more)
            line["quantity"] = wanted
            line["tax"] = self._tax(Decimal(line["unit_price"]) * wanted)
        row["total"] = self._total(row["lines"], Decimal(row["shipping"]))

    def _cancel(self, row: Row, reason: str) -> None:
        row.update(state="cancelled", cancelled_at=self._now(), cancel_reason=reason)
        if self._world.settings.get("restock") != "false":
            for line in row["lines"]:
                self._take(line["sku"], -line["quantity"])
        self._touch(row)

    def _post_shipment(self, order: Row, body: bytes) -> Answer:
        sent = orjson.loads(body)
        rows = self._shipments.setdefault(order["id"], [])
        if any(row["reference"] == sent.get("reference") for row in rows):
            return _error(409, "duplicate_reference", "this shipment is there already")
        if order["state"] == "cancelled":
            return _error(422, "cancelled", "the order is cancelled")
        if not order.get("accepted", True):
            return _error(422, "not_accepted", "the order is not accepted")
        row = {**sent, "id": f"{order['id']}-S{len(rows) + 1}", "order": order["id"]}
        rows.append(row)
        for line in sent.get("lines", ()) if self._gross else ():
            self._listings[line["sku"]]["quantity"] -= line["quantity"]
            self._listings[line["sku"]]["allocated"] -= line["quantity"]
        order["state"] = "shipped" if sent.get("complete", True) else "part_shipped"
        self._touch(order)
        return 201, row


#: Why a seller may cancel.
_REASONS = ("out_of_stock", "buyer", "address", "payment", "fraud", "other")


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_BUYER: Row = {
    "name": "Alex Example",
    "street": "1 Sample Street",
    "city": "Berlin",
    "postcode": "01067",
    "country": "DE",
    "email": "alex@example.com",
    "phone": "+4930000000",
}


def _refunded(line: Row, asked: Row) -> Row:
    """One line of a refund: its units at their price, the tax in it as it was charged."""
    units = asked["quantity"]
    amount = Decimal(asked.get("amount") or Decimal(line.get("unit_price", "0")) * units)
    sold = Decimal(line.get("unit_price", "0")) * line.get("quantity", 0)
    tax = [
        {**one, "amount": str((Decimal(one["amount"]) * amount / sold).quantize(CENT))}
        for one in line.get("tax", ())
        if sold
    ]
    return {
        "line": asked["line"],
        "sku": line.get("sku", ""),
        "quantity": units,
        "amount": str(amount.quantize(CENT)),
        "tax": tax if asked.get("taxed", True) else [],
    }


def _error(status: int, code: str, message: str) -> Answer:
    return status, {"error": {"code": code, "message": message}}
