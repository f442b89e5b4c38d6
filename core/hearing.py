"""Whether channels are heard of as usual: one that fell silent, pushes that stopped.

A push that is lost is healed by the sweep, so nobody would notice that none comes any more
(H10). And a channel of which neither push nor sweep brings anything looks like a quiet day.
What came is counted by the hour, from the rows of the inbox; nothing is asked on the way in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, literal, select, update
from sqlalchemy.dialects.sqlite import insert

from core import silence
from core.app import App
from core.clock import stamp, unstamp
from core.found import Found
from core.silence import HOUR, hour_of
from core.store.schema import heard, heard_hours, holds, inbox, listened, meta

#: What came is counted this often; a longer pause of ours was no listening.
EVERY_S = 60.0
PAUSE_MAX_S = 180.0
#: So many passes of a sweep bring news that nobody pushed, and the pushes are dead. Where none
#: was ever pushed it takes longer: there it may never have been meant to work.
PASSES_MAX = 3
PASSES_NEVER_MAX = 10
DEAD_PUSHES = "dead_pushes:"
_SEQ = "heard_up_to"


class Hearing:
    """`take_in()` counts what came, `found` says who is too silent."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._last: float | None = None
        self._usual: dict[tuple[str, datetime], float] = {}
        self._found: list[Found] = []

    @property
    def found(self) -> Sequence[Found]:
        """Who is too silent, as of the last count."""
        return self._found

    async def take_in(self) -> None:
        """Count what came since the last time, at most once a minute, and judge."""
        now = self._app.clock.monotonic()
        since = None if self._last is None else now - self._last
        if since is not None and since < EVERY_S:
            return
        self._last = now
        there_s = since if since is not None and since <= PAUSE_MAX_S else 0.0
        await self._app.store.write(lambda connection: self._count(connection, there_s))
        self._found = list(self._judged())

    def _count(self, connection: Connection, there_s: float) -> None:
        now = self._app.clock.now()
        after, upto = _looked_up_to(connection), _decided_up_to(connection)
        if after is None:  # the first time: what came before we listened teaches nothing
            after = upto
        for row in _by_hour(connection, after, upto):
            _add(connection, heard_hours, {"system": row.system, "hour": row.hour}, row.events)
            self._came(connection, row)
        for row in _passes_with_news(connection, after, upto):
            passes = heard.c.passes + row.passes
            where = heard.c.system == row.system
            connection.execute(update(heard).where(where).values(passes=passes))
        if there_s:
            _add(connection, listened, {"hour": _text(hour_of(now))}, there_s)
        _remember(connection, upto)
        forget = _text(hour_of(now - silence.LOOK_BACK - HOUR))
        connection.execute(delete(heard_hours).where(heard_hours.c.hour < forget))
        connection.execute(delete(listened).where(listened.c.hour < forget))

    def _came(self, connection: Connection, row: Row[Any]) -> None:
        values: dict[str, Any] = {"came_at": row.last}
        if row.pushed:
            values |= {"pushed_at": row.pushed, "pushed_seq": row.pushed_seq, "passes": 0}
        connection.execute(
            insert(heard)
            .values(system=row.system, **values)
            .on_conflict_do_update(index_elements=["system"], set_=values)
        )

    # -------------------------------------------------------------- what it means

    def _judged(self) -> Iterator[Found]:
        with self._app.store.read() as connection:
            rows = {row.system: row for row in connection.execute(select(heard))}
            for name in self._app.network.channels:
                row = rows.get(name)
                if row is None:
                    continue
                dead = self._dead_pushes(name, row)
                silent = self._silent(connection, name, row)
                yield from (one for one in (dead, silent) if one is not None)

    def _dead_pushes(self, name: str, row: Row[Any]) -> Found | None:
        if not self._app.config.systems[name].hook_secrets:
            return None
        if row.passes < (PASSES_MAX if row.pushed_at else PASSES_NEVER_MAX):
            return None
        since = f"since {self._local(row.pushed_at)}" if row.pushed_at else "so far"
        return Found(
            cause=f"{DEAD_PUSHES}{name}",
            system=name,
            reason=f"{name} has pushed nothing {since}, though it had orders: they were found by"
            " reading it, later than they could",
            next_step="See there whether the subscription still exists, leads to"
            " listen.public_url and has our webhook secret. With the next push this closes.",
        )

    def _silent(self, connection: Connection, name: str, row: Row[Any]) -> Found | None:
        now = self._app.clock.now()
        since = max(unstamp(row.came_at), now - silence.SILENT_MAX)
        missing = silence.awaited(
            since,
            now,
            usually=lambda hour: self._usually(connection, name, hour),
            listened_s=lambda hour: _listened_s(connection, hour),
        )
        cause = f"{silence.CAUSE}{name}:{row.came_at}"
        if missing < silence.AWAITED_MAX or _accepted(connection, cause):
            return None
        return Found(
            cause=cause,
            system=name,
            reason=f"nothing has come from {name} since {self._local(row.came_at)}, neither pushed"
            f" nor read; {silence.AWAITED_MAX:.0f} orders or changes and more are usual by now",
            next_step="See whether it still sells. If it is true (a holiday, a closed shop):"
            " `truecount accept ID`. With whatever comes next this closes.",
        )

    def _usually(self, connection: Connection, name: str, hour: datetime) -> float:
        key = (name, hour)
        if key not in self._usual:
            if len(self._usual) > 10_000:
                self._usual.clear()
            self._usual[key] = silence.usual(self._alike(connection, name, hour))
        return self._usual[key]

    def _alike(self, connection: Connection, name: str, hour: datetime) -> list[int]:
        """Events in the hours before it that were like it and in which we listened."""
        first, zone = _text(hour - silence.LOOK_BACK), self._app.network.zone
        rows = connection.execute(
            select(listened.c.hour, func.coalesce(heard_hours.c.value, 0).label("events"))
            .outerjoin(
                heard_hours,
                (heard_hours.c.hour == listened.c.hour) & (heard_hours.c.system == name),
            )
            .where(listened.c.hour >= first, listened.c.hour < _text(hour))
            .where(listened.c.value >= HOUR.total_seconds() * 0.8)
        )
        return [row.events for row in rows if silence.are_alike(_hour(row.hour), hour, zone)]

    def _local(self, at: str) -> str:
        return f"{unstamp(at).astimezone(self._app.network.zone):%Y-%m-%d %H:%M}"


