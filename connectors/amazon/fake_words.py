"""How the fake's state reads in Amazon's JSON: the shapes of the published models.

A data set that was not asked for is absent, as at Amazon: a connector that forgets
one of `includedData` finds out here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from connectors.amazon.fake_market import CENT, MARKETPLACE, Line, Listed, Placed

Shape = dict[str, Any]

_ADDRESS = {
    "name": "Ada Example",
    "addressLine1": "12 Sample Street",
    "city": "Portland",
    "stateOrRegion": "OR",
    "postalCode": "00123",
    "countryCode": "US",
    "addressType": "RESIDENTIAL",
}


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def usd(minor: int) -> Shape:
    sign = "-" if minor < 0 else ""
    return {
        "amount": f"{sign}{abs(minor) // CENT}.{abs(minor) % CENT:02}",
        "currencyCode": "USD",
    }


def order_of(placed: Placed, sets: frozenset[str], discount_sign: int) -> Shape:
    """One order. While payment is pending Amazon withholds prices and the address."""
    pending = placed.status == "PENDING"
    shape: Shape = {
        "orderId": placed.order,
        "createdTime": iso(placed.created),
        "lastUpdatedTime": iso(placed.updated),
        "programs": [],
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": MARKETPLACE,
            "marketplaceName": "Amazon.com",
        },
        "orderItems": [_item_of(placed, line, sets, discount_sign) for line in placed.lines],
    }
    if "RECIPIENT" in sets and not pending:
        shape["recipient"] = {"deliveryAddress": dict(_ADDRESS)}
    if "BUYER" in sets and not pending:
        shape["buyer"] = {"buyerEmail": "ada@marketplace.example"}
    if "PROCEEDS" in sets and not pending:
        shape["proceeds"] = {"grandTotal": usd(sum(line.total for line in placed.lines))}
    if "FULFILLMENT" in sets:
        shape["fulfillment"] = _fulfillment_of(placed)
    if "PACKAGES" in sets and placed.packages:
        shape["packages"] = [dict(package) for package in placed.packages.values()]
    return shape


def _fulfillment_of(placed: Placed) -> Shape:
    shape: Shape = {
        "fulfillmentStatus": placed.status,
        "fulfilledBy": "MERCHANT",
        "fulfillmentServiceLevel": "STANDARD",
    }
    if placed.status != "PENDING":
        for name, first, last in (("shipByWindow", 0, 2), ("deliverByWindow", 4, 8)):
            shape[name] = {
                "earliestDateTime": iso(placed.created + timedelta(days=first)),
                "latestDateTime": iso(placed.created + timedelta(days=last)),
            }
    return shape


def _item_of(placed: Placed, line: Line, sets: frozenset[str], discount_sign: int) -> Shape:
    pending = placed.status == "PENDING"
    product: Shape = {"asin": "B0EXAMPLE1", "title": line.title, "sellerSku": line.sku}
    shape: Shape = {
        "orderItemId": line.item,
        "quantityOrdered": line.quantity,
        "product": product,
    }
    if not pending:
        product["price"] = {"unitPrice": usd(line.price)}
    if "PROCEEDS" in sets and not pending:
        shape["proceeds"] = {
            "proceedsTotal": usd(line.total),
            "breakdowns": _breakdowns_of(line, discount_sign),
        }
    if "FULFILLMENT" in sets:
        done = placed.shipped(line.item)
        shape["fulfillment"] = {
            "quantityFulfilled": done,
            "quantityUnfulfilled": line.quantity - done,
        }
    if "CANCELLATION" in sets and line.cancel_reason:
        shape["cancellation"] = {
            "cancellationRequest": {"requester": "BUYER", "cancelReason": line.cancel_reason}
        }
    if "PROMOTION" in sets and line.discount:
        shape["promotion"] = {"breakdowns": [{"promotionId": "EXAMPLE-OFFER"}]}
    if "TAX" in sets and not pending:
        collector = {
            "model": "MARKETPLACE_FACILITATOR",
            "responsibleParty": "Amazon Services, Inc.",
        }
        shape["tax"] = {"taxCollections": [collector]}
    return shape


def _breakdowns_of(line: Line, discount_sign: int) -> list[Shape]:
    """Amazon never published a DISCOUNT line, so the fake can show either sign."""
    shapes: list[Shape] = [{"type": "ITEM", "subtotal": usd(line.price * line.quantity)}]
    if line.shipping:
        shapes.append({"type": "SHIPPING", "subtotal": usd(line.shipping)})
    if line.discount:
        off = usd(discount_sign * line.discount)
        detail = {"subtype": "ITEM", "value": off}
        shapes.append({"type": "DISCOUNT", "subtotal": off, "detailedBreakdowns": [detail]})
    goods, shipping = line.tax
    details = [{"subtype": "ITEM", "value": usd(goods)}]
    if shipping:
        details.append({"subtype": "SHIPPING", "value": usd(shipping)})
    shapes.append({"type": "TAX", "subtotal": usd(goods + shipping), "detailedBreakdowns": details})
    return shapes


def listing_of(listed: Listed, sets: frozenset[str]) -> Shape:
    shape: Shape = {"sku": listed.sku}
    if "summaries" in sets:
        # A listing at zero is still DISCOVERABLE but no longer BUYABLE.
        buyable = ["BUYABLE"] if listed.by_amazon or listed.stock.quantity else []
        shape["summaries"] = [
            {
                "marketplaceId": MARKETPLACE,
                "asin": "B0EXAMPLE1",
                "productType": "PRODUCT",
                "conditionType": "new_new",
                "status": [*buyable, "DISCOVERABLE"],
                "itemName": listed.title,
                "createdDate": iso(listed.created),
                "lastUpdatedDate": iso(listed.updated),
            }
        ]
    if "fulfillmentAvailability" in sets:
        shape["fulfillmentAvailability"] = [
            {"fulfillmentChannelCode": "AMAZON_NA"}
            if listed.by_amazon
            else {"fulfillmentChannelCode": "DEFAULT", "quantity": listed.stock.quantity}
        ]
    if "issues" in sets:
        shape["issues"] = []
    return shape


def problems(code: str, message: str, details: str = "") -> Shape:
    return {"errors": [{"code": code, "message": message, "details": details}]}


def submission(sku: str, status: str, identity: str, complaint: str = "") -> Shape:
    shape: Shape = {"sku": sku, "status": status, "submissionId": identity, "issues": []}
    if complaint:
        shape["issues"] = [
            {
                "code": "90220",
                "message": complaint,
                "severity": "ERROR",
                "attributeNames": ["fulfillment_availability"],
                "categories": ["INVALID_ATTRIBUTE"],
            }
        ]
    return shape
