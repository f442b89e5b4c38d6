"""How a value is shown to an operator: short, printable, and never a buyer's (G20)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

SHOWN_MAX = 60


def shown_as(value: Any, *, buyers: bool = False) -> str:
    """The value in one line. `buyers`: it is a buyer's, and is not shown."""
    if buyers:
        return "(not shown)"
    if isinstance(value, dict):
        return "(an object)"
    if isinstance(value, list | tuple):
        return f"(a list of {len(value)})"
    if isinstance(value, str):
        text = value if len(value) <= SHOWN_MAX else f"{value[:SHOWN_MAX]}…"
        return json.dumps(text, ensure_ascii=not text.isprintable())
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value).lower() if isinstance(value, bool) else digits(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def digits(value: Any) -> str:
    huge = isinstance(value, int) and value.bit_length() > 256
    return "(a huge number)" if huge else str(value)
