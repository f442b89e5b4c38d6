"""A claim begins, or goes into another state: its row and its step, always together.

The steps carry the claim's number and every mark, so folding them (`core.history`)
gives the claims that were alive at any moment, and the table itself can be proven.
Nothing here decides, and nothing else writes a claim's state or units.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, update

from core.clock import stamp
from core.store.hot import Hot
from core.store.schema import claims
from core.work import Work

#: What happens to a claim, and the state it is in afterwards.
STATES = {
    "accepted": "open",
    "given_up": "open",  # the warehouse has cancelled by itself: no number excludes it any more
    "shipped": "shipped",
    "missing": "missing",
    "released": "released",
    "ended": "ended",
}


def begin(work: Work, *, order_id: int, line_id: int, sku: str, location: str, units: int) -> int:
    """Set units aside. Where they come from on the line is the caller's to write."""
    claim_id: int = _BEGIN(
        work.connection,
        order_id=order_id,
        line_id=line_id,
        sku=sku,
        location=location,
        units=units,
        opened_at=stamp(work.now),
    ).scalar_one()
    work.steps.add(
        4,
        "order.claimed",
        order_id=order_id,
        sku=sku,
        location=location,
        claim=claim_id,
        line=line_id,
        units=units,
    )
    return claim_id


_BEGIN = Hot(
    insert(claims)
    .values(
        {
            name: bindparam(name)
            for name in ("order_id", "line_id", "sku", "location", "units", "opened_at")
        }
    )
    .returning(claims.c.id)
)


def move(
    work: Work,
    row: Row[Any],
    what: str,
    *,
    units: int | None = None,
    values: Mapping[str, Any],
    stop: int = 7,
    system: str = "",
    **words: str | int | None,
) -> None:
    """This claim, or `units` of it as a row of their own, is accepted, shipped, … (`STATES`)."""
    units = row.units if units is None else units
    assert 0 < units <= row.units, f"claim {row.id} has {row.units} units, not {units}"
    claim_id = row.id if units == row.units else _split(work, row, units)
    work.connection.execute(
        update(claims).where(claims.c.id == claim_id).values(state=STATES[what], **values)
    )
    work.steps.add(
        stop,
        f"claim.{what}",
        system=system,
        order_id=row.order_id,
        sku=row.sku,
        location=row.location,
        claim=claim_id,
        part_of=row.id if claim_id != row.id else None,
        units=units,
        **words,
    )


def _split(work: Work, row: Row[Any], units: int) -> int:
    """`units` of a claim as a row of their own, opened when the whole was."""
    work.connection.execute(
        update(claims).where(claims.c.id == row.id).values(units=row.units - units)
    )
    part = {name: value for name, value in row._mapping.items() if name != "id"}
    return int(
        work.connection.execute(
            insert(claims).values(part | {"units": units}).returning(claims.c.id)
        ).scalar_one()
    )


def marks(
    work: Work,
    what: str,
    system: str,
    location: str,
    counter: int | None,
    as_of: datetime | None,
) -> dict[str, Any]:
    """When it was `shipped` or `accepted`, in the order of the location's readings.

    Another system's counter or clock says nothing about those (G7, G18); the moment
    we saw it does.
    """
    own = work.network.locations[location].stock_owner == system
    seen_at = "accepted_at" if what == "accepted" else "shipped_seen_at"
    return {
        seen_at: stamp(work.now),
        f"{what}_counter": counter if own else None,
        f"{what}_as_of": stamp(as_of) if own and as_of else None,
    }
