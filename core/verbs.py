"""What an operator says with a verb: who, why, until when, which order, which exception."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from core import views
from core.app import App
from core.clock import written
from core.errors import TruecountError
from core.fields import quoted, seconds
from core.store import schema as s
from core.work import Work

#: The longest reason an operator gives; it stands in tables and in the log.
REASON_LETTERS_MAX = 200
#: Longer than this nobody means to look away.
SNOOZE_MAX = timedelta(days=60)


class Unknown(TruecountError):
    """The operator named something that is not there; says what is."""


def work_of(app: App, connection: Connection) -> Work:
    return Work.begin(connection, app.network, app.seal, app.clock.now())


def said(words: dict[str, Any], key: str) -> str:
    text = " ".join(str(words.get(key, "")).split())
    if not text or len(text) > REASON_LETTERS_MAX or not text.isprintable():
        raise Unknown(f"--{key} is a text of at most {REASON_LETTERS_MAX} letters")
    return text


def until_of(app: App, words: dict[str, Any]) -> datetime | None:
    """`--until TIME`, in the company's zone; None where nothing is said."""
    text = str(words.get("until", ""))
    if not text:
        return None
    try:
        until = written(text, app.network.zone, ends=True)
    except ValueError as error:
        raise Unknown(f"--until {quoted(text)} {error}") from None
    if until <= app.clock.now():
        raise Unknown(f"--until {quoted(text)} is over already")
    return until


def snoozed_until(app: App, words: dict[str, Any]) -> datetime:
    """`--until TIME` or `--for 4h`."""
    now = app.clock.now()
    until, text = until_of(app, words), str(words.get("for", ""))
    if bool(text) == bool(until):
        raise Unknown("say either --for 4h or --until TIME")
    if text:
        try:
            until = now + timedelta(seconds=seconds(text))
        except ValueError as error:
            raise Unknown(f"--for {error}") from None
    assert until is not None
    if not now < until <= now + SNOOZE_MAX:
        raise Unknown(f"an exception is put off for at most {SNOOZE_MAX.days} days, not for ever")
    return until


def open_hold(connection: Connection, words: dict[str, Any]) -> Row[Any]:
    hold = words.get("hold")
    found = connection.execute(
        select(s.holds).where(s.holds.c.id == hold, s.holds.c.closed_at.is_(None))
    ).one_or_none()
    if found is None:
        raise Unknown(f"no open exception has the number {hold}; see `truecount holds`")
    return found


def order_named(connection: Connection, name: str) -> Row[Any]:
    found = views.find_order(connection, name)
    if not found:
        raise Unknown(f"there is no order {name!r}. Is it SYSTEM:NUMBER?")
    if len(found) > 1:
        names = ", ".join(f"{row.system}:{row.number}" for row in found)
        raise Unknown(f"{name!r} may be {names}: say which")
    return found[0]


def orders_chosen(connection: Connection, words: dict[str, Any]) -> list[Row[Any]]:
    """One order by its name, or all that wait for one exception (`--hold ID`)."""
    name = str(words.get("order", ""))
    if bool(name) == (words.get("hold") is not None):
        raise Unknown("name one order like shop:#1001, or all of an exception with --hold ID")
    if name:
        return [order_named(connection, name)]
    hold = open_hold(connection, words)
    refs = connection.execute(
        select(s.hold_members.c.ref).where(
            s.hold_members.c.hold_id == hold.id,
            s.hold_members.c.member == "order",
            s.hold_members.c.closed_at.is_(None),
        )
    ).scalars()
    numbers = [int(ref) for ref in refs]
    rows = [
        row
        for start in range(0, len(numbers), 10_000)
        for row in connection.execute(
            select(s.orders).where(s.orders.c.id.in_(numbers[start : start + 10_000]))
        )
    ]
    if not rows:
        raise Unknown(f"exception {hold.id} has no orders; see `truecount holds {hold.id}`")
    return sorted(rows, key=lambda row: int(row.id))
