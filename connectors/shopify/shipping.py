"""Which fulfillment orders a parcel draws on, and whether it was confirmed before. Pure.

Shopify's unit of work is the fulfillment order, one per location; it may split
or move them at any time, so nothing here outlives one call. `fulfillmentCreate`
is not idempotent: a parcel is recognized by its tracking number and by the line
items in it, never by a fulfillment order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.shopify.documents import FULFILLMENTS_MAX
from core.errors import InDoubt, Rejected
from core.model import ConfirmShipment, QuantityLine

#: A fulfillment order in another state cannot be fulfilled, whatever remains in it.
_OPEN = frozenset({"OPEN", "IN_PROGRESS"})
_BLOCKED = frozenset({"ON_HOLD", "SCHEDULED"})
#: Fulfillments that did not happen or were taken back.
_VOID = frozenset({"CANCELLED", "ERROR", "FAILURE"})

#: Units by line: a LineItem gid, or a SKU where the shipment knows no line.
Units = Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What the order's fulfillments already say about this parcel."""

    left: Units
    references: tuple[str, ...]
    note: str = ""


def confirmed(shipment: ConfirmShipment, order: Mapping[str, Any]) -> Confirmed:
    """Units of the parcel that carry our tracking number already, and units still to confirm."""
    _refuse_truncated(order)
    left = wanted(shipment.lines)
    references: list[str] = []
    for fulfillment in _live(order) if shipment.tracking else ():
        if shipment.tracking in _numbers(fulfillment):
            references.append(fulfillment["id"])
            _take_off(left, fulfillment)
    if not +left:
        return Confirmed(left=Units(), references=tuple(references))
    return _by_hand(left, references, order)


def _by_hand(left: Units, references: Sequence[str], order: Mapping[str, Any]) -> Confirmed:
    """Nothing remains of these lines: someone confirmed them without our number.

    Remaining 0 alone proves nothing, a canceled line also has 0; the order's
    fulfillments must contain the units.
    """
    remaining = _remaining(order)
    if any(remaining[line] for line in left):
        return Confirmed(left=left, references=tuple(references))
    rest = Units(left)
    found = list(references)
    for fulfillment in (one for one in _live(order) if one["id"] not in references):
        before = rest.total()
        _take_off(rest, fulfillment)
        if rest.total() < before:
            found.append(fulfillment["id"])
    if +rest:
        return Confirmed(left=left, references=tuple(references))
    note = "the channel already had these units as shipped, without our tracking number"
    return Confirmed(left=Units(), references=tuple(found), note=note)


def twin(shipment: ConfirmShipment, order: Mapping[str, Any]) -> str:
    """The fulfillment a lost call without tracking number made, or "".

    Without a number a parcel has no name. The first parcel of an order can be
    told by its lines; a later one looks like its elder, and a person decides.
    """
    want = wanted(shipment.lines)
    same = [one for one in _live(order) if not _numbers(one) and _contents(one, want) == want]
    if not same:
        return ""
    if shipment.parcel == 1 and len(same) == 1:
        return str(same[0]["id"])
    raise InDoubt(
        f"parcel {shipment.parcel} of {shipment.number} has no tracking number and the channel "
        f"has {len(same)} like it; compare the order on the channel"
    )


