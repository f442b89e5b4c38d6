"""Stop 6, published: every channel shows the newest available-to-sell.

A changed SKU is one row in the change feed, not one row per channel: each
channel has a cursor, and computes the quantity at the moment of sending, so the
newest wins by construction and a crash only sends the same absolute number
again (G8). Lower before higher; zeros first. What was told is kept per call, so
that `why` can answer.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, select

from core import dividing, gross, halving, holds, offers, overtaking, pace, publish_rows, quotas
from core.clock import Clock, unstamp
from core.contract import Offer, OfferResult, Publishes
from core.crash import crash_point
from core.dividing import Basis, Division
from core.errors import ConnectorError, InDoubt, RateLimited, Rejected
from core.gross import OnTop
from core.limiter import urgent
from core.network import Network
from core.offers import Computed
from core.pools import Pools
from core.publish_rows import tell_again
from core.restored import Gate
from core.seal import Seal
from core.steps import Steps, last_step
from core.store.engine import Store
from core.store.schema import told
from core.sweep import sweep_by, sweep_now
from core.work import Work

#: A failed call is tried again after this, doubled, at most 5 minutes, with jitter.
BACKOFF_S = 1.0
BACKOFF_MAX_S = 300.0


@dataclass(slots=True)
class Batch:
    """What one call tells one channel, and how far it carries the channel's cursor."""

    due: list[str]  # SKUs to look at, in this order
    again: set[str]  # those of them that are due for a reason of their own
    after: int  # where the channel's cursor stands
    seqs: dict[str, int]  # where those that changed stand in the feed
    changed_at: dict[str, str]
    taken: list[str] = field(default_factory=list)  # as many as fit one call
    computed: list[Computed] = field(default_factory=list)
    divisions: dict[str, Division] = field(default_factory=dict)
    sent_at: datetime | None = None  # when the call was written down, just before it left
    on_top: OnTop = field(default_factory=dict)  # added where the channel's field is gross
    position: int = 0  # the last step the quantities were computed after; the proof folds up to it

    def compute(self, work: Work, system: str, basis: Basis) -> None:
        """What the listings of these SKUs should show now."""
        self.position = last_step(work.connection)
        wanted = offers.wanted(work, system, self.due, basis)
        self.taken, self.divisions = wanted.taken, wanted.divisions
        self.computed = sorted(wanted.computed, key=lambda one: offers.lower_first(one.offer))

    @property
    def offers(self) -> list[Offer]:
        return [one.offer for one in self.computed]

    @property
    def seq(self) -> int:
        """How far the channel has been told, once this is."""
        return max((self.seqs[sku] for sku in self.taken if sku in self.seqs), default=self.after)

    def needs_deciding(self) -> bool:
        """Something here is decided in the transaction that writes it down, not before."""
        return any(one.drained or one.changes_mode for one in self.divisions.values())


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
        gate: Gate,
        linger_s: float = 0.0,
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._rng = rng
        self._network = network
        self._connectors = connectors
        self._gate = gate
        self._linger = timedelta(seconds=linger_s)
        self._linger_until: dict[str, datetime] = {}
        self._pools = Pools()
        self._overtaking = overtaking.Overtaking(
            store, seal, clock, network=network, pools=self._pools
        )
        self._failures: dict[str, int] = {}
        self._doubts: dict[tuple[str, str, str], int] = {}  # unknown outcomes in a row
        self._resume_at: dict[str, datetime] = {}
        self._unwritten: dict[str, Callable[[], Awaitable[None]]] = {}

    async def recover(self) -> None:
        """Calls whose answer was lost: what the channel shows now is not known."""
        now = self._clock.now()

        def unit(connection: Connection) -> None:
            rows = connection.execute(select(told).where(told.c.ended_at.is_(None))).all()
            for row in rows:
                offered = orjson.loads(row.offers)
                quotas.lose(connection, row.system, offered, now)
                for offer in offered:
                    tell_again(connection, row.system, offer["sku"], now, "answer lost")
                self._read_first(connection, row.system, now)
                publish_rows.lose_call(connection, row.id, now, "lost")

        await self._store.write(unit)
        crash_point("publish.recovered")

    def wait_no_longer(self) -> None:
        """The clock was set back: what we waited for is further away than was meant."""
        self._resume_at.clear()
        self._linger_until.clear()

    def next_due(self, system: str) -> datetime | None:
        """When this channel wants to be told something; now, if the feed moved."""
        if self._gate.shut or system in self._network().plans:
            return None
        now = self._clock.now()
        blocked = max(self._resume_at.get(system, now), self._linger_until.get(system, now))
        with self._store.read() as connection:
            again = publish_rows.next_again(connection, system)
            last = publish_rows.end_of_feed(connection)
            seq = publish_rows.cursor(connection, system)
        if last > seq:
            return max(now, blocked)
        return max(unstamp(again), blocked) if again else None

    async def publish_once(self, system: str) -> int:
        """Tell one batch. Returns how many SKUs it settled; 0 when nothing is due."""
        if system in self._network().plans or not await self._gate.opens():
            return 0
        resume_at = self._resume_at.get(system)
        if resume_at is not None and self._clock.now() < resume_at:
            return 0
        if (end := self._unwritten.get(system)) is not None:
            await self._write_down_end(system, end)
        await self._overtaking.look(system)
        batch = self._gather(system)
        if batch is None or self._waits_for_more(system, batch):
            return 0
        crash_point("publish.computed", system)
        told_id = None
        if batch.offers or batch.needs_deciding():
            told_id = await self._intend(system, batch)
        if told_id is None:
            await self._settle(system, batch, None, [])
            return len(batch.taken)
        crash_point("publish.intended", system)
        connector: Publishes = self._connectors[system]
        try:
            with urgent(offers.urgency(batch.offers)):
                written = gross.as_written(batch.offers, batch.on_top)
                results = gross.as_offered(await halving.tell(connector, written), batch.on_top)
        except ConnectorError as error:
            failed = partial(self._call_failed, system, batch, told_id, error)
            await self._write_down_end(system, failed)
            return 0
        crash_point("publish.answered", system)
        self._failures.pop(system, None)
        settled = partial(self._settle, system, batch, told_id, results)
        await self._write_down_end(system, settled)
        return len(batch.taken)

    async def _write_down_end(self, system: str, end: Callable[[], Awaitable[None]]) -> None:
        """What became of a call is kept until the disk takes it: quotas rest on it (H3)."""
        self._unwritten[system] = end
        await end()
        del self._unwritten[system]

    def _waits_for_more(self, system: str, batch: Batch) -> bool:
        """A young change waits a moment for the next, so that calls are few. A zero never does.

        It waits from the first change, not from the last: a SKU that never rests
        would otherwise never be told.
        """
        now = self._clock.now()
        until = self._linger_until.setdefault(system, now + self._linger)
        if batch.seqs and now < until and all(offer.quantity for offer in batch.offers):
            return True
        del self._linger_until[system]
        return False

    # -------------------------------------------------------------- what to tell

    def _gather(self, system: str) -> Batch | None:
        network = self._network()
        limit = network.stock_writes[system].batch
        now = self._clock.now()
        with self._store.snapshot() as connection:
            seq = publish_rows.cursor(connection, system)
            fresh = publish_rows.changed(connection, seq, limit)
            again = publish_rows.due_again(connection, system, now, limit)
            cuts = self._overtaking.cuts(system)[:limit]
            oldest = [row.sku for row in fresh]
            turn = self._overtaking.turn(system)
            due = overtaking.in_order(turn, cuts, sorted(again), oldest)
            if not due:
                return None
            seqs = {row.sku: row.seq for row in fresh}
            batch = Batch(
                due=due,
                again=again,
                after=seq,
                seqs=overtaking.without(seqs, cuts),
                changed_at=publish_rows.changed_at(connection, oldest + cuts),
            )
            known = seqs | publish_rows.seqs_of(connection, set(due) - seqs.keys())
            work = Work.begin(connection, network, self._seal, now)
            batch.compute(work, system, self._pools.looked_at(work, known, self._away(system)))
        return batch

    def _away(self, system: str) -> frozenset[str]:
        """The other channels whose last call failed."""
        return frozenset(self._failures) - {system}

    async def _intend(self, system: str, batch: Batch) -> int | None:
        """Committed before the first byte leaves, like every write to a system.

        What concerns a divided pool is decided here once more: between the look at
        it and this transaction another channel may have been raised from the same units.
        None: nothing is left to be told.
        """
        now = self._clock.now()
        steps, told_id = await self._store.write(
            lambda connection: self._write_down(connection, system, batch, now)
        )
        steps.tell()
        return told_id

    def _write_down(
        self, connection: Connection, system: str, batch: Batch, now: datetime
    ) -> tuple[Steps, int | None]:
        work = Work.begin(connection, self._network(), self._seal, now)
        if batch.divisions:
            seqs = publish_rows.seqs_of(connection, batch.due)
            batch.compute(work, system, self._pools.decided(work, seqs, self._away(system)))
            for division in batch.divisions.values():
                dividing.begin(work, division)
        if not batch.offers:
            return work.finish(), None
        batch.sent_at = now
        batch.on_top = gross.on_top(work, system, batch.offers)
        for offer in batch.offers:
            if offer.sku in batch.divisions:
                outlets = batch.divisions[offer.sku].outlets
                quota = outlets[system, offer.listing, offer.place].quota
                quotas.intend(work, system, offer, quota)
                crash_point("publish.dividing", system)
        rows = [one.kept() for one in batch.computed]
        told_id = publish_rows.begin_call(
            connection, system, batch.offers, now, batch.position, rows
        )
        return work.finish(), told_id

    # -------------------------------------------------------------- what became of it

    async def _settle(
        self, system: str, batch: Batch, told_id: int | None, results: Sequence[OfferResult]
    ) -> None:
        now = self._clock.now()
        steps = await self._store.write(
            lambda connection: self._record(connection, system, batch, told_id, results, now)
        )
        crash_point("publish.settled", system)
        self._overtaking.told(system, batch.taken)
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
        if told_id is not None:
            holds.close_member(work, "system", _refused_calls(system))
        publish_rows.not_again(connection, system, batch.again.intersection(batch.taken))
        answered = {(r.listing, r.place): r for r in results}
        held = holds.open_refs(work, "listing", system)
        said = [(offer, answered.get((offer.listing, offer.place))) for offer in batch.offers]
        rows = []
        for one, (offer, result) in zip(batch.computed, said, strict=True):
            if result is None:  # the connector did not get to it: nothing was sent
                soon = now + timedelta(seconds=BACKOFF_S)
                tell_again(connection, system, offer.sku, soon, "not sent")
                continue
            self._record_offer(work, system, offer, result, held)
            rows.append(one.kept(outcome=result.outcome, now=result.shown))
        self._record_divided(work, system, batch, said)
        if told_id is not None:
            publish_rows.end_call(connection, told_id, now, rows)
            oldest = [batch.changed_at[o.sku] for o, r in said if r and o.sku in batch.changed_at]
            if oldest:
                late = (now - unstamp(min(oldest))).total_seconds()
                pace.delayed(connection, system, "told", late, now)
        publish_rows.move_cursor(connection, system, batch.seq)
        return work.finish()

    def _record_divided(
        self,
        work: Work,
        system: str,
        batch: Batch,
        said: Sequence[tuple[Offer, OfferResult | None]],
    ) -> None:
        """What the answers mean for quotas, and when a drain may free units of them."""
        divided = [(offer, result) for offer, result in said if offer.sku in batch.divisions]
        known = quotas.answered(work, system, divided, batch.sent_at or work.now)
        if divided:
            crash_point("publish.quota_answered", system)
        for division in batch.divisions.values():
            if look_at := dividing.waits_until(work, system, division, known):
                why = "its orders are drained"
                tell_again(work.connection, system, division.sku, look_at, why)
                sweep_by(work.connection, system, "order", look_at - dividing.DRAIN_RETRY)

    def _record_offer(
        self, work: Work, system: str, offer: Offer, result: OfferResult, held: set[str]
    ) -> None:
        member = f"{system}:{offer.listing}:{offer.place}"
        if result.outcome != "unknown":
            self._doubts.pop((system, offer.listing, offer.place), None)
        if result.outcome == "accepted" or _is_there_already(offer, result):
            publish_rows.shows(work.connection, system, offer, offer.quantity, "", work.now)
            if member in held:
                holds.close_member(work, "listing", member)
            work.steps.add(
                6, "offer.published", system=system, sku=offer.sku, units=offer.quantity,
                listing=offer.listing, place=offer.place,
            )  # fmt: skip
            return
        work.steps.add(
            6, f"offer.{result.outcome}", system=system, sku=offer.sku, units=offer.quantity,
            shown=result.shown, words=result.words[:200], listing=offer.listing,
            place=offer.place,
        )  # fmt: skip
        if result.outcome == "rejected":
            words = result.words[:300] or "rejected"
            publish_rows.shows(work.connection, system, offer, None, words, work.now)
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
        publish_rows.shows(work.connection, system, offer, result.shown, result.outcome, work.now)
        wait = self._doubtful(system, offer) if result.outcome == "unknown" else 0.2
        due = work.now + timedelta(seconds=settle + wait)
        tell_again(work.connection, system, offer.sku, due, result.outcome)
        sweep_now(work.connection, system, "order", work.now)
        self._read_first(work.connection, system, work.now)

    def _read_first(self, connection: Connection, system: str, now: datetime) -> None:
        """After a lost answer: a difference from a number nobody knows cannot be told."""
        write = self._network().stock_writes.get(system)
        if write is not None and write.kind == "relative":
            sweep_by(connection, system, "listing", now + timedelta(seconds=write.settle_s))

    def _doubtful(self, system: str, offer: Offer) -> float:
        """A channel that never says what became of an offer is asked ever less often: seconds."""
        key = (system, offer.listing, offer.place)
        times = self._doubts[key] = self._doubts.get(key, 0) + 1
        return min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** min(times - 1, 10))

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
            "publish.failed", system=system, skus=len(batch.taken), words=str(error),
            again_s=round(wait, 1),
        )  # fmt: skip
        lost = isinstance(error, InDoubt)

        def unit(connection: Connection) -> None:
            publish_rows.lose_call(connection, told_id, now, "lost" if lost else "not sent")
            divided = [one for one in batch.computed if one.offer.sku in batch.divisions]
            if lost:
                quotas.lose(connection, system, [one.kept() for one in divided], now)
                for sku in batch.taken:
                    tell_again(connection, system, sku, now, "answer lost")
                self._read_first(connection, system, now)
                return
            work = Work.begin(connection, self._network(), self._seal, now)
            unsent = [(one.offer, None) for one in divided]
            quotas.answered(work, system, unsent, batch.sent_at or now)
            if isinstance(error, Rejected):
                _show_refusal(work, system, error)
            work.finish()

        await self._store.write(unit)


def _refused_calls(system: str) -> str:
    return f"refused_calls:{system}"


def _show_refusal(work: Work, system: str, error: Rejected) -> None:
    """No offer is to blame: the channel refuses us. Its numbers grow old until somebody looks."""
    holds.open_hold(
        work,
        cause=_refused_calls(system),
        system=system,
        reason=f"{system} refuses every stock write, whatever it says: {str(error)[:200]}",
        next_step="Correct what it says (a permission, a closed account); it is asked again by"
        " itself, and this closes with the first write it takes.",
        member="system",
        ref=_refused_calls(system),
        label=system,
    )


def _is_there_already(offer: Offer, result: OfferResult) -> bool:
    """It compared, refused, and shows our number: a repeat, or the channel sold down to it."""
    return result.outcome == "stale" and result.shown == offer.quantity
