"""What Shopee itself would know of one shop: items, warehouses, orders, packages, returns.

The fake's HTTP face reads and writes this; tests look at it afterwards. Amounts are integer
cents of Singapore dollars. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from core.fake import World

CENT = 100
SHIPPING = 199
DAYS_TO_SHIP = 2
#: Until then `get_tracking_number` answers with an empty one.
TRACKING_AFTER = timedelta(seconds=60)
_WAITING = ("LOGISTICS_NOT_START", "LOGISTICS_READY")


class SoldOut(Exception):
    """The checkout refuses to sell beyond the number the model shows."""


@dataclass(slots=True)
class Model:
    """`places`: what the seller wrote less what was bought, promotions included."""

    model: int
    sku: str
    price: int
    places: dict[str, int]
    reserved: int = 0
    locked: bool = False  # in a promotion that lets nobody touch the number

    @property
    def for_sale(self) -> int:
        return sum(self.places.values()) - self.reserved


@dataclass(slots=True)
class Listed:
    item: int
    name: str
    sku: str
    has_model: bool
    models: list[Model]
    updated: int
    status: str = "NORMAL"
    kit: bool = False
    by_shopee: bool = False


@dataclass(slots=True)
class Line:
    key: int
    item: Listed
    model: Model
    quantity: int
    place: str
    voucher: int = 0
    cancelled: int = 0
    cancel_requested: int = 0

    @property
    def active(self) -> int:
        return self.quantity - self.cancelled


@dataclass(slots=True)
class Package:
    number: str
    units: dict[int, int]  # of each line, by its key
    state: str = "LOGISTICS_NOT_START"
    tracking: str = ""
    shown_at: int = 0  # when the tracking number may be read
    told: dict[str, Any] = field(default_factory=dict)  # what ship_order was given


@dataclass(slots=True)
class Placed:
    order: str
    lines: list[Line]
    packages: list[Package]
    created: int
    updated: int
    status: str
    cod: bool = False
    before: str = ""  # the status an IN_CANCEL falls back to
    cancel_by: str = ""
    cancel_reason: str = ""
    given_back: int = 0

    @property
    def split(self) -> bool:
        return len(self.packages) > 1

    @property
    def total(self) -> int:
        goods = sum(line.model.price * line.active - line.voucher for line in self.lines)
        return goods + SHIPPING


@dataclass(slots=True)
class Returned:
    number: str
    order: Placed
    units: dict[int, int]
    amount: int
    solution: int
    created: int
    updated: int
    status: str = "REQUESTED"


class Shop:
    """One shop. `changed` is told (code, data) of everything Shopee would push."""

    def __init__(
        self, world: World, places: Sequence[str], *, currency: str, restock: bool
    ) -> None:
        self.world = world
        self.places = tuple(places)
        self.currency = currency
        self.restock = restock
        self.items: dict[int, Listed] = {}
        self.orders: dict[str, Placed] = {}
        self.returns: dict[str, Returned] = {}
        self.changes: list[tuple[int, dict[str, Any]]] = []
        self._numbers = 1000

    def now(self) -> int:
        return int(self.world.now().timestamp())

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    # ------------------------------------------------------------ items

    def list_item(self, skus: Mapping[str, int], price: int, name: str, *, models: bool) -> Listed:
        """An item with one model per SKU; without models it has one SKU of its own."""
        item = self._number()
        made = [
            Model(
                model=self._number() if models else 0,
                sku=sku,
                price=price,
                places=dict.fromkeys(self.places, 0) | {self.places[0]: quantity},
            )
            for sku, quantity in skus.items()
        ]
        listed = Listed(
            item=item,
            name=name,
            sku="" if models else next(iter(skus)),
            has_model=models,
            models=made,
            updated=self.now(),
        )
        self.items[item] = listed
        return listed

    def find(self, sku: str) -> tuple[Listed, Model]:
        for item in self.items.values():
            for model in item.models:
                if model.sku == sku:
                    return item, model
        raise KeyError(sku)

    # ------------------------------------------------------------ orders

    def checkout(
        self, wanted: Sequence[tuple[str, int]], *, status: str, cod: bool, voucher: int
    ) -> Placed:
        needed: dict[str, int] = {}
        for sku, quantity in wanted:
            needed[sku] = needed.get(sku, 0) + quantity
        for sku, quantity in needed.items():
            if self.find(sku)[1].for_sale < quantity:
                raise SoldOut(sku)
        now = self.now()
        lines = []
        for sku, quantity in wanted:
            item, model = self.find(sku)
            lines.append(Line(self._number(), item, model, quantity, self._take(model, quantity)))
        lines[0].voucher = voucher
        day = self.world.now().strftime("%y%m%d")
        order = f"{day}{self._number():06d}X"
        package = Package(f"OFG{self._number()}", {line.key: line.quantity for line in lines})
        placed = Placed(order, lines, [package], created=now, updated=now, status=status, cod=cod)
        self.orders[order] = placed
        self._to(placed, status)
        return placed

    def _take(self, model: Model, quantity: int) -> str:
        """From the warehouse that has most; what it lacks is taken from the next."""
        places = sorted(model.places, key=lambda place: -model.places[place])
        for place in places:
            part = min(quantity, model.places[place])
            model.places[place] -= part
            quantity -= part
        return places[0]

    def _to(self, placed: Placed, status: str) -> None:
        placed.status = status
        if status == "READY_TO_SHIP":
            for package in placed.packages:
                package.state = "LOGISTICS_READY"
        self.touch(placed)

    def touch(self, placed: Placed) -> None:
        placed.updated = self.now()
        data = {"ordersn": placed.order, "status": placed.status, "update_time": placed.updated}
        self.changes.append((3, {**data, "completed_scenario": "", "items": []}))

    def pay(self, placed: Placed) -> None:
        if placed.status in ("UNPAID", "PENDING"):
            self._to(placed, "READY_TO_SHIP")

    def cancel(self, placed: Placed, by: str, reason: str) -> None:
        if placed.status in ("CANCELLED", "SHIPPED", "COMPLETED"):
            raise ValueError(f"{placed.order} is {placed.status}")
        placed.cancel_by, placed.cancel_reason = by, reason
        for line in placed.lines:
            self._back(line, line.active)
        for package in placed.packages:
            package.state = "LOGISTICS_REQUEST_CANCELED"
        self._to(placed, "CANCELLED")

    def cancel_units(self, line: Line, units: int, placed: Placed) -> None:
        line.cancel_requested = 0
        self._back(line, units)
        line.cancelled += units
        for package in reversed(placed.packages):
            taken = min(units, package.units.get(line.key, 0))
            package.units[line.key] = package.units.get(line.key, 0) - taken
            units -= taken
        self.touch(placed)

    def _back(self, line: Line, units: int) -> None:
        if self.restock:
            line.model.places[line.place] += units

    def ask_to_cancel(self, placed: Placed, reason: str) -> None:
        if placed.status not in ("READY_TO_SHIP", "PROCESSED"):
            raise ValueError(f"{placed.order} is {placed.status}")
        placed.before, placed.cancel_by, placed.cancel_reason = placed.status, "buyer", reason
        self._to(placed, "IN_CANCEL")

    def decide(self, placed: Placed, *, accept: bool) -> None:
        if accept:
            self.cancel(placed, "buyer", placed.cancel_reason)
            return
        placed.cancel_by = placed.cancel_reason = ""
        placed.status = placed.before
        self.touch(placed)

    def split_order(self, placed: Placed, parts: Sequence[Mapping[int, int]]) -> None:
        placed.packages = [
            Package(f"OFG{self._number()}", dict(part), "LOGISTICS_READY") for part in parts
        ]
        self.touch(placed)

    def arrange(self, placed: Placed, package: Package, told: Mapping[str, Any]) -> None:
        package.state = "LOGISTICS_REQUEST_CREATED"
        package.told = dict(told)
        own = told.get("non_integrated", {}).get("tracking_number", "")
        package.tracking = own or f"SPX{self._number()}SG"
        package.shown_at = self.now() + (0 if own else int(TRACKING_AFTER.total_seconds()))
        if all(one.state not in _WAITING for one in placed.packages):
            placed.status = "PROCESSED"
        self.touch(placed)

    # ------------------------------------------------------------ what comes back

    def ask_back(
        self, placed: Placed, units: Mapping[int, int], amount: int, *, solution: int
    ) -> Returned:
        number = str(self._number())
        now = self.now()
        made = Returned(number, placed, dict(units), amount, solution, created=now, updated=now)
        self.returns[number] = made
        placed.status = "TO_RETURN"
        self.touch(placed)
        self._push_return(made)
        return made

    def move_return(self, returned: Returned, status: str) -> None:
        returned.status = status
        returned.updated = self.now()
        self._push_return(returned)

    def give_back(self, returned: Returned) -> None:
        """The payout falls; the return does not notice."""
        returned.order.given_back += returned.amount

    def _push_return(self, returned: Returned) -> None:
        data = {"order_sn": returned.order.order, "return_sn": returned.number}
        self.changes.append((29, data))
