"""Budgets that survive restarts, and who goes first (G11, H12, H29)."""

import asyncio
import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import InvariantBroken, RateLimited
from core.limiter import BudgetSpec, Gate, Limiter, Urgency, urgency, urgent


def a_clock():
    return ManualClock(datetime(2026, 11, 25, tzinfo=UTC))


class PatientClock(ManualClock):
    """Time passes only after everybody who is ready has had a turn."""

    async def sleep(self, seconds):
        for _ in range(20):
            await asyncio.sleep(0)
        await super().sleep(seconds)


def a_limiter(clock, per_second=1.0, burst=5.0, **kwargs):
    budgets = {"calls": BudgetSpec(per_second=per_second, burst=burst)}
    return Limiter(budgets, clock, rng=random.Random(7), **kwargs)


async def draw(limiter, times, cost=1):
    for _ in range(times):
        await limiter.acquire("calls", cost)


async def test_a_burst_is_free_and_then_the_rate_rules():
    clock = a_clock()
    limiter = a_limiter(clock)
    await draw(limiter, 5)
    assert clock.monotonic() == 0
    await draw(limiter, 3)
    assert clock.monotonic() == pytest.approx(3)


async def test_a_call_dearer_than_the_bucket_goes_when_full_and_leaves_a_debt():
    clock = a_clock()
    limiter = a_limiter(clock, per_second=10, burst=100)
    await limiter.acquire("calls", 300, wait_max_s=1)
    assert clock.monotonic() == 0
    await limiter.acquire("calls", 1)
    assert clock.monotonic() == pytest.approx(20.1)


async def test_a_wait_too_long_is_refused_before_anything_is_drawn():
    clock = a_clock()
    limiter = a_limiter(clock, per_second=1 / 178, burst=1)
    await limiter.acquire("calls", wait_max_s=30)
    with pytest.raises(RateLimited) as caught:
        await limiter.acquire("calls", wait_max_s=30)
    assert caught.value.after_s == pytest.approx(178)
    assert clock.monotonic() == 0
    assert limiter.forecast("calls", 2) == pytest.approx(2 * 178)


async def test_a_caller_overtaken_for_too_long_is_sent_back():
    """It was promised a short wait; urgent callers came, and the outbox knows better what to do."""
    limiter = a_limiter(PatientClock(datetime(2026, 11, 25, tzinfo=UTC)), burst=1)
    await limiter.acquire("calls")
    async with asyncio.TaskGroup() as group:
        late = group.create_task(limited(limiter, Urgency.REST))
        await asyncio.sleep(0)
        for _ in range(5):
            group.create_task(limiter.acquire("calls", 1, Urgency.FIRST))
    assert late.result() == pytest.approx(1)


async def limited(limiter, level):
    with pytest.raises(RateLimited) as caught:
        await limiter.acquire("calls", 1, level, wait_max_s=1.5)
    return caught.value.after_s


async def test_the_most_urgent_waits_the_least():
    """Confirmations and cuts to zero, cuts, raises, the rest (DESIGN 5)."""
    clock = PatientClock(datetime(2026, 11, 25, tzinfo=UTC))
    limiter = a_limiter(clock, burst=1)
    await limiter.acquire("calls")
    done = []

    async def call(level):
        await limiter.acquire("calls", 1, level)
        done.append(level)

    async with asyncio.TaskGroup() as group:
        for level in (3, 2, 1, 0, 3, 0):
            group.create_task(call(level))
    assert done == [0, 0, 1, 2, 3, 3]


async def test_nobody_starves():
    """An endless row of urgent callers passes an old one for a bounded time only."""
    clock = a_clock()
    limiter = a_limiter(clock, burst=1)
    await limiter.acquire("calls")
    ahead = 0
    waiting = asyncio.create_task(limiter.acquire("calls", 1, Urgency.REST))
    await asyncio.sleep(0)
    while not waiting.done():
        await limiter.acquire("calls", 1, Urgency.FIRST)
        ahead += 1
        assert ahead < 80
    assert ahead > 10


