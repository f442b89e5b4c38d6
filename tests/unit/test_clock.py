"""Instants, report days and zones: G18, H12, H39, S13."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock, SystemClock, Window, aware, day_of, local_day, stamp, unstamp
from core.errors import InvariantBroken

#: A plain one, one with a 30-minute summer time, one that left out a day, one at -11/+13.
ZONES = ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/New_York"]


def test_s13_the_last_half_hour_of_the_month_belongs_to_the_companys_day() -> None:
    at = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    assert day_of(at, ZoneInfo("Europe/Berlin")) == date(2026, 11, 1)
    assert day_of(at, ZoneInfo("America/New_York")) == date(2026, 10, 31)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Pacific/Apia", date(2026, 11, 25), 24),
        ("Pacific/Apia", date(2011, 12, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),  # a day that never was
        ("Asia/Kolkata", date(2026, 11, 25), 24),
    ],
)
def test_h39_a_day_is_as_long_as_its_zone_says(zone: str, day: date, hours: float) -> None:
    window = local_day(day, ZoneInfo(zone))
    assert window.end - window.start == timedelta(hours=hours)


@pytest.mark.parametrize("zone", ZONES)
def test_h39_days_follow_each_other_without_gap_or_overlap(zone: str) -> None:
    where = ZoneInfo(zone)
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(730)]
    windows = [local_day(day, where) for day in days]
    assert all(a.end == b.start for a, b in zip(windows, windows[1:], strict=False))


@given(
    at=st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(ZONES),
)
def test_h39_every_instant_belongs_to_exactly_one_day(at: datetime, zone: str) -> None:
    where = ZoneInfo(zone)
    day = day_of(at, where)
    around = [day + timedelta(days=n) for n in (-2, -1, 0, 1, 2)]
    assert [one for one in around if at in local_day(one, where)] == [day]


def test_s13_the_repeated_hour_is_two_instants_of_one_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    second = first.replace(fold=1)
    assert aware(second) - aware(first) == timedelta(hours=1)
    assert day_of(first, berlin) == day_of(second, berlin) == date(2026, 10, 25)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1)))
def test_a_stamp_is_sortable_and_read_back(at: datetime) -> None:
    assert unstamp(stamp(at)) == at
    later = at + timedelta(microseconds=1) if at.year < 9999 else at
    assert stamp(at) <= stamp(later)


def test_a_time_without_a_zone_is_a_bug_not_a_guess() -> None:
    with pytest.raises(InvariantBroken, match="no zone"):
        stamp(datetime(2026, 11, 25))


def test_a_window_holds_its_start_and_not_its_end() -> None:
    start = datetime(2026, 11, 25, tzinfo=UTC)
    window = Window(start, start + timedelta(hours=1))
    assert start in window
    assert window.end not in window


async def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(datetime(2026, 11, 25, 10, tzinfo=ZoneInfo("Europe/Berlin")))
    assert stamp(clock.now()) == "2026-11-25T09:00:00.000000Z"
    await clock.sleep(90)
    assert (stamp(clock.now()), clock.monotonic()) == ("2026-11-25T09:01:30.000000Z", 90.0)


async def test_the_machines_clock_is_aware_and_goes_on() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before