def allocate(left: Units, order: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """`lineItemsByFulfillmentOrder` for each location: one call per location.

    Shopify refuses fulfillment orders of two locations in one call. A location
    that covers everything is preferred, so that a parcel stays one fulfillment.
    """
    places: dict[str, list[Mapping[str, Any]]] = {}
    for one in order["fulfillmentOrders"]["nodes"]:
        if one["status"] in _OPEN:
            places.setdefault(_place(one), []).append(one)
    drawn = [(_draw(left, orders), orders) for orders in places.values()]
    for (picks, rest), _ in drawn:
        if not +rest:
            return [picks]
    calls: list[list[dict[str, Any]]] = []
    still = Units(left)
    for orders in places.values():
        picks, still = _draw(still, orders)
        if picks:
            calls.append(picks)
    if +still:
        raise _too_few(+still, order)
    return calls


def wanted(lines: Iterable[QuantityLine]) -> Units:
    units = Units()
    for line in lines:
        units[line.line or line.sku] += line.quantity
    return units


def picture(order: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """What an allocation rested on; two pictures differ when Shopify moved something."""
    return [
        (one["id"], line["id"], line["remainingQuantity"])
        for one in order["fulfillmentOrders"]["nodes"]
        for line in one["lineItems"]["nodes"]
    ]


def _draw(left: Units, orders: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], Units]:
    rest = Units(left)
    picks = []
    for one in orders:
        lines = []
        for line in one["lineItems"]["nodes"]:
            name = _name(line["lineItem"], rest)
            units = min(rest[name], line["remainingQuantity"])
            if units > 0:
                rest[name] -= units
                lines.append({"id": line["id"], "quantity": units})
        if lines:
            picks.append({"fulfillmentOrderId": one["id"], "fulfillmentOrderLineItems": lines})
    return picks, rest


def _too_few(still: Units, order: Mapping[str, Any]) -> Rejected:
    missing = ", ".join(f"{units} of {name}" for name, units in sorted(still.items()))
    blocked = [
        f"{one['id']} is {one['status']}"
        for one in order["fulfillmentOrders"]["nodes"]
        if one["status"] in _BLOCKED
    ]
    why = "; ".join(blocked) or "canceled, refunded or shipped there by someone else"
    if order["cancelledAt"]:
        why = "the order is canceled there"
    return Rejected(f"order {order['name']} has too little left to ship: {missing}", words=why)


def _remaining(order: Mapping[str, Any]) -> Units:
    """Units that can still be fulfilled, by line and by SKU, in any state."""
    remaining = Units()
    for one in order["fulfillmentOrders"]["nodes"]:
        for line in one["lineItems"]["nodes"]:
            for name in (line["lineItem"]["id"], line["lineItem"]["sku"]):
                remaining[str(name)] += line["remainingQuantity"]
    return remaining


def _live(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for one in order["fulfillments"] if one["status"] not in _VOID]


def _numbers(fulfillment: Mapping[str, Any]) -> list[str]:
    return [one["number"] for one in fulfillment["trackingInfo"] if one["number"]]


def _contents(fulfillment: Mapping[str, Any], names: Units) -> Units:
    units = Units()
    for line in fulfillment["fulfillmentLineItems"]["nodes"]:
        units[_name(line["lineItem"], names)] += line["quantity"]
    return units


def _take_off(left: Units, fulfillment: Mapping[str, Any]) -> None:
    for name, units in _contents(fulfillment, left).items():
        left[name] -= min(left[name], units)


def _name(line_item: Mapping[str, Any], names: Units) -> str:
    """How the shipment calls this line: by its id, else by its SKU."""
    by_id, by_sku = str(line_item["id"]), str(line_item["sku"])
    return by_sku if by_sku in names and by_id not in names else by_id


def _place(fulfillment_order: Mapping[str, Any]) -> str:
    location = fulfillment_order["assignedLocation"]["location"]
    return str(location["id"]) if location else ""


def _refuse_truncated(order: Mapping[str, Any]) -> None:
    """A list cut off could hide the very fulfillment we look for; then a person looks."""
    lists = [order["fulfillmentOrders"]]
    lists += [one["lineItems"] for one in order["fulfillmentOrders"]["nodes"]]
    lists += [one["fulfillmentLineItems"] for one in order["fulfillments"]]
    full = len(order["fulfillments"]) >= FULFILLMENTS_MAX
    if full or any(one["pageInfo"]["hasNextPage"] for one in lists):
        raise Rejected(
            f"order {order['name']} has more parcels or lines than one answer holds",
            words="confirm this shipment on the channel",
        )
