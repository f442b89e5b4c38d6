"""Escrow against true channels (G8; S1, S16, H19): whatever is late or lost, no unit is sold twice.

The channels are dumb: each sells from its own number while we are not looking, and
refuses to sell beyond it. We see its orders late, answers to our writes get lost,
cancelled orders put units back. What a channel can still bring us never exceeds its
ceiling, and what all of them can bring us together fits into the stock.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from escrow_oracle import fit_together
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core import escrow
from core.escrow import Outlet, Quota, Write
from tests.machines import lasting, taken

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
STEPS = 50
PLACES = ("east", "north", "west")
#: What one sold unit takes: an item, another item, a kit of both, a pack of two.
NEEDS: Sequence[Mapping[str, int]] = ({"A": 1}, {"B": 1}, {"A": 1, "B": 1}, {"A": 2})
WRITES: Sequence[Write] = ("conditional", "relative", "absolute", "gross")
#: Weighted: what moves units comes up more often than what only disturbs.
ACTIONS = (
    *("sale", "sale", "sale", "capture", "capture", "write", "write", "write", "arrives"),
    *("arrives", "answer", "answer", "lost", "drain", "drain", "drain", "read", "read", "land"),
    *("cancel", "cancel", "cancel", "hear", "hear", "hear", "goods", "pace", "pace"),
)
#: How fast they sell beside each other, which changes: so quotas move.
WEIGHTS = (1, 2, 9)


@dataclass
class Attempt:
    """One write of ours on its way. `answer` is what came of it, once it has arrived."""

    quantity: int
    expected: int | None
    sent_at: datetime
    on_top: int = 0  # of a gross field: units of its own open orders, as we knew them
    answer: tuple[bool, int | None] | None = None  # taken, and the number the channel tells


@dataclass
class Channel:
    """One outlet as it is. `number` is its own word, and may be below 0 if it does not mind."""

    write: Write
    serves: frozenset[str]
    needs: Mapping[str, int]
    weight: int
    floors: bool
    tells: bool
    number: int = 0
    unseen: list[datetime] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)  # by location, of captured orders
    cancelled: list[tuple[str, bool]] = field(default_factory=list)  # that, and if it was put back
    attempt: Attempt | None = None
    reading: tuple[int, datetime] | None = None

    @property
    def brings(self) -> int:
        """Orders it can still bring us."""
        return max(0, self.number) + len(self.unseen)

    @property
    def put_back(self) -> int:
        return sum(restocked for _, restocked in self.cancelled)

    @property
    def known_open(self) -> int:
        """Its orders we know of and think are open there."""
        return len(self.claimed) + len(self.cancelled)

    @property
    def allocated(self) -> int:
        """What a gross field holds for its own open orders."""
        return len(self.unseen) + self.known_open - self.put_back

    def take(self, attempt: Attempt) -> tuple[bool, int | None]:
        if self.write == "gross":
            self.number = attempt.quantity + attempt.on_top - self.allocated
            return True, None
        if self.write == "absolute" or attempt.expected is None:
            self.number = attempt.quantity
        elif self.write == "relative":
            number = self.number + attempt.quantity - attempt.expected
            self.number = max(0, number) if self.floors else number
            return True, self.number if self.tells else None
        elif self.number != attempt.expected:
            return False, self.number
        else:
            self.number = attempt.quantity
        return True, None


CHANNELS = st.lists(
    st.builds(
        Channel,
        write=st.sampled_from(WRITES),
        serves=st.frozensets(st.sampled_from(PLACES), min_size=1),
        needs=st.sampled_from((*NEEDS[:1] * 3, *NEEDS)),
        weight=st.sampled_from(WEIGHTS),
        floors=st.booleans(),
        tells=st.booleans(),
    ),
    min_size=2,
    max_size=4,
)
STOCK = st.fixed_dictionaries(
    {(item, place): st.integers(0, 5) for item in ("A", "B") for place in PLACES}
)


class TrueChannels(RuleBasedStateMachine):
    @initialize(channels=CHANNELS, stock=STOCK)
    def open_up(self, channels: list[Channel], stock: dict[tuple[str, str], int]) -> None:
        # A strategy may hand out the same object twice; every channel is one of its own.
        self.channels = [replace(one, unseen=[], claimed=[], cancelled=[]) for one in channels]
        self.quotas = [Quota(shown=0, ceiling=0) for _ in channels]
        self.stock = dict(stock)  # that nobody has claimed yet
        self.now = START

    # -------------------------------------------------------------- our side

    def outlets(self) -> list[Outlet]:
        return [
            Outlet(
                key=which,
                write=one.write,
                serves=one.serves,
                needs=one.needs,
                quota=self.quotas[which],
                weight=Fraction(one.weight),
            )
            for which, one in enumerate(self.channels)
        ]

    def planned(self) -> Mapping[Hashable, int]:
        return escrow.plan(self.outlets(), self.stock)

    def a_write_leaves(self, which: int, planned: Mapping[Hashable, int]) -> bool:
        channel = self.channels[which]
        if channel.attempt is not None or which not in planned:
            return False
        expected = None if channel.write == "absolute" else self.quotas[which].shown
        channel.attempt = Attempt(planned[which], expected, self.now, channel.known_open)
        self.quotas[which] = escrow.intended(
            self.quotas[which], channel.write, channel.attempt.quantity
        )
        return True

    def an_answer_comes(self, which: int) -> None:
        channel = self.channels[which]
        attempt, channel.attempt = channel.attempt, None
        if attempt is None or attempt.answer is None:
            channel.attempt = attempt
            return
        taken, number = attempt.answer
        quota = self.quotas[which]
        if not taken:
            self.quotas[which] = escrow.not_taken(
                quota, self.now, sent_at=attempt.sent_at, shown=number
            )
            return
        self.quotas[which] = escrow.acknowledged(
            quota,
            channel.write,
            attempt.quantity,
            self.now,
            sent_at=attempt.sent_at,
            expected=attempt.expected,
            after=number,
        )

    def an_answer_is_lost(self, which: int) -> None:
        channel = self.channels[which]
        if channel.attempt is not None:
            channel.attempt = None
            self.quotas[which] = escrow.lost(self.quotas[which], self.now)

    def an_order_is_captured(self, which: int) -> None:
        channel = self.channels[which]
        if not channel.unseen:
            return
        while channel.put_back:  # before the order that sold such a unit again
            self.we_hear_of_a_cancel(which)
        channel.unseen.pop(0)
        self.quotas[which] = escrow.sold(self.quotas[which], 1)
        self.claim(which)

    def claim(self, which: int) -> None:
        """From the place that the others' promises need least."""
        channel = self.channels[which]
        found = escrow.places(self.outlets()[which], self.outlets(), self.stock)
        assert found, "a sold unit has no place"
        self.move(which, found[0], -1)
        channel.claimed.append(found[0])

    def move(self, which: int, place: str, units: int) -> None:
        for item, factor in self.channels[which].needs.items():
            self.stock[item, place] += units * factor

    def drain(self, which: int) -> None:
        at = self.quotas[which].anchor_at
        if at is None:
            return
        while self.channels[which].unseen and self.channels[which].unseen[0] <= at:
            self.an_order_is_captured(which)
        self.quotas[which] = escrow.drained(self.quotas[which])

    def a_reading_lands(self, which: int) -> None:
        channel = self.channels[which]
        reading, channel.reading = channel.reading, None
        if reading is not None and channel.attempt is None:
            number, began_at = reading
            self.quotas[which] = escrow.read_back(
                self.quotas[which], max(0, number), began_at, self.now
            )

    def we_hear_of_a_cancel(self, which: int) -> None:
        channel = self.channels[which]
        if channel.cancelled:
            place, _ = channel.cancelled.pop(0)
            self.move(which, place, 1)
            self.quotas[which] = escrow.given_back(self.quotas[which], 1, self.now)

    # -------------------------------------------------------------- their side

    def somebody_buys(self, which: int) -> None:
        channel = self.channels[which]
        if channel.number > 0:
            channel.number -= 1
            channel.unseen.append(self.now)

    def a_write_arrives(self, which: int) -> None:
        channel = self.channels[which]
        if channel.attempt is not None and channel.attempt.answer is None:
            channel.attempt.answer = channel.take(channel.attempt)

    def somebody_cancels(self, which: int, restocks: bool) -> None:
        channel = self.channels[which]
        restocks |= channel.write == "gross"  # a cancelled order is no longer allocated
        if channel.claimed:
            channel.cancelled.append((channel.claimed.pop(0), restocks))
            channel.number += restocks

    # -------------------------------------------------------------- one thing after another

    @rule(
        data=st.data(),
        which=st.integers(0, 3),
        units=st.integers(1, 3),
        yes=st.booleans(),
    )
    def something_happens(self, data: Any, which: int, units: int, yes: bool) -> None:
        planned = self.planned()
        everybody = range(len(self.channels))
        able = {
            what: found
            for what in ACTIONS
            if (found := [one for one in everybody if self.can(what, one, planned)])
        }
        what = data.draw(st.sampled_from([one for one in ACTIONS if one in able]))
        which = able[what][which % len(able[what])]
        self.now += timedelta(seconds=1)
        channel = self.channels[which]
        match what:
            case "sale":
                for _ in range(units):
                    self.somebody_buys(which)
            case "capture":
                self.an_order_is_captured(which)
            case "write":
                self.a_write_leaves(which, planned)
            case "arrives":
                self.a_write_arrives(which)
            case "answer":
                self.a_write_arrives(which)
                self.an_answer_comes(which)
            case "lost":
                if yes:
                    self.a_write_arrives(which)
                self.an_answer_is_lost(which)
            case "drain":
                self.drain(which)
            case "read":
                channel.reading = (channel.number, self.now)
            case "land":
                self.a_reading_lands(which)
            case "cancel":
                self.somebody_cancels(which, restocks=yes)
            case "hear":
                self.we_hear_of_a_cancel(which)
            case "goods":
                self.stock["A" if yes else "B", PLACES[units - 1]] += units
            case "pace":
                channel.weight = WEIGHTS[units - 1]
        taken(self)

    def can(self, what: str, which: int, planned: Mapping[Hashable, int]) -> bool:
        channel = self.channels[which]
        attempt = channel.attempt
        match what:
            case "sale":
                return channel.number > 0
            case "capture":
                return bool(channel.unseen)
            case "write":
                return attempt is None and which in planned
            case "arrives":
                return attempt is not None and attempt.answer is None
            case "answer" | "lost":
                return attempt is not None
            case "drain":
                return self.quotas[which].anchor_at is not None
            case "read":
                return attempt is None
            case "land":
                return channel.reading is not None
            case "cancel":
                return bool(channel.claimed)
            case "hear":
                return bool(channel.cancelled)
        return True

    # -------------------------------------------------------------- what must hold

    @invariant()
    def no_channel_brings_more_than_its_ceiling(self) -> None:
        for channel, quota in zip(self.channels, self.quotas, strict=True):
            # What it put back and did not tell has its claim until we hear of it.
            known = channel.brings - channel.put_back
            assert quota.exposure is None or known <= quota.exposure, (channel, quota)

    @invariant()
    def every_unit_that_can_be_sold_has_a_place(self) -> None:
        assert self.everybody_finds_his_own()

    def everybody_finds_his_own(self) -> bool:
        stock = dict(self.stock)
        for channel in self.channels:
            for place, _ in channel.cancelled:
                for item, factor in channel.needs.items():
                    stock[item, place] += factor
        return fit_together([(one.serves, one.needs, one.brings) for one in self.channels], stock)

    # -------------------------------------------------------------- and in the end

    def teardown(self) -> None:
        """Everything arrives in the end, and then nothing is kept from sale."""
        if not hasattr(self, "channels"):
            return
        everybody = range(len(self.channels))
        for _ in range(20):
            self.all_is_heard()
            if not sum(self.a_write_leaves(which, self.planned()) for which in everybody):
                break
            self.no_channel_brings_more_than_its_ceiling()
            self.every_unit_that_can_be_sold_has_a_place()
        else:
            raise AssertionError("it does not come to rest")
        self.nobody_starves_and_nothing_is_left()

    def all_is_heard(self) -> None:
        for which, channel in enumerate(self.channels):
            self.now += timedelta(seconds=1)
            self.a_write_arrives(which)
            self.an_answer_comes(which)
            while channel.cancelled:
                self.we_hear_of_a_cancel(which)
            channel.reading = (channel.number, self.now + timedelta(seconds=1))
            self.now += timedelta(seconds=2)
            self.a_reading_lands(which)
            self.drain(which)

    def nobody_starves_and_nothing_is_left(self) -> None:
        outlets = self.outlets()
        target = escrow.divide(outlets, self.stock)
        for which, outlet in enumerate(outlets):
            has = max(0, self.channels[which].number)
            assert has == outlet.quota.ceiling
            assert 2 * has >= target[which], (outlet, target)
            if outlet.write != "absolute":
                more = escrow.slack(outlet, outlets, self.stock)
                assert has >= target[which] or more == 0, (outlet, target, more)


