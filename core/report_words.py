"""How the mail writes money, ages and times of day."""

from __future__ import annotations

from core.clock import unstamp
from core.money import Money
from core.reconcile import Reconciliation

#: Rows of one table in the mail; the CSV has them all.
ROWS_MAX = 25
#: The columns of a table that begins with a name and goes on with numbers.
NUMBERS = frozenset(range(1, 12))


def money_words(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).amount:,} {currency}"


def age(found: Reconciliation, since: str) -> str:
    if not since:
        return ""
    return seconds(max(0.0, (found.made_at - unstamp(since)).total_seconds()), least="min")


def left(found: Reconciliation, until: str) -> str:
    return seconds((unstamp(until) - found.made_at).total_seconds(), least="min")


def seconds(took: float, *, least: str = "s") -> str:
    """40 s, 7 min, 3 h, 4 d."""
    if took < 90 and least == "s":
        return f"{took:.0f} s" if took >= 10 or not took else f"{took:.1f} s"
    for limit, unit, word in ((5400, 60, "min"), (172_800, 3600, "h")):
        if took < limit:
            return f"{took / unit:.0f} {word}"
    return f"{took / 86_400:.0f} d"


def clock(found: Reconciliation, at: str | None) -> str:
    """The company's own clock; with a date where it is not the day of the mail."""
    if not at:
        return "never"
    local = unstamp(at).astimezone(found.zone)
    if local.date() == found.made_at.astimezone(found.zone).date():
        return f"{local:%H:%M}"
    return f"{local.day} {local:%b %H:%M}"


def plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
