"""Stop 1, one pass after another: what changed since the last one, and what is no longer shown.

The content of every object is remembered as a digest, so an unchanged row of a
large catalog costs one comparison and no row of the inbox (S28). Asked page by
page in a handful of statements; nothing here is as large as the catalog.

At the end of a complete pass the objects it did not show are missing. Their
absence arrives like anything else, at stop 2: a listing that is gone, or, where
the source says so, a stock number of zero. A pass that lost too much at once is
asked about first, and until then nothing of it is missing (S38).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from core import holds, inbox
from core.clock import stamp, unstamp
from core.contract import Item
from core.network import Network
from core.store.hot import Hot
from core.store.schema import cursors, listings, published, quotas, seen
from core.store.schema import inbox as inbox_table
from core.strict import dump_json
from core.work import Work

#: Rows of one page stored in one transaction at most; also how many ids one statement names.
SLICE = 500
#: Resources whose objects are missing after the first pass that does not show them.
AT_ONCE = frozenset({"stock_reading"})
#: Causes of passes that are asked about.
UNLIKELY = "unlikely_pass:"
#: What an absent object left behind, instead of a body.
NOTHING = b"null"


@dataclass(frozen=True, slots=True)
class Shown:
    """One object as a page showed it, encoded once."""

    item: Item
    body: bytes
    digest: str

    @classmethod
    def of(cls, item: Item) -> Shown:
        body = dump_json(item.body)
        return cls(item, body, hashlib.blake2b(body, digest_size=16).hexdigest())


_OF_RESOURCE = (
    seen.c.system == bindparam("its_system"),
    seen.c.resource == bindparam("its_resource"),
)
_AMONG = seen.c.external_id.in_(bindparam("ids", expanding=True))
_KNOWN = select(seen.c.external_id, seen.c.hash, seen.c.missing_since).where(*_OF_RESOURCE, _AMONG)
_SHOWN_AGAIN = update(seen).where(*_OF_RESOURCE, _AMONG).values(pass_began_at=bindparam("began"))
_NEW = upsert(seen).values(
    {
        name: bindparam(name)
        for name in ("system", "resource", "external_id", "hash", "pass_began_at")
    }
)
_REMEMBER = Hot(
    _NEW.on_conflict_do_update(
        index_elements=["system", "resource", "external_id"],
        set_={
            "hash": _NEW.excluded.hash,
            "pass_began_at": _NEW.excluded.pass_began_at,
            "missing_since": None,
        },
    )
)


def changed(
    connection: Connection, system: str, resource: str, page: Sequence[Item], began: datetime
) -> list[Shown]:
    """Objects of this page that are new, back again, or not as they were. At most SLICE."""
    rows = {item.external_id: Shown.of(item) for item in page}
    its = {"its_system": system, "its_resource": resource}
    known = {
        row.external_id: row.hash
        for row in connection.execute(_KNOWN, {**its, "ids": list(rows)})
        if row.missing_since is None
    }
    same = [one for one, row in rows.items() if known.get(one) == row.digest]
    if same:
        connection.execute(_SHOWN_AGAIN, {**its, "ids": same, "began": stamp(began)})
    found = [row for one, row in rows.items() if known.get(one) != row.digest]
    _REMEMBER.many(
        connection,
        [
            {
                "system": system,
                "resource": resource,
                "external_id": row.item.external_id,
                "hash": row.digest,
                "pass_began_at": stamp(began),
            }
            for row in found
        ],
    )
    return found


_UNLIKE = (
    select(listings.c.item)
    .join(
        published,
        (published.c.system == listings.c.system)
        & (published.c.listing == listings.c.listing)
        & (published.c.place == listings.c.place),
    )
    .where(
        listings.c.system == bindparam("system"),
        listings.c.item.in_(bindparam("ids", expanding=True)),
        published.c.words == "",
        published.c.quantity != listings.c.shown,
        published.c.acked_at < bindparam("before"),
    )
)
#: After a lost answer: the same number as before the call is news.
_NOT_KNOWN = (
    select(listings.c.item)
    .join(
        quotas,
        (quotas.c.system == listings.c.system)
        & (quotas.c.listing == listings.c.listing)
        & (quotas.c.place == listings.c.place),
    )
    .where(
        listings.c.system == bindparam("system"),
        listings.c.item.in_(bindparam("ids", expanding=True)),
        quotas.c.shown.is_(None),
    )
)


def unlike_told(
    connection: Connection, network: Network, system: str, ids: Iterable[str], began: datetime
) -> set[str]:
    """Listings that show something else than the channel acknowledged before this pass began,
    or of which we do not know what they show.

    A channel that acknowledges and silently keeps its old number changes nothing in what
    it shows; only this comparison finds it.
    """
    write = network.stock_writes.get(system)
    if write is None:
        return set()
    before = stamp(began - timedelta(seconds=write.settle_s))
    words = {"system": system, "ids": list(ids), "before": before}
    unlike = set(connection.execute(_UNLIKE, words).scalars())
    return unlike | set(connection.execute(_NOT_KNOWN, words).scalars())


# ------------------------------------------------------------------ the end of a pass


def end(work: Work, system: str, resource: str, began: datetime, *, before: datetime | None) -> int:
    """After the last page of a complete pass: what it did not show is missing, if that is likely.

    `before`: when the complete pass before it began. Pages shift while they are read (H9), and
    a row can slip through one pass. For a number that costs a sale until the next; but a
    listing that is told nothing goes on selling, so it is missing after two passes only.
    Returns how many objects are newly missing.
    """
    if resource not in AT_ONCE:
        if before is None:
            return 0
        began = before
    gone, there = _counted(work, system, resource, began)
    if work.network.limits_of(system).unlikely_pass(gone, there):
        _ask(work, system, resource, gone=gone, there=there)
        return 0
    holds.close_member(work, "pass", f"{system}:{resource}")
    if gone:
        believe(work, system, resource, began)
    return gone


def believe(
    work: Work, system: str, resource: str, began: datetime, *, accepted: bool = False
) -> int:
    """What the pass begun then did not show is missing from now on. Set by set, however many."""
    if _matters(work.network, system, resource):
        _arrive(work, system, resource, began, accepted=accepted)
    count = work.connection.execute(
        update(seen).where(*_gone(system, resource, began)).values(missing_since=stamp(work.now))
    ).rowcount
    work.steps.add(1, "pass.missing", system=system, resource=resource, count=count)
    return count


def accept(work: Work, cause: str) -> int:
    """A person says that what the last complete pass did not show is really gone."""
    system, _, resource = cause.removeprefix(UNLIKELY).rpartition(":")
    began = work.connection.execute(
        select(cursors.c.complete_began_at).where(
            cursors.c.system == system, cursors.c.resource == resource
        )
    ).scalar_one()
    return believe(work, system, resource, unstamp(began), accepted=True)


def _gone(system: str, resource: str, began: datetime) -> tuple[Any, ...]:
    return (
        seen.c.system == system,
        seen.c.resource == resource,
        seen.c.missing_since.is_(None),
        seen.c.pass_began_at < stamp(began),
    )


def _counted(work: Work, system: str, resource: str, began: datetime) -> tuple[int, int]:
    """Objects this pass no longer shows, and those it does."""
    row = _COUNTED(work.connection, system=system, resource=resource, began=stamp(began)).one()
    return row.gone, row.there


_EARLIER = seen.c.pass_began_at < bindparam("began")
_COUNTED = Hot(
    select(
        func.count().filter(_EARLIER).label("gone"),
        func.count().filter(~_EARLIER).label("there"),
    ).where(
        seen.c.system == bindparam("system"),
        seen.c.resource == bindparam("resource"),
        seen.c.missing_since.is_(None),
    )
)


def _matters(network: Network, system: str, resource: str) -> bool:
    """A listing that is gone is offered no more; a stock number only where the source says so."""
    if resource == "listing":
        return True
    source = network.sources.get(system)
    return resource == "stock_reading" and source is not None and source.missing_is_zero


def _arrive(work: Work, system: str, resource: str, began: datetime, *, accepted: bool) -> None:
    at = stamp(began)
    body = work.seal.seal(NOTHING, inbox.aad(system, resource))
    words = {
        "system": system,
        "via": inbox.ABSENCE,
        "topic": resource,
        "resource": resource,
        "body": body,
        "received_at": stamp(work.now),
        "read_began_at": at,
        "state": "pending",
        "polls": 1,
        "accepted": int(accepted),
    }
    constants = [literal(value).label(name) for name, value in words.items()]
    identity = seen.c.external_id.concat(f"@{at}#absent")
    arrivals = select(seen.c.external_id, identity, *constants).where(
        *_gone(system, resource, began)
    )
    work.connection.execute(
        insert(inbox_table).from_select(
            ["external_id", "identity", *words], arrivals.order_by(seen.c.external_id)
        )
    )


def _ask(work: Work, system: str, resource: str, *, gone: int, there: int) -> None:
    what = resource.replace("_", " ")
    holds.open_hold(
        work,
        cause=f"{UNLIKELY}{system}:{resource}",
        system=system,
        reason=f"{system} shows {there} {what}s, and {gone} that it showed before are gone",
        next_step="If they are really gone: `truecount accept ID`. A pass that shows them again"
        " closes this by itself; until then their last numbers stay.",
        member="pass",
        ref=f"{system}:{resource}",
        label=f"{gone} of {gone + there} {what}s",
    )
