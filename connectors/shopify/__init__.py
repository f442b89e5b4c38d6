"""Shopify Admin GraphQL: owns its orders, is told stock and shipments.

Orders are read by `updatedAt`, stock is written by compare-and-set, and a
shipment is looked up before and after it is confirmed, because Shopify does not
recognize a repeated one. See README.md for the vendor's habits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connectors.shopify import documents as ask
from connectors.shopify import forms, shipping
from connectors.shopify.graphql import Graph, refuse
from connectors.shopify.standing import standing
from connectors.shopify.stock import Stock, available
from core.agreed import unlike
from core.contract import Command, Event, Item, Offer, OfferResult, Page, Push, Receipt, Setup
from core.errors import Hold, InDoubt, InvariantBroken, Rejected, Retry
from core.model import ConfirmShipment

#: Pages of one order's lines, one item's levels or the subscriptions: beyond any real one.
PAGES_MAX = 200

#: What the connector needs; a write scope includes the read.
SCOPES = (
    "read_orders",
    "read_products",
    "write_inventory",
    "read_locations",
    "write_merchant_managed_fulfillment_orders",
)

#: The topics of the manifest; `inventory_levels/update` is left out, see README.md.
TOPICS = (
    "orders/create",
    "orders/updated",
    "orders/cancelled",
    "orders/paid",
    "orders/edited",
)


def connect(setup: Setup) -> Shopify:
    return Shopify(setup)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What `truecount doctor` shows. `problems` is empty when all is well."""

    shop: str
    currency: str
    version_asked: str
    version_served: str
    scopes: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.shop}, {self.currency}, version {self.version_served or 'unknown'}"
        return "; ".join([head, *self.problems])


