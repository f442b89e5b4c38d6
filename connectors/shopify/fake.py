"""Shopify pretending: its own true state, its own bad habits.

The HTTP face is one GraphQL endpoint per version, `/admin/api/{version}/graphql.json`,
answered by a small executor over the state, so any plain document works and not
only ours. Habits kept on purpose: throttling inside a 200, `userErrors`, a stock
write that is all or nothing, a repeated stock write that comes back as stale, a
fulfillment that happens twice when it is asked twice, a search that lags and
hides orders older than 60 days, a subscription that dies after 8 failures.

Control methods (JSON in, JSON out):

    add_location(name) -> gid                     add_product(sku, title, price, stock, ...)
    place_order(lines, paid, gateway, tax_rate, tax_included, shipping, discount, ...) -> {id, name}
    pay(order)                                    cancel_order(order, reason, restock)
    remove_units(order, sku, quantity)            set_stock(sku, quantity, location)
    stock(sku) -> {location: {available, ...}}    orders() / order(order) / fulfillments(order)
    split_fulfillment_orders(order)               hold_fulfillment_orders(order, held)
    subscriptions() -> [topic]                    subscribe(url, topics) / drop_subscriptions()
    use_points(points)                            throttle_with(status)
    lag_search(seconds)                           blame_one_line_only(on)
    deny(scope) / revoke_token()                  serve_version(version)
    redeliver() -> pushes sent again              undelivered() -> number
    signed(topic, payload) -> {headers, body}     settle(): until all pushes are answered
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from connectors.shopify.fake_face import Face
from connectors.shopify.fake_orders import place
from connectors.shopify.fake_shop import FulfillmentLine, FulfillmentOrder, Level, Shop, Variant
from connectors.shopify.fake_views import gid, instant, rest_edit, rest_order
from core.fake import World, body_of
from core.money import Money

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: Consecutive failures after which Shopify deletes an API-made subscription.
FAILURES_MAX = 8


@dataclass(slots=True, kw_only=True)
class Sending:
    """One delivery: the original payload is resent, however old."""

    topic: str
    headers: dict[str, str]
    body: bytes


class Fake:
    """One shop with one location, "Main warehouse", and nothing in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        settings = world.settings
        self.shop = Shop(now=world.now, currency=settings.get("currency", "EUR"))
        self.face = Face(self.shop, world)
        self._secret = settings.get("webhook_secret", "")
        self._waiting: list[Sending] = []
        self._failures: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.add_location("Main warehouse")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        status, words, answer = self.face.answer(scope["method"], scope["path"], headers, body)
        raw = [(key.encode(), value.encode()) for key, value in words.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
        self._push()

    # ------------------------------------------------------------ the shop

    def add_location(self, name: str) -> str:
        number = len(self.shop.locations) + 1
        self.shop.locations[number] = name
        return gid("Location", number)

    def add_product(
        self,
        sku: str,
        title: str = "",
        price: str = "10.00",
        stock: int | Mapping[str, int] = 0,
        *,
        tracked: bool = True,
        requires_shipping: bool = True,
    ) -> dict[str, str]:
        """`stock` is units at the first location, or {location name or gid: units}."""
        places = {gid("Location", 1): stock} if isinstance(stock, int) else dict(stock)
        at = self.shop.second()
        variant = Variant(
            number=self.shop.number(),
            sku=sku,
            title=title or sku,
            price=Money.parse(price, self.shop.currency),
            tracked=tracked,
            requires_shipping=requires_shipping,
            levels={
                self._location(place): Level(available=int(units), updated_at=at)
                for place, units in places.items()
            },
        )
        self.shop.variants[sku] = variant
        return {
            "variant": gid("ProductVariant", variant.number),
            "item": gid("InventoryItem", variant.number),
        }

    def place_order(self, lines: Sequence[Mapping[str, Any]], **facts: Any) -> dict[str, str]:
        """A buyer's checkout; raises SoldOut when fewer units are available than asked for."""
        order = place(self.shop, lines, **facts)
        self._push()
        return {"id": gid("Order", order.number), "name": order.name}

    def pay(self, order: str) -> None:
        found = self.shop.find(order)
        found.financial = "PAID"
        self.shop.touch(found, "orders/paid", "orders/updated")
        self._push()

    def cancel_order(self, order: str, reason: str = "CUSTOMER", *, restock: bool = True) -> None:
        """Cancel whatever has not shipped, refund it with the shipping."""
        found = self.shop.find(order)
        for line in found.lines:
            shipped = sum(
                units for one in found.fulfillments for sold, units in one.lines if sold is line
            )
            self.shop.remove(found, line, line.current - shipped, restock=restock)
        for one in found.shipping:
            one.refunded = True
        found.cancelled_at = self.shop.second()
        found.cancel_reason = reason
        found.financial = "REFUNDED" if found.financial == "PAID" else "VOIDED"
        self.shop.touch(found, "orders/cancelled", "orders/updated")
        self._push()

    def remove_units(self, order: str, sku: str, quantity: int) -> None:
        """An edit after checkout."""
        found = self.shop.find(order)
        line = next(line for line in found.lines if line.variant.sku == sku)
        self.shop.remove(found, line, quantity)
        self.shop.touch(found, "orders/edited", "orders/updated")
        self._push()

    def set_stock(self, sku: str, quantity: int, location: str = "1") -> None:
        """Somebody types a number into the admin."""
        level = self.shop.variants[sku].levels[self._location(location)]
        level.available = quantity
        level.updated_at = self.shop.second()

    def stock(self, sku: str) -> dict[str, dict[str, int]]:
        return {
            self.shop.locations[number]: {
                "available": level.available,
                "committed": level.committed,
                "on_hand": level.available + level.committed,
            }
            for number, level in self.shop.variants[sku].levels.items()
        }

    def orders(self) -> list[dict[str, Any]]:
        return [self.order(one.name) for one in self.shop.orders.values()]

    def order(self, order: str) -> dict[str, Any]:
        found = self.shop.find(order)
        return {
            "id": gid("Order", found.number),
            "name": found.name,
            "updated_at": instant(found.updated_at),
            "financial": found.financial,
            "fulfillment": found.fulfillment_word(),
            "cancelled_at": instant(found.cancelled_at),
            "total": f"{found.total(now=True).amount:f}",
            "lines": [
                {
                    "id": gid("LineItem", line.number),
                    "sku": line.variant.sku,
                    "quantity": line.quantity,
                    "current": line.current,
                }
                for line in found.lines
            ],
        }

    def fulfillments(self, order: str) -> list[dict[str, Any]]:
        return [
            {
                "id": gid("Fulfillment", one.number),
                "tracking": one.tracking.get("number") or "",
                "lines": {line.variant.sku: units for line, units in one.lines},
            }
            for one in self.shop.find(order).fulfillments
        ]

    def split_fulfillment_orders(self, order: str) -> list[str]:
        """Shopify moves the open work to new fulfillment orders, one per line: ids change."""
        found = self.shop.find(order)
        fresh: list[FulfillmentOrder] = []
        for one in found.fulfillment_orders:
            for row in one.lines if one.status in ("OPEN", "IN_PROGRESS") else ():
                if row.remaining:
                    fresh.append(self._moved(one, row))
                    row.remaining = 0
            one.status = "CLOSED"
        found.fulfillment_orders += fresh
        return [gid("FulfillmentOrder", one.number) for one in fresh]

    def hold_fulfillment_orders(self, order: str, *, held: bool = True) -> None:
        for one in self.shop.find(order).fulfillment_orders:
            if one.status in ("OPEN", "IN_PROGRESS", "ON_HOLD"):
                one.status = "ON_HOLD" if held else "OPEN"

    def _moved(self, old: FulfillmentOrder, row: FulfillmentLine) -> FulfillmentOrder:
        line = FulfillmentLine(
            number=self.shop.number(), line=row.line, total=row.remaining, remaining=row.remaining
        )
        return FulfillmentOrder(number=self.shop.number(), location=old.location, lines=[line])

    def _location(self, place: str) -> int:
        for number, name in self.shop.locations.items():
            if place in (name, str(number), gid("Location", number)):
                return number
        raise KeyError(f"the fake shop has no location {place}")

    # ------------------------------------------------------------ habits

    def use_points(self, points: float) -> float:
        """Somebody else's app spends from the bucket; what is left."""
        return self.face.bucket.spend(points)

    def throttle_with(self, status: int) -> None:
        self.face.throttle_status = status

    def lag_search(self, seconds: float) -> None:
        self.face.search_lag = timedelta(seconds=seconds)

    def blame_one_line_only(self, *, on: bool = True) -> None:
        self.face.blame_one = on

    def deny(self, scope: str) -> None:
        self.face.scopes = [one for one in self.face.scopes if one != scope]

    def revoke_token(self) -> None:
        self.face.token = str(uuid.UUID(int=self.world.rng.getrandbits(128)))

    def serve_version(self, version: str) -> None:
        """An expired version silently falls forward to this one."""
        self.face.version = version

    # ------------------------------------------------------------ webhooks

    def subscriptions(self) -> list[str]:
        return [one["topic"] for one in self.face.subscriptions]

    def subscribe(self, url: str, topics: Sequence[str]) -> None:
        """As if the app had done it: `orders/create` and the like."""
        for topic in topics:
            self.face.subscribe(topic.upper().replace("/", "_"), url)

    def drop_subscriptions(self) -> None:
        self.face.subscriptions.clear()

    def undelivered(self) -> int:
        return len(self._waiting)

    def redeliver(self) -> int:
        """Shopify's retry: every waiting push again, with its original payload."""
        again, self._waiting = self._waiting, []
        self._start(again)
        return len(again)

    async def settle(self) -> None:
        """Until every push on its way has been answered."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def signed(self, topic: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One push with its headers, made and not sent."""
        body = json.dumps(payload, separators=(",", ":"))
        return {"headers": self._headers(topic, body.encode()), "body": body}

    def _push(self) -> None:
        changes, self.shop.changes = self.shop.changes, []
        wanted = set(self.subscriptions())
        batch = []
        for topic, order in changes:
            if topic.upper().replace("/", "_") in wanted:
                payload = rest_edit(order) if topic == "orders/edited" else rest_order(order)
                made = self.signed(topic, payload)
                body = made["body"].encode()
                batch.append(Sending(topic=topic, headers=made["headers"], body=body))
        self._start(batch)

    def _start(self, batch: list[Sending]) -> None:
        """Send now if a loop runs; else they wait for `redeliver`."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._waiting += batch
            return
        for one in batch:
            task = loop.create_task(self._deliver(one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, one: Sending) -> None:
        status = await self.world.deliver(one.headers, one.body)
        if 200 <= status < 300:
            self._failures[one.topic] = 0
            return
        self._waiting.append(one)
        self._failures[one.topic] = self._failures.get(one.topic, 0) + 1
        if self._failures[one.topic] >= FAILURES_MAX:
            self._failures[one.topic] = 0
            word = one.topic.upper().replace("/", "_")
            self.face.subscriptions = [s for s in self.face.subscriptions if s["topic"] != word]
            self._waiting = [waiting for waiting in self._waiting if waiting.topic != one.topic]

    def _headers(self, topic: str, body: bytes) -> dict[str, str]:
        unique = [str(uuid.UUID(int=self.world.rng.getrandbits(128))) for _ in range(2)]
        return {
            "content-type": "application/json",
            "x-shopify-topic": topic,
            "x-shopify-shop-domain": "demo.myshopify.com",
            "x-shopify-api-version": self.face.version,
            "x-shopify-webhook-id": unique[0],
            "x-shopify-event-id": unique[1],
            "x-shopify-triggered-at": self.world.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
            "x-shopify-hmac-sha256": sign(self._secret, body),
        }


def sign(secret: str, body: bytes) -> str:
    """base64(HMAC-SHA256(client secret, raw bytes))."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
