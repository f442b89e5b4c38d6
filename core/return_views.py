"""Which returns are open: what of goods, money and credit note is missing, and since when.

Answered from committed state for the command line and the mail; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from core.coming_back import WAITING, Custody, Given
from core.store import schema as s

View = dict[str, Any]
GOODS, MONEY, BOOKS = FACETS = ("goods", "money", "credit note")
#: In a mail, by what is missing of a return and what is not.
GROUPS = (
    "on their way back",
    "received, and no money given back",
    "money given back, and not received",
    "money given back, and no credit note",
)


def open_returns(connection: Connection) -> list[View]:
    """Returns of which something is missing, oldest first; refunds without a return among them."""
    books = _books(connection)
    rows = connection.execute(
        select(s.returns, s.orders.c.number)
        .join(s.orders, s.orders.c.id == s.returns.c.order_id)
        .order_by(s.returns.c.opened_at, s.returns.c.id)
    ).all()
    lines = _lines(connection, [row.id for row in rows])
    found = []
    for row in rows:
        missing = _missing(row, books.pop(row.id, None))
        if missing or row.custody == Custody.ASKED:
            found.append(_view(row, missing, lines.get(row.id, [])))
    return found + _alone(connection)


def of_order(connection: Connection, order_id: int) -> list[View]:
    """All returns of one order, closed ones too, for its walk."""
    books = _books(connection)
    rows = connection.execute(
        select(s.returns, s.orders.c.number)
        .join(s.orders, s.orders.c.id == s.returns.c.order_id)
        .where(s.returns.c.order_id == order_id)
        .order_by(s.returns.c.opened_at, s.returns.c.id)
    ).all()
    lines = _lines(connection, [row.id for row in rows])
    return [_view(row, _missing(row, books.get(row.id)), lines.get(row.id, [])) for row in rows]


def _missing(row: Row[Any], credit_since: str | None) -> dict[str, str]:
    """What of the three, and since when."""
    missing = {}
    if row.custody in WAITING:
        missing[GOODS] = row.opened_at
    if row.money in (Given.AWAITED, Given.PART):
        arrived = row.custody == Custody.RECEIVED
        missing[MONEY] = row.custody_at if arrived else row.opened_at
    if credit_since is not None:
        missing[BOOKS] = credit_since
    return missing


def _view(row: Row[Any], missing: Mapping[str, str], lines: Sequence[View]) -> View:
    return {
        "order": f"{row.system}:{row.number}",
        "return": row.external_id,
        "kind": row.kind,
        "state": row.state,
        "custody": row.custody,
        "money": row.money,
        "since": min([row.opened_at, *missing.values()]),
        "missing": dict(missing),
        "lines": list(lines),
    }


def _lines(connection: Connection, ids: Sequence[int]) -> dict[int, list[View]]:
    names = ("sku", "expected", "resellable", "damaged", "missing", "unknown")
    found: dict[int, list[View]] = {}
    rows = connection.execute(select(s.return_lines).where(s.return_lines.c.return_id.in_(ids)))
    for row in rows:
        found.setdefault(row.return_id, []).append({name: getattr(row, name) for name in names})
    return found


def _owed() -> Any:
    """Refunds of which a ledger has no credit note: held, or asked for and not booked yet."""
    own, command = s.refunds.c, s.outbox.c
    undone = (
        select(command.id)
        .where(command.key == own.note, own.note != "", command.state != "done")
        .exists()
    )
    return (own.state == "held") | ((own.state == "credited") & undone)


def _books(connection: Connection) -> dict[int, str]:
    """By return: since when its oldest refund waits for its credit note."""
    own = s.refunds.c
    rows = connection.execute(
        select(own.return_id, func.min(own.seen_at).label("since"))
        .where(own.return_id.is_not(None), _owed())
        .group_by(own.return_id)
    )
    return {row.return_id: row.since for row in rows}


def _alone(connection: Connection) -> list[View]:
    """Money given back without anything that comes back."""
    own = s.refunds.c
    rows = connection.execute(
        select(s.refunds, s.orders.c.number)
        .join(s.orders, s.orders.c.id == own.order_id)
        .where(own.return_id.is_(None), _owed())
        .order_by(own.seen_at, own.id)
    )
    return [
        {
            "order": f"{row.system}:{row.number}",
            "return": row.external_id,
            "kind": "refund_only",
            "state": "completed",
            "custody": Custody.NONE.value,
            "money": Given.GIVEN.value,
            "since": row.seen_at,
            "missing": {BOOKS: row.seen_at},
            "lines": [],
        }
        for row in rows
    ]


def groups(found: Sequence[View]) -> list[View]:
    """How many of each, and since when the oldest: what the mail says (scenarios 2.5)."""
    made = []
    for name in GROUPS:
        own = [row for row in found if name in _groups_of(row)]
        if own:
            missing = {GROUPS[0]: GOODS, GROUPS[1]: MONEY, GROUPS[2]: GOODS, GROUPS[3]: BOOKS}[name]
            oldest = min(own, key=lambda row: str(row["missing"][missing]))
            made.append(
                {
                    "what": name,
                    "count": len(own),
                    "since": oldest["missing"][missing],
                    "orders": [row["order"] for row in own],
                }
            )
    return made


def _groups_of(row: View) -> list[str]:
    missing, found = row["missing"], []
    if GOODS in missing:
        found.append(GROUPS[2] if row["money"] == Given.GIVEN else GROUPS[0])
    elif MONEY in missing:
        found.append(GROUPS[1])
    if BOOKS in missing:
        found.append(GROUPS[3])
    return found
