"""The closed list of steps: what each takes, gives, and may have behind its name.

docs/mappings.md shows every one; a step that needs a manual does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from core.mapping import moments, places, steps, sums

Kind = str
"""raw | text | whole | number | money | time | flag | choice | texts"""

Takes = Literal[
    "none", "text", "zone", "unit", "currency", "value", "table", "operand", "country", "units",
    "lookup",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """`gives` "same" keeps the kind. `arg` is what may follow the name."""

    run: Callable[..., Any]
    takes: frozenset[Kind]
    gives: Kind
    arg: Takes = "none"
    arg_needed: bool = False


def _step(
    run: Callable[..., Any], takes: str, gives: Kind, arg: Takes = "none", *, needed: bool = False
) -> Step:
    return Step(run, frozenset(takes.split()), gives, arg, needed)


_READ = "raw text whole number"
_ANY = "raw text whole number money time flag"

INCOMING: dict[str, Step] = {
    "text": _step(steps.text, _READ, "text"),
    "trim": _step(steps.trim, _READ, "text"),
    "upper": _step(steps.upper, _READ, "text"),
    "lower": _step(steps.lower, _READ, "text"),
    "empty_to_none": _step(steps.empty_to_none, "raw text", "same"),
    "false_to_none": _step(steps.false_to_none, "raw", "raw"),
    "sku": _step(steps.sku, _READ, "text"),
    "country": _step(places.country, _READ, "text"),
    "postcode": _step(places.postcode, _READ, "text", "country"),
    "phone": _step(places.phone, _READ, "text", "country"),
    "join": _step(steps.join, "raw", "text", "text", needed=True),
    "whole": _step(steps.whole, _READ, "whole"),
    "number": _step(steps.number, _READ, "number"),
    "percent": _step(steps.percent, _READ, "number"),
    "sum": _step(steps.total, "raw", "number"),
    "negate": _step(steps.negate, "whole number money", "same"),
    "absolute": _step(steps.absolute, "whole number money", "same"),
    "times": _step(sums.times, "whole number money", "same", "operand", needed=True),
    "per": _step(sums.per, "whole number money", "same", "operand", needed=True),
    "plus": _step(sums.plus, "whole number money", "same", "operand", needed=True),
    "minus": _step(sums.minus, "whole number money", "same", "operand", needed=True),
    "lookup": _step(steps.lookup, _READ, "raw", "lookup", needed=True),
    "units": _step(sums.units, "whole number", "same", "units", needed=True),
    "money": _step(steps.money, _READ, "money", "currency"),
    "minor": _step(steps.minor, _READ, "money", "currency"),
    "time": _step(moments.time, "raw text", "time", "zone"),
    "date": _step(moments.date, "raw text", "time", "zone"),
    "epoch": _step(moments.epoch, _READ, "time", "unit"),
    "choose": _step(steps.choose, _READ, "choice", "table", needed=True),
    "flag": _step(steps.flag, "raw text whole", "flag"),
    "contains": _step(steps.contains, "raw text", "flag", "text", needed=True),
    "first": _step(steps.first, "raw", "raw"),
    "last": _step(steps.last, "raw", "raw"),
    "default": _step(steps.default, _ANY, "same", "value", needed=True),
}

_SAYABLE = "text whole number flag"
_LISTS = "texts wholes numbers"

OUTGOING: dict[str, Step] = {
    "text": _step(steps.say, _SAYABLE, "text"),
    "trim": _step(steps.trim, "text", "text"),
    "upper": _step(steps.upper, "text", "text"),
    "lower": _step(steps.lower, "text", "text"),
    "empty_to_none": _step(steps.empty_to_none, "text texts", "same"),
    "whole": _step(steps.whole, "text whole number", "whole"),
    "number": _step(steps.number, "text whole number", "number"),
    "percent": _step(steps.as_percent, "whole number", "number"),
    "negate": _step(steps.negate, "whole number money", "same"),
    "absolute": _step(steps.absolute, "whole number money", "same"),
    "decimal": _step(steps.decimal_text, "money", "text"),
    "amount": _step(steps.amount, "money", "number"),
    "minor": _step(steps.minor_units, "money", "whole"),
    "currency": _step(steps.currency_of, "money", "text"),
    "iso": _step(moments.iso, "time", "text"),
    "time": _step(moments.local, "time", "text", "zone", needed=True),
    "date": _step(moments.day, "time", "text", "zone"),
    "epoch": _step(moments.epoch_of, "time", "whole", "unit"),
    "choose": _step(steps.choose, _SAYABLE, "choice", "table", needed=True),
    "contains": _step(steps.contains, "text texts", "flag", "text", needed=True),
    "default": _step(steps.default, "text whole number flag", "same", "value", needed=True),
    "join": _step(steps.join, _LISTS, "text", "text", needed=True),
    "sum": _step(steps.total, "wholes numbers", "number"),
    "first": _step(steps.first, _LISTS, "member"),
    "last": _step(steps.last, _LISTS, "member"),
}
