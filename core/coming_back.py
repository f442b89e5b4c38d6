"""What comes back of an order, folded from what its owners said. Pure.

    asked ──▶ expected ──▶ on_the_way ──▶ arrived ──▶ part ──▶ received
      │           └──────────────┴──────────┴───────────▲
      │                          └──▶ lost ─────────────┤
      └──▶ called_off ──────────────────────────────────┘   (it came all the same)

That is custody: the channel allows it, a courier moves it, and only the warehouse receives it.
Money is the channel's word alone, books the ledger's (DESIGN 1); none of the three waits for
another, and none is concluded from another. The fold asks for all facts at once, so it does not
matter in which order, or how often, they were heard (S10).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.model import ParcelEvent, RequestState, Return, ReturnLine


class Custody(StrEnum):
    """Where the goods are, as courier and warehouse say."""

    NONE = "none"  # money without goods
    ASKED = "asked"  # the channel has not decided
    EXPECTED = "expected"
    ON_THE_WAY = "on_the_way"
    ARRIVED = "arrived"  # says the courier; the warehouse has not received it
    PART = "part"  # some units are received, the rest is not
    RECEIVED = "received"  # each unit: resellable, damaged, or said to be missing
    LOST = "lost"
    CALLED_OFF = "called_off"  # refused or withdrawn


class Given(StrEnum):
    """The buyer's money, as the channel says."""

    NONE = "none"  # none is to be given back: an exchange, cash that was never collected
    AWAITED = "awaited"
    PART = "part"
    GIVEN = "given"


#: Which custody may follow which, heard in the order it happened; the fold takes any order.
NEXT: dict[Custody, frozenset[Custody]] = {
    Custody.ASKED: frozenset(
        {Custody.EXPECTED, Custody.ON_THE_WAY, Custody.ARRIVED, Custody.PART, Custody.RECEIVED,
         Custody.LOST, Custody.CALLED_OFF}
    ),
    Custody.EXPECTED: frozenset(
        {Custody.ON_THE_WAY, Custody.ARRIVED, Custody.PART, Custody.RECEIVED, Custody.LOST,
         Custody.CALLED_OFF}
    ),
    Custody.ON_THE_WAY: frozenset(
        {Custody.ARRIVED, Custody.PART, Custody.RECEIVED, Custody.LOST, Custody.CALLED_OFF}
    ),
    Custody.ARRIVED: frozenset({Custody.PART, Custody.RECEIVED, Custody.LOST}),
    Custody.PART: frozenset({Custody.RECEIVED}),
    Custody.LOST: frozenset({Custody.ARRIVED, Custody.PART, Custody.RECEIVED}),
    Custody.CALLED_OFF: frozenset({Custody.PART, Custody.RECEIVED}),
    Custody.RECEIVED: frozenset(),
    Custody.NONE: frozenset(),
}  # fmt: skip