# ------------------------------------------------------------------ rows


def _text(hour: datetime) -> str:
    return stamp(hour)[:13]


def _hour(text: str) -> datetime:
    return unstamp(f"{text}:00:00.000000Z")


def _looked_up_to(connection: Connection) -> int | None:
    found = connection.execute(select(meta.c.value).where(meta.c.key == _SEQ)).scalar_one_or_none()
    return None if found is None else int(found)


def _remember(connection: Connection, seq: int) -> None:
    value = str(seq)
    connection.execute(
        insert(meta)
        .values(key=_SEQ, value=value)
        .on_conflict_do_update(index_elements=["key"], set_={"value": value})
    )


def _decided_up_to(connection: Connection) -> int:
    """What is not decided yet may be no news."""
    pending = select(func.min(inbox.c.seq)).where(inbox.c.state == "pending")
    first = connection.execute(pending).scalar_one()
    last = connection.execute(select(func.coalesce(func.max(inbox.c.seq), 0))).scalar_one()
    return int(last if first is None else first - 1)


def _news() -> Any:
    """A sweep shows most of what was pushed once more; news is what was not known."""
    return (inbox.c.via == "sweep") & (inbox.c.resource == "order") & (inbox.c.state == "applied")


def _by_hour(connection: Connection, after: int, upto: int) -> Any:
    pushed = inbox.c.via == "hook"
    hour = func.substr(inbox.c.received_at, 1, 13)
    return connection.execute(
        select(
            inbox.c.system,
            hour.label("hour"),
            func.count().label("events"),
            func.max(inbox.c.received_at).label("last"),
            func.max(inbox.c.received_at).filter(pushed).label("pushed"),
            func.max(inbox.c.seq).filter(pushed).label("pushed_seq"),
        )
        .where(inbox.c.seq > after, inbox.c.seq <= upto, pushed | _news())
        .group_by(inbox.c.system, hour)
        .order_by(hour)
    ).all()


def _passes_with_news(connection: Connection, after: int, upto: int) -> Any:
    """How many passes brought news after the last push, by system."""
    return connection.execute(
        select(inbox.c.system, func.count(inbox.c.read_began_at.distinct()).label("passes"))
        .join(heard, heard.c.system == inbox.c.system)
        .where(
            inbox.c.seq > after,
            inbox.c.seq <= upto,
            inbox.c.seq > heard.c.pushed_seq,
            _news(),
        )
        .group_by(inbox.c.system)
    ).all()


def _listened_s(connection: Connection, hour: datetime) -> float:
    found = connection.execute(
        select(listened.c.value).where(listened.c.hour == _text(hour))
    ).scalar_one_or_none()
    return float(found or 0.0)


def _accepted(connection: Connection, cause: str) -> bool:
    """A person has said that it is true, and nothing has come since."""
    return (
        connection.execute(
            select(literal(1)).where(holds.c.cause == cause, holds.c.closed_at.is_not(None))
        ).first()
        is not None
    )


def _add(connection: Connection, table: Any, key: dict[str, str], value: float) -> None:
    connection.execute(
        insert(table)
        .values(**key, value=value)
        .on_conflict_do_update(index_elements=list(key), set_={"value": table.c.value + value})
    )
