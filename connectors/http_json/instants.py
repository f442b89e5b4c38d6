"""Watermarks: the owner's own stamps and counters, between its spelling and ours.

Ours is an ISO instant in UTC or a counter as text (core.contract.Page.since).
Sending floors to whole units, so we rather read a row twice than not at all.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from connectors.http_json.pointing import text
from core.contract import Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(value: Json, form: str) -> str | None:
    """The owner's value as a watermark, or None where there is none (a null stamp)."""
    seen = text(value)
    if seen is None:
        return None
    try:
        if form == "counter":
            return str(int(seen))
        if form in ("epoch", "epoch_ms"):
            units = Decimal(seen)
            seconds = units / 1000 if form == "epoch_ms" else units
            return _stamp(_EPOCH + timedelta(microseconds=int(seconds * 1_000_000)))
        at = datetime.fromisoformat(seen)
    except (ValueError, InvalidOperation, OverflowError):
        return None
    # A stamp without a zone is UTC: every system we met that leaves the zone out means that.
    return _stamp(at if at.tzinfo else at.replace(tzinfo=UTC))


def written(watermark: str, form: str) -> str:
    """A watermark in the owner's spelling."""
    if form == "counter":
        return watermark
    at = datetime.fromisoformat(watermark).astimezone(UTC)
    if form == "epoch":
        return str((at - _EPOCH) // timedelta(seconds=1))
    if form == "epoch_ms":
        return str((at - _EPOCH) // timedelta(milliseconds=1))
    return at.strftime("%Y-%m-%d %H:%M:%S" if form == "sql" else "%Y-%m-%dT%H:%M:%SZ")


def later(one: str | None, other: str | None, form: str) -> str | None:
    """The greater of two watermarks; a watermark never goes back."""
    if one is None or other is None:
        return one if other is None else other
    if form == "counter":
        return one if int(one) >= int(other) else other
    return one if datetime.fromisoformat(one) >= datetime.fromisoformat(other) else other


def instant(value: Json) -> datetime | None:
    """An ISO stamp in a receipt, or None."""
    stamp = read(value, "iso")
    return None if stamp is None else datetime.fromisoformat(stamp)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
