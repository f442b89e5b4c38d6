"""Tryton's typed values on the wire, and ours.

Tryton marks what JSON has no type for: `{"__class__": "Decimal", "decimal": "49.90"}`.
Lossless both ways, so a price never meets a float. Its datetimes are naive UTC.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from core.contract import Json

#: One record as Tryton shows it, with real Decimals, dates and instants.
Row = dict[str, Json]


def encode(value: Json) -> Json:
    """Ours to theirs, any depth. Floats do not exist here."""
    if isinstance(value, Mapping):
        return {key: encode(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [encode(member) for member in value]
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": format(value, "f")}
    if isinstance(value, datetime):
        at = value.astimezone(UTC)
        clock = {"hour": at.hour, "minute": at.minute, "second": at.second}
        return _day("datetime", at) | clock | {"microsecond": at.microsecond}
    if isinstance(value, date):
        return _day("date", value)
    return value


def _day(kind: str, value: date) -> dict[str, Json]:
    return {"__class__": kind, "year": value.year, "month": value.month, "day": value.day}


def decode(value: Json) -> Json:
    """Theirs to ours, any depth. A mark we do not know stays as it is, visible."""
    if isinstance(value, list):
        return [decode(member) for member in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__class__")
    if kind == "Decimal":
        return Decimal(value["decimal"])
    if kind == "date":
        return date(value["year"], value["month"], value["day"])
    if kind == "datetime":
        clock = (value["hour"], value["minute"], value["second"], value["microsecond"])
        return datetime(value["year"], value["month"], value["day"], *clock, tzinfo=UTC)
    if kind == "timedelta":
        return timedelta(seconds=float(value["seconds"]))
    return {key: decode(member) for key, member in value.items()}


def packed(value: Json) -> str:
    """A domain or a context for a query or a header: urlsafe base64 of JSON."""
    text = json.dumps(encode(value), separators=(",", ":"), default=_digits)
    return base64.urlsafe_b64encode(text.encode()).decode()


def _digits(value: object) -> str:
    raise TypeError(f"{type(value).__name__} has no place in a Tryton domain")


def plain(value: Json) -> Json:
    """What a mapping may read: dates and instants as ISO text, whole quantities as int."""
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value


def units(value: Json) -> int | Decimal:
    """Tryton's quantities are floats on the wire; 96.0 pieces are 96.

    Half a piece stays what it is, so that the mapping holds it instead of rounding it.
    """
    number = Decimal(str(value or 0))
    return int(number) if number == number.to_integral_value() else number
