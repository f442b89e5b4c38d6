"""By when something is due: elapsed hours, and business days of a calendar in a named zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.terms import Calendar, Term

WEEKEND = frozenset({5, 6})
ZONES = ("Europe/Berlin", "Asia/Kolkata", "America/New_York", "Asia/Singapore", "Australia/Sydney")


def in_zone(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


#: zone, cut-off, holidays, placed there, business days, over at (in UTC, worked out by hand)
CASES = [
    # Wednesday before the cut-off: two days later, until midnight of Friday
    ("Europe/Berlin", "14:00", (), "2026-11-25T13:59", 2, "2026-11-27T23:00"),
    # … at the cut-off it counts as Thursday's; Saturday and Sunday are off
    ("Europe/Berlin", "14:00", (), "2026-11-25T14:00", 2, "2026-11-30T23:00"),
    # a holiday in between
    ("Europe/Berlin", "14:00", ("2026-11-26",), "2026-11-25T10:00", 2, "2026-11-30T23:00"),
    # placed on a day off, even after the cut-off: counts as Monday's
    ("Europe/Berlin", "14:00", (), "2026-11-28T20:00", 0, "2026-11-30T23:00"),
    # over the end of a month and of a year
    ("Europe/Berlin", "", ("2027-01-01",), "2026-12-31T10:00", 1, "2027-01-04T23:00"),
    # February of a leap year
    ("Asia/Kolkata", "", (), "2028-02-28T10:00", 1, "2028-02-29T18:30"),
    # summer time begins on Sunday 29 March: Monday's midnight is an hour earlier in UTC
    ("Europe/Berlin", "", (), "2026-03-27T10:00", 1, "2026-03-30T22:00"),
    # … and ends on Sunday 25 October
    ("Europe/Berlin", "", (), "2026-10-23T10:00", 1, "2026-10-26T23:00"),
    # New York: the clocks go back on Sunday 1 November
    ("America/New_York", "17:00", (), "2026-10-30T16:59", 1, "2026-11-03T05:00"),
    # the zone decides which day it is: 20:00 UTC on Tuesday is Wednesday in Singapore
    ("Asia/Singapore", "", (), "2026-11-25T04:00", 0, "2026-11-25T16:00"),
    ("Australia/Sydney", "", (), "2026-04-03T10:00", 1, "2026-04-06T14:00"),
]


@pytest.mark.parametrize(("zone", "cutoff", "holidays", "placed", "days", "over"), CASES)
def test_business_days_end_at_midnight_of_a_named_zone(
    zone: str, cutoff: str, holidays: tuple[str, ...], placed: str, days: int, over: str
) -> None:
    calendar = Calendar(
        zone=ZoneInfo(zone),
        cutoff=time.fromisoformat(cutoff) if cutoff else None,
        days_off=WEEKEND,
        holidays=frozenset(map(date.fromisoformat, holidays)),
    )
    due = calendar.after(in_zone(zone, placed), days)
    assert due == datetime.fromisoformat(over).replace(tzinfo=UTC)


def test_a_midnight_that_does_not_exist_ends_the_day_all_the_same() -> None:
    """In Santiago the clocks go from Saturday 23:59:59 to Sunday 01:00 (2026-09-06)."""
    calendar = Calendar(zone=ZoneInfo("America/Santiago"))
    due = calendar.after(in_zone("America/Santiago", "2026-09-05T10:00"), 0)
    assert due == datetime(2026, 9, 6, 4, tzinfo=UTC)
    assert due.astimezone(calendar.zone).date() == date(2026, 9, 6)


def test_hours_are_elapsed_hours_whatever_the_clocks_do() -> None:
    term = Term(calendar=Calendar(zone=ZoneInfo("Europe/Berlin")), hours_s=48 * 3600.0)
    began = in_zone("Europe/Berlin", "2026-03-28T12:00")
    due = term.due(began)
    assert due == began + timedelta(hours=48)
    assert due.astimezone(ZoneInfo("Europe/Berlin")).hour == 13


def test_nothing_agreed_is_never_due() -> None:
    assert Term(calendar=Calendar(zone=ZoneInfo("UTC"))).due(datetime.now(UTC)) is None


def test_a_calendar_without_a_working_day_says_so() -> None:
    calendar = Calendar(zone=ZoneInfo("UTC"), days_off=frozenset(range(7)))
    with pytest.raises(ValueError, match="is a working day"):
        calendar.after(datetime(2026, 11, 25, tzinfo=UTC), 1)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    st.integers(0, 12),
    st.sets(st.dates(date(2026, 1, 1), date(2028, 2, 1)), max_size=20),
    st.none() | st.times(),
)
def test_the_days_between_are_counted_one_by_one(
    zone: str, began: datetime, days: int, holidays: set[date], cutoff: time | None
) -> None:
    """Against a dumb oracle: count the working days that are whole between start and due."""
    calendar = Calendar(
        zone=ZoneInfo(zone), cutoff=cutoff, days_off=WEEKEND, holidays=frozenset(holidays)
    )
    due = calendar.after(began, days)
    local = began.astimezone(calendar.zone)
    first = local.date() + timedelta(days=cutoff is not None and local.time() >= cutoff)
    last = (due - timedelta(seconds=1)).astimezone(calendar.zone).date()
    worked = [
        day
        for n in range((last - first).days + 1)
        if calendar.works_on(day := first + timedelta(days=n))
    ]
    assert due > began
    assert len(worked) == days + 1
    assert worked[-1] == last
    assert calendar.after(began + timedelta(minutes=1), days) >= due