TrueChannels.TestCase.settings = lasting(
    TrueChannels, examples=40, steps=STEPS, soak=4_400, promised=200_000
)
TestEscrowAgainstTrueChannels = TrueChannels.TestCase


# ------------------------------------------------------------------ found by the machine


def test_a_number_read_before_a_sale_does_not_take_the_only_unit_of_another() -> None:
    """The first channel's second unit was sold and is counted once more by the late reading."""
    both, east = frozenset({"east", "west"}), frozenset({"east"})
    one = Quota(shown=1, ceiling=1)
    outlets = [
        Outlet(key=0, write="conditional", serves=both, needs={"A": 1}, quota=one),
        Outlet(key=1, write="conditional", serves=east, needs={"A": 1}, quota=one),
    ]
    stock = {("A", "east"): 1, ("A", "west"): 1}
    assert escrow.places(outlets[0], outlets, stock)[0] == "west"


def test_a_number_read_before_a_cancel_takes_nothing_from_what_was_put_back() -> None:
    began, landed = START + timedelta(seconds=1), START + timedelta(seconds=3)
    quota = told_nothing(Quota(shown=0, ceiling=1))
    # It shows 0 while we read it. Then one of its orders is cancelled: it puts the unit back.
    quota = escrow.given_back(quota, 1, START + timedelta(seconds=2))
    quota = escrow.read_back(quota, 0, began, landed)
    quota = escrow.sold(quota, 1)  # the one order that was on its way
    assert escrow.drained(quota).ceiling == 1  # the unit that was put back can be sold


