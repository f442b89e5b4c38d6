"""The six operations the fake speaks, each with Amazon's own checks and refusals.

Every function takes the market, the call and returns what goes back. Unknown
parameters are refused although Amazon may ignore them: a typo must not pass here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connectors.amazon.fake_market import MARKETPLACE, Market, Placed
from connectors.amazon.fake_words import (
    Shape,
    iso,
    listing_of,
    order_of,
    problems,
    submission,
)

_ORDER_SETS = frozenset(
    "BUYER RECIPIENT PROCEEDS EXPENSE PROMOTION CANCELLATION FULFILLMENT PACKAGES TAX PAYMENT"
    " FULFILLMENT_ORDERS".split()
)
_LISTING_SETS = frozenset(
    "summaries attributes issues offers fulfillmentAvailability procurement relationships"
    " productTypes".split()
)
_SPANS = ("createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore")
_SEARCH_ORDERS = frozenset(_SPANS) | frozenset(
    "fulfillmentStatuses marketplaceIds fulfilledBy maxResultsPerPage paginationToken"
    " includedData".split()
)
_SEARCH_LISTINGS = frozenset(
    "marketplaceIds includedData sortBy sortOrder pageSize pageToken createdAfter".split()
)
_TOKEN_LIFE = timedelta(hours=24)
_LISTINGS_SHOWN = 1000
_QUANTITY_MAX = 10**8


class Refusal(Exception):
    """A call Amazon answers with an error list."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = problems(code, message)


@dataclass(slots=True, kw_only=True)
class Call:
    names: Sequence[str]  # what the path names: an order, a seller, a SKU
    params: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Walk:
    """What a pagination token stands for: the rest of one search, fixed when it began."""

    ids: list[str]
    asked: Mapping[str, str]
    born: datetime
    total: int = 0
    before: str = ""


@dataclass(slots=True)
class Book:
    """The market, the open searches, and two habits a test may choose."""

    market: Market
    lag: timedelta
    discount_sign: int
    walks: dict[str, Walk] = field(default_factory=dict)

    def keep(self, walk: Walk) -> str:
        token = f"tok|{self.market.world.rng.getrandbits(96):024x}=="
        self.walks[token] = walk
        return token

    def resume(self, token: str, asked: Mapping[str, str]) -> Walk:
        walk = self.walks.get(token)
        if walk is None or self.market.now() - walk.born > _TOKEN_LIFE:
            raise Refusal(400, "InvalidInput", "The pagination token is invalid or has expired.")
        if walk.asked != asked:
            raise Refusal(400, "InvalidInput", "Search parameters do not match the token.")
        return walk


def search_orders(book: Book, call: Call) -> tuple[int, Shape | None]:
    params = dict(call.params)
    _known(params, _SEARCH_ORDERS)
    sets = _sets(params, _ORDER_SETS)
    limit = _whole(params.get("maxResultsPerPage", "100"), 1, 100)
    token = params.pop("paginationToken", "")
    walk = book.resume(token, params) if token else _new_search(book, params)
    shown, rest = walk.ids[:limit], walk.ids[limit:]
    # Whether later pages repeat the first one's bound is not published. The fake's move on,
    # which is the worse habit: whoever keeps the last echo loses what changed in between.
    before = iso(book.market.now() - book.lag) if token else walk.before
    answer: Shape = {
        "orders": [order_of(book.market.orders[key], sets, book.discount_sign) for key in shown],
        "createdBefore" if "createdAfter" in params else "lastUpdatedBefore": before,
    }
    if rest:
        following = Walk(rest, params, book.market.now(), before=walk.before)
        answer["pagination"] = {"nextToken": book.keep(following)}
    return 200, answer


def _new_search(book: Book, params: Mapping[str, str]) -> Walk:
    kinds = [kind for kind in ("created", "lastUpdated") if f"{kind}After" in params]
    if len(kinds) != 1:
        message = "Provide exactly one of createdAfter and lastUpdatedAfter."
        raise Refusal(400, "InvalidInput", message)
    kind = kinds[0]
    if f"{'created' if kind == 'lastUpdated' else 'lastUpdated'}Before" in params:
        raise Refusal(400, "InvalidInput", f"{kind}After goes with {kind}Before only.")
    newest = book.market.now() - book.lag
    after = _instant(params[f"{kind}After"])
    asked = params.get(f"{kind}Before")
    before = _instant(asked) if asked else max(newest, after)
    if asked and not after <= before <= newest:
        message = f"{kind}Before must be at or after {kind}After and two minutes in the past."
        raise Refusal(400, "InvalidInput", message)
    statuses = set(filter(None, params.get("fulfillmentStatuses", "").split(",")))
    markets = params.get("marketplaceIds", MARKETPLACE).split(",")
    ours = MARKETPLACE in markets and "MERCHANT" in params.get("fulfilledBy", "MERCHANT")
    found = [
        (stamp, placed.order)
        for placed in book.market.orders.values()
        for stamp in [placed.created if kind == "created" else placed.updated]
        if ours and after <= stamp <= min(before, newest)
        if not statuses or placed.status in statuses
    ]
    ids = [order for _, order in sorted(found)]
    return Walk(ids, params, book.market.now(), before=iso(before))


