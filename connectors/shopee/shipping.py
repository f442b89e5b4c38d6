"""Telling Shopee that a parcel goes: it takes a package as a whole, in a way it names first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopee import forms
from connectors.shopee.calls import Calls, Refusal
from connectors.shopee.orders import Orders
from core.contract import Command, Receipt
from core.errors import Rejected, Retry
from core.model import ConfirmShipment

#: Nobody has arranged these yet. Whatever else Shopee calls a package, it is under way or over.
_WAITING = frozenset(
    "LOGISTICS_NOT_START LOGISTICS_NOT_STARTED LOGISTICS_PENDING_ARRANGE LOGISTICS_READY".split()
)
#: Shopee gave these up; confirming them is no news of a parcel.
_OVER = frozenset("LOGISTICS_INVALID LOGISTICS_REQUEST_CANCELED".split())
_ALREADY = "package_already_shipped"


class Shipping:
    def __init__(self, calls: Calls, orders: Orders, *, hand_over: str) -> None:
        self._calls = calls
        self._orders = orders
        self._hand_over = hand_over

    async def send(self, command: Command) -> Receipt:
        shipment: ConfirmShipment = command.record
        order = await self._order(shipment)
        package = _package_of(shipment, order)
        if package is None:
            order = await self._split(shipment, order)
            package = _package_of(shipment, order)
            if package is None:
                raise Retry(f"Shopee has split order {shipment.number} and does not show it yet")
        if _state(package) not in _WAITING:
            return await self._arranged(shipment, order, package, already=True)
        if order["order_status"] == "IN_CANCEL":
            raise Retry(f"the buyer of {shipment.number} wants to cancel: answer that at Shopee")
        which = _which(order, package)
        body = {**which, **await self._way(which, command)}
        told = await self._calls.tell("logistics/ship_order", body)
        already = False
        if isinstance(told, Refusal):
            already = told.code.rpartition(".")[2].strip() == _ALREADY
            if not already:
                raise Rejected(f"Shopee refuses a parcel of {shipment.number}", words=told.words)
        return await self._arranged(shipment, order, package, already=already)

    async def find(self, command: Command) -> Receipt | None:
        shipment: ConfirmShipment = command.record
        order = await self._order(shipment)
        package = _package_of(shipment, order)
        if package is None or _state(package) in _WAITING:
            return None
        return await self._arranged(shipment, order, package, already=True)

    async def _order(self, shipment: ConfirmShipment) -> forms.Order:
        found: list[forms.Order] = await self._orders.details([shipment.order])
        if not found:
            raise Rejected(f"Shopee has no order {shipment.number}")
        return found[0]

    async def _split(self, shipment: ConfirmShipment, order: forms.Order) -> forms.Order:
        """A package for this parcel and one for the rest; lost, the next look shows it split."""
        packages = [{"item_list": part} for part in _parts(shipment, order)]
        body = {"order_sn": order["order_sn"], "package_list": packages}
        told = await self._calls.tell("order/split_order", body)
        if isinstance(told, Refusal):
            raise Rejected(
                f"Shopee takes order {shipment.number} as one package, and this parcel is a part",
                words=f"{told.words}; tell it there with the last parcel, and discard this",
            )
        return await self._order(shipment)

    async def _arranged(
        self,
        shipment: ConfirmShipment,
        order: forms.Order,
        package: forms.Package,
        *,
        already: bool,
    ) -> Receipt:
        """Done; its tracking number may come minutes later, and the next read of it shows it."""
        if _state(package) in _OVER:
            raise Rejected(
                f"Shopee has given up the package of {shipment.number}", words=_state(package)
            )
        which = _which(order, package)
        # Whatever it says no with: the parcel is told, and must not look as if it were not.
        found = await self._calls.ask_if_there(
            "logistics/get_tracking_number", forms.Tracking, which, None
        )
        tracking = (found or {}).get("tracking_number") or ""
        note = "" if tracking else "Shopee names no tracking number yet"
        if tracking and shipment.tracking and tracking != shipment.tracking:
            note = f"Shopee follows it as {tracking}"
        return Receipt(reference=package["package_number"], already=already, note=note)

    async def _way(self, which: Mapping[str, str], command: Command) -> dict[str, Any]:
        """Exactly one of pickup, dropoff and non_integrated, with what Shopee says it needs."""
        asked = await self._calls.ask(
            "logistics/get_shipping_parameter", forms.ShippingParameter, which
        )
        offered: Mapping[str, Any] = asked["info_needed"]
        ours = command.body if isinstance(command.body, dict) else {}
        for way in _preferred(self._hand_over):
            needed = offered.get(way)
            if needed is not None:
                known = {**_known(way, asked), **(ours.get(way) or {})}
                missing = [name for name in needed if not known.get(name)]
                if missing:
                    raise Rejected(
                        f"Shopee wants {', '.join(missing)} for a parcel by {way}",
                        words="it names none and we know none",
                    )
                return {way: {name: known[name] for name in needed}}
        raise Rejected(
            "Shopee offers no way to hand this parcel over", words=", ".join(offered) or "none"
        )


def _preferred(hand_over: str) -> Sequence[str]:
    ways = {"pickup": ("pickup", "dropoff"), "dropoff": ("dropoff", "pickup")}
    return (*ways.get(hand_over, ("dropoff", "pickup")), "non_integrated")


def _known(way: str, asked: forms.ShippingParameter) -> dict[str, Any]:
    """What Shopee itself names: the pickup address it marks, its soonest slot, its first branch."""
    if way == "pickup":
        addresses = (asked.get("pickup") or {}).get("address_list") or []
        if not addresses:
            return {}
        address = max(addresses, key=lambda one: _marks(one.get("address_flag")))
        slots = address.get("time_slot_list") or []
        slot = max(slots, key=lambda one: _marks(one.get("flags")), default=None)
        found: dict[str, Any] = {"address_id": address["address_id"]}
        return {**found, "pickup_time_id": slot["pickup_time_id"]} if slot else found
    if way == "dropoff":
        offered = asked.get("dropoff") or {}
        branches, slugs = offered.get("branch_list") or [], offered.get("slug_list") or []
        first = {"branch_id": branches[0]["branch_id"]} if branches else {}
        return {**first, "slug": slugs[0]["slug"]} if slugs else first
    return {}


def _marks(flags: Sequence[str] | None) -> int:
    """How warmly Shopee recommends it; of equals the first."""
    return len({"pickup_address", "default_address", "recommended"} & set(flags or ()))


def _state(package: forms.Package) -> str:
    return (package.get("logistics_status") or "").strip()


def _which(order: forms.Order, package: forms.Package) -> dict[str, str]:
    """The package's number belongs into a call only where the order was split."""
    which = {"order_sn": order["order_sn"]}
    if order.get("split_up"):
        which["package_number"] = package["package_number"]
    return which