def test_a_write_that_arrived_before_a_cancel_takes_nothing_from_what_was_put_back() -> None:
    quota = escrow.intended(Quota(shown=1, ceiling=1), "conditional", 2)
    # It shows 2 now. Before we hear of that, an order is cancelled: it shows 3.
    quota = escrow.given_back(quota, 1, START + timedelta(seconds=1))
    quota = escrow.acknowledged(
        quota, "conditional", 2, START + timedelta(seconds=2), sent_at=START, expected=1
    )
    assert escrow.drained(quota).ceiling == 3


@pytest.mark.parametrize("ends", ["lost", "drained"])
def test_a_number_read_before_a_write_is_no_anchor_after_it(ends: str) -> None:
    """It came late: what the write may have raised to 4 was counted as 1."""
    began, sent, ended, landed = (START + timedelta(seconds=n) for n in range(4))
    quota = escrow.intended(Quota(shown=1, ceiling=1), "conditional", 4)
    if ends == "lost":
        quota = escrow.lost(quota, ended)
    else:
        quota = escrow.drained(
            escrow.acknowledged(quota, "conditional", 4, ended, sent_at=sent, expected=1)
        )
    quota = escrow.drained(escrow.read_back(quota, 1, began, landed))
    assert quota.ceiling == 4


def test_once_nothing_is_on_its_way_a_number_read_is_an_anchor_again() -> None:
    quota = escrow.given_back(Quota(shown=0, ceiling=1), 1, START)
    later = START + timedelta(seconds=1)
    quota = escrow.read_back(quota, 0, later, later)  # it keeps what it gets back to itself
    assert escrow.drained(quota).ceiling == 0


def test_a_gross_number_sold_in_flight_is_not_believed_to_be_left() -> None:
    """The next raise is written from there: it gave one unit more away than there was."""
    quota = escrow.intended(Quota(shown=0, ceiling=0), "gross", 1)
    quota = escrow.sold(quota, 1)  # it arrived, sold, and we heard of that before the answer
    quota = escrow.acknowledged(quota, "gross", 1, START, sent_at=START, expected=0)
    assert (quota.shown, quota.ceiling) == (0, 0)


def told_nothing(quota: Quota) -> Quota:
    return escrow.acknowledged(quota, "conditional", 0, START, sent_at=START, expected=0)