def get_order(book: Book, call: Call) -> tuple[int, Shape | None]:
    _known(call.params, frozenset({"includedData"}))
    sets = _sets(call.params, _ORDER_SETS)
    placed = _order(book, call.names[0])
    return 200, {"order": order_of(placed, sets, book.discount_sign)}


def confirm_shipment(book: Book, call: Call) -> tuple[int, Shape | None]:
    """204 and nothing in it. The same packageReferenceId again is an edit."""
    placed = _order(book, call.names[0])
    sent = _json(call.body)
    detail = sent.get("packageDetail")
    if sent.get("marketplaceId") != MARKETPLACE or not isinstance(detail, dict):
        raise Refusal(400, "InvalidInput", "marketplaceId and packageDetail are required.")
    if placed.status in ("PENDING", "CANCELLED"):
        message = f"An order that is {placed.status} cannot be confirmed."
        raise Refusal(400, "InvalidInput", message)
    _check_detail(detail)
    reference = detail["packageReferenceId"]
    lines = {line.item: line for line in placed.lines}
    for entry in detail["orderItems"]:
        line, units = lines.get(entry.get("orderItemId")), entry.get("quantity")
        if line is None or not isinstance(units, int) or units < 1:
            raise Refusal(400, "InvalidInput", "orderItems names an unknown item or quantity.")
        if units + placed.shipped(line.item, without=reference) > line.quantity:
            message = "The quantity confirmed is greater than the quantity ordered."
            raise Refusal(400, "InvalidInput", message)
    shipped = _instant(detail["shipDate"])
    if shipped < placed.created:
        raise Refusal(400, "InvalidInput", "shipDate is before the order date.")
    package = {
        "packageReferenceId": reference,
        "createdTime": iso(book.market.now()),
        "packageStatus": {"status": "SHIPPED"},
        "carrier": detail.get("carrierName") or detail["carrierCode"],
        "shipTime": iso(shipped),
        "trackingNumber": detail["trackingNumber"],
        "packageItems": [
            {"orderItemId": entry["orderItemId"], "quantity": entry["quantity"]}
            for entry in detail["orderItems"]
        ],
    }
    book.market.ship(placed, package)
    return 204, None


def _check_detail(detail: Shape) -> None:
    for name in ("packageReferenceId", "carrierCode", "trackingNumber", "shipDate"):
        if not isinstance(detail.get(name), str) or not detail[name]:
            raise Refusal(400, "InvalidInput", f"packageDetail.{name} is required.")
    reference = detail["packageReferenceId"]
    if not reference.isdecimal() or int(reference) < 1:
        raise Refusal(400, "InvalidInput", "packageReferenceId must be a positive number.")
    if detail["carrierCode"] == "Other" and not detail.get("carrierName"):
        raise Refusal(400, "InvalidInput", "carrierName is required when carrierCode is Other.")
    entries = detail.get("orderItems")
    if not isinstance(entries, list) or not entries:
        raise Refusal(400, "InvalidInput", "packageDetail.orderItems is required.")


def search_listings(book: Book, call: Call) -> tuple[int, Shape | None]:
    """Twenty a page, and never more than 1000 of one search, however many there are."""
    params = dict(call.params)
    _known(params, _SEARCH_LISTINGS)
    _marketplace(params)
    sets = _sets(params, _LISTING_SETS, default="summaries")
    limit = _whole(params.get("pageSize", "10"), 1, 20)
    token = params.pop("pageToken", "")
    book.market.settle()
    walk = book.resume(token, params) if token else _new_listing_search(book, params)
    shown, rest = walk.ids[:limit], walk.ids[limit:]
    answer: Shape = {
        "numberOfResults": walk.total,
        "items": [listing_of(book.market.listings[sku], sets) for sku in shown],
    }
    if rest:
        following = Walk(rest, params, book.market.now(), walk.total)
        answer["pagination"] = {"nextToken": book.keep(following)}
    return 200, answer


def _new_listing_search(book: Book, params: Mapping[str, str]) -> Walk:
    after = _instant(params.get("createdAfter", "2000-01-01T00:00:00Z"))
    found = [listed for listed in book.market.listings.values() if listed.created >= after]
    if params.get("sortBy", "lastUpdatedDate") == "createdDate":
        found.sort(key=lambda listed: (listed.created, listed.sku))
    else:
        found.sort(key=lambda listed: (listed.updated, listed.sku))
    if params.get("sortOrder", "DESC") == "DESC":
        found.reverse()
    ids = [listed.sku for listed in found]
    return Walk(ids[:_LISTINGS_SHOWN], params, book.market.now(), len(ids))


