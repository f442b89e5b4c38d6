"""The fake's state in Shopify's two shapes: GraphQL objects, and REST-shaped pushes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from connectors.shopify.fake_shop import (
    Fulfillment,
    FulfillmentLine,
    FulfillmentOrder,
    Level,
    Line,
    Order,
    ShippingLine,
    Shop,
    Tax,
    Variant,
)
from core.money import Money

Node = dict[str, Any]


def gid(kind: str, number: int | str) -> str:
    return f"gid://shopify/{kind}/{number}"


def number_of(gid_text: str) -> int:
    tail = gid_text.rpartition("/")[2]
    return int(tail) if tail.isdigit() else -1


def instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def decimal(money: Money) -> str:
    """Shopify's own form: at least one decimal, no needless zero ("2.0", "43.97")."""
    whole, _, rest = f"{money.amount:f}".partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"


def bag(money: Money) -> Node:
    one = {
        "__typename": "MoneyV2",
        "amount": decimal(money),
        "currencyCode": money.currency,
    }
    return {"__typename": "MoneyBag", "shopMoney": one, "presentmentMoney": one}


def connection(kind: str, nodes: Sequence[Node], *, key: str = "id") -> Callable[[Node], Node]:
    """A list with forward, opaque cursors: base64 of the last id and the last sort value."""

    def page(arguments: Node) -> Node:
        start = _after(nodes, arguments.get("after"), key)
        size = int(arguments.get("first") or len(nodes))
        rows = list(nodes[start : start + size])
        cursors = [_cursor(row, key) for row in rows]
        return {
            "__typename": f"{kind}Connection",
            "nodes": rows,
            "edges": [
                {"__typename": f"{kind}Edge", "cursor": cursor, "node": row}
                for cursor, row in zip(cursors, rows, strict=True)
            ],
            "pageInfo": {
                "__typename": "PageInfo",
                "hasNextPage": start + size < len(nodes),
                "hasPreviousPage": start > 0,
                "startCursor": cursors[0] if cursors else None,
                "endCursor": cursors[-1] if cursors else None,
            },
        }

    return page


def _cursor(row: Mapping[str, Any], key: str) -> str:
    text = json.dumps({"last_id": number_of(row["id"].partition("?")[0]), "last_value": row[key]})
    return base64.b64encode(text.encode()).decode()


def _after(nodes: Sequence[Node], cursor: str | None, key: str) -> int:
    """The first row behind the cursor's place, also when the cursor's own row has moved."""
    if not cursor:
        return 0
    last = json.loads(base64.b64decode(cursor))
    place = (last["last_value"] if key != "id" else "", last["last_id"])
    for index, row in enumerate(nodes):
        here = (row[key] if key != "id" else "", number_of(row["id"].partition("?")[0]))
        if here > place:
            return index
    return len(nodes)


# ---------------------------------------------------------------- orders


def order_node(order: Order) -> Node:
    lines = [_line(order, line) for line in order.lines]
    return {
        "__typename": "Order",
        "__implements": ("Node",),
        "id": gid("Order", order.number),
        "name": order.name,
        "legacyResourceId": str(order.number),
        "createdAt": instant(order.created_at),
        "updatedAt": instant(order.updated_at),
        "cancelledAt": instant(order.cancelled_at),
        "cancelReason": order.cancel_reason,
        "closedAt": None,
        "test": order.test,
        "email": order.email,
        "sourceName": "web",
        "displayFinancialStatus": order.financial,
        "displayFulfillmentStatus": order.fulfillment_word(),
        "paymentGatewayNames": list(order.gateways),
        "currencyCode": order.currency,
        "presentmentCurrencyCode": order.currency,
        "taxesIncluded": order.tax_included,
        "totalPriceSet": bag(order.total(now=False)),
        "currentTotalPriceSet": bag(order.total(now=True)),
        "currentTotalAdditionalFeesSet": None,
        "shippingAddress": {"__typename": "MailingAddress", **order.ship_to},
        "shippingLines": connection(
            "ShippingLine", [_shipping_line(order, one) for one in order.shipping], key="title"
        ),
        "lineItems": connection("LineItem", lines),
        "fulfillmentOrders": connection(
            "FulfillmentOrder", [_fulfillment_order(one) for one in order.fulfillment_orders]
        ),
        "fulfillments": lambda arguments: [
            fulfillment_node(one)
            for one in order.fulfillments[: arguments.get("first") or len(order.fulfillments)]
        ],
    }


def _line(order: Order, line: Line) -> Node:
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", line.number),
        "sku": line.variant.sku,
        "title": line.variant.title,
        "quantity": line.quantity,
        "currentQuantity": line.current,
        "unfulfilledQuantity": order.unfulfilled(line),
        "requiresShipping": line.variant.requires_shipping,
        "isGiftCard": not line.variant.requires_shipping,
        "variant": {
            "__typename": "ProductVariant",
            "id": gid("ProductVariant", line.variant.number),
            "inventoryItem": {
                "__typename": "InventoryItem",
                "id": gid("InventoryItem", line.variant.number),
            },
        },
        "originalUnitPriceSet": bag(line.price),
        "discountAllocations": [
            _discount(index, code, amount) for index, (code, amount) in enumerate(line.discounts)
        ],
        "taxLines": [_tax(tax) for tax in line.taxes],
    }


def _discount(index: int, code: str, amount: Money) -> Node:
    return {
        "__typename": "DiscountAllocation",
        "allocatedAmountSet": bag(amount),
        "discountApplication": {
            "__typename": "DiscountCodeApplication",
            "index": index,
            "targetType": "LINE_ITEM",
            "code": code,
        },
    }


