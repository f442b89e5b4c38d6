"""After the noise: what all systems have, compared. Nothing lost, nothing doubled.

`quiet` says when there is nothing left to do; `faults` compares what the systems
themselves say with what buyers and pickers did. Our own state is asked last, and proves
itself.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from email import message_from_bytes
from typing import Any

from core import items_in_force, rules_in_force
from core.clock import SystemClock
from core.config import load_config
from core.networking import network_of
from core.prove import prove
from core.store.engine import read_only
from tests.crash.installation import SECRETS, Installation
from tests.crash.play import CUP, OPENING, Play, Sale, asked_for, order_of

Row = dict[str, Any]
#: Sold from one pool by both channels; CUP is divided.
SHARED = tuple(sku for sku in OPENING if sku != CUP)

#: What is still to be done, as (what, how many). No row of it is rest.
_WAITS = """
SELECT 'inbox ' || state, count(*) FROM inbox WHERE state IN ('pending', 'held') GROUP BY state
UNION ALL SELECT 'fetches', count(*) FROM fetches
UNION ALL SELECT 'commands ' || state, count(*) FROM outbox
    WHERE state NOT IN ('done', 'taken_back') GROUP BY state
UNION ALL SELECT 'calls to channels', count(*) FROM told WHERE ended_at IS NULL
UNION ALL SELECT 'numbers to tell again', count(*) FROM republish
UNION ALL SELECT 'channels behind the feed', count(*) FROM publish_cursors
    WHERE seq < (SELECT coalesce(max(seq), 0) FROM feed)
UNION ALL SELECT 'claims', count(*) FROM claims WHERE state NOT IN ('ended', 'released')
UNION ALL SELECT 'orders ' || state, count(*) FROM orders
    WHERE state NOT IN ('shipped', 'cancelled') GROUP BY state
-- Pushes that a death refused were found by the sweep: noticed, until the next push.
UNION ALL SELECT 'exceptions ' || cause, count(*) FROM holds
    WHERE closed_at IS NULL AND cause NOT LIKE 'dead_pushes:%' GROUP BY cause
