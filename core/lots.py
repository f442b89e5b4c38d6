"""What a warehouse says of single lots: kept as data, and never the number of the item (S35).

Lots come one by one and at different moments, so their sum is nobody's number. It is
the owner's to say how many units there are; an item of which it says so by lot only is
shown, sells none, and holds back no other.
"""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.dialects.sqlite import insert

from core import holds, stock
from core.clock import stamp
from core.model import StockReading
from core.store.schema import lots
from core.work import Work

CAUSE = "only_lots:"


def keep(work: Work, system: str, reading: StockReading, location: str) -> str:
    """Returns what became of it, one word. A lot without units is gone."""
    units = reading.on_hand if reading.on_hand is not None else reading.available or 0
    key = {"system": system, "sku": reading.sku, "place": reading.place, "lot": reading.lot}
    work.connection.execute(delete(lots).filter_by(**key))
    if units:
        work.connection.execute(
            insert(lots).values(
                **key, expires_on=reading.expires_on, units=units, read_at=stamp(work.now)
            )
        )
    _show_only_lots(work, system, reading.sku, location)
    return "lot"


def _show_only_lots(work: Work, system: str, sku: str, location: str) -> None:
    ref = f"{sku} at {location}"
    if stock.row_of(work, sku, location) is not None:
        holds.close_cause(work, f"{CAUSE}{system}", "sku", ref)
        return
    holds.open_hold(
        work,
        cause=f"{CAUSE}{system}",
        system=system,
        reason=f"{system} says by lot only how many units there are; without a number of the item "
        "none of it is for sale",
        next_step="Have the connector or the mapping read the number of the item as well.",
        member="sku",
        ref=ref,
        label=ref,
    )
