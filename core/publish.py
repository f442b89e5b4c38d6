"""Stop 6, published: every channel shows the newest available-to-sell.

A changed SKU is one row in the change feed, not one row per channel: each
channel has a cursor, and computes the quantity at the moment of sending, so the
newest wins by construction and a crash only sends the same absolute number
again (G8). Lower before higher; zeros first. What was told is kept per call, so
that `why` can answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from core import holds, ledger, stock
from core.clock import Clock, stamp, unstamp
from core.contract import Offer, OfferResult, Publishes
from core.errors import ConnectorError, InDoubt, RateLimited
from core.limiter import Urgency, urgent
from core.network import Network
from core.seal import Seal
from core.steps import Steps
from core.store.engine import Store
from core.store.hot import Hot
from core.store.schema import feed, listings, publish_cursors, published, republish, told
from core.sweep import sweep_now
from core.work import Work

#: A failed call is tried again after this, doubled, at most 5 minutes, with jitter.
BACKOFF_S = 1.0
BACKOFF_MAX_S = 300.0
#: Numbers remembered for the other channels; beyond it they are computed again.
POOLS_MAX = 200_000

#: (sku, location) -> units that location may sell
Sellable = Callable[[str, str], int]


@dataclass(slots=True)
class Batch:
    """What one call tells one channel, and how far it carries the channel's cursor."""

    skus: list[str]
    offers: list[Offer]
    again: set[str]  # SKUs that were due for a reason of their own
    seq: int
    fresh: bool  # something changed, as against only told again


class Pools:
    """What each location may sell of a SKU, computed once for all channels.

    Whatever changes the number moves the SKU in the change feed, so a value
    computed at one `seq` holds until the next.
    """

    def __init__(self) -> None:
        self._network: Network | None = None
        self._known: dict[tuple[str, str], tuple[int, int]] = {}

    def of(self, work: Work, seqs: Mapping[str, int]) -> Sellable:
        """The lookup for one batch, whose SKUs stand at `seqs` in the feed."""
        if self._network is not work.network or len(self._known) > POOLS_MAX:
            self._network, self._known = work.network, {}

        def sellable(sku: str, location: str) -> int:
            seq = seqs.get(sku, -1)
            known = self._known.get((sku, location))
            if known is not None and known[0] == seq:
                return known[1]
            units = stock.terms_of(work, sku, location).sellable
            if seq >= 0:
                self._known[sku, location] = (seq, units)
            return units

        return sellable


