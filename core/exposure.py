"""Stop 6, asked: how many units of an item could be sold though they are not there (G8). Read only.

The bound is certain, whatever the delays: every outlet sells all it can still sell.
Under `split` it is 0. What it comes to at the measured pace is an estimate beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core import dividing, escrow, offers, stock
from core.dividing import Basis, Plans
from core.pace import Paces
from core.quotas import kept
from core.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Units beyond the pool. `at_pace` is None where no pace is measured (policy `shared`)."""

    policy: str
    is_divided: bool
    at_most: int
    at_pace: int | None


def of(work: Work, sku: str) -> Exposure:
    """Of all outlets that draw on the same units, kits included.

    What is not known of a channel counts with what it was last seen to show.
    """
    known: dict[tuple[str, str], int] = {}

    def sellable(item: str, location: str) -> int:
        at = (item, location)
        if at not in known:
            known[at] = stock.terms_of(work, item, location).sellable
        return known[at]

    look = dividing.Look(work, [sku], Basis(sellable, Plans(), {}), offers.limits(work))
    division = look.division_of(sku)
    outlets = [replace(one, quota=_counted(one.quota)) for one in division.outlets.values()]
    at_pace = None
    if kept(work.network, sku):
        paces = Paces.of(work, {row.sku for row in division.rows.values()})
        risks = {key: paces.pace(row.system, row.sku).at_most for key, row in division.rows.items()}
        likely = [replace(one, risk=risks[one.key]) for one in outlets]  # type: ignore[index]
        at_pace = escrow.beyond(likely, division.numbers)
    return Exposure(
        policy=work.network.publication_of(sku),
        is_divided=division.is_divided,
        at_most=escrow.beyond([replace(one, risk=None) for one in outlets], division.numbers),
        at_pace=at_pace,
    )


def _counted(quota: escrow.Quota) -> escrow.Quota:
    return quota if quota.ceiling is not None else replace(quota, ceiling=quota.shown)
