"""The steps of time: instants are aware UTC, a naive one needs the zone of the mapping."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from core.mapping.steps import Raw, StepError, whole


def time(value: Raw, zone: tzinfo | None = None) -> datetime | None:
    """An ISO 8601 instant. Without a zone of its own it needs the one in the mapping."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) < 13 or value[10] not in "Tt ":
        raise StepError(value, "is not a time like 2026-11-20T14:03:22Z", "not_time")
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            if zone is None:
                raise StepError(value, 'has no time zone; write | time "Asia/Kolkata"', "no_zone")
            at = at.replace(tzinfo=zone)
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise StepError(value, "is not a time like 2026-11-20T14:03:22Z", "not_time") from None


def date(value: Raw, zone: tzinfo = UTC) -> datetime | None:
    """A calendar day: its first instant in the zone."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) != 10:
        raise StepError(value, "is not a day like 2026-11-20", "not_day")
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise StepError(value, "is not a day like 2026-11-20", "not_day") from None


def epoch(value: Raw, per_second: int = 1) -> datetime | None:
    """Seconds since 1970, or with "ms" milliseconds; zero is how many systems say never."""
    units = whole(value)
    if not units:
        return None
    try:
        seconds, rest = divmod(units, per_second)
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise StepError(value, "is not a time in seconds since 1970", "not_time") from None
    if not 1990 <= at.year <= 2200:  # milliseconds read as seconds, or the reverse
        raise StepError(value, "is not a time in seconds since 1970", "not_time")
    return at.replace(microsecond=rest * 1_000_000 // per_second)


# ---------------------------------------------------------------- outgoing


def iso(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(value: datetime | None, zone: tzinfo) -> str | None:
    """As systems write it that know one zone only and never say which."""
    return None if value is None else value.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def day(value: datetime | None, zone: tzinfo = UTC) -> str | None:
    return None if value is None else value.astimezone(zone).date().isoformat()


def epoch_of(value: datetime | None, per_second: int = 1) -> int | None:
    if value is None:
        return None
    whole_seconds = int(value.astimezone(UTC).replace(microsecond=0).timestamp())
    return whole_seconds * per_second + value.microsecond * per_second // 1_000_000
