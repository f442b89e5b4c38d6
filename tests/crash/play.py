"""What happens while the program lives, dies and lives again: one short day of business.

Buyers, pickers and bookkeepers do not know that anybody was killed. Every act is tried
again until it can be done, and `advance` does what can be done now; nothing here asks
whether the daemon runs. What was acknowledged to a sender is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.cli.scene import Refused
from tests.crash.installation import Installation, event_of

TEA, CUP, MUG = "TEA", "CUP", "MUG"
OPENING = {TEA: 40, CUP: 8, MUG: 5}
#: Of this one more lies there every day and nobody buys it: no later number repairs a lost one.
UNSOLD = MUG
#: A push that nobody acknowledged is sent again so often, as vendors do; then it is lost.
PUSHES = 8

Row = dict[str, Any]


@dataclass
class Pushed:
    """One event on its way to us."""

    topic: str
    order: Row
    tries: int = 0
    acknowledged: bool = False

    @property
    def waits(self) -> bool:
        return not self.acknowledged and self.tries < PUSHES


@dataclass
class Sale:
    """One order, and what becomes of it: `ends` is shipped, parts, cancelled or regretted.

    `cancelled` once the warehouse was asked; `regretted` at once, whoever knows by then.
    """

    channel: str
    lines: dict[str, int]
    ends: str
    pays_later: bool = False
    order: Row = field(default_factory=dict)
    stage: str = "wanted"
    pushes: list[Pushed] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.order.get("id", ""))

    @property
    def over(self) -> bool:
        return self.stage == "over" and not any(push.waits for push in self.pushes)

    @property
    def is_cancelled(self) -> bool:
        return self.ends in ("cancelled", "regretted")

    def advance(self, own: Installation, asked: dict[str, Row]) -> None:
        """`asked`: what the warehouse was asked for, by the order it is for."""
        for push in self.pushes:
            if push.waits:
                push.tries += 1
                push.acknowledged = own.push(push.topic, push.order)
        match self.stage:
            case "wanted":
                self._place(own)
            case "placed" if self.pays_later:
                self._say(own, "order.changed", own.remote(self.channel, "pay", order=self.id))
                self.stage = "paid"
            case "placed" | "paid":
                self._end(own, asked)
            case "rest":
                self._ship(own, asked[self.id], self._left(asked))

    def _place(self, own: Installation) -> None:
        lines = [{"sku": sku, "quantity": units} for sku, units in self.lines.items()]
        payment = "pending" if self.pays_later else "paid"
        try:
            order = own.remote(self.channel, "place_order", lines=lines, payment=payment)
        except Refused:
            return  # the channel shows too few as yet
        self._say(own, "order.created", order)
        self.stage = "placed"

    def _end(self, own: Installation, asked: dict[str, Row]) -> None:
        if self.ends != "regretted" and self.id not in asked:
            return
        if self.is_cancelled:
            self._say(own, "order.cancelled", own.remote(self.channel, "cancel", order=self.id))
            self.stage = "over"
        elif self.ends == "parts":
            first = next(iter(self.lines))
            parcel = [{"sku": first, "quantity": 1}]
            self._ship(own, asked[self.id], parcel, complete=False)
            self.stage = "rest"
        else:
            self._ship(own, asked[self.id], None)

    def _left(self, asked: dict[str, Row]) -> list[Row]:
        return [
            {"sku": line["sku"], "quantity": line["quantity"]} for line in asked[self.id]["left"]
        ]

    def _ship(
        self, own: Installation, asked: Row, lines: list[Row] | None, *, complete: bool = True
    ) -> None:
        own.remote("depot", "ship", reference=asked["reference"], lines=lines, complete=complete)
        if complete:
            self.stage = "over"

    def _say(self, own: Installation, topic: str, order: Row) -> None:
        self.order = order
        if self.channel == "shop":
            self.pushes.append(Pushed(topic, order))
            self.pushes[-1].tries += 1
            self.pushes[-1].acknowledged = own.push(topic, order)


class Play:
    """One day. The same for every kill; a later one has orders of its own."""

    def __init__(self, own: Installation) -> None:
        self._own = own
        self.sales = [
            Sale("shop", {TEA: 2}, "shipped"),
            Sale("market", {TEA: 1, CUP: 1}, "parts"),
            Sale("shop", {TEA: 1}, "shipped", pays_later=True),
            Sale("shop", {CUP: 1}, "cancelled"),
            Sale("market", {TEA: 1}, "cancelled"),
            Sale("shop", {TEA: 1}, "regretted"),
        ]
        self._delivered = False

    def advance(self) -> None:
        if not self._delivered:  # as much comes in as will leave, so every day is the same
            for sku in OPENING:
                left = sum(sale.lines.get(sku, 0) for sale in self.sales if not sale.is_cancelled)
                came = left + (sku == UNSOLD)
                self._own.remote("depot", "receive", sku=sku, place="EAST", quantity=came)
            self._delivered = True
        asked = asked_for(self._own)
        for sale in self.sales:
            sale.advance(self._own, asked)

    @property
    def over(self) -> bool:
        return all(sale.over for sale in self.sales)

    def forget_pushes(self) -> None:
        """The state is an older one: what was acknowledged since is read again by other ways."""
        for sale in self.sales:
            sale.pushes.clear()

    def acknowledged(self) -> set[str]:
        """The identities of all events that we said we have."""
        return {
            event_of(push.topic, push.order)
            for sale in self.sales
            for push in sale.pushes
            if push.acknowledged
        }


def asked_for(own: Installation) -> dict[str, Row]:
    """The warehouse's orders, by the channel's order they are for; a second one is a fault."""
    found: dict[str, Row] = {}
    for row in own.remote("depot", "orders"):
        order = order_of(row["reference"])
        assert order not in found, f"doubled: the warehouse was asked twice to ship {order}"
        found[order] = row
    return found


def order_of(reference: str) -> str:
    """`truecount:shop:P000001:fulfill_order:1` is about P000001."""
    return reference.split(":")[2]


def open_shop(own: Installation) -> None:
    """What is there before the first day."""
    for sku, units in OPENING.items():
        own.remote("depot", "receive", sku=sku, place="EAST", quantity=units)
        own.remote("books", "set_item", sku=sku, list_price="10.00", unit_cost="4.00")
        own.remote("books", "set_stock", sku=sku, warehouse="MAIN", quantity=units)
        for channel in ("shop", "market"):
            own.remote(channel, "list_item", sku=sku, price="10.00")
