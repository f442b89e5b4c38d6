"""One breaker per system: a dead system is asked once in a while, not by every row (H30).

    closed --failures--> open --time--> half open (one probe) --answer--> ramp 1,2,4.. --> closed
      ^                    ^------------- no answer, longer pause ---------'
      '-- any answer, also a refusal, proves the system is there

The same outage and the same orders cost 43 calls per order without it and 2.5
with it. A pure state machine: it is told the time and does no I/O.

A failure is `soft` where the system answered 500: it is there, and one poisoned
record must not close the door for everybody, so it takes many more of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

FAILURES = 5
SOFT_FAILURES = 20
PAUSE_FIRST_S = 5.0
#: G11: one probe per five minutes when long down.
PAUSE_LONGEST_S = 300.0


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    RAMP = "ramp"


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to make one call; handed back with how it went."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now. `seconds` until it is worth asking; 0: as soon as a call in flight ends."""

    seconds: float


class Breaker:
    """Ask `admit`, make the call, then say `succeeded`, `failed` or `let_go` with the pass."""

    __slots__ = (
        "_at_once",
        "_epoch",
        "_failures",
        "_flying",
        "_pause_s",
        "_soft",
        "_state",
        "_until",
        "_wide",
    )

    def __init__(self, *, at_once: int = 4) -> None:
        self._at_once = at_once
        self._state = State.CLOSED
        self._failures = 0
        self._soft = 0
        self._pause_s = 0.0
        self._until = 0.0
        self._wide = 1  # calls in flight the ramp allows
        self._flying = 0
        self._epoch = 0

    @property
    def state(self) -> State:
        return self._state

    def admit(self, now: float) -> Pass | Wait:
        if self._state is State.OPEN and now >= self._until:
            self._enter(State.HALF_OPEN)
        match self._state:
            case State.OPEN:
                return Wait(self._until - now)
            case State.HALF_OPEN if self._flying:
                return Wait(min(self._pause_s, PAUSE_FIRST_S))
            case State.RAMP if self._flying >= self._wide:
                return Wait(0.0)
        self._flying += 1
        return Pass(self._epoch)

    def closed_for_s(self, now: float) -> float:
        """How long a lane need not even try. 0 while a call may be let in."""
        return max(0.0, self._until - now) if self._state is State.OPEN else 0.0

    def room(self, now: float) -> int:
        """How many calls would be admitted now."""
        match self._state:
            case State.OPEN:
                return int(now >= self._until)
            case State.HALF_OPEN:
                return 0 if self._flying else 1
            case State.RAMP:
                return max(0, self._wide - self._flying)
        return self._at_once

    def succeeded(self, admitted: Pass) -> None:
        """The system answered, be it with a refusal."""
        if not self._landed(admitted):
            return
        self._failures = self._soft = 0
        match self._state:
            case State.HALF_OPEN:
                self._wide = 1
                self._enter(State.RAMP)
            case State.RAMP:
                self._wide *= 2
                if self._wide > self._at_once:
                    self._enter(State.CLOSED)
                    self._pause_s = 0.0

    def failed(self, admitted: Pass, now: float, *, soft: bool = False) -> None:
        """The system was not there, or (soft) answered that it is broken."""
        if not self._landed(admitted):
            return
        self._failures += not soft
        self._soft += 1
        worn = self._failures >= FAILURES or self._soft >= SOFT_FAILURES
        # While recovering one silence is enough; the ramp exists to notice it cheaply.
        relapsed = self._state is State.HALF_OPEN or (self._state is State.RAMP and not soft)
        if worn or relapsed:
            self._open(now)

    def let_go(self, admitted: Pass) -> None:
        """The call was not made after all, so it says nothing about the system."""
        self._landed(admitted)

    @property
    def mark(self) -> tuple[int, int, int]:
        """Another one whenever there is something new to export, but for the time that passed."""
        return self._epoch, self._failures, self._soft

    def export(self, now: float) -> dict[str, float | str]:
        """What must survive a restart, so that a restart loop does not hammer a dead system."""
        return {
            "state": self._state.value,
            "failures": self._failures,
            "soft": self._soft,
            "pause_s": self._pause_s,
            "left_s": max(0.0, self._until - now) if self._state is State.OPEN else 0.0,
        }

    def restore(self, saved: Mapping[str, float | str], now: float, elapsed_s: float) -> None:
        """Continue. `elapsed_s` comes from a wall clock, which may have been set back (H12)."""
        self._failures = int(saved.get("failures", 0))
        self._soft = int(saved.get("soft", 0))
        self._pause_s = min(float(saved.get("pause_s", 0)), PAUSE_LONGEST_S)
        if saved.get("state", State.CLOSED) == State.CLOSED:
            self._enter(State.CLOSED)
            return
        left = min(float(saved.get("left_s", 0)), self._pause_s) - max(0.0, elapsed_s)
        self._until = now + max(0.0, left)
        self._enter(State.OPEN)

    def _open(self, now: float) -> None:
        grown = max(PAUSE_FIRST_S, self._pause_s * 2)
        self._pause_s = min(grown, PAUSE_LONGEST_S)
        self._until = now + self._pause_s
        self._failures = self._soft = 0
        self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        self._state = state
        self._flying = 0
        self._epoch += 1

    def _landed(self, admitted: Pass) -> bool:
        """False for a call let in before the state changed: its news is old."""
        if admitted.epoch != self._epoch:
            return False
        self._flying -= 1
        return True