async def test_a_caller_that_gives_up_leaves_the_line():
    clock = a_clock()
    limiter = a_limiter(clock, burst=1)
    await limiter.acquire("calls")
    waiting = [asyncio.create_task(limiter.acquire("calls")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in waiting[:2]:
        task.cancel()
    await waiting[2]
    assert limiter.forecast("calls") == pytest.approx(1)


async def test_after_429_nobody_calls_until_the_time_it_named():
    clock = a_clock()
    limiter = a_limiter(clock)
    paused = limiter.pause("calls", 30)
    assert 30 <= paused <= 33
    await limiter.acquire("calls")
    assert clock.monotonic() == pytest.approx(paused)


async def test_a_retry_after_of_a_day_is_believed_for_an_hour():
    limiter = a_limiter(a_clock())
    assert 3600 <= limiter.pause("calls", 86_400) <= 3960


async def test_without_retry_after_the_pause_doubles_up_to_five_minutes():
    clock = a_clock()
    limiter = a_limiter(clock)
    pauses = []
    for _ in range(12):
        pauses.append(limiter.pause("calls", None))
        clock.advance(pauses[-1])
    assert pauses[:4] == [pytest.approx(2 * 2**step, rel=0.11) for step in range(4)]
    assert pauses[-1] == pytest.approx(300, rel=0.11)
    limiter.landed("calls")
    assert limiter.pause("calls", None) == pytest.approx(2, rel=0.11)


async def test_a_storm_of_429_is_one_guess():
    clock = a_clock()
    limiter = a_limiter(clock)
    assert max(limiter.pause("calls", None) for _ in range(50)) <= 2.2


async def test_a_slow_budget_pauses_at_least_for_one_token():
    assert a_limiter(a_clock(), per_second=0.0056, burst=20).pause("calls", None) >= 178


async def test_the_vendors_word_beats_our_table():
    clock = a_clock()
    limiter = a_limiter(clock)
    limiter.observe("calls", left=0, per_second=4, size=40)
    await draw(limiter, 4)
    assert clock.monotonic() == pytest.approx(1)
    clock.advance(1000)
    assert limiter.snapshot()["calls"]["left"] == 40


async def test_calls_in_flight_are_taken_off_what_the_vendor_says_is_left():
    clock = a_clock()
    limiter = a_limiter(clock, burst=100)
    await draw(limiter, 2, cost=10)
    limiter.landed("calls", 10)
    limiter.observe("calls", left=90, per_second=1, size=100)
    assert limiter.snapshot()["calls"]["left"] == 80


async def test_what_the_vendor_does_not_say_stays_ours():
    limiter = a_limiter(a_clock())
    await draw(limiter, 2)
    limiter.observe("calls", left=-1, per_second=float("nan"), size=-1)
    assert limiter.snapshot()["calls"]["left"] == 3


async def test_a_restart_does_not_refill_the_burst():
    """Amazon: 20 calls, then one per 178 s; a restart loop must not eat 20 each time."""
    clock = a_clock()
    stored = []

    def amazon():
        budgets = {"searchOrders": BudgetSpec(per_second=1 / 178, burst=20)}
        return Limiter(budgets, clock, on_change=stored.append)

    calls = 0
    for _ in range(30):
        limiter = amazon()
        if stored:
            limiter.restore(json.loads(json.dumps(stored[-1])), elapsed_s=1.0)
        try:
            while True:
                await limiter.acquire("searchOrders", wait_max_s=5)
                calls += 1
        except RateLimited:
            pass  # killed here, without a last word
    assert calls == 20


async def test_a_restart_gives_back_what_was_refilled_meanwhile_and_no_more():
    clock = a_clock()
    limiter = a_limiter(clock)
    await draw(limiter, 5)
    saved = limiter.snapshot()
    for elapsed_s, left in ((0, 0), (2, 2), (1e9, 5), (-3600, 0)):
        again = a_limiter(clock)
        again.restore(saved, elapsed_s)
        assert again.snapshot()["calls"]["left"] == left


async def test_a_pause_goes_on_after_a_restart():
    clock = a_clock()
    limiter = a_limiter(clock)
    paused = limiter.pause("calls", 600)
    again = a_limiter(clock)
    again.restore(limiter.snapshot(), elapsed_s=100)
    assert again.forecast("calls") == pytest.approx(paused - 100)
    again.restore({"gone": {"left": 1, "paused_s": 0}}, elapsed_s=0)  # an old manifest's budget


async def test_a_fast_budget_is_not_stored_at_every_call():
    stored = []
    limiter = a_limiter(a_clock(), per_second=100, burst=2000, on_change=stored.append)
    await draw(limiter, 1000)
    assert len(stored) == 10
    limiter.pause("calls", 5)
    assert len(stored) == 11


async def test_calls_without_a_budget_are_free_and_an_unknown_budget_is_a_bug():
    limiter = Limiter({}, a_clock())
    await limiter.acquire("calls")
    limiter.landed("calls")
    limiter.observe("calls", left=1, per_second=1, size=1)
    assert limiter.forecast("calls", 100) == 0
    assert limiter.pause("calls", None) > 0
    assert limiter.pause("calls", 1e9) == 3600
    with pytest.raises(InvariantBroken, match="orders"):
        await limiter.acquire("orders")


def test_urgency_reaches_the_call_through_the_connector():
    assert urgency() == Urgency.REST
    with urgent(Urgency.FIRST):
        assert urgency() == 0
    assert urgency() == Urgency.REST


async def test_the_gate_lets_so_many_in_and_the_most_urgent_first():
    gate = Gate(2, a_clock())
    inside, order, most = 0, [], 0

    async def call(level):
        nonlocal inside, most
        await gate.enter(level)
        order.append(level)
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        gate.leave()

    async with asyncio.TaskGroup() as group:
        for level in (3, 3, 3, 0, 1):
            group.create_task(call(level))
    assert most == 2
    assert order == [3, 3, 0, 1, 3]


async def test_a_caller_cancelled_at_the_gate_does_not_keep_it_shut():
    gate = Gate(1, a_clock())
    await gate.enter(0)
    first, second = (asyncio.create_task(gate.enter(0)) for _ in range(2))
    await asyncio.sleep(0)
    gate.leave()
    first.cancel()  # woken and cancelled in the same turn
    await second
    gate.leave()
    await gate.enter(0)


@given(
    st.lists(st.tuples(st.floats(0.1, 5), st.integers(0, 3), st.floats(0, 3)), max_size=40),
    st.floats(0.5, 20),
    st.floats(1, 20),
)
async def test_no_second_ever_sees_more_than_burst_plus_rate(calls, per_second, burst):
    clock = a_clock()
    limiter = a_limiter(clock, per_second=per_second, burst=burst)
    drawn = 0.0
    for cost, level, pause in calls:
        clock.advance(pause)
        await limiter.acquire("calls", min(cost, burst), level)
        drawn += min(cost, burst)
        assert drawn <= burst + per_second * clock.monotonic() + 1e-6