#: Goods that somebody waits for.
WAITING = (Custody.EXPECTED, Custody.ON_THE_WAY, Custody.ARRIVED, Custody.PART)
CONDITIONS = ("resellable", "damaged", "missing", "unknown")
_OVER = (RequestState.REFUSED, RequestState.WITHDRAWN)
#: How far a parcel is, where two scans have the same time.
_SCANS = (
    "moving",
    "out_for_delivery",
    "failed_attempt",
    "delivered",
    "returning",
    "lost",
    "returned",
)
_HOME = ("returning", "returned", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """One row of an order: `line` is the channel's, of which one takes `factor` units of it."""

    key: str
    line: str
    sku: str
    factor: int = 1
    units: int  # that have left


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Units of rows, by their key, that left under one tracking number."""

    tracking: str
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """Money that was given back: for which return it says, or for how many units of which line."""

    key: str
    returned: str = ""
    units: Mapping[str, int] = field(default_factory=dict)  # by the channel's line


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was said of one order that has left."""

    sold: Sequence[Sold]
    parcels: Sequence[Parcel] = ()
    asked: Sequence[Return] = ()  # by the channel
    receipts: Sequence[Return] = ()  # by a warehouse
    scans: Sequence[ParcelEvent] = ()  # by couriers, of parcels in either direction
    paid: Sequence[Paid] = ()
    prepaid: bool = True  # False: cash on delivery that nobody collected


@dataclass(slots=True, kw_only=True)
class Case:
    """One return, as it is told: three facets, each its owner's."""

    key: str  # the channel's; "parcel:TRACKING" and "order" where it has none
    kind: str  # as Return.kind; lost
    state: RequestState
    tracking: str = ""
    custody: Custody = Custody.NONE
    money: Given = Given.NONE
    expected: Counter[str] = field(default_factory=Counter)  # units by the key of their row
    got: dict[str, Counter[str]] = field(default_factory=dict)  # row: units by condition
    refunds: list[str] = field(default_factory=list)
    scan: str = ""
    received_at: datetime | None = None

    def received(self, row: str) -> int:
        return sum(self.got.get(row, Counter()).values())

    def put(self, row: str, condition: str, units: int) -> None:
        self.got.setdefault(row, Counter())[condition] += units


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsold:
    """Units that somebody says come back, and that were never sold in this order."""

    key: str  # of the return or the receipt
    what: str
    units: int


def fold(facts: Facts) -> tuple[list[Case], list[Unsold]]:
    """Every return of an order as it stands, and what cannot belong to it."""
    unsold: list[Unsold] = []
    cases = _asked(facts, unsold)
    cases += _parcels(facts, cases)
    cases += _receive(facts, cases, unsold)
    _pay(facts, cases)
    for case in cases:
        case.custody = _custody(case)
        case.money = _money(facts, case)
    return cases, unsold


# ------------------------------------------------------------------ what is to come


def _asked(facts: Facts, unsold: list[Unsold]) -> list[Case]:
    """The channel's returns; one that another continues is told as that one."""
    continued = {one.previous for one in facts.asked if one.previous}
    cases, free = [], Counter({row.key: row.units for row in facts.sold})
    for one in sorted(facts.asked, key=lambda one: one.key):
        if one.key in continued:
            continue
        case = Case(key=one.key, kind=one.kind, state=one.state, tracking=one.tracking)
        cases.append(case)
        if one.kind == "refund_only" or one.state in _OVER:
            continue
        for line in one.lines:
            left = _expect(facts.sold, line, free, case)
            if left:
                unsold.append(Unsold(key=one.key, what=line.sku or line.line, units=left))
        if not one.lines:  # the whole order, as far as it has left
            case.expected += free
            free.clear()
    return cases


def _expect(sold: Sequence[Sold], line: ReturnLine, free: Counter[str], case: Case) -> int:
    """Units of the channel's line, as rows; how many of them were never sold."""
    rows = [row for row in sold if (row.line == line.line if line.line else row.sku == line.sku)]
    if not rows:
        return line.quantity
    if not line.line:
        return _one_after_the_other(rows, line.quantity, free, case)
    whole = min(line.quantity, *(free[row.key] // row.factor for row in rows))
    for row in rows:
        case.expected[row.key] += whole * row.factor
        free[row.key] -= whole * row.factor
    return line.quantity - whole


def _one_after_the_other(rows: Sequence[Sold], units: int, free: Counter[str], case: Case) -> int:
    for row in rows:
        part = min(units, free[row.key])
        case.expected[row.key] += part
        free[row.key] -= part
        units -= part
    return units


def _parcels(facts: Facts, cases: Sequence[Case]) -> list[Case]:
    """Parcels that couriers bring back, or lost; one without any return object is one of its own.

    A channel that has an object for it (Flipkart's courier_return) has it once (Lazada has none).
    """
    states = _folded(facts.scans)
    for case in cases:
        if case.tracking in states and case.kind != "rto":
            case.scan = states[case.tracking]  # on its way back to us
    found: list[Case] = []
    for parcel in sorted(facts.parcels, key=lambda one: one.tracking):
        state = states.get(parcel.tracking, "")
        if state not in _HOME:
            continue
        own = [one for one in cases if _is_rto(one, parcel.tracking)]
        if own:
            case = own[0]
        else:
            kind = "lost" if state == "lost" else "rto"
            case = Case(key=f"parcel:{parcel.tracking}", kind=kind, state=RequestState.ACCEPTED)
            case.expected.update(parcel.units)
            found.append(case)
        case.tracking, case.scan = parcel.tracking, state
    return found


def _is_rto(case: Case, tracking: str) -> bool:
    return case.kind == "rto" and case.tracking in ("", tracking) and not case.scan


def _folded(scans: Iterable[ParcelEvent]) -> dict[str, str]:
    """The last word about each parcel; scans come late, twice and backwards."""
    last: dict[str, tuple[datetime, int, str]] = {}
    for scan in scans:
        rank = _SCANS.index(scan.state) if scan.state in _SCANS else -1
        one = (scan.at, rank, scan.state)
        last[scan.tracking] = max(last.get(scan.tracking, one), one)
    return {tracking: state for tracking, (_, _, state) in last.items()}


# ------------------------------------------------------------------ what came


def _receive(facts: Facts, cases: list[Case], unsold: list[Unsold]) -> list[Case]:
    """Each unit a warehouse received goes to the return it names, else to one that waits for it.

    Those that name one come first: an unnamed unit takes nobody's place.
    """
    rest = Case(key="order", kind="return_refund", state=RequestState.ACCEPTED)
    left = Counter({row.key: row.units for row in facts.sold})
    for one in sorted(facts.receipts, key=lambda one: (not _is_of_one(cases, one), one.key)):
        if one.state in _OVER or one.received_at is None:
            continue
        for line in one.lines:
            units = line.quantity
            for row in _rows(facts.sold, line):
                part = min(units, left[row.key])
                left[row.key] -= part
                units -= part
                _hand_over(cases, rest, row.key, part, one, line.condition)
            if units:
                unsold.append(Unsold(key=one.key, what=line.sku or line.line, units=units))
    return [rest] if rest.got else []


def _rows(sold: Sequence[Sold], line: ReturnLine) -> list[Sold]:
    if line.line:
        return [row for row in sold if line.line in (row.key, row.line)]
    return [row for row in sold if row.sku == line.sku]


def _hand_over(
    cases: Sequence[Case], rest: Case, row: str, units: int, receipt: Return, condition: str
) -> None:
    named = [c for c in cases if _is_named(c, receipt)]
    waiting = [c for c in cases if c not in named]
    for case in [*named, *waiting]:
        room = case.expected[row] - case.received(row)
        part = min(units, max(0, room))
        if part:
            _put(case, row, condition, part, receipt)
            units -= part
    if units:
        _put(named[0] if named else rest, row, condition, units, receipt)


def _is_of_one(cases: Sequence[Case], receipt: Return) -> bool:
    return any(_is_named(case, receipt) for case in cases)


def _is_named(case: Case, receipt: Return) -> bool:
    if receipt.authorization:
        return case.key == receipt.authorization
    return bool(receipt.tracking) and case.tracking == receipt.tracking


def _put(case: Case, row: str, condition: str, units: int, receipt: Return) -> None:
    case.put(row, condition if condition in CONDITIONS else "unknown", units)
    assert receipt.received_at is not None
    case.received_at = max(case.received_at or receipt.received_at, receipt.received_at)


def _custody(case: Case) -> Custody:
    came = sum(case.received(row) for row in case.got)
    waits = any(case.expected[row] > case.received(row) for row in case.expected)
    if came:
        return Custody.PART if waits else Custody.RECEIVED
    if case.kind == "refund_only":
        return Custody.NONE
    if case.state in _OVER:
        return Custody.CALLED_OFF
    scanned = {"lost": Custody.LOST, "returned": Custody.ARRIVED, "delivered": Custody.ARRIVED}
    if case.scan:
        return scanned.get(case.scan, Custody.ON_THE_WAY)
    return Custody.ASKED if case.state is RequestState.REQUESTED else Custody.EXPECTED


# ------------------------------------------------------------------ money


def _pay(facts: Facts, cases: Sequence[Case]) -> None:
    """A refund belongs to the return it names, else to the first one of its lines without any."""
    lines = {row.key: row.line for row in facts.sold}
    for paid in sorted(facts.paid, key=lambda one: one.key):
        named = [case for case in cases if paid.returned and case.key == paid.returned]
        alike = [case for case in cases if case.state not in _OVER and not case.refunds]
        if paid.units:
            of = {case.key: {lines[row] for row in [*case.expected, *case.got]} for case in alike}
            alike = [case for case in alike if of[case.key] & paid.units.keys()]
        for case in (named or alike)[:1]:
            case.refunds.append(paid.key)


def _money(facts: Facts, case: Case) -> Given:
    if case.refunds:
        return _how_much(facts, case)
    if case.state in _OVER:
        return Given.NONE
    wants = case.kind in ("return_refund", "refund_only", "rto", "lost") and facts.prepaid
    return Given.AWAITED if wants else Given.NONE


def _how_much(facts: Facts, case: Case) -> Given:
    """A part, where the refunds are for fewer units than come back; else the whole."""
    paid = [one for one in facts.paid if one.key in case.refunds]
    if any(not one.units for one in paid):
        return Given.GIVEN
    units: Counter[str] = Counter()
    for one in paid:
        units.update(one.units)
    rows = {row.key: row for row in facts.sold}
    for key, expected in case.expected.items():
        row = rows[key]
        if units[row.line] * row.factor < expected:
            return Given.PART
    return Given.GIVEN
