"""Stop 4, decided: the arithmetic from an owner's number to what may be sold. Pure.

    sellable(sku, location) = supply - claims the supply does not yet exclude - safety_stock

A claim may be subtracted until the number in force *excludes* its units, and not
one reading longer; that is the whole difficulty (S2, S3, H15, H16). Which
readings exclude what depends on what the source declared: its basis, and how its
readings are ordered. When unsure we sell less, by at most the units in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from core.errors import InvariantBroken

Basis = Literal["on_hand", "available"]
Ordering = Literal["counter", "as_of", "request"]
Verdict = Literal["newer", "same", "stale", "reset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a stock source declared its number to mean."""

    basis: Basis
    ordered_by: Ordering
    settle_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading in force. `began_at` is when *we* began to ask, on our clock."""

    on_hand: int | None = None
    available: int | None = None
    counter: int | None = None
    as_of: datetime | None = None
    began_at: datetime


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
    oversold: int  # units promised beyond the supply


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
    return Terms(
        supply=supply,
        claimed=claimed,
        excluded=excluded,
        safety_stock=safety_stock,
        sellable=supply - claimed - safety_stock,
        oversold=max(0, claimed - max(0, supply)),
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


def unclaimed(sellable: int, wanted: Mapping[int, int]) -> dict[int, int]:
    """Give units that became free to short lines, oldest line first: {line id: units}."""
    given: dict[int, int] = {}
    left = max(0, sellable)
    for line_id, units in wanted.items():
        part = min(units, left)
        if part:
            given[line_id] = part
            left -= part
    return given
