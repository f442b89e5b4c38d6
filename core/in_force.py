"""What the log is judged by: which network was in force when, and where counting began anew.

Written at every start whose configuration differs from the last, in one
transaction with what follows from it. An old write is judged by the table of
owners of its own day, and `truecount why --at` knows the safety stock of then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from core.clock import stamp
from core.history import Epoch, changed_hands
from core.items import Items
from core.ledger import Source
from core.network import Location, Network, Owners
from core.store.schema import (
    claims,
    cursors,
    in_force,
    inbox,
    listings,
    movements,
    seen,
    steps,
    stock,
)
from core.work import Work

# ------------------------------------------------------------------ reading it


def epochs(connection: Connection) -> list[Epoch]:
    """All of them, oldest first: a handful in the life of an installation."""
    rows = connection.execute(select(in_force).order_by(in_force.c.seq))
    return [
        Epoch(seq=row.seq, counters_of=row.system)
        if row.kind == "counters"
        else Epoch(seq=row.seq, network=from_json(row.doc))
        for row in rows
    ]


def to_json(network: Network) -> str:
    """What terms and proofs depend on, and nothing else: equal networks give equal text."""
    doc = {
        "owners": _nested(network.owners.owner),
        "readers": _nested(network.owners.readers),
        "channels": network.channels,
        "sources": {
            name: {"basis": s.basis, "ordered_by": s.ordered_by, "settle_s": s.settle_s}
            for name, s in network.sources.items()
        },
        # A list: the order of locations is the operator's.
        "locations": [
            {
                "name": place.name,
                "at": dict(place.at),
                "serves": place.serves,
                "safety_stock": place.safety_stock,
                "stock_owner": place.stock_owner,
                "ships": place.ships,
            }
            for place in network.locations.values()
        ],
    }
    if network.items.kits:
        doc["kits"] = {kit: dict(needs) for kit, needs in network.items.kits.items()}
    return orjson.dumps(doc, option=orjson.OPT_SORT_KEYS).decode()


def from_json(text: str) -> Network:
    """The network as far as it was remembered; it can explain, not act."""
    doc = orjson.loads(text)
    places = [Location(**{**place, "serves": tuple(place["serves"])}) for place in doc["locations"]]
    return Network(
        company="",
        zone=ZoneInfo("UTC"),
        currency="",
        locations={place.name: place for place in places},
        channels=tuple(doc["channels"]),
        ledgers=(),
        sources={name: Source(**words) for name, words in doc["sources"].items()},
        accepts={},
        stock_writes={},
        owners=Owners(
            owner=_flat(doc["owners"]),
            readers={key: tuple(names) for key, names in _flat(doc["readers"]).items()},
        ),
        items=Items(kits=doc.get("kits", {})),
    )


def _nested(table: Mapping[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (number, scope), value in table.items():
        found.setdefault(number, {})[scope] = value
    return found


def _flat(table: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    return {(number, scope): value for number, own in table.items() for scope, value in own.items()}


# ------------------------------------------------------------------ writing it


def put_in_force(work: Work) -> bool:
    """Remember the network if it is another one than last time. True if it was."""
    text = to_json(work.network)
    last = work.connection.execute(
        select(in_force.c.doc)
        .where(in_force.c.kind == "network")
        .order_by(in_force.c.seq.desc())
        .limit(1)
    ).scalar_one_or_none()
    if last == text:
        return False
    _remember(work, "network.in_force", kind="network", doc=text)
    if last is not None:
        for location in changed_hands(from_json(last), work.network):
            _changed_hands(work, location)
        # Safety stock, places or owners differ: every number may. Equal offers are not sent.
        for sku in work.connection.execute(select(listings.c.sku).distinct()).scalars():
            work.sku_changed(sku, "configuration")
    return True


def counters_forgotten(work: Work, system: str) -> None:
    """The warehouse counts from the start again; what follows is compared without the old (H13)."""
    _remember(work, "counters.forgotten", kind="counters", system=system)


def _remember(work: Work, name: str, *, kind: str, system: str = "", doc: str = "{}") -> None:
    """Its step is written at once: its number is where the log changes hands."""
    seq = work.connection.execute(
        insert(steps)
        .values(at=stamp(work.now), stop=8, name=name, system=system)
        .returning(steps.c.seq)
    ).scalar_one()
    work.connection.execute(insert(in_force).values(seq=seq, kind=kind, system=system, doc=doc))


def _changed_hands(work: Work, location: str) -> None:
    """The old owner's number is void. What the new one said last, kept as a copy, is taken up."""
    connection, owner = work.connection, work.network.locations[location].stock_owner
    connection.execute(delete(stock).where(stock.c.location == location))
    connection.execute(delete(movements).where(movements.c.location == location))
    connection.execute(
        update(claims)
        .where(claims.c.location == location, claims.c.state.in_(("open", "shipped", "missing")))
        .values(
            accepted_counter=None, accepted_as_of=None, shipped_counter=None, shipped_as_of=None
        )
    )
    own = (inbox.c.system == owner, inbox.c.resource == "stock_reading")
    newest = select(func.max(inbox.c.seq)).where(*own).group_by(inbox.c.external_id)
    connection.execute(
        update(inbox)
        .where(
            inbox.c.seq.in_(newest),
            inbox.c.state.in_(("applied", "ignored")),
            inbox.c.body.is_not(None),
        )
        .values(state="pending")
    )
    resource = {"system": owner, "resource": "stock_reading"}
    connection.execute(delete(seen).filter_by(**resource))
    connection.execute(
        update(cursors).filter_by(**resource).values(since=None, page=None, due_at=stamp(work.now))
    )


def network_at(found: Sequence[Epoch], seq: int) -> Network | None:
    """The network the step `seq` was written under."""
    past = [e.network for e in found if e.network is not None and e.seq <= seq]
    return past[-1] if past else None
