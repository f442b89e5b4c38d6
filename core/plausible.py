"""Stop 4, decided: may this stock number be true? Pure (S38).

-999 for "not known", ten times as many because a case was counted as a unit, an
empty list because an export broke: such a number is held and asked about, and
the number in force stays. Which way is the careful one?

- A rise that is held sells less than there may be.
- A placeholder or a deep minus says nothing about the shelf, so the last number
  that did goes on; every sale is a claim on it, so no more can be sold than lay there.
- Falls to zero are believed at once, the first of a pass too. Only when a pass
  takes away a part of the shop that nobody sells in one day is the rest asked
  about: emptying a shop by mistake costs every sale, and believing the last
  numbers a little longer costs at most what is sold until somebody has looked.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What programs write where they have no number.
PLACEHOLDERS = frozenset({-999, -9_999, -99_999, 99_999, 999_999, 9_999_999})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a number may go before it is asked about, for one system."""

    negative: int = 100
    times: float = 10.0
    units: int = 1_000
    never: frozenset[int] = PLACEHOLDERS
    gone_percent: float = 25.0
    gone_least: int = 10

    def too_many_gone(self, gone: int, known: int) -> bool:
        """Of `known` SKUs that had units, so many have none after one pass."""
        return gone > self.gone_least and gone * 100 > known * self.gone_percent

    def unlikely_pass(self, gone: int, shown: int) -> bool:
        """A pass that no longer shows `gone` objects. One that shows nothing is always asked
        about: an empty answer is the commonest of all failures (H47)."""
        return gone > 0 and (shown == 0 or self.too_many_gone(gone, gone + shown))


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why a number is not believed: a word for its cause, and a sentence."""

    cause: str  # placeholder | negative | rise
    words: str


def falls(old: int | None, new: int) -> bool:
    """Of what had units there are none now: such SKUs of one pass are counted."""
    return old is not None and old > 0 >= new


def doubt(old: int | None, new: int, limits: Limits) -> Doubt | None:
    """None: it may be true. `old` is the number in force, None for the first of a SKU."""
    if new == old:
        return None
    if new in limits.never:
        return Doubt(cause="placeholder", words=f"says {new}, which stands for no number")
    if new < -limits.negative:
        return Doubt(cause="negative", words=f"says {new}, less than -{limits.negative}")
    if old is None or new - old <= limits.units:
        return None
    # Ten times nothing is nothing: goods that come in where there were none may be many.
    base = old if old > 0 else limits.units
    if new > base * limits.times:
        return Doubt(cause="rise", words=f"says {new} where it said {old}")
    return None
