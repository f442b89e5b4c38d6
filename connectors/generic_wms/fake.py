"""A plain warehouse, pretending: shelves, a movement counter, orders by unique reference.

Its habits: a second order with the same reference is a 409, an order is accepted
even when the shelf is empty (short picks come later), what has left cannot be
cancelled, and its pushes carry only an id.
"""

from __future__ import annotations

import hmac
import json
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.fake import World

Row = dict[str, Any]


class NotEnough(ValueError):
    """The shelf has fewer units than somebody wants to take."""


class NotPossible(ValueError):
    """The order is not in a state in which that can be done."""


@dataclass(slots=True)
class Shelf:
    sku: str
    place: str
    status: str = ""  # "": for sale
    on_hand: int = 0
    movement: int = 0

    @property
    def id(self) -> str:
        return f"{self.sku}@{self.place}{f'/{self.status}' if self.status else ''}"


@dataclass(slots=True)
class Order:
    id: str
    reference: str
    place: str
    lines: list[Row]
    body: Row
    state: str = "open"  # open | part_shipped | shipped | cancelled
    begun: bool = False  # somebody picks it
    movement: int = 0
    left: list[int] = field(default_factory=list)  # units of each line still to ship

    @property
    def waits(self) -> bool:
        return self.state in ("open", "part_shipped")


