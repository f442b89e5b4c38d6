"""Stop 4, decided: the arithmetic from an owner's number to what may be sold. Pure.

    sellable(sku, location) = supply - claims the supply does not yet exclude - doubt - safety_stock

A claim may be subtracted until the number in force *excludes* its units, and not
one reading longer; that is the whole difficulty (S2, S3, H15, H16). Which
readings exclude what depends on what the source declared: its basis, and how its
readings are ordered. When unsure we sell less, by at most the units in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from core.errors import InvariantBroken

Basis = Literal["on_hand", "available"]
Ordering = Literal["counter", "as_of", "request"]
Verdict = Literal["newer", "same", "stale", "reset"]


#: An owner's words for units that may be sold, where nobody says others.
FOR_SALE = frozenset({"available", "good"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a stock source declared its number to mean.

    `snapshot`: a pass shows every object it has. `missing_is_zero`: what such a pass does
    not show has no units. `gapless`: its movements are counted without a hole. `for_sale`:
    the words for units that may be sold; a reading without a word is about those.
    """

    basis: Basis
    ordered_by: Ordering
    settle_s: float = 0.0
    snapshot: bool = False
    missing_is_zero: bool = False
    gapless: bool = False
    for_sale: frozenset[str] = FOR_SALE

    def sells(self, status: str) -> bool:
        return not status or status in self.for_sale


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading in force. `began_at` is when *we* began to ask, on our clock.

    `moved`: units of its number that came of movements later than its counter or time.
    `doubt`: units that are not sold before they were read once more.
    """

    on_hand: int | None = None
    available: int | None = None
    counter: int | None = None
    as_of: datetime | None = None
    began_at: datetime
    moved: int = 0
    doubt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """So many units came (or went), in the owner's own order, and when we heard of it."""

    units: int
    counter: int | None = None
    as_of: datetime | None = None
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """When something happened at the owner: its own counter or time, and when we saw it."""

    seen_at: datetime
    counter: int | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Units set aside for one order line at one location."""

    units: int
    state: Literal["open", "shipped", "missing"] = "open"
    accepted: Mark | None = None
    shipped: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Every term of one number, so that `why` can print it."""

    supply: int
    claimed: int  # units of claims the supply does not yet exclude
    excluded: int  # units of claims the supply already excludes
    safety_stock: int
    sellable: int  # may be negative; only max(0, ...) is ever offered
    oversold: int  # units that must come in before everything promised can leave (H18)
    doubt: int = 0  # units not sold before they were read once more


def compare(old: Reading | None, new: Reading, source: Source) -> Verdict:
    """Is this reading newer than the one in force, by the owner's own order (G4)?

    A counter that fell although we asked later is not staleness: the warehouse
    was reinstalled, and believing "stale" would freeze it for ever (H13).
    """
    if old is None:
        return "newer"
    if source.ordered_by == "counter" and old.counter is not None and new.counter is not None:
        if new.counter < old.counter:
            return "reset" if new.began_at > old.began_at else "stale"
        return "newer" if new.counter > old.counter else "same"
    if source.ordered_by == "as_of" and old.as_of is not None and new.as_of is not None:
        if new.as_of < old.as_of:
            return "stale"
        return "newer" if new.as_of > old.as_of else "same"
    if new.began_at < old.began_at:
        return "stale"
    return "newer" if new.began_at > old.began_at else "same"


def passed(mark: Mark, reading: Reading, source: Source) -> str:
    """The evidence that `reading` was taken after `mark`, or "" if there is none."""
    if source.ordered_by == "counter" and mark.counter is not None and reading.counter is not None:
        if reading.counter >= mark.counter:
            return f"counter {reading.counter} >= {mark.counter}"
        return ""
    if source.ordered_by == "as_of" and mark.as_of is not None and reading.as_of is not None:
        if reading.as_of >= mark.as_of:
            return f"as of {reading.as_of.isoformat()} >= {mark.as_of.isoformat()}"
        return ""
    # Neither counter nor as-of: only a reading begun after we saw it, plus the settle time.
    if reading.began_at > mark.seen_at + timedelta(seconds=source.settle_s):
        return f"read begun {reading.began_at.isoformat()}, seen {mark.seen_at.isoformat()}"
    return ""


def awaits(mark: Mark, source: Source) -> str:
    """What a reading has to say to be taken after `mark`: the counterpart of `passed`."""
    if source.ordered_by == "counter" and mark.counter is not None:
        return f"a number counted to {mark.counter} or more"
    if source.ordered_by == "as_of" and mark.as_of is not None:
        return f"a number as of {mark.as_of.isoformat()} or later"
    after = mark.seen_at + timedelta(seconds=source.settle_s)
    return f"a reading begun after {after.isoformat()}"


