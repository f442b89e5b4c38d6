"""One breaker per system (H30, G11)."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from core.breaker import FAILURES, PAUSE_LONGEST_S, SOFT_FAILURES, Breaker, Pass, State, Wait


def fail(breaker, now, times=1, soft=False):
    for _ in range(times):
        admitted = breaker.admit(now)
        assert isinstance(admitted, Pass)
        breaker.failed(admitted, now, soft=soft)


def succeed(breaker, now):
    admitted = breaker.admit(now)
    assert isinstance(admitted, Pass)
    breaker.succeeded(admitted)


def test_it_opens_after_so_many_failures_in_a_row():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES - 1)
    assert breaker.state is State.CLOSED
    fail(breaker, 0.0)
    assert breaker.state is State.OPEN
    assert breaker.admit(1.0) == Wait(4.0)
    assert breaker.closed_for_s(1.0) == 4.0


def test_any_answer_in_between_starts_the_count_again():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES - 1)
    succeed(breaker, 0.0)
    fail(breaker, 0.0, FAILURES - 1)
    assert breaker.state is State.CLOSED


def test_one_poisoned_record_that_makes_it_answer_500_does_not_close_the_door_soon():
    breaker = Breaker()
    fail(breaker, 0.0, SOFT_FAILURES - 1, soft=True)
    assert breaker.state is State.CLOSED
    fail(breaker, 0.0, soft=True)
    assert breaker.state is State.OPEN


def test_half_open_lets_one_probe_through():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES)
    assert isinstance(breaker.admit(5.0), Pass)
    assert breaker.state is State.HALF_OPEN
    waiting = breaker.admit(5.0)
    assert isinstance(waiting, Wait)
    assert waiting.seconds > 0


def test_pauses_grow_to_five_minutes_and_no_further():
    breaker, now, pauses = Breaker(), 0.0, []
    fail(breaker, now, FAILURES)
    for _ in range(10):
        waiting = breaker.admit(now)
        assert isinstance(waiting, Wait)
        pauses.append(waiting.seconds)
        now += waiting.seconds
        fail(breaker, now)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]


def test_a_system_down_two_days_is_asked_at_most_every_five_minutes():
    breaker = Breaker()
    probes = 0
    fail(breaker, 0.0, FAILURES)
    for now in range(0, 48 * 3600, 10):
        admitted = breaker.admit(float(now))
        if isinstance(admitted, Pass):
            probes += 1
            breaker.failed(admitted, float(now))
    assert probes <= 48 * 12 + 6


def test_after_the_probe_it_ramps_up_one_two_four_and_closes():
    breaker = Breaker(at_once=4)
    fail(breaker, 0.0, FAILURES)
    succeed(breaker, 5.0)
    assert breaker.state is State.RAMP
    for wide in (1, 2, 4):
        passes = [breaker.admit(6.0) for _ in range(wide)]
        assert all(isinstance(one, Pass) for one in passes)
        assert breaker.admit(6.0) == Wait(0.0)  # worth waiting for a call in flight
        for one in passes[1:]:
            breaker.let_go(one)
        breaker.succeeded(passes[0])
    assert breaker.state is State.CLOSED


def test_one_silence_in_the_ramp_opens_it_again_for_longer():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES)
    succeed(breaker, 5.0)
    fail(breaker, 6.0)
    assert breaker.state is State.OPEN
    assert breaker.closed_for_s(6.0) == 10.0


def test_a_poisoned_record_in_the_ramp_does_not_open_it():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES)
    succeed(breaker, 5.0)
    fail(breaker, 6.0, soft=True)
    assert breaker.state is State.RAMP


def test_news_of_calls_made_before_the_state_changed_are_old():
    breaker = Breaker()
    late = [breaker.admit(0.0) for _ in range(6)]
    fail(breaker, 0.0, FAILURES)
    breaker.failed(late[0], 1.0)
    breaker.succeeded(late[1])
    breaker.let_go(late[2])
    assert breaker.state is State.OPEN
    assert breaker.closed_for_s(0.0) == 5.0
    assert isinstance(breaker.admit(5.0), Pass)
    breaker.succeeded(late[3])
    breaker.let_go(late[4])
    breaker.failed(late[5], 5.0)
    assert breaker.state is State.HALF_OPEN
    assert isinstance(breaker.admit(5.0), Wait)


def test_a_probe_that_was_not_made_leaves_room_for_the_next():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES)
    probe = breaker.admit(5.0)
    breaker.let_go(probe)
    assert isinstance(breaker.admit(5.0), Pass)


def test_a_restart_does_not_forget_that_a_system_is_down():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES)
    now = 5.0
    for _ in range(7):
        fail(breaker, now)
        now += breaker.closed_for_s(now)
    fail(breaker, now)
    saved = json.loads(json.dumps(breaker.export(now + 100)))
    restarted = Breaker()
    restarted.restore(saved, 7.0, elapsed_s=50.0)
    assert restarted.closed_for_s(7.0) == PAUSE_LONGEST_S - 150
    fail(restarted, 7.0 + 150)
    assert restarted.closed_for_s(7.0 + 150) == PAUSE_LONGEST_S


def test_a_clock_set_back_while_it_was_stopped_does_not_lengthen_the_pause():
    breaker = Breaker()
    fail(breaker, 0.0, FAILURES)
    restarted = Breaker()
    restarted.restore(breaker.export(0.0), 100.0, elapsed_s=-86400.0)
    assert restarted.closed_for_s(100.0) == 5.0


def test_a_healthy_breaker_and_an_empty_memory_start_closed():
    for saved in ({}, Breaker().export(0.0)):
        restarted = Breaker()
        restarted.restore(saved, 0.0, elapsed_s=1.0)
        assert restarted.state is State.CLOSED
        assert isinstance(restarted.admit(0.0), Pass)


@given(st.lists(st.sampled_from("ahslt"), max_size=200), st.integers(1, 8))
def test_it_never_locks_up_and_never_probes_twice_at_once(moves, at_once):
    """Whatever happens, once everything in flight has landed, a call is let in again by and by."""
    breaker, now, flying = Breaker(at_once=at_once), 0.0, []
    for move, step in zip(moves, itertools.count()):
        now += (step % 7) * 3.0
        if move == "a":
            admitted = breaker.admit(now)
            if isinstance(admitted, Pass):
                flying.append(admitted)
        elif flying:
            one = flying.pop(step % len(flying))
            match move:
                case "h":
                    breaker.failed(one, now)
                case "s":
                    breaker.failed(one, now, soft=True)
                case "l":
                    breaker.let_go(one)
                case "t":
                    breaker.succeeded(one)
        if breaker.state is State.HALF_OPEN:
            assert sum(one.epoch == breaker._epoch for one in flying) <= 1
    for one in flying:
        breaker.let_go(one)
    assert isinstance(breaker.admit(now + PAUSE_LONGEST_S), Pass)
