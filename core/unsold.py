"""What is said of stock and is no part of a supply: units that are not for sale, and copies.

Damaged, in quarantine, on a truck: the owner's own word, kept as it is and shown
(`truecount why`), never added. A number of a system that does not own it is kept in the
same table and compared.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, literal_column

from core import ledger
from core.copies import Copy, keep_copies
from core.model import StockReading
from core.store.hot import Hot
from core.store.schema import copies
from core.work import Work

NOT_FOR_SALE = "not_for_sale"


def copy_of(work: Work, system: str, reading: StockReading) -> Copy:
    """What a system that does not own the number says; only what is for sale is compared."""
    value = reading.on_hand if reading.on_hand is not None else reading.available
    source = work.network.sources.get(system)
    for_sale = source.for_sale if source is not None else ledger.FOR_SALE
    plain = not reading.status or reading.status in for_sale
    number = "on_hand" if plain else f"on_hand:{reading.status}"
    return Copy(number=number, key=reading.sku, place=reading.place, value=str(value))


def show(work: Work, system: str, reading: StockReading, item: str) -> None:
    """Damaged, in quarantine, on a truck: one copy per object of the owner, for whoever asks."""
    units = reading.on_hand if reading.on_hand is not None else reading.available
    place = item or reading.place
    value = f"{units} {reading.status} at {reading.place}"
    copy = Copy(number=NOT_FOR_SALE, key=reading.sku, place=place, value=value)
    keep_copies(work, system, [copy])


def forget(work: Work, system: str, item: str) -> None:
    """This object is for sale now, or gone: what it was before is no copy any more."""
    if item:
        _FORGET(work.connection, system=system, item=item)


_FORGET = Hot(
    delete(copies).where(
        copies.c.system == bindparam("system"),
        copies.c.number == literal_column(f"'{NOT_FOR_SALE}'"),
        copies.c.place == bindparam("item"),
    )
)
