"""What this connector touches of Amazon's answers; the rest is the mappings' affair."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Pagination(TypedDict):
    nextToken: NotRequired[str | None]


class Package(TypedDict):
    packageReferenceId: str
    trackingNumber: NotRequired[str | None]


class Order(TypedDict):
    orderId: str
    lastUpdatedTime: str
    packages: NotRequired[list[Package] | None]


class SearchOrders(TypedDict):
    orders: list[Order]
    lastUpdatedBefore: NotRequired[str | None]
    pagination: NotRequired[Pagination | None]


class GetOrder(TypedDict):
    order: Order


class Summary(TypedDict):
    createdDate: NotRequired[str]


class Listing(TypedDict):
    sku: str
    summaries: NotRequired[list[Summary] | None]


class SearchListings(TypedDict):
    items: list[Listing]
    pagination: NotRequired[Pagination | None]


class Patched(TypedDict):
    status: str
