"""Amazon Selling Partner API: orders of 2026-01-01, listings of 2021-08-01, shipments of v0.

Amazon owns its orders; it is told quantities and parcels. It pushes nothing over
HTTP and grants one order search per 178 seconds, so reading is patient: the next
pass starts where Amazon said this one ended, never where our clock is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from connectors.amazon import forms
from connectors.amazon.carriers import carrier_of
from core.agreed import agreed
from core.contract import (
    Answer,
    Api,
    Command,
    Item,
    Json,
    Offer,
    OfferResult,
    Outcome,
    Page,
    Receipt,
    Setup,
)
from core.errors import ConnectorError, InDoubt, Rejected
from core.model import ConfirmShipment

_ORDERS = "/orders/2026-01-01/orders"
_LISTINGS = "/listings/2021-08-01/items"
#: What the mapping needs, and nothing about the buyer beyond the parcel's address.
_ORDER_DATA = "RECIPIENT,PROCEEDS,PROMOTION,CANCELLATION,FULFILLMENT,TAX,PAYMENT"
_LISTING_DATA = "summaries,fulfillmentAvailability"
_ORDERS_A_PAGE = "100"
_LISTINGS_A_PAGE = "20"
#: Listings search shows no more than this many, however many there are.
_LISTINGS_A_WINDOW = 1000
_ABSENT = frozenset({404})
_SILENT = -1.0


def connect(setup: Setup) -> Amazon:
    return Amazon(setup.api, setup.settings)


class Amazon:
    """One seller account in one region."""

    def __init__(self, api: Api, settings: Mapping[str, str]) -> None:
        self.api = api
        self.seller = quote(settings["seller_id"], safe="")
        self.markets = settings["marketplace_ids"].replace(" ", "")
        self.home = self.markets.split(",")[0]
        self.orders_from = settings["orders_from"]
        self.fulfilled_by = settings.get("fulfilled_by", "MERCHANT").replace(" ", "")

    # ------------------------------------------------------------ reading

    async def read(self, resource: str, since: str | None, page: str | None) -> Page:
        if resource == "order":
            return await self._orders(since or self.orders_from, page or "")
        return await self._listings(page or "")

    async def fetch(self, resource: str, external_id: str) -> Item | None:
        if resource == "order":
            order = await self._order(external_id, _ORDER_DATA)
            return _order_item(order) if order is not None else None
        answer = await self._get(
            "getListingsItem",
            self._listing_path(external_id),
            {"marketplaceIds": self.home, "includedData": _LISTING_DATA},
            expect=_ABSENT,
        )
        if answer.status == 404:
            return None
        return _listing_item(agreed(answer, forms.Listing, "getListingsItem"))

    async def _orders(self, since: str, page: str) -> Page:
        """One page. Our token is `bound|token`: a pass keeps the bound of its first page."""
        bound, _, token = page.partition("|")
        params = {
            "lastUpdatedAfter": _whole_second(since),
            "marketplaceIds": self.markets,
            "fulfilledBy": self.fulfilled_by,
            "includedData": _ORDER_DATA,
            "maxResultsPerPage": _ORDERS_A_PAGE,
        }
        if token:
            params["paginationToken"] = token
        answer = await self._get("searchOrders", _ORDERS, params)
        # The echo is Amazon's own "complete up to here", at least two minutes ago. Without
        # one the next pass reads the same span again: slow, but nothing is skipped.
        found = agreed(answer, forms.SearchOrders, "searchOrders")
        bound = bound or found.get("lastUpdatedBefore") or since
        following = _following(found.get("pagination"))
        return Page(
            items=[_order_item(order) for order in found["orders"]],
            next=f"{bound}|{following}" if following else None,
            since=bound,
        )

    async def _order(self, order: str, included: str) -> forms.Order | None:
        answer = await self._get(
            "getOrder",
            f"{_ORDERS}/{quote(order, safe='')}",
            {"includedData": included},
            expect=_ABSENT,
        )
        if answer.status == 404:
            return None
        return agreed(answer, forms.GetOrder, "getOrder")["order"]

    async def _listings(self, page: str) -> Page:
        """One page of a walk by creation date, in windows of the 1000 a search can show.

        The default order, by last update, would reshuffle under our own writes. Our token
        is `window|seen|token`: the window's start, how many it has shown, Amazon's token.
        """
        window, seen, token = (page or "|0|").split("|", 2)
        params = {
            "marketplaceIds": self.home,
            "includedData": _LISTING_DATA,
            "sortBy": "createdDate",
            "sortOrder": "ASC",
            "pageSize": _LISTINGS_A_PAGE,
        }
        if window:
            params["createdAfter"] = window
        if token:
            params["pageToken"] = token
        answer = await self._get("searchListingsItems", f"{_LISTINGS}/{self.seller}", params)
        found = agreed(answer, forms.SearchListings, "searchListingsItems")
        listings, following = found["items"], _following(found.get("pagination"))
        return Page(
            items=[_listing_item(one) for one in listings],
            next=_next_listings(window, int(seen) + len(listings), following, listings),
        )

    # ------------------------------------------------------------ telling

    async def send(self, command: Command) -> Receipt:
        """confirm_shipment. The parcel's number is the key: the same again is an edit."""
        parcel: ConfirmShipment = command.record
        answer = await self.api.call(
            "POST",
            f"/orders/v0/orders/{quote(parcel.order, safe='')}/shipmentConfirmation",
            json={
                "marketplaceId": parcel.extras.get("marketplace_id", self.home),
                "packageDetail": _package(parcel),
            },
            writes=True,
            budget="confirmShipment",
        )
        self._observe("confirmShipment", answer)
        if answer.status != 204:
            # It is done with 204 and nothing else; any other success is somebody else's.
            raise InDoubt("confirmShipment", words=_words(answer.body, "errors"))
        return Receipt(reference=str(parcel.parcel))

    async def find(self, command: Command) -> Receipt | None:
        parcel: ConfirmShipment = command.record
        order = await self._order(parcel.order, "PACKAGES")
        for package in (order.get("packages") or []) if order is not None else []:
            if _is_parcel(package, parcel):
                return Receipt(reference=package["packageReferenceId"], already=True)
        return None

    async def publish(self, offers: Sequence[Offer]) -> Sequence[OfferResult]:
        """One call per SKU: a failure is that SKU's, and must not unsay what was answered.

        This is why errors are caught here and nowhere else. Offers after a failure that
        is not a refusal are left out of the results: they were not sent.
        """
        results: list[OfferResult] = []
        for offer in offers:
            try:
                results.append(await self._show(offer))
            except Rejected as refusal:
                words = refusal.words or refusal.what
                results.append(_result(offer, "rejected", words=words))
            except ConnectorError as failure:
                if not results:
                    raise
                if isinstance(failure, InDoubt):
                    results.append(_result(offer, "unknown", words=failure.words))
                break
        return results

    async def _show(self, offer: Offer) -> OfferResult:
        """`merge`, because `replace` would wipe the lead time and the restock date."""
        stock = {"fulfillment_channel_code": "DEFAULT", "quantity": offer.quantity}
        answer = await self.api.call(
            "PATCH",
            self._listing_path(offer.listing),
            params={"marketplaceIds": self.home},
            json={
                "productType": "PRODUCT",
                "patches": [
                    {
                        "op": "merge",
                        "path": "/attributes/fulfillment_availability",
                        "value": [stock],
                    }
                ],
            },
            writes=True,
            budget="patchListingsItem",
        )
        self._observe("patchListingsItem", answer)
        if agreed(answer, forms.Patched, "patchListingsItem", writes=True)["status"] == "INVALID":
            return _result(offer, "rejected", words=_words(answer.body, "issues"))
        return _result(offer, "accepted")

    # ------------------------------------------------------------ for `doctor`

    async def probe(self) -> Mapping[str, str]:
        """What each API answers to a read that changes nothing and leaves searchOrders alone.

        Both are asked: a token of another region is refused by Listings and not by Orders.
        """
        refused = frozenset({400, 403, 404})
        listings = await self._get(
            "searchListingsItems",
            f"{_LISTINGS}/{self.seller}",
            {"marketplaceIds": self.home, "pageSize": "1"},
            expect=refused,
        )
        order = await self._get("getOrder", f"{_ORDERS}/000-0000000-0000000", {}, expect=refused)
        return {
            "listings": _verdict(listings, fine=frozenset({200})),
            "orders": _verdict(order, fine=frozenset({200, 400, 404})),
        }

    async def _get(
        self,
        operation: str,
        path: str,
        params: Mapping[str, str],
        *,
        expect: frozenset[int] = frozenset(),
    ) -> Answer:
        answer = await self.api.call("GET", path, params=params, budget=operation, expect=expect)
        self._observe(operation, answer)
        return answer

    def _observe(self, operation: str, answer: Answer) -> None:
        """Amazon names the rate it grants this seller, never how much of it is left."""
        rate = answer.headers.get("x-amzn-ratelimit-limit", "")
        if rate.replace(".", "", 1).isdecimal():
            self.api.observe(operation, left=_SILENT, per_second=float(rate), size=_SILENT)

    def _listing_path(self, sku: str) -> str:
        return f"{_LISTINGS}/{self.seller}/{quote(sku, safe='')}"