class Shopify:
    """One shop."""

    def __init__(self, setup: Setup) -> None:
        self._version = setup.settings["version"]
        self._notify = setup.settings["notify_customer"] == "true"
        self._graph = Graph(setup.api, self._version)

    # ------------------------------------------------------------ reading

    async def read(self, resource: str, since: str | None, page: str | None) -> Page:
        if resource == "order":
            return await self._orders(since, page)
        if resource == "listing":
            return await self._listings(page)
        raise InvariantBroken(f"the Shopify connector does not read {resource}")

    async def fetch(self, resource: str, external_id: str) -> Item | None:
        if resource != "order":
            raise InvariantBroken(f"the Shopify connector does not fetch {resource}")
        data = await self._graph.ask(ask.ORDER, {"id": external_id})
        return await self._order(data["order"]) if data["order"] else None

    async def _orders(self, since: str | None, page: str | None) -> Page:
        # The token carries the greatest updatedAt seen: the last page may be empty (H47).
        seen, _, cursor = (page or "").partition(" ")
        query = f"updated_at:>='{_second(since)}'" if since else None
        data = await self._graph.ask(ask.ORDERS, {"query": query, "after": cursor or None})
        nodes, more = data["orders"]["nodes"], data["orders"]["pageInfo"]
        seen = max([seen, *(node["updatedAt"] for node in nodes)])
        items = [await self._order(node) for node in nodes]
        return Page(
            items=[item for item in items if item is not None],
            next=f"{seen} {more['endCursor']}" if more["hasNextPage"] else None,
            since=seen or since,
        )

    async def _order(self, node: Mapping[str, Any]) -> Item | None:
        """The order with all its lines; None when it was deleted while we paged them."""
        lines = dict(node["lineItems"])
        for _ in range(PAGES_MAX):
            if not lines["pageInfo"]["hasNextPage"]:
                break
            after = lines["pageInfo"]["endCursor"]
            data = await self._graph.ask(ask.ORDER_LINES, {"id": node["id"], "after": after})
            if not data["order"]:
                return None
            following = data["order"]["lineItems"]
            lines = {**following, "nodes": [*lines["nodes"], *following["nodes"]]}
        else:
            raise Rejected(f"order {node['name']} has more lines than {PAGES_MAX} pages hold")
        whole = {**node, "lineItems": lines}
        # What cannot be calculated with is kept as it came, and held where it is mapped.
        body = whole if unlike(whole, forms.Standing) else standing(whole)
        return Item(external_id=node["id"], revision=node["updatedAt"], body=body)

    async def _listings(self, page: str | None) -> Page:
        data = await self._graph.ask(ask.LISTINGS, {"after": page})
        variants, more = data["productVariants"]["nodes"], data["productVariants"]["pageInfo"]
        items = [
            # No revision: updatedAt is the level's, a new SKU or title would not move it.
            Item(external_id=level["id"], body=_listing(one, level))
            for one in variants
            for level in await self._levels(one["inventoryItem"])
        ]
        return Page(items=items, next=more["endCursor"] if more["hasNextPage"] else None)

    async def _levels(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        levels = item["inventoryLevels"]
        found: list[dict[str, Any]] = list(levels["nodes"])
        for _ in range(PAGES_MAX):
            if not levels["pageInfo"]["hasNextPage"]:
                return found
            after = levels["pageInfo"]["endCursor"]
            data = await self._graph.ask(ask.ITEM_LEVELS, {"id": item["id"], "after": after})
            if not data["inventoryItem"]:
                return []
            levels = data["inventoryItem"]["inventoryLevels"]
            found += levels["nodes"]
        raise Rejected(f"{item['id']} is stocked at more places than {PAGES_MAX} pages hold")

    # ------------------------------------------------------------ telling

    async def send(self, command: Command) -> Receipt:
        shipment = _shipment(command)
        order = await self._shipping(shipment)
        known = shipping.confirmed(shipment, order)
        if not known.left:
            return _already(known)
        made = [
            await self._fulfill(shipment, picks, order)
            for picks in shipping.allocate(known.left, order)
        ]
        return Receipt(reference=" ".join([*known.references, *made]))

    async def find(self, command: Command) -> Receipt | None:
        shipment = _shipment(command)
        order = await self._shipping(shipment)
        known = shipping.confirmed(shipment, order)
        if not known.left:
            return _already(known)
        twin = "" if shipment.tracking else shipping.twin(shipment, order)
        return Receipt(reference=twin, already=True) if twin else None

    async def publish(self, offers: Sequence[Offer]) -> Sequence[OfferResult]:
        return await Stock(self._graph).publish(offers)

    async def _shipping(self, shipment: ConfirmShipment) -> dict[str, Any]:
        data = await self._graph.ask(ask.SHIPPING, {"id": shipment.order})
        order: dict[str, Any] | None = data["order"]
        if order is None:
            raise Rejected(f"Shopify has no order {shipment.number}", words="deleted there")
        return order

    async def _fulfill(
        self, shipment: ConfirmShipment, picks: Sequence[Mapping[str, Any]], seen: Mapping[str, Any]
    ) -> str:
        fulfillment = {
            "lineItemsByFulfillmentOrder": list(picks),
            "notifyCustomer": self._notify,
        }
        tracking = _tracking(shipment)
        if tracking:
            fulfillment["trackingInfo"] = tracking
        data = await self._graph.ask(ask.FULFILL, {"fulfillment": fulfillment})
        payload = data["fulfillmentCreate"]
        if payload["userErrors"]:
            await self._moved(shipment, seen)
            raise refuse(f"Shopify refuses a parcel of {shipment.number}", payload["userErrors"])
        if payload["fulfillment"] is None:
            raise InDoubt(f"Shopify names no fulfillment for a parcel of {shipment.number}")
        return str(payload["fulfillment"]["id"])

    async def _moved(self, shipment: ConfirmShipment, seen: Mapping[str, Any]) -> None:
        """Refused because Shopify split or moved the fulfillment orders meanwhile: try again."""
        now = await self._shipping(shipment)
        if shipping.picture(now) != shipping.picture(seen):
            raise Retry(f"Shopify rearranged order {shipment.number} while we confirmed it")

    # ------------------------------------------------------------ hearing

    def events(self, push: Push) -> Sequence[Event]:
        """A push is only a hint: REST-shaped, unordered, resent hours later with old content."""
        if push.topic not in TOPICS:
            return ()
        return (Event(resource="order", external_id=_order_gid(push)),)

    async def ensure_subscriptions(self, url: str) -> Sequence[str]:
        """Create what is missing and return those topics.

        Shopify deletes a subscription after 8 failed deliveries, which is what
        any long outage of ours looks like: called at start and hourly.
        """
        present = await self._subscriptions(url)
        created = [topic for topic in TOPICS if _enum(topic) not in present]
        for topic in created:
            data = await self._graph.ask(ask.SUBSCRIBE, {"topic": _enum(topic), "uri": url})
            errors = data["webhookSubscriptionCreate"]["userErrors"]
            if errors:
                raise refuse(f"Shopify refuses the webhook {topic}", errors)
        return created

    async def _subscriptions(self, url: str) -> set[str]:
        present: set[str] = set()
        after: str | None = None
        for _ in range(PAGES_MAX):
            data = await self._graph.ask(ask.SUBSCRIPTIONS, {"after": after})
            found = data["webhookSubscriptions"]
            present |= {one["topic"] for one in found["nodes"] if one["uri"] == url}
            if not found["pageInfo"]["hasNextPage"]:
                break
            after = found["pageInfo"]["endCursor"]
        return present

    # ------------------------------------------------------------ doctor

    async def probe(self) -> Probe:
        answer = await self._graph.call(ask.PROBE, {})
        data = self._graph.data(ask.PROBE, answer)
        scopes = tuple(one["handle"] for one in data["currentAppInstallation"]["accessScopes"])
        missing = tuple(scope for scope in SCOPES if not _granted(scope, scopes))
        served = answer.headers.get("x-shopify-api-version", "")
        return Probe(
            shop=data["shop"]["name"],
            currency=data["shop"]["currencyCode"],
            version_asked=self._version,
            version_served=served,
            scopes=scopes,
            missing=missing,
            problems=tuple(_problems(self._version, served, missing, scopes)),
        )


def _listing(variant: Mapping[str, Any], level: Mapping[str, Any]) -> dict[str, Any]:
    """One inventory item at one location, with what Shopify shows there."""
    item = variant["inventoryItem"]
    return {
        **variant,
        "inventoryItem": {"id": item["id"], "tracked": item["tracked"]},
        "level": level,
        "available": available(level),
    }


def _shipment(command: Command) -> ConfirmShipment:
    if not isinstance(command.record, ConfirmShipment):
        raise InvariantBroken(f"the Shopify connector does not send {command.kind}")
    return command.record


def _already(known: shipping.Confirmed) -> Receipt:
    return Receipt(reference=" ".join(known.references), already=True, note=known.note)


def _tracking(shipment: ConfirmShipment) -> dict[str, str]:
    facts = {
        "number": shipment.tracking,
        "company": shipment.carrier,
        "url": shipment.tracking_url,
    }
    return {key: value for key, value in facts.items() if value}


def _order_gid(push: Push) -> str:
    """The order's GraphQL id; orders/edited and some old payloads have only a number."""
    try:
        body = json.loads(push.body, parse_float=Decimal)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _unreadable(push, "its body is not a JSON object")
    gid = body.get("admin_graphql_api_id")
    if isinstance(gid, str) and gid.startswith("gid://shopify/Order/"):
        return gid
    edit = body.get("order_edit")
    number = edit.get("order_id") if isinstance(edit, dict) else body.get("id")
    if isinstance(number, int | str) and str(number).isascii() and str(number).isdigit():
        return f"gid://shopify/Order/{number}"
    raise _unreadable(push, "it names no order")


def _unreadable(push: Push, why: str) -> Hold:
    return Hold(
        f"a Shopify push {push.topic} cannot be read: {why}",
        cause=f"push:{push.topic}",
        next_step="Nothing is lost: the next sweep reads the order itself.",
    )


def _second(since: str) -> str:
    """Shopify stamps whole seconds and the bound is inclusive, so rounding down is safe."""
    return datetime.fromisoformat(since).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _enum(topic: str) -> str:
    return topic.upper().replace("/", "_")


def _granted(scope: str, scopes: Sequence[str]) -> bool:
    return scope in scopes or scope.replace("read_", "write_", 1) in scopes


def _problems(asked: str, served: str, missing: Sequence[str], scopes: Sequence[str]) -> list[str]:
    found = []
    if missing:
        found.append(f"the app lacks {', '.join(missing)}: add them and install it again")
    if served != asked:
        found.append(
            f"Shopify answers with version {served or 'unknown'} instead of {asked}: "
            f"{asked} has expired, set `version` to a supported one"
        )
    if "read_all_orders" not in scopes:
        found.append("without read_all_orders, orders older than 60 days are silently not found")
    return found