def _tax(tax: Tax) -> Node:
    return {
        "__typename": "TaxLine",
        "title": tax.title,
        "rate": float(tax.rate),
        "ratePercentage": float(tax.rate) * 100,
        "channelLiable": tax.channel_liable,
        "priceSet": bag(tax.amount),
    }


def _shipping_line(order: Order, one: ShippingLine) -> Node:
    charged = one.price - one.discount
    return {
        "__typename": "ShippingLine",
        "id": gid("ShippingLine", order.number),
        "title": one.title,
        "code": one.title,
        "originalPriceSet": bag(one.price),
        "discountedPriceSet": bag(charged),
        "currentDiscountedPriceSet": bag(Money.zero(order.currency) if one.refunded else charged),
        "taxLines": [_tax(tax) for tax in one.taxes],
    }


def _fulfillment_order(one: FulfillmentOrder) -> Node:
    return {
        "__typename": "FulfillmentOrder",
        "__implements": ("Node",),
        "id": gid("FulfillmentOrder", one.number),
        "status": one.status,
        "requestStatus": "UNSUBMITTED",
        "assignedLocation": {
            "__typename": "FulfillmentOrderAssignedLocation",
            "location": {"__typename": "Location", "id": gid("Location", one.location)},
        },
        "lineItems": connection(
            "FulfillmentOrderLineItem", [_fulfillment_line(row) for row in one.lines]
        ),
    }


def _fulfillment_line(row: FulfillmentLine) -> Node:
    return {
        "__typename": "FulfillmentOrderLineItem",
        "id": gid("FulfillmentOrderLineItem", row.number),
        "totalQuantity": row.total,
        "remainingQuantity": row.remaining,
        "lineItem": _line_name(row.line),
    }


def _line_name(line: Line) -> Node:
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", line.number),
        "sku": line.variant.sku,
    }


def fulfillment_node(one: Fulfillment) -> Node:
    lines = [
        {
            "__typename": "FulfillmentLineItem",
            "id": gid("FulfillmentLineItem", f"{one.number}{index}"),
            "quantity": units,
            "lineItem": _line_name(line),
        }
        for index, (line, units) in enumerate(one.lines)
    ]
    tracked = any(one.tracking.values())
    return {
        "__typename": "Fulfillment",
        "__implements": ("Node",),
        "id": gid("Fulfillment", one.number),
        "name": one.name,
        "status": one.status,
        "trackingInfo": [{"__typename": "FulfillmentTrackingInfo", **one.tracking}]
        if tracked
        else [],
        "fulfillmentLineItems": connection("FulfillmentLineItem", lines),
    }


# ---------------------------------------------------------------- stock


def variant_node(shop: Shop, variant: Variant) -> Node:
    return {
        "__typename": "ProductVariant",
        "__implements": ("Node",),
        "id": gid("ProductVariant", variant.number),
        "sku": variant.sku,
        "title": variant.title,
        "price": decimal(variant.price),
        "product": {
            "__typename": "Product",
            "id": gid("Product", variant.number),
            "title": variant.title,
            "status": variant.status,
        },
        "inventoryItem": item_node(shop, variant),
    }


def item_node(shop: Shop, variant: Variant) -> Node:
    levels = {
        number: _level(shop, variant, number, level) for number, level in variant.levels.items()
    }
    return {
        "__typename": "InventoryItem",
        "__implements": ("Node",),
        "id": gid("InventoryItem", variant.number),
        "sku": variant.sku,
        "tracked": variant.tracked,
        "inventoryLevel": lambda arguments: levels.get(number_of(arguments["locationId"])),
        "inventoryLevels": connection("InventoryLevel", list(levels.values())),
    }


def _level(shop: Shop, variant: Variant, location: int, level: Level) -> Node:
    figures = {
        "available": level.available,
        "committed": level.committed,
        "on_hand": level.available + level.committed,
        "reserved": 0,
    }
    return {
        "__typename": "InventoryLevel",
        "id": gid("InventoryLevel", f"{location}?inventory_item_id={variant.number}"),
        "updatedAt": instant(level.updated_at),
        "isActive": True,
        "location": {
            "__typename": "Location",
            "id": gid("Location", location),
            "name": shop.locations[location],
            "isActive": True,
        },
        "quantities": lambda arguments: [
            {"__typename": "InventoryQuantity", "name": name, "quantity": figures[name]}
            for name in arguments["names"]
        ],
    }


# ---------------------------------------------------------------- pushes


def rest_order(order: Order) -> Node:
    """The webhook's shape: snake case, numeric ids, no GraphQL names."""
    return {
        "id": order.number,
        "admin_graphql_api_id": gid("Order", order.number),
        "name": order.name,
        "created_at": _local(order.created_at),
        "updated_at": _local(order.updated_at),
        "cancelled_at": _local(order.cancelled_at) if order.cancelled_at else None,
        "currency": order.currency,
        "total_price": f"{order.total(now=False).amount:f}",
        "financial_status": order.financial.lower(),
        "fulfillment_status": None,
        "taxes_included": order.tax_included,
        "test": order.test,
        "line_items": [
            {
                "id": line.number,
                "admin_graphql_api_id": gid("LineItem", line.number),
                "sku": line.variant.sku,
                "quantity": line.quantity,
                "price": f"{line.price.amount:f}",
                "variant_id": line.variant.number,
            }
            for line in order.lines
        ],
    }


def rest_edit(order: Order) -> Node:
    """orders/edited names its order nowhere but in `order_id`."""
    return {
        "order_edit": {
            "id": order.number * 10,
            "order_id": order.number,
            "created_at": _local(order.updated_at),
            "notify_customer": False,
            "line_items": {"additions": [], "removals": []},
        }
    }


def _local(at: datetime) -> str:
    """Pushes carry the shop's own offset; the fake's shop lives in UTC+01:00."""
    return at.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="seconds")