def _following(pagination: forms.Pagination | None) -> str | None:
    return pagination.get("nextToken") if pagination else None


def _order_item(order: forms.Order) -> Item:
    return Item(external_id=order["orderId"], revision=order["lastUpdatedTime"], body=order)


def _listing_item(listing: forms.Listing) -> Item:
    return Item(external_id=listing["sku"], body=listing)


def _next_listings(
    window: str, seen: int, token: str | None, found: Sequence[forms.Listing]
) -> str | None:
    """Amazon's next page, or the window after a full one, or the end."""
    if token:
        return f"{window}|{seen}|{token}"
    if seen < _LISTINGS_A_WINDOW:
        return None
    created = [
        summary["createdDate"]
        for one in found
        for summary in one.get("summaries") or []
        if "createdDate" in summary
    ]
    if not created or max(created) == window:
        # The date is inclusive, so the same window again would be asked for ever.
        raise Rejected("Amazon shows 1000 listings of one instant; the rest cannot be listed")
    return f"{max(created)}|0|"


def _package(parcel: ConfirmShipment) -> dict[str, Json]:
    return {
        "packageReferenceId": str(parcel.parcel),
        **carrier_of(parcel.carrier),
        "trackingNumber": parcel.tracking,
        "shipDate": _instant(parcel.shipped_at),
        "orderItems": [
            {"orderItemId": line.line, "quantity": line.quantity} for line in parcel.lines
        ],
    }


