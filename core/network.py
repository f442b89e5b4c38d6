"""The seller's network as the decisions see it: locations, who serves whom, who owns what.

Built once by the app from config, manifests and ownership; immutable; a reload
makes a new one. Knows no vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from zoneinfo import ZoneInfo

from core.errors import InvariantBroken
from core.escrow import Write
from core.items import Items
from core.ledger import Source
from core.model import NUMBERS
from core.offer_rules import Rules
from core.plausible import Limits
from core.rule_kinds import Policy
from core.terms import Terms

TRUECOUNT = "truecount"
COMPANY = "company"
#: Which numbers a command tells. A system is sent it if it reads one of them.
TELLS: Mapping[str, tuple[str, ...]] = {
    "accept_order": ("available_to_sell",),  # that its units were there to be sold
    "fulfill_order": ("claim", "order"),
    "cancel_fulfillment": ("claim", "order"),
    "confirm_shipment": ("shipment",),
    "book_order": ("order",),
    "book_shipment": ("shipment",),
    "book_invoice": ("order",),
    "book_credit_note": ("order",),
    "cancel_order": ("order",),
    "answer_cancellation": ("order",),
}
#: What the owner of an order itself is asked: no reader of it could do so.
ASKS_OWNER = ("cancel_order", "answer_cancellation")


_STRICTEST: tuple[Policy, ...] = ("split", "adaptive", "shared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place that can ship. `at` is what each system calls it."""

    name: str
    at: Mapping[str, str]
    serves: tuple[str, ...]
    safety_stock: int = 0
    stock_owner: str
    ships: str  # the warehouse that takes its orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """How a duplicate of one command is prevented at one system."""

    safe_by: str
    lookup_after_s: float = 0.0
    urgent: bool = False
    key_memory_s: float = 86_400.0  # how long it remembers a key it has seen


@dataclass(frozen=True, slots=True, kw_only=True)
class StockWrite:
    """What a channel's stock field means and takes."""

    write: Literal["conditional", "relative", "absolute"]
    field: Literal["net", "gross"]
    batch: int
    settle_s: float = 0.0

    @property
    def kind(self) -> Write:
        """What a write does to units sold unseen. In a gross field they are never sold again,
        however it is written, and no number tells how many they are."""
        return "gross" if self.field == "gross" else self.write


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Who owns each number in each scope, and who is told it (DESIGN section 1)."""

    owner: Mapping[tuple[str, str], str] = field(default_factory=dict)
    readers: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def may_write(self, number: str, scope: str, writer: str) -> bool:
        """Whether a value of this number may come from `writer`: only from its owner (G5)."""
        return writer != "" and self.owner.get((number, scope)) == writer

    def may_tell(self, kind: str, system: str, *, channel: str, location: str) -> bool:
        """Whether this command may go to `system`: it reads what is told, or owns what is asked."""
        if kind not in TELLS:
            raise InvariantBroken(f"core/network.py does not say which numbers {kind} tells")
        if kind in ASKS_OWNER and self.may_write("order", channel, system):
            return True
        scopes = {"channel": channel, "location": location, "company": COMPANY}
        return any(
            system in self.readers.get((number, scopes[NUMBERS[number]]), ())
            for number in TELLS[kind]
        )

    def may_offer(self, channel: str) -> bool:
        """Whether we tell this channel what it may sell: it is ours to say, and it reads it."""
        return self.may_write("available_to_sell", channel, TRUECOUNT) and (
            channel in self.readers.get(("available_to_sell", channel), ())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    company: str
    zone: ZoneInfo
    currency: str
    locations: Mapping[str, Location]
    channels: tuple[str, ...]
    ledgers: tuple[str, ...]  # systems that own the invoice
    sources: Mapping[str, Source]
    accepts: Mapping[tuple[str, str], Accepts]  # by (system, command kind)
    stock_writes: Mapping[str, StockWrite]
    ignored_places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    limits: Mapping[str, Limits] = field(default_factory=dict)  # beyond them a number is asked
    owners: Owners = field(default_factory=Owners)
    terms: Terms = field(default_factory=Terms)
    rounding_limit_minor: int = 0
    rules: Rules = field(default_factory=Rules.none)
    publication: Policy = "shared"
    plans: frozenset[str] = frozenset()  # systems nothing is sent to: `mode: plan`
    live_since: Mapping[str, str] = field(default_factory=dict)  # those that were once: the end
    items: Items = field(default_factory=Items.none)

    def with_items(self, items: Items) -> Network:
        """The same with other items; offer rules choose by their tags."""
        return replace(self, items=items, rules=replace(self.rules, tags=items.tagged))

    def needs(self, sku: str) -> Mapping[str, int]:
        """What one sold unit takes: itself, or the components of a kit."""
        return self.items.needs(sku)

    def family(self, sku: str) -> frozenset[str]:
        """The items that draw on the same units: kits, and what is in them."""
        return self.items.family(sku)

    @property
    def plan_words(self) -> str:
        """What every face says first while something is not sent; "" while all is."""
        if not self.plans:
            return ""
        return f"Nothing is sent to {', '.join(sorted(self.plans))}: mode is plan."

    @property
    def tells_differences(self) -> bool:
        """Some channel takes differences, so what each of them shows is kept."""
        return any(write.kind == "relative" for write in self.stock_writes.values())

    def publication_of(self, sku: str) -> Policy:
        """How the pool of an item reaches its channels: the strictest word about its family."""
        if not self.rules.written:
            return self.publication
        found = {
            self.rules.policy(one, channel) or self.publication
            for one in self.family(sku)
            for channel in self.channels
        }
        return next((word for word in _STRICTEST if word in found), self.publication)

    def safety_stock(self, sku: str, location: str, supply: int) -> int:
        """Units kept out of sale here: by a rule about the item, or the location's own number."""
        return self.rules.safety(sku, location, supply, self.locations[location].safety_stock)

    def limits_of(self, system: str) -> Limits:
        return self.limits.get(system) or Limits()

    def location_of(self, system: str, place: str) -> str | None:
        """Which location a system's word means; None if nobody said."""
        for location in self.locations.values():
            if location.at.get(system) == place:
                return location.name
        return None

    def serving(self, channel: str) -> tuple[str, ...]:
        """Locations that may ship for a channel, in the operator's order."""
        return tuple(name for name, place in self.locations.items() if channel in place.serves)

    def serving_place(self, channel: str, place: str) -> tuple[str, ...]:
        """Locations whose units one listing's place shows.

        A location that names its place on the channel shows only there; one
        that names none shows wherever the channel lists the item.
        """
        return tuple(
            name
            for name in self.serving(channel)
            if self.locations[name].at.get(channel, place) == place
        )

    def source_of(self, location: str) -> Source:
        return self.sources[self.locations[location].stock_owner]

    def locations_stocked_by(self, system: str) -> tuple[str, ...]:
        return tuple(n for n, place in self.locations.items() if place.stock_owner == system)
