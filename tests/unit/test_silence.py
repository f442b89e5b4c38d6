"""What is usual is learned by the hour, and only what surely comes is awaited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.silence import are_alike, awaited, usual

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], 0),
        ([9, 9], 0),  # two days teach nothing
        ([9, 4, 7], 4),
        ([0, 12, 12, 12, 12], 12),  # one quiet day of five changes nothing,
        ([0, 0, 12, 12, 12], 0),  # two of them may come again
        ([10, 10, 10, 10, 500], 10),  # a flash sale is no habit
    ],
)
def test_what_is_usual_is_the_lower_quartile(counts: list[int], expected: float) -> None:
    assert usual(counts) == expected


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("2026-11-25T11", "2026-11-24T11", True),
        ("2026-11-25T11", "2026-11-24T12", False),
        ("2026-11-25T11", "2026-11-22T11", False),  # a Wednesday and a Sunday
        ("2026-11-21T11", "2026-11-22T11", True),
        ("2026-10-26T11", "2026-10-23T10", True),  # the clocks went back in between
        ("2026-10-26T11", "2026-10-23T11", False),
        ("2026-11-22T23", "2026-11-23T23", True),  # by our clock Monday, and Tuesday
    ],
)
def test_hours_are_alike_by_the_companys_clock_and_the_kind_of_day(
    one: str, other: str, alike: bool
) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(f"{text}:00:00+00:00")

    assert are_alike(at(one), at(other), BERLIN) is alike


@pytest.mark.parametrize(
    ("since", "minutes", "expected"),
    [
        (NOON, 30, 3),
        (NOON + timedelta(minutes=30), 60, 6),
        (NOON + timedelta(hours=12), 60 * 8, 0),  # it sleeps
        (NOON + timedelta(hours=9), 60 * 2, 6),
    ],
)
def test_awaited_is_what_is_usual_in_the_time_that_passed(
    since: datetime, minutes: int, expected: float
) -> None:
    found = awaited(
        since,
        since + timedelta(minutes=minutes),
        usually=lambda hour: 6.0 if 8 <= hour.hour < 22 else 0.0,
        listened_s=lambda _: 3600.0,
    )
    assert found == pytest.approx(expected)


def test_while_we_were_not_there_nothing_is_awaited() -> None:
    found = awaited(
        NOON,
        NOON + timedelta(hours=48),
        usually=lambda _: 60.0,
        listened_s=lambda hour: 180.0 if hour == NOON else 0.0,
    )
    assert found == pytest.approx(3.0)
