"""The proof's third part: no unit of any order line is lost, and its claims say the same (G6)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from core import ledger
from core.errors import InvariantBroken
from core.network import TRUECOUNT
from core.proof import Finding, Proof, Tell, order_name
from core.store.schema import claims, lines, steps

PARTS = ("ordered", "claimed", "short", "consumed", "cancelled")
TELL_EVERY = 20_000


def _units(*states: str) -> Any:
    return (
        select(func.coalesce(func.sum(claims.c.units), 0))
        .where(
            claims.c.order_id == lines.c.order_id,
            claims.c.line_id == lines.c.id,
            claims.c.state.in_(states),
        )
        .scalar_subquery()
    )


def look(connection: Connection, proof: Proof, *, after: int, tell: Tell) -> None:
    """Lines of all orders, or of those that took a step since."""
    touched: list[ColumnElement[bool]] = []
    if after:
        recent = select(steps.c.order_id).where(steps.c.seq > after, steps.c.order_id.is_not(None))
        touched = [lines.c.order_id.in_(recent)]
    total = connection.execute(select(func.count()).select_from(lines).where(*touched)).scalar_one()
    rows = connection.execute(
        select(lines, _units("open", "shipped").label("held"), _units("ended").label("ended"))
        .where(*touched)
        .order_by(lines.c.id)
        .execution_options(yield_per=2000)
    )
    units = dict.fromkeys(PARTS, 0)
    for count, row in enumerate(rows):
        if count % TELL_EVERY == 0:
            tell("order lines", count, total)
        for part in PARTS:
            units[part] += getattr(row, part)
        _judge(connection, proof, row)
    proof.lines, proof.units = total, units
    _without_line(connection, proof)


def _judge(connection: Connection, proof: Proof, row: Row[Any]) -> None:
    parts = {part: getattr(row, part) for part in PARTS}
    try:
        ledger.assert_conserved(ledger.Line(**parts), row.key)
    except InvariantBroken:
        has = " + ".join(f"{parts[part]} {part}" for part in PARTS[1:])
        _find(connection, proof, "units lost", row, f"ordered {row.ordered}, and has {has}")
    if row.held != row.claimed:
        says = f"has {row.claimed} claimed, and its claims hold {row.held}"
        _find(connection, proof, "claims and line differ", row, says)
    if row.ended != row.consumed:
        says = f"has {row.consumed} consumed, and {row.ended} units of its claims ended"
        _find(connection, proof, "claims and line differ", row, says)


def _find(connection: Connection, proof: Proof, what: str, row: Row[Any], says: str) -> None:
    name = f"line {row.key} of {order_name(connection, row.order_id)} ({row.sku})"
    ref = f"line {row.id}"
    proof.find(Finding(what=what, ref=ref, should=TRUECOUNT, says=f"{name} {says}"))


def _without_line(connection: Connection, proof: Proof) -> None:
    rows = connection.execute(
        select(claims.c.id, claims.c.units, claims.c.sku, claims.c.line_id)
        .outerjoin(lines, lines.c.id == claims.c.line_id)
        .where(lines.c.id.is_(None))
        .execution_options(yield_per=2000)
    )
    for row in rows:
        proof.find(
            Finding(
                what="claim without line",
                ref=f"claim {row.id}",
                should=TRUECOUNT,
                says=f"claim {row.id} ({row.units} of {row.sku}) is of line {row.line_id}, "
                "which is not there",
            )
        )
