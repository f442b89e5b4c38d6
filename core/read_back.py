"""Stop 8 for one number: what a channel shows, against what it acknowledged.

Equal is an echo of our own write: nothing follows (S25). Different is first of
all a sale we have not seen: its orders are read, then it is told again. The same
difference once more, right after the correction, is a channel that does not keep
our number; after CORRECTIONS_MAX of them a person is asked and nothing is
written until the number itself changes. A corrective loop has an end.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update

from core import holds
from core.clock import unstamp
from core.model import Listing
from core.publish_rows import tell_again
from core.store.schema import published
from core.sweep import sweep_now
from core.work import Work

#: The same difference so many times in a row is no coincidence.
CORRECTIONS_MAX = 3


def compare(work: Work, system: str, listing: Listing, began_at: datetime) -> None:
    """`listing.shown`, what the channel sells, was read by a request begun at `began_at`."""
    write = work.network.stock_writes.get(system)
    row = work.connection.execute(
        select(published).filter_by(system=system, listing=listing.key, place=listing.place)
    ).one_or_none()
    if write is None or row is None or row.quantity is None or listing.shown is None:
        return
    if began_at <= unstamp(row.acked_at) + timedelta(seconds=write.settle_s):
        return  # it may still be on its way to what the channel shows (H14)
    if row.quantity == listing.shown:
        _echo(work, row)
        return
    if row.words:
        return  # being corrected, or given up
    differs = f"acknowledged {row.quantity}, shows {listing.shown}"
    times = row.corrections + 1 if row.differs == differs else 1
    _note(work, row, words=f"it {differs}", differs=differs, corrections=times)
    work.count("listing.differs", system)
    if times > CORRECTIONS_MAX:
        _give_up(work, system, listing, differs)
        return
    sweep_now(work.connection, system, "order", work.now)
    due = work.now + timedelta(seconds=write.settle_s)
    tell_again(work.connection, system, listing.sku, due, "it shows something else")


def _echo(work: Work, row: Row[Any]) -> None:
    work.count("listing.echo", row.system)
    if not row.differs:
        return
    _note(work, row, words="", differs="", corrections=0)
    cause = _cause(row.system)
    holds.close_cause(work, cause, "listing", _ref(row.system, row.listing, row.place))


def _give_up(work: Work, system: str, listing: Listing, differs: str) -> None:
    holds.open_hold(
        work,
        cause=_cause(system),
        system=system,
        reason=f"{system} does not keep our stock number: it {differs}, {CORRECTIONS_MAX} times",
        next_step="Look on the channel who else writes it; it is told again at the next change.",
        member="listing",
        ref=_ref(system, listing.key, listing.place),
        label=f"{listing.sku} at {listing.place or system}",
    )


def _cause(system: str) -> str:
    return f"not_kept:{system}"


def _ref(system: str, listing: str, place: str) -> str:
    return f"{system}:{listing}:{place}"


def _note(work: Work, row: Row[Any], **values: Any) -> None:
    work.connection.execute(
        update(published)
        .where(
            published.c.system == row.system,
            published.c.listing == row.listing,
            published.c.place == row.place,
        )
        .values(**values)
    )