class Publisher:
    """Tells channels. One call in flight per channel: writes stay in order (S4)."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        clock: Clock,
        rng: random.Random,
        *,
        network: Callable[[], Network],
        connectors: Mapping[str, Any],
        linger_s: float = 0.0,
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._rng = rng
        self._network = network
        self._connectors = connectors
        self._linger = timedelta(seconds=linger_s)
        self._linger_until: dict[str, datetime] = {}
        self._pools = Pools()
        self._failures: dict[str, int] = {}
        self._resume_at: dict[str, datetime] = {}

    async def recover(self) -> None:
        """Calls whose answer was lost: what the channel shows now is not known."""
        now = self._clock.now()

        def unit(connection: Connection) -> None:
            rows = connection.execute(select(told).where(told.c.ended_at.is_(None))).all()
            for row in rows:
                for offer in orjson.loads(row.offers):
                    tell_again(connection, row.system, offer["sku"], now, "answer lost")
                connection.execute(
                    update(told)
                    .where(told.c.id == row.id)
                    .values(ended_at=stamp(now), result="lost")
                )

        await self._store.write(unit)

    def next_due(self, system: str) -> datetime | None:
        """When this channel wants to be told something; now, if the feed moved."""
        now = self._clock.now()
        blocked = max(self._resume_at.get(system, now), self._linger_until.get(system, now))
        with self._store.read() as connection:
            again = connection.execute(
                select(func.min(republish.c.due_at)).where(republish.c.system == system)
            ).scalar_one()
            last = connection.execute(select(func.coalesce(func.max(feed.c.seq), 0))).scalar_one()
            seq = _cursor(connection, system)
        if last > seq:
            return max(now, blocked)
        return max(unstamp(again), blocked) if again else None

    async def publish_once(self, system: str) -> int:
        """Tell one batch. Returns how many SKUs it settled; 0 when nothing is due."""
        resume_at = self._resume_at.get(system)
        if resume_at is not None and self._clock.now() < resume_at:
            return 0
        batch = self._gather(system)
        if batch is None or self._waits_for_more(system, batch):
            return 0
        if not batch.offers:
            await self._settle(system, batch, None, [])
            return len(batch.skus)
        told_id = await self._intend(system, batch)
        connector: Publishes = self._connectors[system]
        try:
            with urgent(_urgency(batch.offers)):
                results = await connector.publish(batch.offers)
        except ConnectorError as error:
            await self._call_failed(system, batch, told_id, error)
            return 0
        self._failures.pop(system, None)
        await self._settle(system, batch, told_id, results)
        return len(batch.skus)

    def _waits_for_more(self, system: str, batch: Batch) -> bool:
        """A young change waits a moment for the next, so that calls are few. A zero never does.

        It waits from the first change, not from the last: a SKU that never rests
        would otherwise never be told.
        """
        now = self._clock.now()
        until = self._linger_until.setdefault(system, now + self._linger)
        if batch.fresh and now < until and all(offer.quantity for offer in batch.offers):
            return True
        del self._linger_until[system]
        return False

    # -------------------------------------------------------------- what to tell

    def _gather(self, system: str) -> Batch | None:
        network = self._network()
        limit = network.stock_writes[system].batch
        now = stamp(self._clock.now())
        with self._store.read() as connection:
            seq = _cursor(connection, system)
            fresh = _FRESH(connection, after=seq, limit=limit).all()
            due = set(_AGAIN(connection, system=system, now=now, limit=limit).scalars())
            skus = list(dict.fromkeys([row.sku for row in fresh] + sorted(due)))
            if not skus:
                return None
            seqs = {row.sku: row.seq for row in fresh}
            if due - seqs.keys():
                seqs |= {row.sku: row.seq for row in connection.execute(_SEQS, {"skus": list(due)})}
            work = Work.begin(connection, network, self._seal, self._clock.now())
            sellable = self._pools.of(work, seqs)
            offers, taken = offers_of(work, system, skus, limit, sellable)
        covered = [row.seq for row in fresh if row.sku in taken]
        return Batch(
            skus=taken,
            offers=sorted(offers, key=_lower_first),
            again=due & set(taken),
            seq=max(covered, default=seq),
            fresh=bool(fresh),
        )

    async def _intend(self, system: str, batch: Batch) -> int:
        """Committed before the first byte leaves, like every write to a system."""
        now = self._clock.now()
        rows = [
            {
                "listing": o.listing,
                "place": o.place,
                "sku": o.sku,
                "quantity": o.quantity,
                "shown": o.shown,
            }
            for o in batch.offers
        ]

        def unit(connection: Connection) -> int:
            return int(
                connection.execute(
                    insert(told)
                    .values(
                        system=system,
                        key=batch.offers[0].key,
                        began_at=stamp(now),
                        offers=orjson.dumps(rows).decode(),
                    )
                    .returning(told.c.id)
                ).scalar_one()
            )

        return await self._store.write(unit)

    # -------------------------------------------------------------- what became of it

    async def _settle(
        self, system: str, batch: Batch, told_id: int | None, results: Sequence[OfferResult]
    ) -> None:
        now = self._clock.now()
        steps = await self._store.write(
            lambda connection: self._record(connection, system, batch, told_id, results, now)
        )
        steps.tell()

    def _record(
        self,
        connection: Connection,
        system: str,
        batch: Batch,
        told_id: int | None,
        results: Sequence[OfferResult],
        now: datetime,
    ) -> Steps:
        work = Work.begin(connection, self._network(), self._seal, now)
        if batch.again:
            connection.execute(
                delete(republish).where(
                    republish.c.system == system, republish.c.sku.in_(batch.again)
                )
            )
        answered = {(r.listing, r.place): r for r in results}
        held = holds.open_refs(work, "listing", system)
        rows = []
        for offer in batch.offers:
            result = answered.get((offer.listing, offer.place))
            if result is None:  # the connector did not get to it: nothing was sent
                tell_again(
                    connection, system, offer.sku, now + timedelta(seconds=BACKOFF_S), "not sent"
                )
                continue
            self._record_offer(work, system, offer, result, held)
            rows.append(
                {
                    "listing": offer.listing,
                    "place": offer.place,
                    "sku": offer.sku,
                    "quantity": offer.quantity,
                    "shown": offer.shown,
                    "outcome": result.outcome,
                    "now": result.shown,
                }
            )
        if told_id is not None:
            connection.execute(
                update(told)
                .where(told.c.id == told_id)
                .values(ended_at=stamp(now), result="answered", offers=orjson.dumps(rows).decode())
            )
        _MOVE_CURSOR(connection, system=system, seq=batch.seq)
        return work.finish()

    def _record_offer(
        self, work: Work, system: str, offer: Offer, result: OfferResult, held: set[str]
    ) -> None:
        member = f"{system}:{offer.listing}:{offer.place}"
        if result.outcome == "accepted":
            _publish(work, system, offer, offer.quantity, "")
            if member in held:
                holds.close_member(work, "listing", member)
            work.steps.add(
                6, "offer.published", system=system, sku=offer.sku, units=offer.quantity,
                place=offer.place,
            )  # fmt: skip
            return
        work.steps.add(
            6, f"offer.{result.outcome}", system=system, sku=offer.sku, units=offer.quantity,
            shown=result.shown, words=result.words[:200],
        )  # fmt: skip
        if result.outcome == "rejected":
            _publish(work, system, offer, None, result.words[:300] or "rejected")
            holds.open_hold(
                work,
                cause=f"refused_offer:{system}:{result.words[:80]}",
                system=system,
                reason=f"{system} refuses the stock of a listing: {result.words[:200]}",
                next_step="Correct the listing on the channel; the next change is told again.",
                member="listing",
                ref=member,
                label=f"{offer.sku} at {offer.place or system}",
            )
            return
        # stale or unknown: the channel moved by itself, or we do not know. Its orders
        # first, so that what it sold is claimed before the number is written again (H19).
        settle = work.network.stock_writes[system].settle_s
        _publish(work, system, offer, result.shown, result.outcome)
        due = work.now + timedelta(seconds=settle + 0.2)
        tell_again(work.connection, system, offer.sku, due, result.outcome)
        sweep_now(work.connection, system, "order", work.now)

    async def _call_failed(
        self, system: str, batch: Batch, told_id: int, error: ConnectorError
    ) -> None:
        """The whole call failed; nothing moves, the same SKUs are computed again later."""
        failures = self._failures.get(system, 0) + 1
        self._failures[system] = failures
        wait = min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** min(failures - 1, 10))
        wait *= self._rng.uniform(0.75, 1.25)
        if isinstance(error, RateLimited):
            wait = max(error.after_s, 0.1)
        now = self._clock.now()
        self._resume_at[system] = now + timedelta(seconds=wait)
        structlog.get_logger().warning(
            "publish.failed", system=system, skus=len(batch.skus), words=str(error),
            again_s=round(wait, 1),
        )  # fmt: skip
        lost = isinstance(error, InDoubt)

        def unit(connection: Connection) -> None:
            connection.execute(
                update(told)
                .where(told.c.id == told_id)
                .values(ended_at=stamp(now), result="lost" if lost else "not sent")
            )
            if lost:
                for sku in batch.skus:
                    tell_again(connection, system, sku, now, "answer lost")

        await self._store.write(unit)


# ------------------------------------------------------------------ offers


def offers_of(
    work: Work, system: str, skus: Sequence[str], limit: int, sellable: Sellable
) -> tuple[list[Offer], list[str]]:
    """Offers for as many of these SKUs as fit one call, and the SKUs taken.

    An offer equal to what the channel last acknowledged is left out, unless
    the channel itself shows something else.
    """
    rows = _listings(work.connection, system, skus)
    by_sku: dict[str, list[Row[Any]]] = {}
    for row in rows:
        by_sku.setdefault(row.sku, []).append(row)
    offers: list[Offer] = []
    taken: list[str] = []
    for sku in skus:
        found = (_offer(work, system, row, sellable) for row in by_sku.get(sku, []))
        wanted = [offer for offer in found if offer is not None]
        if offers and len(offers) + len(wanted) > limit:
            break
        offers += wanted
        taken.append(sku)
    return offers, taken


def quantity_of(work: Work, system: str, sku: str, place: str) -> int:
    """available_to_sell of one listing: the pool of the locations it shows."""
    places = work.network.serving_place(system, place)
    return ledger.pool(stock.terms_of(work, sku, location).sellable for location in places)


_LISTINGS = (
    select(
        listings,
        published.c.quantity.label("acked"),
        published.c.acked_at,
        published.c.words.label("trouble"),
    )
    .outerjoin(
        published,
        (published.c.system == listings.c.system)
        & (published.c.listing == listings.c.listing)
        & (published.c.place == listings.c.place),
    )
    .where(
        listings.c.system == bindparam("system"),
        listings.c.sku.in_(bindparam("skus", expanding=True)),
        listings.c.active == 1,
    )
    .order_by(listings.c.listing, listings.c.place)
)


def _listings(connection: Connection, system: str, skus: Sequence[str]) -> Sequence[Row[Any]]:
    return connection.execute(_LISTINGS, {"system": system, "skus": list(skus)}).all()


def _offer(work: Work, system: str, row: Row[Any], sellable: Sellable) -> Offer | None:
    places = work.network.serving_place(system, row.place)
    if not places:
        return None  # a place of the channel that no location of ours fills
    quantity = ledger.pool(sellable(row.sku, location) for location in places)
    if quantity == row.acked and not row.trouble:
        return None
    shown = row.acked if row.acked is not None else row.shown
    return Offer(
        listing=row.listing,
        place=row.place,
        sku=row.sku,
        quantity=quantity,
        shown=shown,
        key=f"truecount:{system}:{row.listing}:{row.place}:{quantity}:{stamp(work.now)}",
        extras=orjson.loads(row.extras),
    )


def _lower_first(offer: Offer) -> tuple[int, str]:
    """Zeros, then cuts, then raises: what prevents an oversell leaves first."""
    if offer.quantity == 0:
        return (0, offer.listing)
    cut = offer.shown is None or offer.quantity < offer.shown
    return (1 if cut else 2, offer.listing)


def _urgency(offers: Sequence[Offer]) -> Urgency:
    return (Urgency.FIRST, Urgency.CUT, Urgency.RAISE)[min(_lower_first(o)[0] for o in offers)]


# ------------------------------------------------------------------ rows

_FRESH = Hot(
    select(feed.c.sku, feed.c.seq)
    .where(feed.c.seq > bindparam("after"))
    .order_by(feed.c.seq)
    .limit(bindparam("limit"))
)
_SEQS = select(feed.c.sku, feed.c.seq).where(feed.c.sku.in_(bindparam("skus", expanding=True)))
_AGAIN = Hot(
    select(republish.c.sku)
    .where(republish.c.system == bindparam("system"), republish.c.due_at <= bindparam("now"))
    .order_by(republish.c.due_at)
    .limit(bindparam("limit"))
)


_CURSOR = Hot(select(publish_cursors.c.seq).where(publish_cursors.c.system == bindparam("system")))


def _cursor(connection: Connection, system: str) -> int:
    return _CURSOR(connection, system=system).scalar_one_or_none() or 0


_NEW_CURSOR = upsert(publish_cursors).values(system=bindparam("system"), seq=bindparam("seq"))
_MOVE_CURSOR = Hot(
    _NEW_CURSOR.on_conflict_do_update(
        index_elements=["system"], set_={"seq": _NEW_CURSOR.excluded.seq}
    )
)

_SHOWN = ("sku", "quantity", "acked_at", "words")
_NEW_SHOWN = upsert(published).values(
    {name: bindparam(name) for name in ("system", "listing", "place", *_SHOWN)}
)
_PUBLISHED = Hot(
    _NEW_SHOWN.on_conflict_do_update(
        index_elements=["system", "listing", "place"],
        set_={name: _NEW_SHOWN.excluded[name] for name in _SHOWN},
    )
)


def _publish(work: Work, system: str, offer: Offer, quantity: int | None, words: str) -> None:
    _PUBLISHED(
        work.connection,
        system=system,
        listing=offer.listing,
        place=offer.place,
        sku=offer.sku,
        quantity=quantity,
        acked_at=stamp(work.now),
        words=words,
    )


def tell_again(connection: Connection, system: str, sku: str, at: datetime, why: str) -> None:
    connection.execute(
        upsert(republish)
        .values(system=system, sku=sku, due_at=stamp(at), why=why)
        .on_conflict_do_update(
            index_elements=["system", "sku"],
            set_={"due_at": stamp(at), "why": why, "attempts": republish.c.attempts + 1},
        )
    )