def excluded_by(claim: Claim, reading: Reading, source: Source) -> str:
    """Why the number in force no longer contains this claim's units, or ""."""
    if claim.shipped is not None:
        evidence = passed(claim.shipped, reading, source)
        if evidence:
            return f"shipped: {evidence}"
    if source.basis == "available" and claim.accepted is not None:
        evidence = passed(claim.accepted, reading, source)
        if evidence:
            return f"accepted: {evidence}"
    return ""


def may_end(claim: Claim, reading: Reading, source: Source) -> str:
    """Evidence that ends the claim for good: only what left, or was not found, can end."""
    return "" if claim.state == "open" else excluded_by(claim, reading, source)


def supply_of(reading: Reading, source: Source) -> int:
    value = reading.on_hand if source.basis == "on_hand" else reading.available
    if value is None:
        raise InvariantBroken(f"a reading without {source.basis} from a source of that basis")
    return value


def with_supply(reading: Reading, units: int, source: Source) -> Reading:
    if source.basis == "on_hand":
        return replace(reading, on_hand=units)
    return replace(reading, available=units)


def is_inside(movement: Movement, reading: Reading, source: Source) -> bool:
    """Does the number contain this movement already?

    A number without a counter or a time (of a missing row) contains what we knew before we
    asked. Where nothing can be known, a fall is counted once too often rather than not at
    all, and a rise not at all rather than twice.
    """
    if source.ordered_by == "counter" and movement.counter is not None:
        if reading.counter is not None:
            return movement.counter <= reading.counter
    elif movement.as_of is not None and reading.as_of is not None:
        if movement.as_of != reading.as_of:
            return movement.as_of < reading.as_of
        return movement.units >= 0
    settled = movement.seen_at + timedelta(seconds=source.settle_s)
    return reading.began_at > settled or movement.units >= 0


def follow(
    reading: Reading, movements: Iterable[Movement], source: Source, *, unbroken: int | None = None
) -> tuple[Reading, list[Movement]]:
    """The number with what moved since it was taken, and the movements to be kept.

    Without a hole in the counting up to `unbroken`, the result *is* the owner's number as
    of that counter, as good as a reading. What lies behind a hole is kept until the hole
    is filled or read over; until then its falls are in doubt, for they happened.

    Where counting may have holes, everything later is added, and kept: a reading still on
    its way may lie between two of them. Nobody knows what else moved, so the reading's
    order, which is evidence, stays that of the reading.
    """
    later = [one for one in movements if not is_inside(one, reading, source)]
    base = supply_of(reading, source) - reading.moved
    if not source.gapless or reading.counter is None:
        moved = sum(one.units for one in later)
        after = with_supply(reading, base + moved, source)
        return replace(after, moved=moved, doubt=0), later
    upto = max(reading.counter, unbroken or 0)
    units = sum(one.units for one in later if (one.counter or 0) <= upto)
    kept = [one for one in later if (one.counter or 0) > upto]
    falls = -sum(min(0, one.units) for one in kept)
    after = with_supply(reading, base + units, source)
    return replace(after, counter=upto, moved=0, doubt=falls), kept


def transferred(rise: int, elsewhere: Iterable[int]) -> int:
    """Of units that appeared at one place, those another place of the owner may still count.

    A transfer is two readings in any order. The place that got the units may be read
    before the one that gave them away is read again; until then they are in doubt.
    """
    return min(max(0, rise), sum(max(0, units) for units in elsewhere))


def terms(
    reading: Reading | None, claims: Iterable[Claim], *, safety_stock: int, source: Source
) -> Terms:
    """The whole formula for one SKU at one location. Without a reading nothing is for sale."""
    claimed = excluded = 0
    for claim in claims:
        if reading is not None and excluded_by(claim, reading, source):
            excluded += claim.units
        else:
            claimed += claim.units
    supply = 0 if reading is None else supply_of(reading, source)
    doubt = 0 if reading is None else reading.doubt
    return Terms(
        supply=supply,
        claimed=claimed,
        excluded=excluded,
        safety_stock=safety_stock,
        sellable=supply - claimed - doubt - safety_stock,
        oversold=max(0, claimed - supply),
        doubt=doubt,
    )


def pool(sellable: Iterable[int]) -> int:
    """What a channel may draw on: a deficit in one location takes nothing from another."""
    return sum(max(0, units) for units in sellable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One order line's units, where each of them is."""

    ordered: int
    claimed: int
    short: int
    consumed: int
    cancelled: int


def assert_conserved(line: Line, label: str) -> None:
    """ordered = claimed + short + consumed + cancelled, all >= 0 (G6). Stays on."""
    parts = (line.ordered, line.claimed, line.short, line.consumed, line.cancelled)
    if min(parts) < 0 or line.ordered != sum(parts[1:]):
        raise InvariantBroken(f"units of {label} are not conserved: {line}")


def take(units: int, held: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Draw `units` from (claim id, units) in order: the claims touched and how much of each."""
    drawn: list[tuple[int, int]] = []
    for claim_id, available in held:
        if units <= 0:
            break
        part = min(units, available)
        drawn.append((claim_id, part))
        units -= part
    return drawn
