"""Stop 7: a last parcel that is heard of before an earlier one waits for it (S10, H43).

A push or what it hints at may come before the parcel that left first. "Complete" then
does not mean that the rest was not found: it may be on its way to us. Taken for a short
pick it would be asked for again, and its buyer would get it twice. So it waits until
everything the warehouse knew by then was read: a complete pass that began later.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, exists, func, select

from core import commands, holds
from core.errors import Hold
from core.model import Shipment
from core.store.schema import claims, cursors, inbox
from core.work import Work

_CAUSE = "early_parcel:"
#: Came by itself and not in the order of a pass.
_UNORDERED = ("hook", "fetch")


def wait_for_earlier(
    work: Work, system: str, shipment: Shipment, order_id: int, row: Row[Any]
) -> None:
    """Raises Hold while units that this last parcel leaves out may have left before it."""
    if row.via not in _UNORDERED or not shipment.complete:
        return
    if not _leaves_out(work, shipment, order_id) or _all_was_read(work, row):
        return
    raise Hold(
        f"{system} says that {shipment.key} is the last parcel of {shipment.reference}, and units"
        " of it are in none that we know",
        cause=_cause(system, shipment.reference),
        next_step="It closes by itself, once the warehouse's shipments were read completely.",
    )


def heard_of_one(work: Work, system: str, reference: str) -> None:
    """A parcel of this order was taken; the last one may have waited for it."""
    commands.look_again(work, _cause(system, reference))


def after_pass(work: Work, system: str) -> None:
    """All that there was is read: what waited is decided, or waits for what was just kept."""
    for cause in holds.open_like(work, f"{_CAUSE}{system}:"):
        commands.look_again(work, cause)


def _cause(system: str, reference: str) -> str:
    return f"{_CAUSE}{system}:{reference}"


def _leaves_out(work: Work, shipment: Shipment, order_id: int) -> bool:
    """More units are set aside for the order than the parcel has, or says were not found."""
    waiting = work.connection.execute(
        select(func.coalesce(func.sum(claims.c.units), 0)).where(
            claims.c.order_id == order_id, claims.c.state == "open"
        )
    ).scalar_one()
    told = sum(line.quantity for line in (*shipment.lines, *shipment.short))
    return bool(waiting > told)


def _all_was_read(work: Work, row: Row[Any]) -> bool:
    """A pass began after this was here and came to its end, and nothing of it waits."""
    began = work.connection.execute(
        select(cursors.c.complete_began_at).where(
            cursors.c.system == row.system, cursors.c.resource == row.resource
        )
    ).one_or_none()
    if began is None:
        return True  # it is never read by passes
    if began[0] is None or began[0] <= row.received_at:
        return False
    others = exists().where(
        inbox.c.state == "pending",
        inbox.c.system == row.system,
        inbox.c.resource == row.resource,
        inbox.c.seq != row.seq,
    )
    return not work.connection.execute(select(others)).scalar_one()