def _package_of(shipment: ConfirmShipment, order: forms.Order) -> forms.Package | None:
    """The package this parcel is; None where the order's only one has to be split for it.

    Parcels are told one after the other, so of packages that look alike this one is under way
    only if as many are as there are parcels up to it.
    """
    packages = order.get("package_list") or []
    if not packages:
        raise Retry(f"Shopee has made no package of order {shipment.number} yet")
    wanted = Counter({line.line: line.quantity for line in shipment.lines})
    waiting = [one for one in packages if _state(one) in _WAITING]
    under_way = [one for one in packages if one not in waiting]
    told = [one for one in under_way if _holds(one, order) == wanted]
    if told and len(under_way) >= shipment.parcel:
        return told[-1]
    if alike := [one for one in waiting if _holds(one, order) == wanted]:
        return alike[0]
    if len(packages) == 1:
        return packages[0] if shipment.complete or under_way else None
    if shipment.complete and len(waiting) <= 1:
        return (waiting or packages)[-1]  # what is left, whatever else was to be in it
    raise Rejected(
        f"no package of order {shipment.number} holds just what is in this parcel",
        words="Shopee splits an order once: tell it there with the last parcel, and discard this",
    )


def _parts(shipment: ConfirmShipment, order: forms.Order) -> list[list[dict[str, Any]]]:
    """The units of this parcel, and the others: what `split_order` makes packages of."""
    (package,) = order.get("package_list") or []
    wanted = {line.line: line.quantity for line in shipment.lines}
    now: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    for row in package.get("item_list") or []:
        units = min(wanted.get(_line_of(row, order), 0), row["model_quantity"])
        names = ("item_id", "model_id", "order_item_id", "promotion_group_id")
        same = {name: row[name] for name in names if name in row}  # type: ignore[literal-required]
        for part, number in ((now, units), (later, row["model_quantity"] - units)):
            if number:
                part.append({**same, "model_quantity": number})
    return [now, later]


def _holds(package: forms.Package, order: forms.Order) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in package.get("item_list") or []:
        found[_line_of(row, order)] += row["model_quantity"]
    return found


def _line_of(row: forms.PackageLine, order: forms.Order) -> str:
    if own := row.get("order_item_id"):
        return str(own)
    for line in order.get("item_list") or []:
        if (line["item_id"], line["model_id"]) == (row["item_id"], row["model_id"]):
            return str(line.get("order_item_id") or "")
    return ""
