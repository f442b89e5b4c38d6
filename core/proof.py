"""What `truecount prove` found: how much was looked at, and every violation by name."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from core.store.schema import orders

#: Findings that are kept; beyond it they are only counted.
FINDINGS_MAX = 1000

#: How far it has come: what is being looked at, done, and of how many.
Tell = Callable[[str, int, int], None]


def silent(what: str, done: int, of: int) -> None:
    """For whoever does not want to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One violation. `what` is its kind, `ref` the row it stands in, `says` the sentence."""

    what: str
    ref: str
    says: str
    at: str = ""
    who: str = ""
    should: str = ""

    @property
    def id(self) -> str:
        """The same every time, until the row is corrected."""
        return hashlib.sha256(f"{self.what}|{self.ref}".encode()).hexdigest()[:8]


@dataclass(slots=True)
class Writes:
    """One number, written by systems or told to them, and how often against the table."""

    systems: dict[str, int] = field(default_factory=dict)
    foreign: int = 0

    def add(self, system: str, *, own: bool) -> None:
        self.systems[system] = self.systems.get(system, 0) + 1
        self.foreign += not own

    def as_json(self, number: str) -> dict[str, Any]:
        return {
            "number": number,
            "count": sum(self.systems.values()),
            "systems": self.systems,
            "foreign": self.foreign,
        }


@dataclass(slots=True, kw_only=True)
class Proof:
    """Filled while the walk is read."""

    since: str | None = None
    until: str = ""
    steps: int = 0
    tables: int = 0  # tables of owners that were in force meanwhile
    written: dict[str, Writes] = field(default_factory=lambda: defaultdict(Writes))
    told: dict[str, Writes] = field(default_factory=lambda: defaultdict(Writes))
    units: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    skus: int = 0
    readings: int = 0
    ended: int = 0
    offers: int = 0
    not_judged: int = 0  # offers that do not say after which step they were computed
    findings: list[Finding] = field(default_factory=list)
    more: int = 0

    def find(self, finding: Finding) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        else:
            self.more += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "since": self.since,
            "until": self.until,
            "steps": self.steps,
            "tables_of_owners": self.tables,
            "written": [writes.as_json(n) for n, writes in sorted(self.written.items())],
            "told": [writes.as_json(n) for n, writes in sorted(self.told.items())],
            "lines": self.lines,
            "units": self.units,
            "skus": self.skus,
            "readings": self.readings,
            "claims_ended": self.ended,
            "offers": self.offers,
            "offers_not_judged": self.not_judged,
            "findings": [{"id": one.id, **asdict(one)} for one in self.findings],
            "more_findings": self.more,
        }


def order_name(connection: Connection, order_id: int | None) -> str:
    row = connection.execute(
        select(orders.c.system, orders.c.number).where(orders.c.id == order_id)
    ).one_or_none()
    return f"{row.system}:{row.number}" if row else f"order {order_id}"
