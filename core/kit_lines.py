"""The rows of a kit line: one for each component, under the key of the channel's line.

A plain line is one row, with `factor` 1 and no `parent`. A row of `factor` 0 stands
for what the line was made of before: of that it takes nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from core.model import OrderLine
from core.network import Network
from core.store.hot import Hot
from core.store.schema import claims, lines
from core.work import Work

#: States of claims whose units have left.
LEFT = ("shipped", "ended")


def key_of(row: Row[Any]) -> str:
    """The channel's key of the line a row belongs to."""
    return str(row.parent or row.key)


def by_line(rows: Iterable[Row[Any]]) -> dict[str, list[Row[Any]]]:
    """The rows of each line of the channel, by its key."""
    found: dict[str, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(key_of(row), []).append(row)
    return found


def units(line: OrderLine, row: Row[Any]) -> int:
    """Units of one row that the channel's line wants; a gift card never reaches a warehouse."""
    return line.quantity * int(row.factor) if line.shippable else 0


def of_line(row: Row[Any], count: int) -> int:
    """So many units of a row, counted as the channel's line is: away from zero."""
    if not row.factor:
        return count
    return -(-count // row.factor) if count > 0 else count // int(row.factor)


def short_of(rows: Iterable[Row[Any]], *, but: Collection[str] = ()) -> int:
    """Units of the order's lines without a claim, leaving out lines of the SKUs in `but`."""
    groups = by_line(rows).values()
    return sum(
        max(of_line(row, row.short) for row in group)
        for group in groups
        if not any(row.sku in but for row in group)
    )


# ------------------------------------------------------------------ written


def add(work: Work, order_id: int, line: OrderLine, needs: Mapping[str, int]) -> None:
    """Explode a line: every component is short of its units until claims cover them."""
    _NEW.many(
        work.connection,
        [
            {
                "order_id": order_id,
                "key": f"{line.key}/{sku}",
                "sku": sku,
                "units": line.quantity * factor if line.shippable else 0,
                "shippable": int(line.shippable),
                "parent": line.key,
                "kit": line.sku,
                "factor": factor,
            }
            for sku, factor in needs.items()
        ],
    )
    work.touched_orders.add(order_id)


_COLUMNS = ("order_id", "key", "sku", "shippable", "parent", "kit", "factor")
_NEW = Hot(
    insert(lines).values(
        {name: bindparam(name) for name in _COLUMNS}
        | {"ordered": bindparam("units"), "short": bindparam("units")}
    )
)


def is_made_of(rows: Sequence[Row[Any]], line: OrderLine, needs: Mapping[str, int]) -> bool:
    """Whether these rows are what the line takes."""
    own = {row.sku: row.factor for row in rows if row.factor}
    return own == needs and all((row.kit or row.sku) == line.sku for row in rows if row.factor)


def remake(
    work: Work, order_id: int, line: OrderLine, rows: Sequence[Row[Any]], needs: Mapping[str, int]
) -> None:
    """The line is of another item now, or its kit is made of others.

    A component that stays keeps its claims. One that goes has factor 0 and wants nothing;
    where it was never claimed nothing of it is remembered. `edits` follows the units.
    """
    left = dict(needs)
    for row in rows:
        factor = left.pop(row.sku, 0)
        own = lines.c.id == row.id
        if factor:
            kit = "" if not row.parent and needs == {line.sku: 1} else line.sku
            work.connection.execute(update(lines).where(own).values(factor=factor, kit=kit))
        elif _was_claimed(work, row):
            work.connection.execute(update(lines).where(own).values(factor=0))
        else:
            work.connection.execute(delete(lines).where(own))
    add(work, order_id, line, left)


def _was_claimed(work: Work, row: Row[Any]) -> bool:
    found = work.connection.execute(select(exists().where(claims.c.line_id == row.id))).scalar_one()
    return bool(found) or row.cancelled > 0


# ------------------------------------------------------------------ what has left


def left_of(work: Work, rows: Iterable[Row[Any]]) -> dict[int, int]:
    """Units of each row that have left, by its id."""
    found = work.connection.execute(
        select(claims.c.line_id, func.sum(claims.c.units).label("units"))
        .where(claims.c.line_id.in_([row.id for row in rows]), claims.c.state.in_(LEFT))
        .group_by(claims.c.line_id)
    )
    return {row.line_id: int(row.units) for row in found}


def whole(rows: Iterable[Row[Any]], left: Mapping[int, int]) -> int:
    """Units of the channel's line of which every component has left."""
    return min((left.get(row.id, 0) // row.factor for row in rows if row.factor), default=0)


def broken(work: Work, rows: Iterable[Row[Any]]) -> list[str]:
    """Kits that left in part, as a person reads it; nothing is asked where there is no kit."""
    own = [row for row in rows if row.kit]
    left = left_of(work, own) if own else {}
    found = []
    for group in by_line(own).values():
        kits = whole(group, left)
        parts = [(row.sku, left.get(row.id, 0) - kits * row.factor) for row in group]
        odd = ", ".join(f"{count} of {sku}" for sku, count in parts if count)
        if odd:
            found.append(f"{odd} of kit {group[0].kit}")
    return found


# ------------------------------------------------------------------ asked by item


def of_item(network: Network, sku: str) -> tuple[ColumnElement[bool], int]:
    """Which rows were sold as this item, and how many of their units make one of it.

    Of a kit its first component stands for all; rows of a plain item that went into
    kits are not among its own.
    """
    if not network.items.is_kit(sku):
        return and_(lines.c.sku == sku, lines.c.kit.in_(("", sku))), 1
    component, factor = next(iter(network.needs(sku).items()))
    return and_(lines.c.kit == sku, lines.c.sku == component), factor
