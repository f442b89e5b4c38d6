"""`truecount why --at`: the same answer for a moment that is over, from the walk alone.

The tables know only what is. What was is folded from the steps of the SKU
(`core.history`), with the owners, places, rules and safety stock in force then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from core import explain, walk
from core.clock import stamp
from core.explain import EVERYTHING, Claimed, Only
from core.history import Past, Step
from core.network import Network
from core.store import schema as s
from core.views import View

#: (system, listing, place)
Key = tuple[str, str, str]


def why_at(
    connection: Connection, present: Network, at: datetime, sku: str, only: Only = EVERYTHING
) -> View | None:
    """Every term as it was just after this moment; None: nobody has named the SKU."""
    if not explain.known(connection, sku):
        return None
    position = walk.position_at(connection, at)
    past = Past(sku, walk.epochs(connection, present), present)
    outlets = Outlets()
    for step in walk.steps_of(connection, sku, position):
        past.apply(step)
        outlets.apply(step)
    past.upto(position)
    network = past.network
    return {
        "sku": sku,
        "at": stamp(at),
        "position": position,
        # Before the log began to tell, today's configuration is all there is.
        "network_of_then": past.known,
        "locations": [_location(connection, past, name) for name in only.locations(network)],
        "channels": [
            _outlet(connection, past, key, told, position)
            for key, told in sorted(outlets.told.items())
            if key[0] in only.channels(network)
        ],
        "copies": explain.copies(connection, sku, until=stamp(at)),
        "told": explain.told(connection, sku, only.channel, until=stamp(at)),
    }


def _location(connection: Connection, past: Past, location: str) -> View:
    place = past.place(location)
    found = explain.location_view(
        connection,
        past.network,
        location,
        terms=past.terms(location),
        reading=place.in_force(),
        read_at=stamp(place.read_at) if place.read_at else None,
        claims=[
            Claimed(
                id=held.id,
                order_id=held.order_id,
                claim=held.claim,
                since=stamp(held.opened_at),
            )
            for held in past.claims.at(location)
        ],
    )
    for claim in found["claims"]:
        claim["ended_at"] = connection.execute(
            select(s.claims.c.ended_at).where(s.claims.c.id == claim["claim"])
        ).scalar_one_or_none()
    return found | {"next_read_at": None}


# ------------------------------------------------------------------ what channels had been told


@dataclass(slots=True)
class Told:
    """One outlet: what it acknowledged last, and what came of the last call."""

    active: bool = True
    acknowledged: int | None = None
    acknowledged_at: str | None = None
    trouble: str = ""


@dataclass(slots=True)
class Outlets:
    """Where a SKU was listed and what each place had been told, folded from its steps."""

    told: dict[Key, Told] = field(default_factory=dict)

    def apply(self, step: Step) -> None:
        key = (step.system, step.data.get("listing", ""), step.data.get("place") or "")
        if step.name == "listing.read":
            self.told.setdefault(key, Told()).active = bool(step.data["active"])
        elif step.name == "offer.published":
            one = self.told.setdefault(key, Told())
            one.acknowledged, one.acknowledged_at = step.data["units"], stamp(step.at)
            one.trouble = ""
        elif step.name.startswith("offer."):
            one = self.told.setdefault(key, Told())
            one.trouble = f"{step.name[6:]} {step.data.get('words') or ''}".strip()


def _outlet(connection: Connection, past: Past, key: Key, told: Told, position: int) -> View:
    system, listing, place = key
    return {
        "channel": system,
        "listing": listing,
        "place": place,
        "active": told.active,
        "pool": past.pool(system, place),
        "acknowledged": told.acknowledged,
        "acknowledged_at": told.acknowledged_at,
        "trouble": told.trouble,
        "settles": _next(connection, past.sku, key, position),
    }


def _next(connection: Connection, sku: str, key: Key, position: int) -> View:
    """What this outlet acknowledged next: for a moment that is over, that is known."""
    rows = connection.execute(
        select(s.steps)
        .where(
            s.steps.c.sku == sku,
            s.steps.c.seq > position,
            s.steps.c.system == key[0],
            s.steps.c.name == "offer.published",
        )
        .order_by(s.steps.c.seq)
    )
    for row in rows:
        data: Any = walk.as_step(row).data
        if (data.get("listing", ""), data.get("place") or "") == key[1:]:
            return {"state": f"acknowledged {data['units']} next", "at": row.at}
    return {"state": "told nothing else since", "at": None}
