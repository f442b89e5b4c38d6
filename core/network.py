"""The seller's network as the decisions see it: locations, who serves whom, who owns what.

Built once by the app from config, manifests and ownership; immutable; a reload
makes a new one. Knows no vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from core.ledger import Source


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StockWrite:
    """What a channel's stock field means and takes."""

    write: str  # conditional | relative | absolute
    field: str  # net | gross
    batch: int
    settle_s: float = 0.0


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
    order_owner: Mapping[str, str] = field(default_factory=dict)  # by channel
    price_owner: str = ""
    rounding_limit_minor: int = 0

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
