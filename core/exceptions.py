"""Open exceptions as operators see them: the cost, how long, until when, who, and what to type.

One cause is one exception. Its money is what the orders it keeps back come to, each
order once and each currency for itself; orders that have ended cost nothing any more.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, and_, cast, select

from core import (
    deadline_views,
    deadlines,
    doubts,
    handover,
    holds,
    movements,
    passes,
    restored,
    silence,
)
from core import oversold as promised
from core.clock import stamp
from core.lifecycle import A_PERSON_MAY, State
from core.money import Money
from core.store import schema as s

View = dict[str, Any]
#: Members a face shows at most; it says how many more there are.
MEMBERS_MAX = 200
#: Holds that end by themselves when the channel says so; nobody has to do anything.
WAITS = ("payment:", "channel_holds", "test_order", movements.GAP)
#: Holds that are shown beside the others, with the orders they endanger.
BESIDE = (promised.CAUSE,)
#: Orders that have ended: nothing of theirs is at stake.
_OVER = (State.SHIPPED.value, State.CANCELLED.value)
#: What a person has to say with every act that is kept.
_SAID = "--reason TEXT --by NAME"


def open_ones(connection: Connection, now: datetime, only: int | None = None) -> list[View]:
    """Every open exception, oldest first; `only` one of them."""
    rows = connection.execute(select(s.holds).where(_open(only)).order_by(s.holds.c.opened_at))
    waiting, orders, at = _members(connection, only), _orders(connection, only), stamp(now)
    found = [
        _view(row, waiting[row.id], orders.get(row.id, []), at) for row in rows if row.id in waiting
    ]
    due = _of_deadlines(connection, found)
    return [one | {"due": due.get(one["id"], one["due"])} for one in found]


def _of_deadlines(connection: Connection, found: Sequence[View]) -> dict[int, str]:
    """What is about one kind of deadline is due when that is, not when the goods are to leave."""
    own = [one["id"] for one in found if one["cause"].startswith(deadlines.CAUSE)]
    return deadline_views.nearest(connection, own) if own else {}


def _open(only: int | None) -> ColumnElement[bool]:
    is_open = s.holds.c.closed_at.is_(None)
    return is_open if only is None else and_(is_open, s.holds.c.id == only)


def split(found: Sequence[View]) -> tuple[list[View], list[View], list[View]]:
    """(needs a person, snoozed by one, waits by itself); what stands beside is in none."""
    own = [row for row in found if not row["cause"].startswith(BESIDE)]
    alarming = [row for row in own if not row["snoozed"]]
    return (
        [row for row in alarming if not waits(row)],
        [row for row in own if row["snoozed"]],
        [row for row in alarming if waits(row)],
    )


def waits(row: View) -> bool:
    """It ends by itself, when its channel says so."""
    return bool(row["cause"].startswith(WAITS))


def members(connection: Connection, hold_id: int) -> list[View]:
    """Who waits for it, oldest first, with what each costs and until when it may wait."""
    orders = {str(row.id): row for row in _orders(connection, hold_id).get(hold_id, ())}
    found = []
    for row in _members(connection, hold_id).get(hold_id, [])[:MEMBERS_MAX]:
        one = {"member": row.member, "ref": row.ref, "label": row.label, "since": row.since}
        order = orders.get(row.ref) if row.member == "order" else None
        if order is not None:
            one |= {"total": str(Money(order.total_minor, order.currency)), "due": order.ship_by}
        found.append(one)
    return found


def _view(row: Row[Any], waiting: Sequence[Row[Any]], orders: Sequence[Row[Any]], now: str) -> View:
    due = [order.ship_by for order in orders if order.ship_by]
    return {
        "id": row.id,
        "system": row.system,
        "cause": row.cause,
        "reason": row.reason,
        "next_step": row.next_step,
        "members": len(waiting),
        "since": waiting[0].since,
        "at_stake": _at_stake(orders),
        "due": min(due, default=None),
        "assignee": row.assignee,
        "note": row.note,
        "snoozed": row.snoozed_until if (row.snoozed_until or "") > now else None,
        "command": _command(row, waiting, orders),
    }


def _members(connection: Connection, only: int | None) -> dict[int, list[Row[Any]]]:
    """Of each open exception, oldest first. An order that came by push and by poll is two rows,
    and one member."""
    member = s.hold_members
    rows = connection.execute(
        select(member)
        .join(s.holds, s.holds.c.id == member.c.hold_id)
        .where(_open(only), member.c.closed_at.is_(None))
        .order_by(member.c.since, member.c.ref)
    )
    found: dict[int, dict[str, Row[Any]]] = {}
    for row in rows:
        name = row.label if row.member == "inbox" else f"{row.member}:{row.ref}"
        found.setdefault(row.hold_id, {}).setdefault(name, row)
    return {hold_id: list(members.values()) for hold_id, members in found.items()}


def _orders(connection: Connection, only: int | None) -> dict[int, list[Row[Any]]]:
    """The open orders each exception keeps back: its members, those of its commands, and those
    of which a newer revision is held."""
    member, order = s.hold_members, s.orders
    number = cast(member.c.ref, Integer)
    columns = ("id", "system", "number", "currency", "total_minor", "ship_by")
    own = (
        select(member.c.hold_id, *(order.c[name] for name in columns))
        .join(s.holds, s.holds.c.id == member.c.hold_id)
        .where(_open(only), member.c.closed_at.is_(None), order.c.state.not_in(_OVER))
    )
    themselves = own.join(order, order.c.id == number).where(member.c.member == "order")
    of_commands = (
        own.join(s.outbox, s.outbox.c.id == number)
        .join(order, order.c.id == s.outbox.c.order_id)
        .where(member.c.member == "command")
    )
    of_records = (
        own.join(s.inbox, s.inbox.c.seq == number)
        .join(
            order,
            and_(
                order.c.system == s.inbox.c.system,
                order.c.external_id == s.inbox.c.external_id,
            ),
        )
        .where(member.c.member == "inbox", s.inbox.c.resource == "order")
    )
    found: dict[int, dict[int, Row[Any]]] = {}
    for query in (themselves, of_commands, of_records):
        for row in connection.execute(query):
            found.setdefault(row.hold_id, {})[row.id] = row
    return {hold_id: [rows[key] for key in sorted(rows)] for hold_id, rows in found.items()}


def _at_stake(orders: Sequence[Row[Any]]) -> dict[str, int]:
    """Minor units by currency; they are never added up."""
    totals: dict[str, int] = {}
    for order in orders:
        totals[order.currency] = totals.get(order.currency, 0) + order.total_minor
    return dict(sorted(totals.items()))


def at_stake(row: View) -> str:
    """150.00 EUR + 12,000 JPY; nothing where no open order waits."""
    return " + ".join(
        f"{Money(minor, currency).amount:,} {currency}"
        for currency, minor in row["at_stake"].items()
    )


# ------------------------------------------------------------------ what to type next


def _command(row: Row[Any], waiting: Sequence[Row[Any]], orders: Sequence[Row[Any]]) -> str:
    """The exact words, where one command is the way on; "" where nothing has to be done."""
    cause: str = row.cause
    one = _name(orders[0]) if len(orders) == 1 else ""
    many = f"--hold {row.id}"
    if cause == handover.CAUSE:
        return f"truecount release {one or many} {_SAID}"
    if cause.startswith(_ACCEPTED):
        return f"truecount accept {row.id}"
    if cause.startswith("refused:"):
        return f"truecount retry {many}"
    if cause.startswith("unknown_sku:"):
        word = shlex.quote(cause.partition(":")[2])
        system = orders[0].system if orders else row.system  # of whoever still waits for it
        return f"truecount map {system} {word} YOUR-SKU --by NAME"
    if cause.startswith("mapping:"):
        connector, _, resource = cause.split(":")[1].partition(".")
        return f"truecount mapping preview mappings/{connector}/{resource}.yaml"
    if cause.startswith(A_PERSON_MAY):
        return f"truecount release {one or many} {_SAID}"
    if cause.startswith("short:"):
        return f"truecount trace {one}" if one else ""
    return _other(cause, row, waiting)


def _other(cause: str, row: Row[Any], waiting: Sequence[Row[Any]]) -> str:
    if cause.startswith(_EDITED):
        return "truecount check"
    if cause.startswith(_ASKED):
        return "truecount doctor"
    if cause.startswith(promised.CAUSE):
        sku = cause.removeprefix(promised.CAUSE).rpartition(":")[0]
        return f"truecount why {shlex.quote(sku)}"
    if waiting[0].member == "inbox":
        return f"truecount replay --hold {row.id}"
    return ""


def _name(order: Row[Any]) -> str:
    return shlex.quote(f"{order.system}:{order.number}")


#: Nothing else can close them: a person has looked.
_ACCEPTED = (
    holds.LATE,
    silence.CAUSE,
    doubts.IMPLAUSIBLE,
    passes.UNLIKELY,
    restored.CAUSE,
    "counter_reset:",
)
#: A file an operator edits, or its items, are not as they should be.
_EDITED = ("items:", "rules:", "mappings:", "ambiguous_sku:", "units:", "two_words:", "no_mapping:")
#: A system is not as it should be.
_ASKED = ("needs_login:", "login_ends:", "not_read:", "dead_pushes:", "refused_calls:")
