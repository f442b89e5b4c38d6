"""What systems say beside orders and stock: listings, prices, ledger documents, facts.

Each is kept from its owner, newest first; the same thing said by another system
is a copy (G5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert

from core import (
    by_person,
    cancelling,
    commands,
    deadlines,
    fulfillment,
    gross,
    holds,
    order_rows,
    quotas,
    read_back,
    returns,
    spellings,
    stock,
)
from core.clock import stamp
from core.codec import from_json, to_json
from core.copies import keep_copy
from core.errors import Hold
from core.lifecycle import is_stale
from core.model import RECORDS, Cancellation, Document, Listing, ParcelEvent, Price, Return
from core.network import COMPANY
from core.store.schema import documents, facts, listings, outbox, prices, published
from core.work import Work


def take_listing(
    work: Work, system: str, listing: Listing, began_at: datetime, item: str = ""
) -> str:
    """Where a channel sells an item, and what it shows there now."""
    if system not in work.network.channels:
        return keep_copy(
            work, system, number="available_to_sell", key=listing.sku, place=listing.place,
            value=str(listing.shown),
        )  # fmt: skip
    listing = gross.for_sale(work.network, system, listing)
    key = {"system": system, "listing": listing.key, "place": listing.place}
    values: dict[str, Any] = {
        "sku": listing.sku,
        "their_sku": listing.their_sku,
        "title": listing.title,
        "extras": orjson.dumps(listing.extras).decode(),
        "active": int(listing.active),
    }
    if item:
        values["item"] = item
    if listing.shown is not None:
        values |= {"shown": listing.shown, "shown_at": stamp(work.now)}
    old = work.connection.execute(select(listings).filter_by(**key)).one_or_none()
    work.connection.execute(
        insert(listings)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=["system", "listing", "place"], set_=values)
    )
    if old is None or old.sku != listing.sku or old.active != values["active"]:
        tell_of_listing(work, {**key, **values}, old.sku if old is not None else listing.sku)
        spellings.see(work, listing.sku)
        work.sku_changed(listing.sku, "listing")
    elif listing.shown is not None:
        read_back.compare(work, system, listing, began_at)
    if system in work.network.stock_writes:
        quotas.read_back(work, system, listing, began_at)
    return "applied"


def take_absence(work: Work, system: str, item: str) -> str:
    """The channel no longer has it (H48). Made anew with the same SKU it is another listing.

    What it acknowledged is void: should it come back, it is told whatever it shows then.
    """
    rows = work.connection.execute(
        select(listings).where(
            listings.c.system == system, listings.c.item == item, listings.c.active == 1
        )
    ).all()
    for row in rows:
        key = {"system": system, "listing": row.listing, "place": row.place}
        work.connection.execute(update(listings).filter_by(**key).values(active=0))
        work.connection.execute(
            update(published).filter_by(**key).values(words="it was no longer listed")
        )
        # It may have refused a number for a listing that was gone already.
        holds.close_member(work, "listing", f"{system}:{row.listing}:{row.place}")
        work.steps.add(
            4, "listing.read", sku=row.sku, active=0, system=system, listing=row.listing,
            place=row.place,
        )  # fmt: skip
        work.sku_changed(row.sku, "listing")
    return "applied" if rows else "ignored"


def tell_of_listing(work: Work, row: Mapping[str, Any], sku_before: str) -> None:
    """Where a SKU was listed at any moment can be read from its steps."""
    words = {name: row[name] for name in ("system", "listing", "place")}
    if sku_before != row["sku"]:
        work.steps.add(4, "listing.read", sku=sku_before, active=0, **words)
    work.steps.add(4, "listing.read", sku=row["sku"], active=row["active"], **words)


#: What a price record says, and which number each part of it is.
_PRICED = {
    "list_price": ("list_price",),
    "unit_cost": ("unit_cost",),
    "tax": ("tax_class", "tax_rate", "hsn_code"),
}


def take_price(work: Work, system: str, price: Price) -> str:
    """Three numbers in one record: each part is adopted from its own owner only (G5)."""
    owned = [number for number in _PRICED if _owns(work, number, system)]
    for number in _PRICED.keys() - owned:
        said = " ".join(str(v) for name in _PRICED[number] if (v := getattr(price, name)))
        if said:
            keep_copy(work, system, number=number, key=price.sku, value=said)
    if not owned:
        return "copy"
    old = work.connection.execute(
        select(prices.c.doc).where(prices.c.sku == price.sku)
    ).scalar_one_or_none()
    own = {name: getattr(price, name) for number in owned for name in _PRICED[number]}
    known = from_json(Price, old) if old else Price(sku=price.sku)
    _upsert(
        work,
        prices,
        {"sku": price.sku},
        {
            "system": system,
            "doc": to_json(replace(known, **own, revision=price.revision)),
            "read_at": stamp(work.now),
        },
    )
    for number in owned:
        work.steps.add(4, "price.read", system=system, sku=price.sku, number=number)
    stock.know_item(work, system, price.sku)
    return "applied"


def _owns(work: Work, number: str, system: str) -> bool:
    return work.network.owners.may_write(number, COMPANY, system)


def take_document(work: Work, system: str, document: Document) -> str:
    """What the ledger holds about one of our references: compared, never adopted."""
    if not _owns(work, "invoice", system):
        return keep_copy(
            work, system, number="invoice", key=document.key, place=document.kind,
            value=document.number,
        )  # fmt: skip
    order_id = work.connection.execute(
        select(outbox.c.order_id).where(
            outbox.c.system == system, outbox.c.key == document.reference
        )
    ).scalar_one_or_none()
    money = document.total or document.cost
    key = {"system": system, "external_id": document.key}
    values = {
        "kind": document.kind,
        "reference": document.reference,
        "number": document.number,
        "state": document.state,
        "posted": int(document.posted),
        "cancelled": int(document.cancelled),
        "order_id": order_id,
        "currency": money.currency if money else "",
        "total_minor": document.total.minor if document.total else None,
        "tax_minor": document.tax.minor if document.tax else None,
        "cost_minor": document.cost.minor if document.cost else None,
        "quantity": document.quantity,
        "dated": stamp(document.dated) if document.dated else None,
        "seen_at": stamp(work.now),
    }
    work.connection.execute(
        insert(documents)
        .values(**key, **values, first_at=stamp(work.now))
        .on_conflict_do_update(index_elements=list(key), set_=values)
    )
    work.steps.add(
        8, "document.read", system=system, order_id=order_id, kind=document.kind,
        document=document.number, state=document.state,
    )  # fmt: skip
    return "applied"


#: Which resource a fact is of; a push does not say it.
_RESOURCES: dict[type, str] = {kind: word for word, kind in RECORDS.items()}


def take_fact(work: Work, system: str, record: Cancellation | Return | ParcelEvent) -> str:
    """Kept whole and tied to its order; what comes back of it is folded anew.

    Hold for a return that cannot be.
    """
    resource = _RESOURCES[type(record)]
    said = _part_of(work, system, record)
    if said is None:
        return keep_copy(work, system, number=resource, key=record.key, value=str(record.state))
    revision = record.revision if isinstance(record, Return) else ""
    key = {"system": system, "resource": resource, "external_id": record.key}
    old = work.connection.execute(select(facts.c.revision).filter_by(**key)).scalar_one_or_none()
    if old and is_stale(old, revision):
        return "stale"
    order_id = _order_of_fact(work, system, record)
    tracking = record.tracking if isinstance(record, ParcelEvent) else ""
    doc = work.seal.seal(to_json(record), returns.aad(system, record.key))
    values = {"revision": revision, "order_id": order_id, "doc": doc, "seen_at": stamp(work.now)}
    _upsert(work, facts, key, values | {"tracking": tracking})
    number, scope = said
    work.steps.add(
        4, "fact.read", system=system, order_id=order_id, kind=resource, state=str(record.state),
        number=number, scope=scope,
    )  # fmt: skip
    if isinstance(record, ParcelEvent):
        returns.parcel_moved(work, record.tracking)
        deadlines.parcel_said(work, system, record)
    elif isinstance(record, Return) and order_id is not None:
        returns.look(work, order_id)
        deadlines.return_said(work, system, record, order_id)
    elif isinstance(record, Cancellation) and order_id is not None:
        deadlines.wish_said(work, system, record, order_id)
        _wish_said(work, record, order_rows.by_id(work, order_id))
    return "applied"


def _wish_said(work: Work, wish: Cancellation, row: Any) -> None:
    """A buyer's wish that came by itself: a person's, until the channel says what became of it."""
    if cancelling.is_wish(wish):
        cancelling.show_wish(work, row)
        return
    if row.doc is None:
        return
    order = order_rows.read(work, row)
    if not cancelling.open_wishes(work, row, order):
        cancelling.not_asked_any_more(work, row)
    if by_person.wish_said(work, row, order):
        fulfillment.reconsider(work, row.id)


def _order_of_fact(
    work: Work, system: str, record: Cancellation | Return | ParcelEvent
) -> int | None:
    """The order it is about. Hold for a return that cannot be: of no order, or with a minus."""
    if isinstance(record, ParcelEvent):
        return None
    if isinstance(record, Cancellation):
        row = order_rows.find(work, system, record.order)
        return row.id if row else None
    if any(line.quantity < 0 for line in record.lines):
        raise Hold(
            f"{system} says that a negative number of units comes back in return {record.key}",
            cause=f"return_negative:{system}:{record.key}",
            next_step="Correct it there; where it counts returns with a minus, add `| absolute` in "
            "its mapping.",
        )
    row = returns.order_of(work, system, record)
    if row is None:
        of = commands.order_meant(record.order) or (system, record.order)
        raise Hold(
            f"{system} says that return {record.key} is of order {record.order}, which we do not "
            "know",
            cause=commands.unknown_order(*of),
            next_step="It goes on once the order is read. One from before the start is a person's.",
        )
    return int(row.id)


def _part_of(
    work: Work, system: str, record: Cancellation | Return | ParcelEvent
) -> tuple[str, str] | None:
    """The number this is a part of and its scope, if it is this system's to say (G5).

    The order's channel cancels and takes back; a warehouse receives; a courier moves parcels.
    """
    may_write = work.network.owners.may_write
    parts = [("order", system)]
    if isinstance(record, ParcelEvent):
        parts = [("parcel", system)]
    elif isinstance(record, Return):
        parts += [("shipment", location) for location in work.network.locations]
    return next((part for part in parts if may_write(*part, system)), None)


def _upsert(work: Work, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    work.connection.execute(
        insert(table)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=dict(values))
    )
