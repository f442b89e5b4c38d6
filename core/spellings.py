"""SKUs that differ only by letter case or blanks are shown, never merged (S30).

Each goes on meaning itself. The exception names both, and closes once an alias
makes one of them, or `apart:` in items.yaml says that they are two items.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.sqlite import insert

from core import holds
from core.items import spelling
from core.store.hot import Hot
from core.store.schema import holds as holds_table
from core.store.schema import items, listings, spellings
from core.work import Work

CAUSE = "ambiguous_sku:"


def see(work: Work, sku: str) -> None:
    """A SKU that may be new. A known one costs one statement."""
    alike = spelling(sku)
    new = _SEE(work.connection, sku=sku, spelling=alike).one_or_none() is not None
    if new and len(_ALIKE(work.connection, spelling=alike).all()) > 1:
        _show(work, alike)


_NEW = (
    insert(spellings)
    .values(sku=bindparam("sku"), spelling=bindparam("spelling"))
    .on_conflict_do_nothing(index_elements=["sku"])
)
_SEE_ALL = Hot(_NEW)
_SEE = Hot(_NEW.returning(spellings.c.sku))
_ALIKE = Hot(select(spellings.c.sku).where(spellings.c.spelling == bindparam("spelling")).limit(2))


def see_many(work: Work, skus: Sequence[str]) -> None:
    """The same for new SKUs of a whole catalog: two statements."""
    rows = [{"sku": sku, "spelling": spelling(sku)} for sku in skus]
    if not rows:
        return
    _SEE_ALL.many(work.connection, rows)
    several = (
        select(spellings.c.spelling)
        .where(spellings.c.spelling.in_([row["spelling"] for row in rows]))
        .group_by(spellings.c.spelling)
        .having(func.count() > 1)
    )
    for one in work.connection.execute(several).scalars().all():
        _show(work, one)


def alike(work: Work, sku: str) -> list[str]:
    """Other SKUs that somebody uses and that are spelled alike."""
    return [one for one in _used(work, spelling(sku)) if one != sku]


def look_again(work: Work) -> None:
    """Items changed: what is one item now, or was said to be two, is an exception no more."""
    open_ones = work.connection.execute(
        select(holds_table.c.cause).where(
            holds_table.c.closed_at.is_(None), holds_table.c.cause.startswith(CAUSE)
        )
    ).scalars()
    several = select(spellings.c.spelling).group_by(spellings.c.spelling).having(func.count() > 1)
    found = {cause.removeprefix(CAUSE) for cause in open_ones}
    for one in sorted(found.union(work.connection.execute(several).scalars())):
        _show(work, one)


def _show(work: Work, alike: str) -> None:
    cause = CAUSE + alike
    used = _used(work, alike)
    if len(used) < 2 or work.network.items.are_apart(used):
        used = []
    named = " and ".join(repr(sku) for sku in used)
    for sku in used:
        holds.open_hold(
            work,
            cause=cause,
            system="",
            reason=f"{named} differ only by letter case or blanks",
            next_step="If they are one item, give one of them as an alias in items.yaml; if they "
            "are two, say so there under `apart:`. Then `truecount reload`.",
            member="sku",
            ref=sku,
            label=sku,
        )
    if used:
        holds.say(work, cause, f"{named} differ only by letter case or blanks")
    for ref in set(holds.members_of(work, cause, "sku")) - set(used):
        holds.close_cause(work, cause, "sku", ref)


def _used(work: Work, alike: str) -> list[str]:
    """Those an owner has named, or a channel lists now."""
    same = select(spellings.c.sku).where(spellings.c.spelling == alike)
    named = select(items.c.sku).where(items.c.sku.in_(same))
    listed = select(listings.c.sku).where(listings.c.sku.in_(same), listings.c.active == 1)
    return sorted(work.connection.execute(named.union(listed)).scalars())
