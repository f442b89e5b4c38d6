"""How the command line lays things out: tables, times, ages, money."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from core.clock import unstamp, written

_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


def emit_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, indent: str = "") -> str:
    """Columns as wide as they need; numbers to the right."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    heads = [column.replace("_", " ") for column in columns]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(columns))]
    lines = [_line(heads, widths, indent), *(_line(line, widths, indent) for line in cells)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], indent: str) -> str:
    padded = (
        cell.rjust(width) if cell.lstrip("-").isdigit() else cell.ljust(width)
        for cell, width in zip(cells, widths, strict=True)
    )
    return (indent + "  ".join(padded)).rstrip()


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else str(value)


def local(text: str | None, zone: ZoneInfo, *, millis: bool = False) -> str:
    """An instant of ours in the company's zone."""
    if not text:
        return "-"
    at = unstamp(text).astimezone(zone)
    return at.strftime("%H:%M:%S.%f")[:-3] if millis else at.strftime("%Y-%m-%d %H:%M:%S")


def moment(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """What an operator writes after --at or --since: `14:03` is today's, the rest as `written`.

    Raises ValueError with what is wrong.
    """
    if _CLOCK.fullmatch(text):
        text = f"{now.astimezone(zone).date().isoformat()} {text}"
    return written(text, zone)


def age(seconds: float | None) -> str:
    """2 s, 5 min, 3 h, 4 d: what a person says."""
    if seconds is None:
        return "never"
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"


def since(text: str | None, now: datetime) -> str:
    if not text:
        return "-"
    return age(max(timedelta(0), now - unstamp(text)).total_seconds())
