"""Stop 6, at the edge: a stock field that still contains the channel's own open orders.

Such a channel (Vendure, Medusa, Saleor) keeps its allocations beside the number and
sells what is left of it. We reckon in what it sells, as everywhere; what it holds for
its own orders is put on top as the number leaves us, and taken off as one comes in.

    told 42, five units in two orders that have not left     47 is written
    shows 47, says that five are allocated                    42 was read

An order of it that we have not seen is in its allocations already, so a number
written never gives such a unit back for sale, as it does in a net field (H19).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, String, cast, func, select

from core import kit_lines
from core.contract import Offer, OfferResult
from core.model import Listing
from core.network import Network
from core.store.schema import claims, lines, listings, orders, outbox, shipments
from core.work import Work

#: (listing, place) -> units of the channel's own open orders there.
OnTop = Mapping[tuple[str, str], int]


def for_sale(network: Network, system: str, listing: Listing) -> Listing:
    """What was read, as what the channel sells: not known if it does not tell what it holds."""
    write = network.stock_writes.get(system)
    if write is None or write.field == "net" or listing.shown is None:
        return listing
    if listing.channel_open is None:
        return replace(listing, shown=None)
    return replace(listing, shown=max(0, listing.shown - listing.channel_open))


def on_top(work: Work, system: str, offers: Sequence[Offer]) -> OnTop:
    """What goes on top of these offers; empty where the field is net."""
    if work.network.stock_writes[system].field == "net":
        return {}
    return {(offer.listing, offer.place): _open_units(work, system, offer) for offer in offers}


def as_written(offers: Sequence[Offer], added: OnTop) -> list[Offer]:
    """The offers as the channel's field takes them."""
    return [_plus(offer, added.get((offer.listing, offer.place), 0)) for offer in offers]


def as_offered(results: Sequence[OfferResult], added: OnTop) -> list[OfferResult]:
    """What it says it shows, as what it sells: at most, for orders we have not seen are in it."""
    return [
        result
        if result.shown is None
        else replace(
            result, shown=max(0, result.shown - added.get((result.listing, result.place), 0))
        )
        for result in results
    ]


def _plus(offer: Offer, units: int) -> Offer:
    if not units:
        return offer
    shown = None if offer.shown is None else offer.shown + units
    return replace(offer, quantity=offer.quantity + units, shown=shown)


def _open_units(work: Work, system: str, offer: Offer) -> int:
    """Units of its orders it was not yet told have left.

    Counted from the orders we know: those it holds beside make it show less, never more.
    A parcel it may have been told of counts as told. Where it lists the item more than
    once, nobody knows which of its numbers an order came from, and nothing is added.
    """
    shown_at = work.connection.execute(
        select(func.count()).where(
            listings.c.system == system, listings.c.sku == offer.sku, listings.c.active == 1
        )
    ).scalar_one()
    if shown_at > 1:
        return 0
    # Of a component sold in a kit the channel counts the kit, not the component.
    sold_as_it, factor = kit_lines.of_item(work.network, offer.sku)
    units = (
        _claimed(work, system, sold_as_it, claims.c.state == "open")
        + _claimed(work, system, sold_as_it, _has_left_untold(system))
        + _short(work, system, sold_as_it)
    )
    return units // factor


def _claimed(
    work: Work, system: str, sold_as_it: ColumnElement[bool], state: ColumnElement[bool]
) -> int:
    return int(
        work.connection.execute(
            select(func.coalesce(func.sum(claims.c.units), 0))
            .join(orders, orders.c.id == claims.c.order_id)
            .join(lines, lines.c.id == claims.c.line_id)
            .where(sold_as_it, state, *_lives_on(system))
        ).scalar_one()
    )


def _lives_on(system: str) -> tuple[ColumnElement[bool], ...]:
    """Of its orders it holds units for; those of one it has cancelled it sells again, even while
    a warehouse has still to let it be."""
    return (orders.c.system == system, orders.c.cancelled_at.is_(None))


def _has_left_untold(system: str) -> ColumnElement[bool]:
    parcel = ":confirm_shipment:" + cast(shipments.c.parcel, String)
    return claims.c.shipment_id.in_(
        select(shipments.c.id)
        .join(outbox, outbox.c.order_id == shipments.c.order_id)
        .where(
            outbox.c.system == system,
            outbox.c.kind == "confirm_shipment",
            outbox.c.state != "done",
            outbox.c.first_sent_at.is_(None),
            outbox.c.key.endswith(parcel),
        )
    )


def _short(work: Work, system: str, sold_as_it: ColumnElement[bool]) -> int:
    return int(
        work.connection.execute(
            select(func.coalesce(func.sum(lines.c.short), 0))
            .join(orders, orders.c.id == lines.c.order_id)
            .where(sold_as_it, lines.c.short > 0, *_lives_on(system))
        ).scalar_one()
    )
