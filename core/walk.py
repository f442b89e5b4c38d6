"""The walk, read back: the steps of a SKU in order, and what was in force when.

`core.history` folds what is read here. Nothing is ever changed or deleted in the
walk, so a question about the past has one answer, whenever it is asked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, select

from core import in_force, items_in_force
from core.clock import stamp, unstamp
from core.history import Epoch, Past, Step
from core.items import Items
from core.network import Network
from core.rules_file import read_rules
from core.store.hot import Hot
from core.store.schema import item_lists, offer_rules, steps

_AT = Hot(
    select(steps.c.seq)
    .where(steps.c.at <= bindparam("at"))
    .order_by(steps.c.at.desc(), steps.c.seq.desc())
    .limit(1)
)
_OF_SKU = (
    select(steps)
    .where(steps.c.sku == bindparam("sku"), steps.c.seq <= bindparam("upto"))
    .order_by(steps.c.seq)
    .execution_options(yield_per=1000)
)


def position_at(connection: Connection, at: datetime) -> int:
    """The last step made by then; 0 before the first."""
    return _AT(connection, at=stamp(at)).scalar_one_or_none() or 0


def goes_on_after(connection: Connection, at: datetime) -> bool:
    """Is there a step later than this moment?"""
    later = select(steps.c.seq).where(steps.c.at > stamp(at)).limit(1)
    return connection.execute(later).scalar_one_or_none() is not None


def steps_of(connection: Connection, sku: str, upto: int) -> Iterator[Step]:
    rows = connection.execute(_OF_SKU, {"sku": sku, "upto": upto})
    return (as_step(row) for row in rows)


def as_step(row: Row[Any]) -> Step:
    return Step(
        seq=row.seq,
        at=unstamp(row.at),
        name=row.name,
        system=row.system,
        order_id=row.order_id,
        sku=row.sku,
        data=orjson.loads(row.data),
    )


def epochs(connection: Connection, present: Network) -> list[Epoch]:
    """Networks, items, rules and counters that came into force, oldest first."""
    found = {epoch.seq: epoch for epoch in in_force.epochs(connection)}
    for row in connection.execute(select(item_lists)):
        items = items_in_force.from_json(zlib.decompress(row.doc))
        found[row.seq] = Epoch(seq=row.seq, items=items)
    texts = {row.seq: row.doc for row in connection.execute(select(offer_rules))}
    set_back = select(steps.c.seq, steps.c.at).where(steps.c.name == "clock.set_back")
    for row in connection.execute(set_back):
        found[row.seq] = Epoch(seq=row.seq, set_back_to=unstamp(row.at))
    network, items = present, Items.none()
    for seq in sorted(found.keys() | texts):
        if seq in texts:  # read as it was then, with the tags the items had
            rules, _ = read_rules(texts[seq].encode(), "", network.with_items(items), items.tagged)
            found[seq] = Epoch(seq=seq, rules=rules)
        network = found[seq].network or network
        items = found[seq].items or items
    return [found[seq] for seq in sorted(found)]


def fold(
    connection: Connection, sku: str, upto: int, known: Sequence[Epoch], present: Network
) -> Past:
    """The SKU as it was just after this step."""
    past = Past(sku, known, present)
    for step in steps_of(connection, sku, upto):
        past.apply(step)
    past.upto(upto)
    return past
