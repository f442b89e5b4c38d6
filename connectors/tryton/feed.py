"""Reading what changed: by `write_date`, in the order of ids, with the owner's own clock.

Tryton sends no webhooks. A pass asks for records written since the last pass began, by
the `Date` header of the first answer of that pass: Tryton's clock, never ours. The newest
`write_date` seen would be wrong with several models in one pass, and with transactions
that were written down earlier than they became visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from connectors.tryton.rest import Domain, Rest
from connectors.tryton.values import Row

PAGE_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pass stands: which of its models, after which id, begun when."""

    stage: int = 0
    after: int = 0
    begun: str = ""

    @classmethod
    def of(cls, page: str | None) -> Place:
        if not page:
            return cls()
        stage, after, begun = page.split(";", 2)
        return cls(stage=int(stage), after=int(after), begun=begun)

    def token(self) -> str:
        return f"{self.stage};{self.after};{self.begun}"


async def rows(
    rest: Rest, model: str, domain: Domain, fields: Sequence[str], place: Place, **context: object
) -> tuple[list[Row], Place]:
    """One page and the place of the pass, with its beginning filled in."""
    after = [["id", ">", place.after], *domain]
    found, date = await rest.search_dated(model, after, fields, limit=PAGE_ROWS, context=context)
    begun = place.begun or _instant(date)
    return found, Place(stage=place.stage, after=place.after, begun=begun)


def following(found: Sequence[Row], place: Place, stages: int) -> str | None:
    """The token of the next page: further in this model, or the next one, or the end."""
    if len(found) >= PAGE_ROWS:
        return Place(stage=place.stage, after=found[-1]["id"], begun=place.begun).token()
    if place.stage + 1 < stages:
        return Place(stage=place.stage + 1, begun=place.begun).token()
    return None


def since_domain(since: str | None) -> Domain:
    """Written or made since. `write_date` stays empty until the first change."""
    if not since:
        return []
    at = datetime.fromisoformat(since).astimezone(UTC)
    return [["OR", ["write_date", ">=", at], ["create_date", ">=", at]]]


def revision(row: Row) -> str:
    at = row["write_date"] or row["create_date"]
    return "" if at is None else str(at.isoformat())


def _instant(header: str) -> str:
    return parsedate_to_datetime(header).astimezone(UTC).isoformat() if header else ""
