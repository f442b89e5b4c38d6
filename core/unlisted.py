"""Stop 8: numbers their owner no longer shows, and that are still in force.

A source that does not say what a missing SKU means has said nothing: the last
number stays. But it is nobody's word any more, so it is a difference, every day
until the owner shows the SKU again, or `missing_is_zero` says what to make of it.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, select

from core.differences import Difference
from core.network import Network
from core.store.schema import seen, stock


def differences(connection: Connection, network: Network) -> list[Difference]:
    rows = connection.execute(
        select(stock, seen.c.missing_since)
        .join(
            seen,
            and_(
                seen.c.system == stock.c.system,
                seen.c.resource == "stock_reading",
                seen.c.external_id == stock.c.item,
            ),
        )
        .where(seen.c.missing_since.is_not(None))
        .order_by(stock.c.sku, stock.c.location)
    )
    found = []
    for row in rows:
        source = network.sources.get(row.system)
        if source is None or source.missing_is_zero:
            continue
        units = row.on_hand if source.basis == "on_hand" else row.available
        if units and units > 0:
            found.append(
                Difference(
                    what=f"stock of {row.system}",
                    key=f"{row.sku} {row.location}",
                    cause="unlisted",
                    detail=f"no longer listed by {row.system}; its last number, {units}, stands",
                    units=units,
                    since=row.missing_since,
                )
            )
    return found
