"""What is true outside: sold, shown, asked for, shipped, booked and told, as the fakes have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from core.fake import Sold
from core.simulation.people import order_of
from core.simulation.scenario import Scenario
from core.simulation.world import World


class Truth:
    """`broken` is asked after every step, `orders` at the end."""

    def __init__(self, scenario: Scenario, world: World) -> None:
        self._scenario = scenario
        self._business = scenario.business
        self._world = world
        self._places = {place.at: place.name for place in scenario.business.places}

    def broken(self) -> Iterator[str]:
        yield from (f"G3, G9: booked twice: {one}" for one in self._world.books.duplicates())
        for row in self._world.depot.stock():
            free = row["available"]
            if free is None:
                free = row["on_hand"] - row["allocated"]
            # What a transfer took from under an order that had been asked for is nobody's fault.
            taken = self._world.sent_over[row["sku"], self._places[row["place"]]]
            if free + taken < 0:
                yield (
                    f"G6, G7: {-free} {row['sku']} more were asked for at {row['place']} than"
                    " there are"
                )
        if self._scenario.policy == "split":
            yield from self._shown_twice()

    def _shown_twice(self) -> Iterator[str]:
        """G8: under `split` what all channels may still sell, and have sold, is there."""
        shown: Counter[str] = Counter()
        for channel in self._world.channels.values():
            shown.update(self._business.parts(channel.shown()))
        for sku, received in self._world.received.items():
            # Units taken from under what a location had promised are at another one, for sale.
            moved = sum(n for (item, _), n in self._world.sent_over.items() if item == sku)
            gone = self._taken[sku]
            if shown[sku] and shown[sku] + gone > received + moved:
                yield (
                    f"G8: {shown[sku]} {sku} are for sale and {gone} sold or gone, of {received}"
                )

    @property
    def _taken(self) -> Counter[str]:
        """Units that were sold and not cancelled, or have left all the same."""
        left = self.left()
        taken: Counter[str] = Counter()
        for name, channel in self._world.channels.items():
            for order in channel.sold():
                wanted = self._business.parts(order.lines)
                taken.update(left[name, order.id] if order.cancelled else wanted)
        return taken

    def left(self) -> Mapping[tuple[str, str], Counter[str]]:
        """(channel, order) -> units that have left the warehouse."""
        left: dict[tuple[str, str], Counter[str]] = {}
        for parcel in self._world.depot.shipments():
            units = left.setdefault(order_of(parcel["reference"]), Counter())
            for line in parcel["lines"]:
                units[line["sku"]] += line["quantity"]
        return _Missing(left)

    def orders(self, known: list[Any]) -> Iterator[str]:
        """Every order once in the warehouse's parcels, once in the books, once at its channel."""
        left = self.left()
        parcels: Counter[tuple[str, str]] = Counter()
        for parcel in self._world.depot.shipments():
            if parcel["lines"]:
                parcels[order_of(parcel["reference"])] += 1
        documents = Counter(
            (row["kind"], order_of(row.get("order_reference") or row["reference"]))
            for row in self._world.books.documents()
        )
        sold = {
            (name, order.id): order
            for name, channel in self._world.channels.items()
            for order in channel.sold()
        }
        for row in known:
            key = (row.system, row.external_id)
            order = sold[key]
            yield from self._left_outside(key, order, row.state, left[key])
            if row.state != "shipped":
                continue
            wanted = {"sales_order": 1, "delivery": parcels[key], "invoice": 1}
            found = {kind: documents[kind, key] for kind in wanted}
            if self._has_kits(order):  # a part of a kit is told of nobody
                wanted["delivery"] = min(wanted["delivery"], found["delivery"])
            if order.cancelled:  # what left all the same is a person's affair
                wanted = {kind: min(found[kind], most) for kind, most in wanted.items()}
            if found != wanted:
                yield f"G9: of {key} the books have {found}, due are {wanted}"
            if not order.cancelled:
                yield from self._told_outside(key, order, left[key], parcels[key])

    def _has_kits(self, order: Sold) -> bool:
        return any(sku in self._business.kits for sku in order.lines)

    def _left_outside(
        self, key: tuple[str, str], order: Sold, state: str, left: Counter[str]
    ) -> Iterator[str]:
        """G6: what has left is what was ordered, item by item, also of a kit."""
        wanted = self._business.parts(order.lines)
        if order.cancelled:
            return
        if any(left[sku] > units for sku, units in wanted.items()) or left.keys() - wanted.keys():
            yield f"G9: more of {key} has left than was ordered: {dict(left)}"
        elif state == "shipped" and left != wanted:
            yield f"G6: of {key} has left {dict(left)}, ordered were {dict(wanted)}"

    def _told_outside(
        self, key: tuple[str, str], order: Sold, left: Counter[str], parcels: int
    ) -> Iterator[str]:
        """Channel and books were told of the same units that left, each in its own words."""
        told = self._world.channels[key[0]].parcels(key[1])
        if len(told) > parcels or (len(told) < parcels and not self._has_kits(order)):
            yield f"G9: {len(told)} parcels of {key} were told, {parcels} have left"
        booked: Counter[str] = Counter()
        for row in self._world.books.documents(kind="delivery"):
            if order_of(row["order_reference"]) == key:
                booked.update({line["sku"]: line["quantity"] for line in row["lines"]})
        shown = sum((Counter(one) for one in told), Counter[str]())
        for who, units in (("the channel", shown), ("the books", booked)):
            if self._business.parts(units) != left:
                yield f"G6: {who} knows {dict(units)} of {key}, {dict(left)} have left"


class _Missing(dict[tuple[str, str], Counter[str]]):
    """An order nothing of which has left."""

    def __missing__(self, key: tuple[str, str]) -> Counter[str]:
        return Counter()