"""


def waits(own: Installation) -> dict[str, int]:
    """What our own state still has to do."""
    return {what: count for what, count in own.rows(_WAITS) if count}


def unrest(own: Installation, days: list[Play]) -> list[str]:
    """Why it is not over yet: something waits, is not known, or shows another number."""
    found = [f"waits: {what}: {count}" for what, count in waits(own).items()]
    return found + _unknown(own, _sales(days)) + _numbers(own)


def faults(own: Installation, days: list[Play]) -> list[str]:
    """What is lost or doubled, in words. Asked at rest."""
    sales = _sales(days)
    return [
        *_warehouse(own, sales),
        *_channels(own, sales),
        *_books(own, sales),
        *_units(own, sales),
        *_mails(own),
        *_logins(own),
        *_proof(own),
    ]


def forgotten(own: Installation, days: list[Play]) -> list[str]:
    """Pushes that were acknowledged and are not on the disk: asked of the dead."""
    there = {identity for (identity,) in own.rows("SELECT identity FROM inbox")}
    said = set[str]().union(*(day.acknowledged() for day in days))
    return [f"lost: acknowledged, and not kept: {one}" for one in sorted(said - there)]


def damage(own: Installation) -> list[str]:
    """What SQLite says of the file as the dead left it."""
    return [f"damaged: {words}" for (words,) in own.rows("PRAGMA integrity_check") if words != "ok"]


def _sales(days: list[Play]) -> list[Sale]:
    return [sale for day in days for sale in day.sales]


def _unknown(own: Installation, sales: list[Sale]) -> list[str]:
    known = {
        (system, key): state
        for system, key, state in own.rows("SELECT system, external_id, state FROM orders")
    }
    wanted = {
        (sale.channel, sale.id): "cancelled" if sale.is_cancelled else "shipped" for sale in sales
    }
    return [
        f"lost: order {key} of {system} is {known.get((system, key), 'not there')}, not {state}"
        for (system, key), state in wanted.items()
        if known.get((system, key)) != state
    ]


# ------------------------------------------------------------------ the systems' own words


def _numbers(own: Installation) -> list[str]:
    """A shared pool is shown whole by everybody, a divided one never twice.

    A part of a divided pool may wait unshown (G8), so less than there is is no fault; what we
    know of it (`ceiling`: what an outlet may still sell) is what the channel really shows.
    """
    shelf = {sku: own.remote("depot", "on_hand", sku=sku) for sku in OPENING}
    shown = {name: own.remote(name, "stock") for name in ("shop", "market")}
    found = [
        f"number: {name} shows {numbers[sku]} {sku}, {shelf[sku]} are there"
        for name, numbers in shown.items()
        for sku in SHARED
        if numbers[sku] != shelf[sku]
    ]
    ceilings = own.rows("SELECT system, ceiling FROM quotas WHERE sku = ?", CUP)
    found += [
        f"number: {name} shows {shown[name][CUP]} {CUP}, it may sell {ceiling}"
        for name, ceiling in ceilings
        if shown[name][CUP] != ceiling
    ]
    divided = sum(numbers[CUP] for numbers in shown.values())
    if not 0 < divided <= shelf[CUP]:
        found.append(f"number: {divided} {CUP} are shown, {shelf[CUP]} are there")
    return found


def _warehouse(own: Installation, sales: list[Sale]) -> list[str]:
    """One order for each sale, shipped or cancelled as it ended; `asked_for` refuses two."""
    asked = asked_for(own)
    found = []
    for sale in sales:
        row = asked.pop(sale.id, None)
        if row is None and not sale.is_cancelled:
            found.append(f"lost: the warehouse was never asked to ship {sale.id}")
        elif row is not None and row["state"] != ("cancelled" if sale.is_cancelled else "shipped"):
            found.append(f"wrong: {sale.id} is {row['state']} in the warehouse")
    return found + [f"doubled: the warehouse has {one}, nobody bought it" for one in asked]


def _channels(own: Installation, sales: list[Sale]) -> list[str]:
    """Each parcel is confirmed once, to the channel it was sold on."""
    parcels = Counter(
        order_of(row["reference"])
        for row in own.remote("depot", "shipments")
        if row["state"] == "shipped"
    )
    confirmed = Counter(
        row["order"] for name in ("shop", "market") for row in own.remote(name, "shipments")
    )
    return [
        f"{_which(confirmed[sale.id], parcels[sale.id])}: {confirmed[sale.id]} confirmations of"
        f" {parcels[sale.id]} parcels of {sale.id}"
        for sale in sales
        if confirmed[sale.id] != parcels[sale.id]
    ]


def _books(own: Installation, sales: list[Sale]) -> list[str]:
    """One document of each kind, to the cent; nothing for what never was, nothing twice."""
    documents: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in own.remote("books", "documents"):
        documents[order_of(row["reference"]), row["kind"]].append(row)
    undone = Counter(
        order_of(row["order_reference"]) for row in own.remote("books", "cancellations")
    )
    found = []
    for sale in sales:
        booked = documents[sale.id, "sales_order"]
        parcels = 0 if sale.is_cancelled else 2 if sale.ends == "parts" else 1
        wanted = {
            # What is cancelled may be taken back before anybody was told.
            "sales_order": len(booked[:1]) if sale.is_cancelled else 1,
            "delivery": parcels,
            "invoice": min(parcels, 1),
        }
        there = {kind: len(documents[sale.id, kind]) for kind in wanted}
        wanted["cancellation"] = wanted["sales_order"] if sale.is_cancelled else 0
        there["cancellation"] = undone[sale.id]
        found += [
            f"{_which(there[kind], wanted[kind])}: {there[kind]} {kind}s of {sale.id} in the books,"
            f" not {wanted[kind]}"
            for kind in wanted
            if there[kind] != wanted[kind]
        ]
        found += [
            f"wrong: {sale.id} is booked with {row['total']}, not {sale.order['total']}"
            for row in booked
            if Decimal(row["total"]) != Decimal(sale.order["total"])
        ]
    return found


def _which(there: int, wanted: int) -> str:
    return "doubled" if there > wanted else "lost"


def _units(own: Installation, sales: list[Sale]) -> list[str]:
    """What came in is on the shelf or has left, and what has left was sold."""
    moved = own.remote("depot", "movements")
    left = sum(units for sale in sales if not sale.is_cancelled for units in sale.lines.values())
    found = []
    if moved["received"] + moved["adjusted"] - moved["shipped"] != moved["on_hand"]:
        found.append(f"units: {moved}")
    if moved["shipped"] != left:
        found.append(f"units: {moved['shipped']} have left, {left} were sold")
    return found


def _mails(own: Installation) -> list[str]:
    """Every day that is noted as sent was; a day that went twice is known by its Message-ID."""
    noted = {day for (day,) in own.rows("SELECT day FROM reports WHERE state = 'sent'")}
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for mail in own.box.mails:
        identity = str(message_from_bytes(mail)["Message-ID"])
        ids[identity[len("<truecount-") :][:10]].add(identity)
    lost = [
        f"lost: the mail of {day} is noted as sent, and nobody got it" for day in noted - set(ids)
    ]
    return lost + [
        f"doubled: the mail of {day} went under {len(names)} names"
        for day, names in ids.items()
        if len(names) > 1
    ]


def _logins(own: Installation) -> list[str]:
    said = own.http.get(f"http://127.0.0.1:{own.fakes}/_tokens").json()
    return (
        [f"login: {said['refused']} refresh tokens were used up already"] if said["refused"] else []
    )


# ------------------------------------------------------------------ our own


@contextlib.contextmanager
def _opened(own: Installation) -> Iterator[tuple[Any, Any]]:
    config = load_config(own.config, SECRETS, [own.site])
    engine = read_only(config.state)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            network = items_in_force.as_kept(network_of(config), connection)
            yield connection, rules_in_force.as_kept(network, connection, str(config.rules))
    finally:
        engine.dispose()


def _proof(own: Installation) -> list[str]:
    """`truecount prove`, without the half second that a process of its own takes to begin."""
    with _opened(own) as (connection, network):
        proof = prove(connection, network, SystemClock().now())
    return [f"prove: {one.ref}: {one.says}" for one in proof.findings]