def get_listing(book: Book, call: Call) -> tuple[int, Shape | None]:
    _known(call.params, frozenset({"marketplaceIds", "includedData"}))
    _marketplace(call.params)
    book.market.settle()
    listed = book.market.listings.get(call.names[1])
    if listed is None:
        raise Refusal(404, "NOT_FOUND", f"SKU '{call.names[1]}' not found.")
    return 200, listing_of(listed, _sets(call.params, _LISTING_SETS, default="summaries"))


def patch_listing(book: Book, call: Call) -> tuple[int, Shape | None]:
    """200 whatever happens to the value: ACCEPTED is queued, INVALID is a failure."""
    _known(call.params, frozenset({"marketplaceIds", "mode", "includedData"}))
    _marketplace(call.params)
    sku, sent = call.names[1], _json(call.body)
    patches = sent.get("patches")
    if not sent.get("productType") or not isinstance(patches, list) or not patches:
        raise Refusal(400, "InvalidInput", "productType and patches are required.")
    if sku not in book.market.listings:
        raise Refusal(400, "InvalidInput", f"SKU '{sku}' is not one of the seller's listings.")
    for patch in patches:
        if patch.get("op") not in ("add", "replace", "merge", "delete"):
            raise Refusal(400, "InvalidInput", "op must be add, replace, merge or delete.")
        if patch.get("path") != "/attributes/fulfillment_availability":
            raise Refusal(400, "InvalidInput", "Only top-level attributes can be patched.")
    identity = f"{book.market.world.rng.getrandbits(128):032x}"
    values = [value for patch in patches for value in patch.get("value") or [{}]]
    complaint = next(filter(None, map(_complaint, values)), "")
    if complaint:
        return 200, submission(sku, "INVALID", identity, complaint)
    if call.params.get("mode") == "VALIDATION_PREVIEW":
        return 200, submission(sku, "VALID", identity)
    for patch in patches:
        for value in patch["value"]:
            book.market.accept(sku, patch["op"], value)
    return 200, submission(sku, "ACCEPTED", identity)


def _complaint(value: Shape) -> str:
    if value.get("fulfillment_channel_code") != "DEFAULT":
        return "fulfillment_channel_code is not valid for this seller"
    quantity = value.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        return "quantity is required"
    if not 0 <= quantity <= _QUANTITY_MAX:
        return "quantity is out of range"
    return ""


def _order(book: Book, order: str) -> Placed:
    placed = book.market.orders.get(order)
    if placed is None:
        raise Refusal(404, "NotFound", f"Order {order} does not exist.")
    return placed


def _known(params: Mapping[str, str], names: frozenset[str]) -> None:
    unknown = sorted(set(params) - names)
    if unknown:
        raise Refusal(400, "InvalidInput", f"Unknown parameter {unknown[0]}.")


def _marketplace(params: Mapping[str, str]) -> None:
    if params.get("marketplaceIds") != MARKETPLACE:
        raise Refusal(400, "InvalidInput", "marketplaceIds is missing or not this seller's.")


def _sets(params: Mapping[str, str], names: frozenset[str], default: str = "") -> frozenset[str]:
    asked = frozenset(filter(None, params.get("includedData", default).split(",")))
    if not asked <= names:
        raise Refusal(400, "InvalidInput", f"includedData {sorted(asked - names)[0]} is unknown.")
    return asked


def _whole(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise Refusal(400, "InvalidInput", f"{text} is not between {least} and {most}.")
    return int(text)


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, "InvalidInput", f"{text} is not an ISO 8601 instant.") from None
    if at.tzinfo is None:
        raise Refusal(400, "InvalidInput", f"{text} has no zone.")
    return at


def _json(body: bytes) -> dict[str, Any]:
    try:
        sent = json.loads(body)
    except ValueError:
        raise Refusal(400, "InvalidInput", "The body is not JSON.") from None
    if not isinstance(sent, dict):
        raise Refusal(400, "InvalidInput", "The body is not an object.")
    return sent


Operation = Callable[[Book, Call], tuple[int, Shape | None]]

#: operation: (what it does, calls per second, burst), the usage plans of the models.
OPERATIONS: dict[str, tuple[Operation, float, int]] = {
    "searchOrders": (search_orders, 0.0056, 20),
    "getOrder": (get_order, 0.5, 30),
    "confirmShipment": (confirm_shipment, 2, 10),
    "searchListingsItems": (search_listings, 5, 5),
    "getListingsItem": (get_listing, 5, 10),
    "patchListingsItem": (patch_listing, 5, 5),
}
