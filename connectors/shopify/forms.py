"""What this connector touches of Shopify's answers, document by document.

The rest of an order or a listing is the mappings' affair. One order that cannot be made to
stand (`Standing`) does not spoil the page it came on: its record is held with a reason.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

Amount = Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?$")]


class PageInfo(TypedDict):
    hasNextPage: bool
    endCursor: NotRequired[str | None]


class UserError(TypedDict):
    message: str
    code: NotRequired[str | None]
    field: NotRequired[list[str] | None]


# ------------------------------------------------------------------ orders


class Lines(TypedDict):
    pageInfo: PageInfo
    nodes: list[dict[str, Any]]


class OrderNode(TypedDict):
    id: str
    name: str
    updatedAt: str
    lineItems: Lines


class OrderConnection(TypedDict):
    pageInfo: PageInfo
    nodes: list[OrderNode]


class Orders(TypedDict):
    orders: OrderConnection


class Order(TypedDict):
    order: OrderNode | None


class _MoreLines(TypedDict):
    lineItems: Lines


class OrderLines(TypedDict):
    order: _MoreLines | None


class _Money(TypedDict):
    amount: Amount


class _MoneySet(TypedDict):
    shopMoney: _Money


class _Discount(TypedDict):
    allocatedAmountSet: _MoneySet


class _Tax(TypedDict):
    priceSet: _MoneySet


class _Line(TypedDict):
    quantity: int
    currentQuantity: int
    discountAllocations: list[_Discount]
    taxLines: list[_Tax]


class _StandingLines(TypedDict):
    nodes: list[_Line]


class _ShippingLine(TypedDict):
    originalPriceSet: _MoneySet
    discountedPriceSet: _MoneySet
    currentDiscountedPriceSet: NotRequired[_MoneySet | None]
    taxLines: list[_Tax]


class _ShippingLines(TypedDict):
    nodes: list[_ShippingLine]


class Standing(TypedDict):
    """What `standing` calculates with."""

    currencyCode: str
    totalPriceSet: _MoneySet
    currentTotalPriceSet: NotRequired[_MoneySet | None]
    lineItems: _StandingLines
    shippingLines: _ShippingLines


# ------------------------------------------------------------------ listings and stock


class Quantity(TypedDict):
    name: str
    quantity: int


class Level(TypedDict):
    id: str
    quantities: list[Quantity]


class Levels(TypedDict):
    pageInfo: PageInfo
    nodes: list[Level]


class InventoryItem(TypedDict):
    id: str
    tracked: NotRequired[bool]
    inventoryLevels: Levels


class Variant(TypedDict):
    inventoryItem: InventoryItem


class _Variants(TypedDict):
    pageInfo: PageInfo
    nodes: list[Variant]


class Listings(TypedDict):
    productVariants: _Variants


class ItemLevels(TypedDict):
    inventoryItem: InventoryItem | None


class _LevelAt(TypedDict):
    quantities: list[Quantity]


class _ItemAt(TypedDict):
    id: NotRequired[str]
    inventoryLevel: NotRequired[_LevelAt | None]


class LevelsAt(TypedDict):
    nodes: list[_ItemAt | None]


class _Set(TypedDict):
    userErrors: list[UserError]


class SetQuantities(TypedDict):
    inventorySetQuantities: _Set


# ------------------------------------------------------------------ parcels


class _Place(TypedDict):
    id: str


class _AssignedLocation(TypedDict):
    location: _Place | None


class _LineItem(TypedDict):
    id: str
    sku: str | None


class _FulfillmentOrderLine(TypedDict):
    id: str
    remainingQuantity: int
    lineItem: _LineItem


class _FulfillmentOrderLines(TypedDict):
    pageInfo: PageInfo
    nodes: list[_FulfillmentOrderLine]


class _FulfillmentOrder(TypedDict):
    id: str
    status: str
    assignedLocation: _AssignedLocation
    lineItems: _FulfillmentOrderLines


class _FulfillmentOrders(TypedDict):
    pageInfo: PageInfo
    nodes: list[_FulfillmentOrder]


class _TrackingInfo(TypedDict):
    number: str | None


class _FulfillmentLine(TypedDict):
    quantity: int
    lineItem: _LineItem


class _FulfillmentLines(TypedDict):
    pageInfo: PageInfo
    nodes: list[_FulfillmentLine]


class _Fulfillment(TypedDict):
    id: str
    status: str
    trackingInfo: list[_TrackingInfo]
    fulfillmentLineItems: _FulfillmentLines


class _Shipping(TypedDict):
    name: str
    cancelledAt: str | None
    fulfillmentOrders: _FulfillmentOrders
    fulfillments: list[_Fulfillment]


class Shipping(TypedDict):
    order: _Shipping | None


class _Made(TypedDict):
    id: str


class _Fulfilled(TypedDict):
    fulfillment: _Made | None
    userErrors: list[UserError]


class Fulfill(TypedDict):
    fulfillmentCreate: _Fulfilled


# ------------------------------------------------------------------ the shop itself


class _Subscription(TypedDict):
    topic: str
    uri: str


class _Subscriptions(TypedDict):
    pageInfo: PageInfo
    nodes: list[_Subscription]


class Subscriptions(TypedDict):
    webhookSubscriptions: _Subscriptions


class _Subscribed(TypedDict):
    userErrors: list[UserError]


class Subscribe(TypedDict):
    webhookSubscriptionCreate: _Subscribed


class _Scope(TypedDict):
    handle: str


class _Installation(TypedDict):
    accessScopes: list[_Scope]


class _Shop(TypedDict):
    name: str
    currencyCode: str


class Probe(TypedDict):
    currentAppInstallation: _Installation
    shop: _Shop


class Bucket(TypedDict):
    """Of `extensions.cost`: what the limiter is told."""

    currentlyAvailable: int | Decimal
    restoreRate: int | Decimal
    maximumAvailable: int | Decimal
