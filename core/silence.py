"""Is a system unusually silent? What is usual is learned, hour by hour. Pure.

For each hour the lower quartile of the same hour on earlier days of the same kind is what
surely comes, so a night without orders awaits none, and one flash sale awaits no second.
Awaited events add up since the last one; eight that did not come are no chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

#: Cause of the exception; a person may accept it, and is believed until something comes.
CAUSE = "silent:"
#: That none of so many comes by chance has a likelihood of e^-8, three in ten thousand.
AWAITED_MAX = 8.0
#: So far back is looked for hours like this one, and fewer teach nothing.
LOOK_BACK = timedelta(days=28)
HOURS_MIN = 3
#: A silence is looked at so far back at most.
SILENT_MAX = timedelta(days=7)
HOUR = timedelta(hours=1)


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def are_alike(one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    """The same hour of the day by the company's clock, both on a weekend or neither."""
    one, other = one.astimezone(zone), other.astimezone(zone)
    return one.hour == other.hour and (one.weekday() >= 5) == (other.weekday() >= 5)


def usual(counts: Sequence[int]) -> float:
    """What surely comes in an hour, by those before it that were alike."""
    if len(counts) < HOURS_MIN:
        return 0.0
    return float(sorted(counts)[(len(counts) - 1) // 4])


def awaited(
    since: datetime,
    now: datetime,
    *,
    usually: Callable[[datetime], float],
    listened_s: Callable[[datetime], float],
) -> float:
    """How many events should have come since the last one, while we listened; AWAITED_MAX at least
    where it is more.

    `usually`: events in the hour that begins then; `listened_s`: how many of its seconds we
    were there to hear of them.
    """
    total, hour = 0.0, hour_of(since)
    while hour < now and total < AWAITED_MAX:
        inside = (min(now, hour + HOUR) - max(since, hour)).total_seconds()
        total += usually(hour) * min(inside, listened_s(hour)) / HOUR.total_seconds()
        hour += HOUR
    return total