class Fake:
    """Settings: api_token, webhook_secret, push ("true"), basis ("available" for net numbers),
    known_skus ("a,b": anything else in an order is refused)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelves: dict[tuple[str, str, str], Shelf] = {}
        self._moves: list[Row] = []
        self._orders: dict[str, Order] = {}
        self._shipments: list[Row] = []
        self._by_id: dict[str, Row] = {}
        self._returns: list[Row] = []
        self._asked: Counter[tuple[str, str]] = Counter()  # (sku, place): units not shipped yet
        self._movement = 0
        self._version = 0
        self._pushes = 0
        self._units = {"received": 0, "adjusted": 0, "shipped": 0}
        self._asgi = Starlette(
            routes=[
                Route("/stock", self._get_stock),
                Route("/movements", self._get_movements),
                Route("/orders", self._get_orders),
                Route("/orders", self._post_order, methods=["POST"]),
                Route("/orders/{reference:path}/cancel", self._post_cancel, methods=["POST"]),
                Route("/returns", self._get_returns),
                Route("/shipments", self._get_shipments),
                Route("/shipments/{id}", self._get_shipment),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            self._world.writes.append(f"{scope['method']} {scope['path']}")
        if not self._knows(scope):
            await _refused(401, "no_login", "the token is wrong")(scope, receive, send)
            return
        await self._asgi(scope, receive, send)

    # ------------------------------------------------------------------ what people there do

    def receive(self, sku: str, place: str, quantity: int) -> int:
        """Goods come in. Returns what is on the shelf now."""
        self._units["received"] += quantity
        return self._move(sku, place, quantity).on_hand

    def count(self, sku: str, place: str, quantity: int) -> int:
        """Somebody counts the shelf and is right. Returns the difference."""
        difference = quantity - self._shelf(sku, place).on_hand
        self._units["adjusted"] += difference
        self._move(sku, place, difference)
        return difference

    def set_aside(self, sku: str, place: str, quantity: int, status: str = "damaged") -> int:
        """Units that may not be sold lie on a shelf of their own. Returns what is left for sale."""
        self._move(sku, place, quantity, status)
        return self._move(sku, place, -quantity).on_hand

    def put_back(self, sku: str, place: str, quantity: int, status: str = "damaged") -> int:
        """They are found to be good. Returns what is for sale now."""
        self._move(sku, place, -quantity, status)
        return self._move(sku, place, quantity).on_hand

    def send_over(self, sku: str, place: str, quantity: int) -> int:
        """A transfer leaves: until it arrives its units are on a truck, and in no place."""
        self._units["adjusted"] -= quantity
        return self._move(sku, place, -quantity).on_hand

    def arrive(self, sku: str, place: str, quantity: int) -> int:
        self._units["adjusted"] += quantity
        return self._move(sku, place, quantity).on_hand

    def delete(self, sku: str, place: str) -> int:
        """Somebody deletes the article: its row is gone. Returns what lay there."""
        shelf = self._shelves.pop((sku, place, ""))
        self._units["adjusted"] -= shelf.on_hand
        return shelf.on_hand

    def claims(self, sku: str, place: str, quantity: int) -> int:
        """Its program says a number that is not true. Returns the one before."""
        shelf = self._shelf(sku, place)
        before, shelf.on_hand = shelf.on_hand, quantity
        self._movement += 1
        shelf.movement = self._movement
        return before

    def lose_movement(self, number: int) -> int:
        """One movement never comes. Returns how many there are."""
        self._moves = [row for row in self._moves if row["movement"] != number]
        return len(self._moves)

    def reinstall(self) -> int:
        """Its program is set up anew: the shelves are as they were, the counter begins again."""
        self._movement = 0
        self._moves.clear()
        for shelf in self._shelves.values():
            self._movement += 1
            shelf.movement = self._movement
        return self._movement

    async def ship(
        self,
        reference: str,
        lines: list[Row] | None = None,
        *,
        carrier: str = "Plain Parcel",
        tracking: str = "",
        complete: bool = True,
    ) -> Row:
        """Pack and ship: everything still open, or `lines` of {sku or line, quantity}.
        With complete=False the rest waits for a later parcel instead of being short."""
        order = self._waiting(reference)
        parcel = self._picked(order, lines)
        for line, units in zip(order.lines, parcel, strict=True):
            if units > self._shelf(line["sku"], order.place).on_hand:
                raise NotEnough(f"{order.place} has not {units} of {line['sku']}")
        return await self._leave(order, parcel, carrier, tracking, complete)

    async def short_pick(self, reference: str, *, tracking: str = "") -> Row:
        """Ship what the shelves really have; the rest is short and will not follow."""
        order = self._waiting(reference)
        free = {key: shelf.on_hand for key, shelf in self._shelves.items()}
        parcel = []
        for line, left in zip(order.lines, order.left, strict=True):
            key = (line["sku"], order.place, "")
            parcel.append(min(left, free.get(key, 0)))
            free[key] = free.get(key, 0) - parcel[-1]
        return await self._leave(order, parcel, "Plain Parcel", tracking, complete=True)

    def begin(self, reference: str) -> None:
        """Picking has begun: it lets nothing of this order be any more."""
        self._waiting(reference).begun = True

    async def cancel(self, reference: str) -> Row:
        """Somebody in the warehouse gives the order up."""
        order = self._waiting(reference)
        self._cancel(order)
        return await self._shipment(order, "cancelled", [0] * len(order.lines), "", "")

    def take_back(
        self,
        reference: str,
        lines: list[Row],
        *,
        returned: str = "",
        tracking: str = "",
        place: str = "MAIN",
    ) -> Row:
        """Goods come back, of {sku, quantity, condition}: resellable units lie on the shelf again,
        damaged ones on one of their own, missing ones are only written down. `place`: for those of
        an order it does not know."""
        order = self._orders.get(reference)
        place = order.place if order else place
        for line in lines:
            if line["condition"] == "missing":
                continue
            self._units["received"] += line["quantity"]
            status = "" if line["condition"] == "resellable" else line["condition"]
            self._move(line["sku"], place, line["quantity"], status)
        row = {
            "id": f"RT{len(self._returns) + 1}",
            "version": len(self._returns) + 1,
            "reference": reference,
            "returned": returned,
            "tracking": tracking,
            "received_at": _iso(self._world),
            "lines": lines,
        }
        self._returns.append(row)
        return row

    # ------------------------------------------------------------------ what is true there

    def returns(self) -> list[Row]:
        return list(self._returns)

    def stock(self) -> list[Row]:
        return [self._stock_row(shelf) for shelf in self._shelves.values()]

    def on_hand(self, sku: str, place: str = "") -> int:
        return sum(
            shelf.on_hand
            for shelf in self._shelves.values()
            if shelf.sku == sku and place in ("", shelf.place) and not shelf.status
        )

    def orders(self) -> list[Row]:
        return [self._order_row(order) for order in self._orders.values()]

    def shipments(self) -> list[Row]:
        return list(self._shipments)

    def movements(self) -> Row:
        """Units that came, were corrected and left: they add up to what is on the shelves."""
        return {**self._units, "on_hand": sum(row.on_hand for row in self._shelves.values())}

    # ------------------------------------------------------------------ inside

    def _shelf(self, sku: str, place: str, status: str = "") -> Shelf:
        return self._shelves.setdefault((sku, place, status), Shelf(sku, place, status))

    def _move(self, sku: str, place: str, units: int, status: str = "") -> Shelf:
        shelf = self._shelf(sku, place, status)
        if shelf.on_hand + units < 0:
            raise NotEnough(f"{place} has not {-units} of {sku}")
        self._movement += 1
        shelf.on_hand += units
        shelf.movement = self._movement
        self._moves.append(
            {
                "id": f"M{self._movement}",
                "movement": self._movement,
                "sku": sku,
                "place": place,
                "status": status,
                "units": units,
            }
        )
        return shelf

    def _waiting(self, reference: str) -> Order:
        order = self._orders.get(reference)
        if order is None:
            raise NotPossible(f"there is no order {reference}")
        if not order.waits:
            raise NotPossible(f"order {reference} is {order.state}")
        return order

    def _picked(self, order: Order, lines: list[Row] | None) -> list[int]:
        """Units of each order line that go into this parcel."""
        if lines is None:
            return list(order.left)
        parcel = [0] * len(order.lines)
        for wanted in lines:
            units = int(wanted["quantity"])
            for index, line in enumerate(order.lines):
                if units and wanted.get("line", line["line"]) == line["line"]:
                    if wanted.get("sku", line["sku"]) != line["sku"]:
                        continue
                    part = min(units, order.left[index] - parcel[index])
                    parcel[index] += part
                    units -= part
            if units:
                raise NotEnough(f"order {order.reference} does not ask for that many")
        return parcel

    async def _leave(
        self, order: Order, parcel: list[int], carrier: str, tracking: str, complete: bool
    ) -> Row:
        for index, (line, units) in enumerate(zip(order.lines, parcel, strict=True)):
            if units:
                self._move(line["sku"], order.place, -units)
                self._still_asks(order, index, order.left[index] - units)
                self._units["shipped"] += units
        short = list(order.left) if complete else [0] * len(order.lines)
        order.state = "shipped" if complete or not any(order.left) else "part_shipped"
        order.movement = self._movement
        tracking = tracking or f"PP{self._version + 1:08d}"
        return await self._shipment(order, "shipped", parcel, carrier, tracking, short)

    def _still_asks(self, order: Order, index: int, units: int) -> None:
        self._asked[order.lines[index]["sku"], order.place] += units - order.left[index]
        order.left[index] = units

    def _cancel(self, order: Order) -> None:
        order.state = "cancelled"
        for index in range(len(order.lines)):
            self._still_asks(order, index, 0)
        if self._world.settings.get("basis") == "available":
            # The number is net of what was accepted: giving it up moves it.
            for line in order.lines:
                self._move(line["sku"], order.place, 0)
        order.movement = self._movement

    async def _shipment(
        self,
        order: Order,
        state: str,
        parcel: list[int],
        carrier: str,
        tracking: str,
        short: list[int] | None = None,
    ) -> Row:
        self._version += 1
        row: Row = {
            "id": f"S{self._version}",
            "version": self._version,
            "reference": order.reference,
            "place": order.place,
            "state": state,
            "shipped_at": _iso(self._world) if state == "shipped" else None,
            "movement": self._movement,
            "carrier": carrier,
            "tracking": tracking,
            "lines": _units_of(order, parcel),
            "short": _units_of(order, short or []),
            "complete": order.state != "part_shipped",
        }
        self._shipments.append(row)
        self._by_id[row["id"]] = row
        if self._world.settings.get("push") == "true":
            await self._push(row)
        return row

    async def _push(self, row: Row) -> None:
        self._pushes += 1
        body = json.dumps({"shipment": {"id": row["id"], "version": row["version"]}}).encode()
        secret = self._world.settings.get("webhook_secret", "wms-webhook-secret")
        headers = {
            "content-type": "application/json",
            "x-wms-topic": "shipment.changed",
            "x-wms-delivery": f"D{self._pushes}",
            "x-wms-signature": hmac.digest(secret.encode(), body, "sha256").hex(),
        }
        # Nobody is asked whether it arrived: a lost push is found by the poll (S11).
        await self._world.deliver(headers, body)

    def _stock_row(self, shelf: Shelf) -> Row:
        asked = 0 if shelf.status else self._asked[shelf.sku, shelf.place]
        net = self._world.settings.get("basis") == "available"
        return {
            "id": shelf.id,
            "sku": shelf.sku,
            "place": shelf.place,
            "status": shelf.status,
            "on_hand": None if net else shelf.on_hand,
            "available": shelf.on_hand - asked if net else None,
            "allocated": asked,
            "movement": shelf.movement,
            # The row is true as of the counter now, not only as of its own last change.
            "as_of_movement": self._movement,
        }

    def _order_row(self, order: Order) -> Row:
        return {
            "id": order.id,
            "reference": order.reference,
            "place": order.place,
            "ship_to": order.body.get("ship_to"),
            "state": order.state,
            "movement": order.movement,
            "lines": order.lines,
            "left": _units_of(order, order.left),
        }

    # ------------------------------------------------------------------ its HTTP face

    def _knows(self, scope: Scope) -> bool:
        token = self._world.settings.get("api_token", "wms-token")
        return (b"authorization", f"Bearer {token}".encode()) in scope.get("headers", [])

    async def _get_stock(self, request: Request) -> Response:
        changed = sorted(self._shelves.values(), key=lambda shelf: shelf.movement)
        rows = _page(request, changed, lambda shelf: shelf.movement)
        return JSONResponse(
            {"rows": [self._stock_row(shelf) for shelf in rows], "movement": self._movement}
        )

    async def _get_movements(self, request: Request) -> Response:
        return JSONResponse({"rows": _page(request, self._moves, lambda row: row["movement"])})

    async def _get_orders(self, request: Request) -> Response:
        order = self._orders.get(request.query_params.get("reference", ""))
        return JSONResponse({"rows": [self._order_row(order)] if order else []})

    async def _post_order(self, request: Request) -> Response:
        body = await _json(request)
        if not isinstance(body, dict) or not body.get("reference") or not body.get("lines"):
            return _refused(422, "invalid", "reference and lines are needed")
        reference = str(body["reference"])
        if reference in self._orders:
            return _refused(409, "duplicate_reference", f"order {reference} is there already")
        known = [sku for sku in self._world.settings.get("known_skus", "").split(",") if sku]
        for line in body["lines"]:
            if known and line.get("sku") not in known:
                return _refused(422, "unknown_sku", f"there is no article {line.get('sku')}")
            if not isinstance(line.get("quantity"), int) or line["quantity"] < 1:
                return _refused(422, "invalid", "quantity must be a whole number above zero")
        order = self._accepted(reference, body)
        return JSONResponse(self._order_row(order), status_code=201)

    def _accepted(self, reference: str, body: Row) -> Order:
        lines = [
            {
                "line": str(line.get("line") or index),
                "sku": line["sku"],
                "quantity": line["quantity"],
            }
            for index, line in enumerate(body["lines"], start=1)
        ]
        order = Order(
            id=f"W{len(self._orders) + 1}",
            reference=reference,
            place=str(body.get("place") or "MAIN"),
            lines=lines,
            body=body,
            left=[0] * len(lines),
        )
        for index, line in enumerate(lines):
            self._still_asks(order, index, line["quantity"])
        self._orders[reference] = order
        if self._world.settings.get("basis") == "available":
            for line in lines:
                self._move(line["sku"], order.place, 0)
        order.movement = self._movement
        return order

    async def _post_cancel(self, request: Request) -> Response:
        order = self._orders.get(request.path_params["reference"])
        if order is None:
            return _refused(404, "unknown_order", "there is no such order")
        if order.state == "cancelled":
            return _refused(409, "already_cancelled", "it is cancelled already")
        if order.state == "shipped":
            return _refused(409, "already_shipped", "it has left the house")
        if order.begun:
            return _refused(409, "being_picked", "it is being picked")
        self._cancel(order)
        await self._shipment(order, "cancelled", [0] * len(order.lines), "", "")
        return JSONResponse(self._order_row(order))

    async def _get_returns(self, request: Request) -> Response:
        return JSONResponse({"rows": _page(request, self._returns, lambda row: row["version"])})

    async def _get_shipments(self, request: Request) -> Response:
        return JSONResponse({"rows": _page(request, self._shipments, lambda row: row["version"])})

    async def _get_shipment(self, request: Request) -> Response:
        row = self._by_id.get(str(request.path_params["id"]))
        if row is None:
            return _refused(404, "unknown_shipment", "there is no such shipment")
        return JSONResponse(row)


def _units_of(order: Order, units: list[int]) -> list[Row]:
    return [
        {"line": line["line"], "sku": line["sku"], "quantity": count}
        for line, count in zip(order.lines, units, strict=False)
        if count
    ]


def _page(request: Request, rows: list[Any], number: Any) -> list[Any]:
    """Rows above `since`, which are in the order of `number`."""
    since = int(request.query_params.get("since", "0"))
    limit = min(int(request.query_params.get("limit", "100")), 500)
    start = bisect_right(rows, since, key=number)
    return rows[start : start + limit]


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _iso(world: World) -> str:
    return world.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
