"""One kill: start, die at a place, start again, come to rest, compare."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.crash import truth
from tests.crash.installation import LOOK_S, PATIENCE_S, Installation, Stuck, until
from tests.crash.play import Play, open_shop

#: Complete passes over every channel and warehouse in which nothing moved: it never will.
STILL_PASSES = 25


@dataclass
class Killing:
    """Kills of one installation, one after another. `days` so far, none of it may be lost."""

    own: Installation
    days: list[Play] = field(default_factory=list)
    kills: int = 0

    def open(self) -> None:
        """A shop that works: everything is read, told and shown."""
        open_shop(self.own)
        self.own.start()
        until("the daemon is ready", self._ready)
        self._rest("the first start")
        assert self.own.stop() == 0, self.own.said()

    def kill_at(self, at: str) -> bool:
        """One day, through which the program dies at this place. False: it never came by."""
        self.days.append(day := Play(self.own))
        self.own.start(at)
        died = self._live_until_dead(day)
        if died:
            self.look_at_the_dead(at)
            self.own.start()
        self.recover(at)
        return died

    def recover(self, at: str) -> None:
        """The program runs again: the day goes on to its end, and all is compared."""
        self._rest(at)
        self.compare(at)
        assert self.own.stop() == 0, f"after {at}: {self.own.said()}"

    def look_at_the_dead(self, at: str) -> None:
        self.kills += 1
        found = truth.damage(self.own) + truth.forgotten(self.own, self.days)
        assert not found, f"killed at {at}: {found}"

    def compare(self, at: str) -> None:
        found = truth.faults(self.own, self.days)
        assert not found, f"killed at {at}: " + "; ".join(found)

    # ------------------------------------------------------------ living

    def _ready(self) -> bool:
        assert self.own.alive, f"the daemon did not start: {self.own.said()}"
        return self.own.ready()

    def _live_until_dead(self, day: Play) -> bool:
        """Whether it died at its place. A day that ends without is over."""
        end = time.monotonic() + PATIENCE_S
        while self.own.alive and time.monotonic() < end:
            day.advance()
            if day.over and not truth.unrest(self.own, self.days):
                return False
            time.sleep(LOOK_S)
        if self.own.alive:
            raise Stuck(f"the day did not end: {truth.unrest(self.own, self.days)}")
        code = self.own.ended()
        assert code == -9, f"it ended with {code} by itself: {self.own.said()}"
        return True

    def _rest(self, at: str) -> None:
        """Until nothing is left to do; or until nothing moves any more while it lives."""
        still = Still(self.own)
        end = time.monotonic() + PATIENCE_S
        why: list[str] = []
        while time.monotonic() < end and not still.for_ever:
            assert self.own.alive, f"killed at {at}, it ended again: {self.own.said()}"
            for day in self.days:
                day.advance()
            if self.own.ready():
                over = all(day.over for day in self.days)
                why = truth.unrest(self.own, self.days)
                if over and not why:
                    return
                still.look([over, why])
            time.sleep(LOOK_S)
        raise Stuck(f"killed at {at}, it does not come to rest: {'; '.join(why) or 'the day'}")


@dataclass
class Still:
    """Nothing has changed through so many passes over an owner: waiting longer helps nobody."""

    own: Installation
    passes: int = 0
    _before: object = None
    _last_pass: object = None

    def look(self, now: object) -> None:
        rows = self.own.rows(
            "SELECT complete_at FROM cursors WHERE system = 'market' AND resource = 'order'"
        )
        if now != self._before:
            self._before, self.passes = now, 0
        elif rows != self._last_pass:
            self._last_pass = rows
            self.passes += 1

    @property
    def for_ever(self) -> bool:
        return self.passes >= STILL_PASSES
