"""What about a system needs a person, though no record says so: looked for in rounds.

A login that is refused or ends soon, an owner that is not read any more, pushes that
stopped, a channel that fell silent, a scheduler that wakes nobody. Each is one exception,
in `status` and in the mail, and closes by itself with its cause.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, select

from core import deadlines, holds, silence
from core.app import App
from core.clock import unstamp
from core.found import Found
from core.hearing import DEAD_PUSHES, Hearing
from core.outages import Outages
from core.second_look import SecondLook
from core.store.schema import cursors
from core.store.schema import holds as holds_table
from core.work import Work

EVERY_S = 10.0
#: A login that ends is said so long before.
LOGIN_AHEAD = timedelta(days=14)
#: Causes of what the rounds find; nothing else opens or closes them.
CAUSES = (
    *("needs_login:", "login_ends:", "not_read:", "scheduler:"),
    *(DEAD_PUSHES, silence.CAUSE),
)
#: An owner that was not read completely for so many of its intervals, and ten minutes more, is
#: not read any more.
PASSES_MISSED = 3
GRACE_S = 600.0
#: The scheduler wakes something four times a minute.
SCHEDULER_S = 60.0


class Rounds:
    """`make()` may be called as often as one likes. The daemon has a loop for them, so that
    they go on where the scheduler does not."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.due_at: datetime = app.clock.now()
        self.every_s = EVERY_S
        #: When the scheduler last woke anything, by the monotonic clock; None: there is none.
        self.woken_at: Callable[[], float] | None = None
        self._began = app.clock.now()
        self._hearing = Hearing(app)
        self._outages = Outages(app)
        self._second_look = SecondLook(app)

    async def make_if_due(self) -> bool:
        now = self._app.clock.now()
        if now >= self.due_at:
            self.due_at = now + timedelta(seconds=self.every_s)
            await self.make()
        return False

    async def make(self) -> None:
        """Look at everything once; open what is new, close what is over."""
        await self._outages.look()
        await self._hearing.take_in()
        await self._second_look.look()
        await self._deadlines()
        refused = list(self._refused_logins())
        all_found = [*refused, *await self._ending_logins(), *self._scheduler()]
        all_found += self._not_read({one.system for one in refused})
        all_found += self._hearing.found
        found = {one.cause: one for one in all_found}
        with self._app.store.read() as connection:
            was = _open(connection)
        if found.keys() == was.keys() and all(found[c].reason == was[c] for c in was):
            return
        await self._app.store.write(lambda connection: self._write(connection, found))
        for cause in found.keys() - was.keys():
            one = found[cause]
            structlog.get_logger().warning("round.found", system=one.system, reason=one.reason)
        for cause in was.keys() - found.keys():
            structlog.get_logger().info("round.over", cause=cause)

    async def _deadlines(self) -> None:
        """What is due is said in rows of its own: one exception for many orders."""
        app, now = self._app, self._app.clock.now()
        with app.store.read() as connection:
            if not deadlines.is_due(connection, app.network.terms, now):
                return
        await app.store.write(self._say_deadlines)

    def _say_deadlines(self, connection: Connection) -> None:
        app = self._app
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        deadlines.look(work)
        work.finish()

    def _write(self, connection: Connection, found: Mapping[str, Found]) -> None:
        app = self._app
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        was = _open(connection)
        for cause in was.keys() - found.keys():
            holds.close_cause(work, cause, "system", cause)
        for cause, one in found.items():
            if cause not in was:
                _hold(work, one)
            elif was[cause] != one.reason:
                holds.say(work, cause, one.reason)
        work.finish()

    # -------------------------------------------------------------- logins

    def _refused_logins(self) -> Iterable[Found]:
        for name, door in self._app.doors.items():
            if (error := door.login_needed) is not None:
                yield Found(
                    cause=f"needs_login:{name}",
                    system=name,
                    reason=f"{error}. Nothing is asked of {name} until it is renewed; the others"
                    " go on",
                    next_step="Renew the credential there and restart, or give the permission it"
                    " names. What waits is sent then, in order.",
                )

    async def _ending_logins(self) -> list[Found]:
        found = []
        now, zone = self._app.clock.now(), self._app.network.zone
        for name, login in self._app.logins.items():
            ends_at = await login.ends_at()
            if ends_at is None or ends_at - now > LOGIN_AHEAD:
                continue
            days = (ends_at - now).days
            when = f"in {days} days" if days > 1 else "within two days" if days >= 0 else "by now"
            day = ends_at.astimezone(zone).date()
            found.append(
                Found(
                    cause=f"login_ends:{name}",
                    system=name,
                    reason=f"the login of {name} ends {when}, on {day}",
                    next_step=f"Authorize Truecount there again, put the new credential where"
                    f" {login.where} points, restart.",
                )
            )
        return found

    # -------------------------------------------------------------- what stands still

    def _not_read(self, but: Collection[str]) -> Iterable[Found]:
        """An owner whose numbers grow old, whatever the reason."""
        now, zone = self._app.clock.now(), self._app.network.zone
        with self._app.store.read() as connection:
            rows = connection.execute(select(cursors).order_by(cursors.c.resource)).all()
        late: dict[str, dict[str, datetime]] = {}
        for row in rows:
            system = self._app.config.systems.get(row.system)
            every_s = system.every_s.get(row.resource) if system else None
            if every_s is None or row.system in but:
                continue
            last = max(self._began, unstamp(row.complete_at)) if row.complete_at else self._began
            if (now - last).total_seconds() > PASSES_MISSED * every_s + GRACE_S:
                late.setdefault(row.system, {})[row.resource] = last
        for name, resources in late.items():
            since = min(resources.values()).astimezone(zone)
            what = ", ".join(one.replace("_", " ") for one in resources)
            yield Found(
                cause=f"not_read:{name}",
                system=name,
                reason=f"{name} has not been read completely since {since:%Y-%m-%d %H:%M}: {what}",
                next_step="`truecount status` shows what it answers, `truecount doctor` asks it."
                " Its numbers stay in force until it is read; with that this closes.",
            )

    def _scheduler(self) -> Iterable[Found]:
        if self.woken_at is None:
            return
        if self._app.clock.monotonic() - self.woken_at() > SCHEDULER_S:
            yield Found(
                cause="scheduler:",
                system="truecount",
                reason="the scheduler wakes nobody any more: no mail goes, nothing is forgotten",
                next_step="Orders and stock go on. Restart the daemon, and report this as a bug.",
            )


def _open(connection: Connection) -> dict[str, str]:
    """Causes of ours that are open now, and what each says."""
    rows = connection.execute(
        select(holds_table.c.cause, holds_table.c.reason).where(holds_table.c.closed_at.is_(None))
    )
    return {row.cause: row.reason for row in rows if row.cause.startswith(CAUSES)}


def _hold(work: Work, one: Found) -> None:
    holds.open_hold(
        work,
        cause=one.cause,
        system=one.system,
        reason=one.reason,
        next_step=one.next_step,
        member="system",
        ref=one.cause,
        label=one.system,
    )
