"""Systems that were away: since when, what waits for them, and how its drain goes (G11).

The forecast stands in `status` while the system is still away, in the log when it is back,
in the mail of the day; while the drain goes on it is corrected by what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row, insert, select, update

from core import forecast
from core.app import App
from core.breaker import State
from core.clock import stamp, unstamp
from core.outage_rows import commands_left, last_command, waiting
from core.store.schema import outages

#: Fewer calls than these are no drain worth announcing.
ANNOUNCED_MIN = 20
#: A drain in which nothing has moved for so long is over: what is left waits for something else.
STUCK_S = 1800.0
#: No more of the time than this goes into counting; a hundred thousand waiting take 0.2 s.
COUNTING_SHARE = 0.01


class Outages:
    """`look()` may be called as often as one likes."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._count_at: dict[str, float] = {}
        self._moved: dict[str, tuple[int, float]] = {}  # what was left, and since when

    async def look(self) -> None:
        """Who went away, who is back, how far each drain is."""
        with self._app.store.read() as connection:
            known = {row.system: row for row in connection.execute(_OPEN)}
            changes = list(self._changes(connection, known))
        if not changes:
            return

        def unit(connection: Connection) -> None:
            for system, values in changes:
                _write(connection, known.get(system), system, values)

        await self._app.store.write(unit)
        for system, values in changes:
            _tell(system, values)

    def _changes(
        self, connection: Connection, known: dict[str, Row[Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        now = self._app.clock.now()
        for system in self._told():
            row, away = known.get(system), self._is_away(system)
            if row is None:
                if away:
                    per_second = self._rate(system)
                    yield system, {"since": stamp(now), "per_second": per_second}
            elif away:
                if row.back_at is not None:  # it has gone again
                    yield system, {"back_at": None}
            elif row.back_at is None:
                yield system, self._back(connection, row, now)
            elif values := self._draining(connection, row, now):
                yield system, values

    def _told(self) -> list[str]:
        """Systems that anything of ours can wait for."""
        network = self._app.network
        return sorted({system for system, _ in network.accepts} | network.stock_writes.keys())

    def _counted(self, connection: Connection, row: Row[Any]) -> int | None:
        """What is left; None: it was counted a moment ago, and counting has its price."""
        began = self._app.clock.monotonic()
        if began < self._count_at.get(row.system, began):
            return None
        left = commands_left(connection, row.system, row.upto)
        spent_s = self._app.clock.monotonic() - began
        self._count_at[row.system] = began + spent_s / COUNTING_SHARE
        return left

    def _is_away(self, system: str) -> bool:
        gone = self._app.breakers[system].state in (State.OPEN, State.HALF_OPEN)
        return gone or self._app.doors[system].login_needed is not None

    def _rate(self, system: str) -> float:
        manifest = self._app.config.systems[system].manifest
        budget = manifest.budgets.get("calls") or min(
            manifest.budgets.values(), key=lambda one: one.per_second, default=None
        )
        return forecast.rate(budget.per_second if budget else None, manifest.at_once)

    def _back(self, connection: Connection, row: Row[Any], now: datetime) -> dict[str, Any]:
        """It answers again: what waits is announced, or there is nothing to announce."""
        upto = last_command(connection)
        write = self._app.network.stock_writes.get(row.system)
        there = waiting(connection, row.system, upto, batch=write.batch if write else 0)
        values = {
            "back_at": stamp(now),
            "commands": there.commands,
            "skus": there.skus,
            "upto": upto,
        }
        self._moved[row.system] = (there.commands, self._app.clock.monotonic())
        if there.calls < ANNOUNCED_MIN:
            return values | {"ended_at": stamp(now)}
        return values | {"words": forecast.drain(row.system, there, row.per_second)}

    def _draining(
        self, connection: Connection, row: Row[Any], now: datetime
    ) -> dict[str, Any] | None:
        if (left := self._counted(connection, row)) is None:
            return None
        before, since = self._moved.get(row.system, (-1, 0.0))
        if left != before:
            self._moved[row.system] = (left, self._app.clock.monotonic())
        elif left and self._app.clock.monotonic() - since < STUCK_S:
            return None
        seconds = (now - unstamp(row.back_at)).total_seconds()
        done = row.commands - left
        values: dict[str, Any] = {"words": ""} if not left else {}
        if done > 0 and seconds > 0:
            values["per_second"] = done / seconds
        if not left or left == before:
            return values | {"ended_at": stamp(now), "left_over": left}
        return values


_OPEN = select(outages).where(outages.c.ended_at.is_(None))


def _write(
    connection: Connection, row: Row[Any] | None, system: str, values: dict[str, Any]
) -> None:
    if row is None:
        connection.execute(insert(outages).values(system=system, **values))
    else:
        connection.execute(update(outages).where(outages.c.id == row.id).values(**values))


def _tell(system: str, values: dict[str, Any]) -> None:
    log = structlog.get_logger()
    if "since" in values or ("back_at" in values and not values["back_at"]):
        log.warning("system.away", system=system)
    elif values.get("words"):
        log.info("drain.began", system=system, count=values["commands"], words=values["words"])
    elif "ended_at" in values and "left_over" in values:
        log.info("drain.ended", system=system, waiting=values["left_over"])
    elif values.get("back_at"):
        log.info("system.back", system=system, waiting=values["commands"])