def _is_parcel(package: forms.Package, parcel: ConfirmShipment) -> bool:
    """The same number, unless Amazon shows another parcel's tracking under it.

    Somebody who confirmed by hand in Seller Central took number 1; then ours is not
    there yet, and sending it corrects the number instead of hiding the difference.
    """
    if package["packageReferenceId"] != str(parcel.parcel):
        return False
    theirs, ours = _bare(package.get("trackingNumber") or ""), _bare(parcel.tracking)
    return not theirs or not ours or theirs == ours


def _bare(tracking: str) -> str:
    return "".join(filter(str.isalnum, tracking)).upper()


def _result(offer: Offer, outcome: Outcome, words: str = "") -> OfferResult:
    return OfferResult(listing=offer.listing, place=offer.place, outcome=outcome, words=words)


def _words(body: Json, field: str) -> str:
    """Amazon's own sentences; a 200 with INVALID carries them as `issues`."""
    said = body.get(field) if isinstance(body, dict) else None
    words = [one.get("message") if isinstance(one, dict) else one for one in _listed(said)]
    return "; ".join(one for one in words if isinstance(one, str)) or "no reason given"


def _listed(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else []


def _verdict(answer: Answer, *, fine: frozenset[int]) -> str:
    if answer.status in fine:
        return "ok"
    return f"{answer.status}: {_words(answer.body, 'errors')}"


def _whole_second(since: str) -> str:
    """Rounded down: Amazon keeps seconds, and the bound is inclusive, so nothing is lost."""
    return _instant(datetime.fromisoformat(since))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
