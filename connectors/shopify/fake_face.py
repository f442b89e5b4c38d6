"""The fake's HTTP face: login, version, cost bucket, and the roots of its GraphQL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import isqrt
from typing import Any

from connectors.shopify.fake_graphql import Operation, Refused, Selection, execute, parse
from connectors.shopify.fake_shop import FulfillmentLine, FulfillmentOrder, Order, Shop, Variant
from connectors.shopify.fake_stock import StockWrites
from connectors.shopify.fake_views import (
    Node,
    connection,
    fulfillment_node,
    gid,
    instant,
    item_node,
    number_of,
    order_node,
    variant_node,
)
from core.fake import World

_PATH = re.compile(r"/admin/api/(\d{4}-\d{2})/graphql\.json")
_UPDATED = re.compile(r"updated_at:\s*(>=|>|<=|<)?\s*'?([^'\s]+)'?")
#: A single query may not ask for more.
QUERY_POINTS_MAX = 1000
#: Orders older than this are hidden, silently, without read_all_orders.
HIDDEN_AFTER = timedelta(days=60)
SCOPES = (
    "read_orders",
    "write_orders",
    "read_products",
    "read_inventory",
    "write_inventory",
    "read_locations",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
)
#: Root field -> the scope it needs.
_NEEDS = {
    "orders": "read_orders",
    "order": "read_orders",
    "productVariants": "read_products",
    "inventoryItem": "read_inventory",
    "nodes": "read_inventory",
    "inventorySetQuantities": "write_inventory",
    "fulfillmentCreate": "write_merchant_managed_fulfillment_orders",
}


class Bucket:
    """Points that come back with time."""

    def __init__(self, world: World, *, size: float = 2000, per_second: float = 100) -> None:
        self._world = world
        self.size, self.per_second = size, per_second
        self._left, self._at = size, world.now()

    def left(self) -> float:
        now = self._world.now()
        passed = (now - self._at).total_seconds()
        self._left = min(self.size, self._left + passed * self.per_second)
        self._at = now
        return self._left

    def spend(self, points: float) -> float:
        self._left = self.left() - points
        return self._left

    def status(self) -> dict[str, float]:
        return {
            "maximumAvailable": self.size,
            "currentlyAvailable": int(self.left()),
            "restoreRate": self.per_second,
        }


class Face:
    """What the daemon sees of the fake shop."""

    def __init__(self, shop: Shop, world: World) -> None:
        self._shop = shop
        self._world = world
        self.token = world.settings.get("access_token", "")
        self.version = world.settings.get("version", "2026-07")
        self.scopes = list(SCOPES)
        self.bucket = Bucket(world)
        self.throttle_status = 200
        self.search_lag = timedelta(0)
        self.subscriptions: list[dict[str, str]] = []
        self.stock = StockWrites(shop)
        self.blame_one = False

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], Any]:
        """(status, headers, JSON) of one request."""
        words = {"content-type": "application/json; charset=utf-8"}
        if self.token and headers.get("x-shopify-access-token") != self.token:
            wrong = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return 401, words, {"errors": wrong}
        if method != "POST" or _PATH.fullmatch(path) is None:
            return 404, words, {"errors": "Not Found"}
        words["x-shopify-api-version"] = self.version
        try:
            asked = json.loads(body)
            operation = parse(asked["query"], asked.get("operationName"))
        except (ValueError, KeyError, TypeError):
            return 400, words, {"errors": {"query": "Required parameter missing or invalid"}}
        except Refused as no:
            return 200, words, _errors(no)
        status, answer = self._run(operation, asked.get("variables") or {})
        return status, words, answer

    def _run(self, operation: Operation, variables: Mapping[str, Any]) -> tuple[int, Node]:
        if operation.kind == "mutation":
            self._world.writes.append(" ".join(root.name for root in operation.below))
        cost = 10 if operation.kind == "mutation" else 1 + _points(operation.below)
        if cost > QUERY_POINTS_MAX:
            return 200, _errors(Refused(f"Query cost is {cost}", "MAX_COST_EXCEEDED"))
        if cost > self.bucket.left():
            answer = _errors(Refused("Throttled", "THROTTLED"))
            return self.throttle_status, answer | self._cost(cost, None)
        self.bucket.spend(cost)
        try:
            for root in operation.below:
                self._check(root)
            roots = self._mutations() if operation.kind == "mutation" else self._queries()
            data = execute(operation, roots, variables)
        except Refused as no:
            return 200, _errors(no)
        return 200, {"data": data} | self._cost(cost, cost)

    def _cost(self, requested: float, actual: float | None) -> Node:
        return {
            "extensions": {
                "cost": {
                    "requestedQueryCost": requested,
                    "actualQueryCost": actual,
                    "throttleStatus": self.bucket.status(),
                }
            }
        }

    def _check(self, root: Selection) -> None:
        scope = _NEEDS.get(root.name)
        if scope and scope not in self.scopes:
            words = f"Access denied for {root.name} field. Required access: `{scope}` access scope."
            raise Refused(words, "ACCESS_DENIED")

    # ------------------------------------------------------------ queries

    def _queries(self) -> Node:
        shop = self._shop
        scopes = [{"__typename": "AccessScope", "handle": one} for one in self.scopes]
        return {
            "orders": self._orders,
            "order": self._order,
            "productVariants": connection(
                "ProductVariant", [variant_node(shop, one) for one in shop.variants.values()]
            ),
            "inventoryItem": lambda arguments: self._item(arguments["id"]),
            "nodes": lambda arguments: [self._item(one) for one in arguments["ids"]],
            "webhookSubscriptions": connection("WebhookSubscription", self._subscriptions()),
            "currentAppInstallation": {"__typename": "AppInstallation", "accessScopes": scopes},
            "shop": {
                "__typename": "Shop",
                "name": "Demo shop",
                "currencyCode": shop.currency,
                "myshopifyDomain": "demo.myshopify.com",
            },
        }

    def _orders(self, arguments: Node) -> Node:
        """The search: eventually consistent, filtered, sorted only as asked."""
        settled = self._world.now() - self.search_lag
        oldest = self._world.now() - HIDDEN_AFTER
        found = [
            order
            for order in self._shop.orders.values()
            if order.updated_at <= settled
            and ("read_all_orders" in self.scopes or order.created_at >= oldest)
            and _matches(order, arguments.get("query") or "")
        ]
        if arguments.get("sortKey") == "UPDATED_AT":
            found.sort(key=lambda order: (order.updated_at, order.number))
            nodes = [order_node(order) for order in found]
            return connection("Order", nodes, key="updatedAt")(arguments)
        # Shopify's default is PROCESSED_AT: an edited old order stays where it was.
        found.sort(key=lambda order: (order.created_at, order.number))
        nodes = [order_node(order) for order in found]
        return connection("Order", nodes, key="createdAt")(arguments)

    def _order(self, arguments: Node) -> Node | None:
        order = self._shop.orders.get(number_of(arguments["id"]))
        return order_node(order) if order else None

    def _item(self, item: str) -> Node | None:
        variant = self._variant(item)
        return item_node(self._shop, variant) if variant else None

    def _variant(self, item: str) -> Variant | None:
        number = number_of(item)
        return next((one for one in self._shop.variants.values() if one.number == number), None)

    # ------------------------------------------------------------ mutations

    def _mutations(self) -> Node:
        return {
            "inventorySetQuantities": self._set_quantities,
            "fulfillmentCreate": self._fulfill,
            "webhookSubscriptionCreate": self._subscribe,
        }

    def _set_quantities(self, arguments: Node) -> Node:
        self.stock.blame_one = self.blame_one
        return self.stock.set(arguments["input"], arguments.get("@idempotent"))

    def _fulfill(self, arguments: Node) -> Node:
        """Not idempotent: asked twice it ships twice, as long as something remains."""
        fulfillment = arguments["fulfillment"]
        picks, order, error = self._picks(fulfillment["lineItemsByFulfillmentOrder"])
        if error or order is None:
            wrong = {"__typename": "UserError", "field": ["fulfillment"], "message": error}
            return {"__typename": "P", "fulfillment": None, "userErrors": [wrong]}
        given = fulfillment.get("trackingInfo") or {}
        tracking = {key: given.get(key) for key in ("number", "company", "url")}
        made = self._shop.fulfill(order, picks, tracking)
        return {"__typename": "P", "fulfillment": fulfillment_node(made), "userErrors": []}

    def _picks(
        self, wanted: Sequence[Mapping[str, Any]]
    ) -> tuple[list[tuple[FulfillmentOrder, FulfillmentLine, int]], Order | None, str]:
        picks: list[tuple[FulfillmentOrder, FulfillmentLine, int]] = []
        orders: list[Order] = []
        for group in wanted:
            order, one = self._fulfillment_order(group["fulfillmentOrderId"])
            if order is None or one is None:
                return [], None, "Fulfillment order does not exist."
            if one.status not in ("OPEN", "IN_PROGRESS"):
                words = f"Fulfillment order {one.number} has an unfulfillable status= "
                return [], None, words + one.status.lower() + "."
            orders.append(order)
            rows = group.get("fulfillmentOrderLineItems") or ()
            asked = {row["id"]: row["quantity"] for row in rows}
            for row in one.lines:
                # Without lines the whole fulfillment order is meant.
                line = gid("FulfillmentOrderLineItem", row.number)
                units = asked.pop(line, 0) if rows else row.remaining
                if units > row.remaining:
                    return [], None, "Invalid fulfillment order line item quantity requested."
                if units:
                    picks.append((one, row, units))
            if asked:
                return [], None, "Fulfillment order line item does not exist."
        places = {one.location for one, _, _ in picks}
        if len({order.number for order in orders}) != 1 or len(places) != 1:
            words = "All fulfillment orders must belong to one order and one location."
            return [], None, words
        return picks, orders[0], ""

    def _fulfillment_order(self, wanted: str) -> tuple[Order | None, FulfillmentOrder | None]:
        number = number_of(wanted)
        for order in self._shop.orders.values():
            for one in order.fulfillment_orders:
                if one.number == number:
                    return order, one
        return None, None

    def subscribe(self, topic: str, uri: str) -> None:
        self.subscriptions.append({"number": str(self._shop.number()), "topic": topic, "uri": uri})

    def _subscribe(self, arguments: Node) -> Node:
        uri = arguments["webhookSubscription"].get("uri") or ""
        topic = arguments["topic"]
        same = [s for s in self.subscriptions if (s["topic"], s["uri"]) == (topic, uri)]
        message = "Address for this topic has already been taken" if same else ""
        if not uri.startswith(("https://", "http://")):
            message = "Address is not a valid URL"
        if message:
            field = ["webhookSubscription", "callbackUrl"]
            wrong = {"__typename": "UserError", "field": field, "message": message}
            return {"__typename": "P", "webhookSubscription": None, "userErrors": [wrong]}
        self.subscribe(topic, uri)
        return {
            "__typename": "P",
            "webhookSubscription": self._subscriptions()[-1],
            "userErrors": [],
        }

    def _subscriptions(self) -> list[Node]:
        return [
            {
                "__typename": "WebhookSubscription",
                "id": gid("WebhookSubscription", one["number"]),
                "topic": one["topic"],
                "uri": one["uri"],
                "createdAt": instant(self._world.now()),
            }
            for one in self.subscriptions
        ]


def _matches(order: Order, query: str) -> bool:
    """`updated_at:` with its bound; other search words are silently ignored, as there."""
    for comparison, text in _UPDATED.findall(query):
        bound = datetime.fromisoformat(text.strip("'\""))
        at = order.updated_at
        kept = {
            ">=": at >= bound,
            ">": at > bound,
            "<=": at <= bound,
            "<": at < bound,
            "": at == bound,
        }[comparison]
        if not kept:
            return False
    return True


def _points(below: Sequence[Selection]) -> int:
    """About what Shopify charges: an object one, a list by the root of its size."""
    total = 0
    for one in below:
        if not one.below:
            continue
        size = one.arguments.get("first")
        own = 2 + isqrt(size) if isinstance(size, int) else 1
        total += own + _points(one.below)
    return total


def _errors(no: Refused) -> Node:
    return {"errors": [{"message": str(no), "extensions": {"code": no.code}}]}
