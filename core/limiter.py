"""How fast one system may be called: token buckets, and who goes first.

Amazon's order search has a burst of 20 and then one call per 178 s. A bucket
therefore survives restarts (a restart loop must not eat the burst), believes the
vendor's own word more than our table, and is drawn from by the most urgent
caller first: confirmations and cuts to zero, cuts, raises, the rest (G11, H29).

One limiter belongs to one set of credentials, so two configured systems that
share a key share their limiter.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from core.clock import Clock
from core.errors import InvariantBroken, RateLimited

#: Longer than this we do not believe a Retry-After, be it 86,400 (H29).
PAUSE_LONGEST_S = 3600.0
PAUSE_FIRST_S = 2.0
#: Without a Retry-After the pause doubles up to here.
PAUSE_GUESSED_MAX_S = 300.0
#: A caller one step more urgent may overtake for so long, then age wins.
OVERTAKE_S = 20.0
OVERTAKE_TOKENS = 10
#: The state is saved again after this part of a bucket was drawn, or one second of its refill.
SAVE_PART = 0.05


class Urgency(IntEnum):
    FIRST = 0  # confirmations, cuts to zero
    CUT = 1
    RAISE = 2
    REST = 3


_urgency: ContextVar[int] = ContextVar("urgency", default=Urgency.REST)


@contextmanager
def urgent(level: int) -> Iterator[None]:
    """Calls a connector makes inside have this urgency; a connector does not know it."""
    token = _urgency.set(level)
    try:
        yield
    finally:
        _urgency.reset(token)


def urgency() -> int:
    return _urgency.get()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSpec:
    per_second: float
    burst: float


@dataclass(order=True, slots=True)
class _Ticket:
    """A place in a line. `rank` is the arrival, later by some time per step of urgency."""

    rank: float
    number: int
    cost: float
    turn: asyncio.Event


class _Line:
    """Callers waiting for one thing; the first is the one who waited longest for its rank."""

    __slots__ = ("_heap", "_number")

    def __init__(self) -> None:
        self._heap: list[_Ticket] = []
        self._number = 0

    def join(self, rank: float, cost: float = 1.0) -> _Ticket:
        self._number += 1
        ticket = _Ticket(rank, self._number, cost, asyncio.Event())
        heapq.heappush(self._heap, ticket)
        return ticket

    def leave(self, ticket: _Ticket) -> None:
        self._heap.remove(ticket)
        heapq.heapify(self._heap)
        self.wake()

    def wake(self) -> None:
        if self._heap:
            self._heap[0].turn.set()

    def is_first(self, ticket: _Ticket) -> bool:
        return self._heap[0] is ticket

    def cost_before(self, rank: float) -> float:
        return sum(ticket.cost for ticket in self._heap if ticket.rank <= rank)


class _Bucket:
    """Tokens of one budget. May go below zero: a call larger than the bucket owes the rest."""

    __slots__ = ("at", "flying", "guesses", "left", "line", "paused_until", "per_second", "size")

    def __init__(self, spec: BudgetSpec, now: float) -> None:
        self.per_second = spec.per_second
        self.size = spec.burst
        self.left = spec.burst
        self.at = now
        self.flying = 0.0
        self.paused_until = now
        self.guesses = 0
        self.line = _Line()

    def refill(self, now: float) -> None:
        self.left = min(self.size, self.left + max(0.0, now - self.at) * self.per_second)
        self.at = now

    def wait_s(self, cost: float, now: float) -> float:
        self.refill(now)
        # A call dearer than the whole bucket goes when it is full, and leaves a debt.
        missing = min(cost, self.size) - self.left
        # A billionth of a token is rounding, not a limit.
        refilled = missing / self.per_second if missing > 1e-9 else 0.0
        return max(refilled, self.paused_until - now, 0.0)

    @property
    def overtake_s(self) -> float:
        return max(OVERTAKE_S, OVERTAKE_TOKENS / self.per_second)


class Limiter:
    """The buckets of one system. `on_change` gets a snapshot before the call it accounts for."""

    def __init__(
        self,
        budgets: Mapping[str, BudgetSpec],
        clock: Clock,
        *,
        on_change: Callable[[dict[str, dict[str, float]]], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        now = clock.monotonic()
        self._clock = clock
        self._buckets = {name: _Bucket(spec, now) for name, spec in budgets.items()}
        self._on_change = on_change
        self._unsaved = dict.fromkeys(budgets, 0.0)
        # Only spreads callers; nothing secret or exact depends on it.
        self._rng = rng or random.Random()  # noqa: S311

    async def acquire(
        self,
        budget: str,
        cost: float = 1,
        urgency: int = Urgency.REST,
        *,
        wait_max_s: float = math.inf,
    ) -> None:
        """Wait for `cost` tokens. Raises RateLimited where it would take over `wait_max_s`."""
        bucket = self._bucket(budget)
        if bucket is None:
            return
        now = self._clock.monotonic()
        rank = now + urgency * bucket.overtake_s
        before = bucket.line.cost_before(rank)
        if (wait := self._forecast(bucket, before + min(cost, bucket.size))) > wait_max_s:
            raise self._limited(budget, wait)
        leave_by = now + wait_max_s
        ticket = bucket.line.join(rank, cost)
        try:
            while wait := await self._turn(bucket, ticket):
                patience = leave_by - self._clock.monotonic()
                if wait > patience:
                    raise self._limited(budget, wait)
                await self._clock.sleep(wait)
            bucket.left -= cost
            bucket.flying += cost
            self._drawn(budget, bucket, cost)
        finally:
            bucket.line.leave(ticket)

    def landed(self, budget: str, cost: float = 1, *, limited: bool = False) -> None:
        """The call has its answer. Until now a vendor's word about `left` may not count it."""
        bucket = self._bucket(budget)
        if bucket is not None:
            bucket.flying = max(0.0, bucket.flying - cost)
            if not limited:
                bucket.guesses = 0

    def observe(self, budget: str, *, left: float, per_second: float, size: float) -> None:
        """The vendor's word. What is not said is negative or NaN, and keeps our value."""
        bucket = self._bucket(budget)
        if bucket is None:
            return
        bucket.refill(self._clock.monotonic())
        if size > 0 and math.isfinite(size):
            bucket.size = size
        if per_second > 0 and math.isfinite(per_second):
            bucket.per_second = per_second
        if left >= 0:
            # Calls still in flight may be missing in it; being wrong costs a 429.
            bucket.left = left - bucket.flying
        bucket.left = min(bucket.left, bucket.size)

    def pause(self, budget: str, seconds: float | None) -> float:
        """The system said 429. Returns how long nobody calls; None: it did not say (H29)."""
        bucket = self._bucket(budget)
        if bucket is None:
            return PAUSE_FIRST_S if seconds is None else min(seconds, PAUSE_LONGEST_S)
        now = self._clock.monotonic()
        bucket.refill(now)
        if seconds is None:
            # Four callers refused at once are one guess, not four doublings.
            if bucket.paused_until <= now:
                bucket.guesses += 1
            first = max(PAUSE_FIRST_S, 1 / bucket.per_second)
            doublings = min(max(bucket.guesses - 1, 0), 16)
            seconds = min(first * 2**doublings, PAUSE_GUESSED_MAX_S)
        seconds = max(0.0, min(seconds, PAUSE_LONGEST_S)) * (1 + 0.1 * self._rng.random())
        bucket.paused_until = max(bucket.paused_until, now + seconds)
        # It has fewer tokens for us than we thought: none.
        bucket.left = min(bucket.left, 0.0)
        self._save()
        return bucket.paused_until - now

    def forecast(self, budget: str, n: float = 1) -> float:
        """Seconds until `n` more tokens could be had, after everybody who waits now."""
        bucket = self._bucket(budget)
        if bucket is None:
            return 0.0
        return self._forecast(bucket, bucket.line.cost_before(math.inf) + n)

    def snapshot(self) -> dict[str, dict[str, float]]:
        now = self._clock.monotonic()
        saved = {}
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            paused_s = max(0.0, bucket.paused_until - now)
            saved[name] = {"left": bucket.left, "paused_s": paused_s}
        return saved

    def restore(self, saved: Mapping[str, Mapping[str, float]], elapsed_s: float) -> None:
        """Never fuller than it was plus the refill; a clock set back refills nothing (H12)."""
        now = self._clock.monotonic()
        elapsed_s = max(0.0, elapsed_s)
        for name, state in saved.items():
            bucket = self._buckets.get(name)
            if bucket is None:
                continue  # the manifest no longer has it
            bucket.left = min(bucket.size, state["left"] + elapsed_s * bucket.per_second)
            bucket.at = now
            left_s = min(state["paused_s"], PAUSE_LONGEST_S) - elapsed_s
            bucket.paused_until = now + max(0.0, left_s)

    async def _turn(self, bucket: _Bucket, ticket: _Ticket) -> float:
        """Wait until first in line; how long the tokens still take then. 0: take them now."""
        while not bucket.line.is_first(ticket):
            ticket.turn.clear()
            await ticket.turn.wait()
        return bucket.wait_s(ticket.cost, self._clock.monotonic())

    def _limited(self, budget: str, wait: float) -> RateLimited:
        what = f"the budget {budget} has no room for {math.ceil(wait)} s"
        return RateLimited(what, after_s=wait, status=None)

    def _forecast(self, bucket: _Bucket, cost: float) -> float:
        now = self._clock.monotonic()
        bucket.refill(now)
        refill_s = (cost - bucket.left) / bucket.per_second
        return max(0.0, refill_s if cost > bucket.size else 0.0, bucket.wait_s(cost, now))

    def _drawn(self, budget: str, bucket: _Bucket, cost: float) -> None:
        """Save before more is drawn than may be forgotten: every call of a slow bucket."""
        self._unsaved[budget] += cost
        if self._unsaved[budget] >= max(bucket.size * SAVE_PART, bucket.per_second):
            self._save()

    def _save(self) -> None:
        self._unsaved = dict.fromkeys(self._unsaved, 0.0)
        if self._on_change is not None:
            self._on_change(self.snapshot())

    def _bucket(self, budget: str) -> _Bucket | None:
        """None for `calls` where the manifest names no limit."""
        bucket = self._buckets.get(budget)
        if bucket is None and budget != "calls":
            raise InvariantBroken(f"budget {budget!r} is not in the manifest")
        return bucket


class Gate:
    """At most so many calls of one system in flight; the most urgent enters first."""

    __slots__ = ("_clock", "_free", "_line")

    def __init__(self, at_once: int, clock: Clock) -> None:
        self._free = at_once
        self._clock = clock
        self._line = _Line()

    async def enter(self, urgency: int) -> None:
        ticket = self._line.join(self._clock.monotonic() + urgency * OVERTAKE_S)
        try:
            while not (self._free and self._line.is_first(ticket)):
                ticket.turn.clear()
                await ticket.turn.wait()
            self._free -= 1
        finally:
            self._line.leave(ticket)

    def leave(self) -> None:
        self._free += 1
        self._line.wake()
