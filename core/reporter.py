"""Sends the morning mail once per company and day, from a child process.

The scheduler only wakes it; the `reports` table says whether the day is due
(H39). Reconciling is CPU-heavy, and a busy thread cut intake to a tenth, so it
runs beside the daemon. A mail that did not go is tried again and stays visible.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from zoneinfo import ZoneInfo

import orjson
import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

from core.app import App
from core.clock import aware, day_of, local_day, stamp, unstamp
from core.crash import crash_point
from core.store.schema import reports

#: A failed mail is tried again after so long.
AGAIN_S = 600.0
CHILD_S = 900.0
#: Days whose mail did not go are made up for, at most so many.
CATCH_UP_DAYS = 7

#: Sends the mail of one day in a process of its own: exit code, and what it printed.
Child = Callable[[date], Awaitable[tuple[int, bytes]]]


class Reporter:
    """`send_if_due` may be called as often as one likes."""

    def __init__(self, app: App, child: Child | None = None) -> None:
        self._app = app
        self._child = child or self._process
        self._running = False

    def due(self) -> date | None:
        """The oldest day whose mail should have gone by now and has not.

        A day on which nothing could be sent is made up for: every day has its mail.
        """
        settings = self._app.config.report
        if settings is None:
            return None
        now = self._app.clock.now()
        today = day_of(now, self._zone)
        at = datetime.combine(today, time_of_day.fromisoformat(settings.at), tzinfo=self._zone)
        midnight = local_day(today, self._zone).start
        ready = max(aware(at), midnight + timedelta(seconds=settings.settle_s))
        newest = today - timedelta(days=1 if now >= ready else 2)
        day = self._first_unsent(newest)
        while day <= newest:
            row = self._row(day)
            if row is None or (row.state != "sent" and self._may_try_again(row.made_at)):
                return day
            day += timedelta(days=1)
        return None

    def _first_unsent(self, newest: date) -> date:
        """The first day that failed, or the one after the last mail; at most a week back.

        Before the first mail there is nothing to make up for: yesterday is the first.
        """
        own = reports.c.company == self._app.network.company
        sent = reports.c.state == "sent"
        with self._app.store.read() as connection:
            failed, last = connection.execute(
                select(
                    func.min(reports.c.day).filter(~sent), func.max(reports.c.day).filter(sent)
                ).where(own)
            ).one()
        first = day_of(self._app.clock.now(), self._zone) - timedelta(days=1)
        if last is not None:
            first = min(first, date.fromisoformat(last) + timedelta(days=1))
        if failed is not None:
            first = min(first, date.fromisoformat(failed))
        return max(first, newest - timedelta(days=CATCH_UP_DAYS - 1))

    @property
    def _zone(self) -> ZoneInfo:
        return self._app.config.company.timezone

    def _row(self, day: date):  # type: ignore[no-untyped-def]  # a SQLAlchemy row or None
        with self._app.store.read() as connection:
            return connection.execute(
                select(reports).where(
                    reports.c.company == self._app.network.company,
                    reports.c.day == day.isoformat(),
                )
            ).one_or_none()

    def _may_try_again(self, made_at: str | None) -> bool:
        if made_at is None:
            return True
        return (self._app.clock.now() - unstamp(made_at)).total_seconds() >= AGAIN_S

    async def send_if_due(self) -> None:
        day = self.due()
        if day is None or self._running:
            return
        self._running = True
        try:
            await self._remember(day, state="sending", words="")
            crash_point("mail.claimed")
            code, output = await self._child(day)
            crash_point("mail.noting")
            if code == 0:
                sent = orjson.loads(output)
                await self._remember(
                    day, state="sent", words=sent["words"], mail=sent["message_id"]
                )
            else:
                words = output.decode(errors="replace").strip()[-300:]
                await self._remember(day, state="failed", words=words)
                structlog.get_logger().error("report.not_sent", day=day.isoformat(), words=words)
        except asyncio.CancelledError:
            # The scheduler stops with the daemon, and would log this as a failure. The day
            # stays `sending`, so it is due again after the next start.
            structlog.get_logger().info("report.put_off", day=day.isoformat())
        finally:
            self._running = False

    async def _process(self, day: date) -> tuple[int, bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "core.cli",
            "report",
            "--config",
            self._app.config.file,
            "--date",
            day.isoformat(),
            "--send",
            "--json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(CHILD_S):
                out, err = await process.communicate()
        except TimeoutError:
            return 1, b"the report took too long"
        finally:
            if process.returncode is None:  # too late, or the daemon stops: no orphan goes on
                process.kill()
                await process.wait()
        code = process.returncode or 0
        if code < 0 and not err:
            err = f"the process that sends it was killed by signal {-code}".encode()
        return code, out if code == 0 else err

    async def _remember(self, day: date, *, state: str, words: str, mail: str = "") -> None:
        at = stamp(self._app.clock.now())
        values = {"state": state, "words": words, "made_at": at}
        if state == "sent":
            values |= {"sent_at": at, "message_id": mail}

        def unit(connection: Connection) -> None:
            connection.execute(
                insert(reports)
                .values(
                    company=self._app.network.company,
                    day=day.isoformat(),
                    attempts=1,
                    **values,
                )
                .on_conflict_do_update(
                    index_elements=["company", "day"],
                    set_={**values, "attempts": reports.c.attempts + int(state == "sending")},
                )
            )

        await self._app.store.write(unit, single=True)
        if state == "sent":
            crash_point("mail.noted")
