"""What systems say beside orders and stock: listings, prices, ledger documents, facts.

Each is kept from its owner, newest first; the same thing said by another system
is a copy (G5).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert

from core import orders, stock
from core.clock import stamp, unstamp
from core.codec import to_json
from core.lifecycle import is_stale
from core.model import Cancellation, Document, Listing, ParcelEvent, Price, Return
from core.publish import tell_again
from core.store.schema import documents, facts, listings, outbox, prices, published
from core.sweep import sweep_now
from core.work import Work


def take_listing(work: Work, system: str, listing: Listing, began_at: datetime) -> str:
    """Where a channel sells an item, and what it shows there now."""
    key = {"system": system, "listing": listing.key, "place": listing.place}
    values: dict[str, Any] = {
        "sku": listing.sku,
        "title": listing.title,
        "extras": orjson.dumps(listing.extras).decode(),
        "active": int(listing.active),
    }
    if listing.shown is not None:
        values |= {"shown": listing.shown, "shown_at": stamp(work.now)}
    old = work.connection.execute(select(listings).filter_by(**key)).one_or_none()
    work.connection.execute(
        insert(listings)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=["system", "listing", "place"], set_=values)
    )
    if old is None or old.sku != listing.sku or old.active != values["active"]:
        work.sku_changed(listing.sku, "listing")
    elif listing.shown is not None:
        _compare_shown(work, system, listing, began_at)
    return "applied"


def _compare_shown(work: Work, system: str, listing: Listing, began_at: datetime) -> None:
    """Read after the acknowledgment and different: the channel's orders first, then tell it again.

    Not known from a gross field, which counts the channel's own open orders.
    """
    write = work.network.stock_writes.get(system)
    row = work.connection.execute(
        select(published).filter_by(system=system, listing=listing.key, place=listing.place)
    ).one_or_none()
    if write is None or write.field != "net" or row is None or row.words:
        return
    if row.quantity in (None, listing.shown) or began_at <= unstamp(row.acked_at):
        return
    work.connection.execute(
        update(published)
        .where(
            published.c.system == system,
            published.c.listing == listing.key,
            published.c.place == listing.place,
        )
        .values(words=f"it acknowledged {row.quantity} and shows {listing.shown}")
    )
    sweep_now(work.connection, system, "order", work.now)
    due = work.now + timedelta(seconds=write.settle_s)
    tell_again(work.connection, system, listing.sku, due, "it shows something else")
    work.count("listing.differs", system)


def take_price(work: Work, system: str, price: Price) -> str:
    if work.network.price_owner != system:
        return "copy"
    _upsert(
        work,
        prices,
        {"sku": price.sku},
        {
            "system": system,
            "doc": to_json(price),
            "read_at": stamp(work.now),
        },
    )
    stock.know_item(work, system, price.sku)
    return "applied"


def take_document(work: Work, system: str, document: Document) -> str:
    """What the ledger holds about one of our references: compared, never adopted."""
    order_id = work.connection.execute(
        select(outbox.c.order_id).where(
            outbox.c.system == system, outbox.c.key == document.reference
        )
    ).scalar_one_or_none()
    money = document.total or document.cost
    _upsert(
        work,
        documents,
        {"system": system, "external_id": document.key},
        {
            "kind": document.kind,
            "reference": document.reference,
            "number": document.number,
            "state": document.state,
            "posted": int(document.posted),
            "order_id": order_id,
            "currency": money.currency if money else "",
            "total_minor": document.total.minor if document.total else None,
            "tax_minor": document.tax.minor if document.tax else None,
            "cost_minor": document.cost.minor if document.cost else None,
            "dated": stamp(document.dated) if document.dated else None,
            "seen_at": stamp(work.now),
        },
    )
    return "applied"


def take_fact(
    work: Work, system: str, resource: str, record: Cancellation | Return | ParcelEvent
) -> str:
    """Kept whole and tied to its order, for the report and the lifecycle."""
    revision = record.revision if isinstance(record, Return) else ""
    key = {"system": system, "resource": resource, "external_id": record.key}
    old = work.connection.execute(select(facts.c.revision).filter_by(**key)).scalar_one_or_none()
    if old and is_stale(old, revision):
        return "stale"
    order_id = None
    if not isinstance(record, ParcelEvent):
        row = orders.find(work, system, record.order)
        order_id = row.id if row else None
    doc = work.seal.seal(to_json(record), f"fact:{system}:{record.key}".encode())
    _upsert(
        work,
        facts,
        key,
        {"revision": revision, "order_id": order_id, "doc": doc, "seen_at": stamp(work.now)},
    )
    return "applied"


def _upsert(work: Work, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    work.connection.execute(
        insert(table)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=dict(values))
    )
