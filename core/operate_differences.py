"""What an operator does with a difference: somebody is on it, or it is written off."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from core import known_differences
from core.app import App
from core.causes import CAUSES, UNEXPLAINED
from core.clock import stamp
from core.fields import quoted
from core.money import Money
from core.store.schema import differences
from core.verbs import Unknown, said, work_of


async def assign(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """Somebody is on it."""
    name, by = said(words, "name"), said(words, "by")

    def unit(connection: Connection) -> None:
        row = _open(connection, words.get("hold"))
        mine = differences.c.id == row.id
        connection.execute(update(differences).where(mine).values(assignee=name))
        work = work_of(app, connection)
        work.steps.add(8, "difference.assigned", reference=row.id, by=by)
        work.finish()

    await app.store.write(unit)
    return {"assigned": words.get("hold"), "to": name}


async def write_off(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """It is nobody's any more, at the amount it has now. No number of any system is changed."""
    reason, by = said(words, "reason"), said(words, "by")

    def unit(connection: Connection) -> dict[str, Any]:
        row = _open(connection, words.get("difference"))
        if CAUSES[row.cause].kind != UNEXPLAINED:
            raise Unknown(f"difference {row.id} is explained ({row.cause}): it ends with its cause")
        if row.said:
            raise Unknown(f"difference {row.id} was written off by {row.written_by}: {row.reason}")
        work = work_of(app, connection)
        at = stamp(work.now)
        known_differences.write_off(connection, row, by=by, reason=reason, at=at)
        work.steps.add(
            8, "difference.written_off", reference=row.id, units=row.units,
            amount=_money(row), by=by,
        )  # fmt: skip
        work.finish()
        return _what(row)

    return await app.store.write(unit) | {"by": by}


def _what(row: Row[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"written off": row.id, "what": f"{row.what}, {row.key}"}
    if row.units:
        found["units"] = row.units
    if _money(row):
        found["amount"] = _money(row)
    return found


def _money(row: Row[Any]) -> str:
    return str(Money(row.minor, row.currency)) if row.currency and row.minor else ""


def _open(connection: Connection, number: object) -> Row[Any]:
    mine = (differences.c.id == str(number), differences.c.ended_at.is_(None))
    row = connection.execute(select(differences).where(*mine)).one_or_none()
    if row is None:
        raise Unknown(
            f"no open difference has the id {quoted(str(number))}: `truecount differences` lists "
            "them, as the daemon sees them once an hour"
        )
    return row
