"""Stop 7: what a complete pass proves about numbers that it found unchanged (G7).

Where readings are ordered by our request only, a number that did not change is never
taken up again, and the pass that showed it is the evidence that ends its claims.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, update

from core import ledger, stock
from core.clock import stamp, unstamp
from core.store.schema import claims, cursors, inbox, seen
from core.store.schema import stock as stock_table
from core.work import Work


def end_claims_of_pass(work: Work, system: str) -> None:
    """A complete pass is evidence for sources ordered by request: end what it excludes."""
    locations = work.network.locations_stocked_by(system)
    marked = claims.c.accepted_at.is_not(None) | claims.c.shipped_seen_at.is_not(None)
    rows = work.connection.execute(
        select(claims.c.sku, claims.c.location)
        .where(claims.c.location.in_(locations), claims.c.state.in_(stock.LIVE), marked)
        .distinct()
    ).all()
    for row in rows:
        if not _confirm(work, row.sku, row.location):
            continue
        stock.end_claims(work, row.sku, row.location)
        work.freed.add((row.sku, row.location))
        work.sku_changed(row.sku, "evidence")


def _confirm(work: Work, sku: str, location: str) -> bool:
    """The pass found the number unchanged: written down where that excludes a claim, no more.

    A claim marked later began to matter after this pass did, so it is no evidence for
    that one; what is written is all a pass can ever prove.
    """
    row, old = stock.row_of(work, sku, location), stock.reading_in_force(work, sku, location)
    if row is None or old is None:
        return False
    began = _last_pass_began(work, row)
    if began is None:
        return False
    new, source = replace(old, began_at=began), work.network.source_of(location)
    held = [stock.as_claim(claim) for claim in stock.live_claims(work, sku, location)]
    if not any(
        ledger.excluded_by(claim, new, source) and not ledger.excluded_by(claim, old, source)
        for claim in held
    ):
        return False
    work.connection.execute(
        update(stock_table)
        .where(stock_table.c.sku == sku, stock_table.c.location == location)
        .values(confirmed_at=stamp(began))
    )
    work.steps.add(
        7, "stock.confirmed", system=row.system, sku=sku, location=location, began=stamp(began)
    )
    return True


def _last_pass_began(work: Work, row: Row[Any]) -> datetime | None:
    """A complete pass re-reads even what did not change: it too is evidence.

    Unless it found another number that is kept and not applied yet: then the
    number in force is the old one, and the pass says nothing about it.
    """
    source = work.network.sources[row.system]
    if not row.item or source.ordered_by != "request":
        return None
    began = work.connection.execute(_shown(row) if source.snapshot else _read(row)).scalar()
    if began is None:
        return None
    unapplied = work.connection.execute(
        select(inbox.c.seq)
        .where(
            inbox.c.system == row.system,
            inbox.c.topic == "stock_reading",
            inbox.c.identity.between(f"{row.item}@", f"{row.item}A"),  # `@` ends the object's id
            inbox.c.state.in_(("pending", "held")),
            inbox.c.read_began_at > row.began_at,
        )
        .limit(1)
    ).one_or_none()
    return None if unapplied else unstamp(str(began))


def _shown(row: Row[Any]) -> Select[tuple[str]]:
    """Of a list that shows everything, the last pass that showed this object: one that is gone
    was not read again."""
    return select(seen.c.pass_began_at).where(
        seen.c.system == row.system,
        seen.c.resource == "stock_reading",
        seen.c.external_id == row.item,
        seen.c.missing_since.is_(None),
    )


def _read(row: Row[Any]) -> Select[tuple[str | None]]:
    """Of a list of changes, the last complete pass: what it did not mention did not change."""
    return select(cursors.c.complete_began_at).where(
        cursors.c.system == row.system, cursors.c.resource == "stock_reading"
    )
