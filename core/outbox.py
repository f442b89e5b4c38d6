"""Stop 5, told: commands leave lane by lane, once in effect.

    queued ──▶ sending ──▶ done
       ▲          │ did not happen: waiting(until) ──▶ sending
       │          │ answer not seen: in_doubt ──▶ find ──▶ done | queued
       └──────────┘ refused: dead, the lane stops, a person reads why

    planned ──▶ queued | in_doubt      where nothing is sent (core/handover.py), a person says when

The attempt is committed before its first byte leaves, so after any crash a
`sending` row is known to be in doubt (H21). Retrying lives here, durable and
visible; nothing sleeps on a retry, the next try is a time in the database (a
pool of sleeping retries starved the healthy channels). FIFO holds within a lane
(one order to one system); lanes do not wait for each other (G10).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)

from core import aliases, commands, exchanges, fulfillment, outcomes
from core.clock import Clock, stamp, unstamp
from core.codec import from_json
from core.contract import Command, Receipt
from core.crash import crash_point
from core.errors import (
    Busy,
    ConnectorError,
    Hold,
    InDoubt,
    LoginNeeded,
    RateLimited,
    Rejected,
)
from core.limiter import Urgency, urgent
from core.mapping.book import MappingBook
from core.model import COMMANDS
from core.network import Network
from core.privacy import blot, buyers_of
from core.restored import LOOK_FIRST, Gate
from core.seal import Seal
from core.steps import Steps
from core.store.engine import Store
from core.store.hot import Hot
from core.store.schema import ENDED, attempts, meta, outbox
from core.strict import dump_json, load_json
from core.work import Work

#: Backoff of a command that did not happen: 2 s, doubled, at most 5 minutes, with jitter.
BACKOFF_S = 2.0
BACKOFF_MAX_S = 300.0
#: A login that a person must renew is tried again this often; its door pauses for all of them.
LOGIN_S = 60.0
#: Two negative lookups apart before a command is sent again (H22).
LOOKUPS = 2

#: Served in this order; core/commands.py gives every command one of them.
URGENCIES = (commands.URGENT, commands.NORMAL)
#: States in which the head of a lane may be tried; `sending` is in flight, `dead` a person's.
DELIVERABLE = ("queued", "waiting", "in_doubt")
#: After an attempt that ended so, a person may want to read what was said.
TROUBLE = ("dead", "in_doubt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one attempt ended: done, waiting, in_doubt or dead, and when to look again."""

    state: str
    words: str = ""
    wait_s: float = 0.0
    receipt: Receipt | None = None
    said: bytes | None = None  # sealed: what was said, where somebody may have to read it


@dataclass(frozen=True, slots=True)
class _End:
    """The end of an attempt that a full disk did not take yet."""

    row: Row[Any]
    attempt_id: int
    ended: Ended
    verb: str


class Outbox:
    """Delivers what is due. `connectors` by system, `names` their connector names."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        clock: Clock,
        rng: random.Random,
        *,
        network: Callable[[], Network],
        book: MappingBook,
        connectors: Mapping[str, Any],
        names: Mapping[str, str],
        gate: Gate,
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._rng = rng
        self._network = network
        self._book = book
        self._connectors = connectors
        self._names = names
        self._gate = gate
        self._busy: set[tuple[str, str]] = set()
        self._unwritten: list[_End] = []

    async def recover(self) -> int:
        """At start every `sending` row is ours and its answer was lost (G12)."""
        now = self._clock.now()

        def unit(connection: Connection) -> list[Steps]:
            rows = connection.execute(select(outbox).where(outbox.c.state == "sending")).all()
            return [self._lost_at_stop(connection, row, now) for row in rows]

        lost = await self._store.write(unit)
        crash_point("outbox.recovered")
        for steps in lost:
            steps.tell()
        return len(lost)

    def _lost_at_stop(self, connection: Connection, row: Row[Any], now: datetime) -> Steps:
        ended = self._doubt(row, "stopped before the answer was seen")
        return self._record_end(connection, row, None, ended, "send", now)

    def due(self, system: str, limit: int) -> list[Row[Any]]:
        """Heads of lanes whose time has come, most urgent first. A dead head stops its lane."""
        now = stamp(self._clock.now())
        rows: list[Row[Any]] = []
        with self._store.read() as connection:
            for urgency in URGENCIES:
                wanted = limit + len(self._busy) - len(rows)
                if wanted > 0:
                    values = {"system": system, "urgency": urgency, "now": now, "limit": wanted}
                    rows += _DUE(connection, **values).all()
        return [row for row in rows if (system, row.lane) not in self._busy][:limit]

    def next_due(self, system: str) -> datetime | None:
        if self._gate.shut or system in self._network().plans:
            return None
        with self._store.read() as connection:
            times = [
                _NEXT_DUE(connection, system=system, urgency=urgency).scalar_one_or_none()
                for urgency in URGENCIES
            ]
        return min((unstamp(at) for at in times if at), default=None)

    async def deliver_due(self, system: str, at_once: int) -> int:
        """One attempt for each due head, at most `at_once` in flight. Returns how many."""
        if system in self._network().plans or not await self._gate.opens():
            return 0
        await self._write_ends(system)
        rows = self.due(system, at_once)
        await asyncio.gather(*(self.attempt(row) for row in rows))
        return len(rows)

    async def _write_ends(self, system: str) -> None:
        """What became of them is known, so with room on the disk nothing is in doubt (G13, H3).

        Left as `sending` they would stop their lanes until the next start.
        """
        for end in [one for one in self._unwritten if one.row.system == system]:
            await self._end(end.row, end.attempt_id, end.ended, end.verb)
            self._unwritten.remove(end)

    async def attempt(self, row: Row[Any]) -> None:
        """One attempt of one command, from the committed intention to the committed end."""
        lane = (row.system, row.lane)
        self._busy.add(lane)
        try:
            verb = "find" if self._must_look_first(row) else "send"
            try:
                command = self._command(row)
            except Hold as hold:
                await self._end(row, None, Ended(state="dead", words=hold.reason), verb)
                return
            crash_point("outbox.beginning", row.system)
            attempt_id = await self._begin(row, command, verb)
            if attempt_id is None:
                return
            crash_point("outbox.begun", row.system)
            with exchanges.listening() as heard:
                ended = await self._call(row, command, verb)
            if ended.state in TROUBLE and heard:
                said = self._seal.seal(exchanges.to_bytes(heard), exchanges.aad(attempt_id))
                ended = replace(ended, said=said)
            ended = replace(ended, words=blot(ended.words, buyers_of(command.record)))
            try:
                await self._end(row, attempt_id, ended, verb)
            except Busy:
                self._unwritten.append(_End(row, attempt_id, ended, verb))
                raise
        finally:
            self._busy.discard(lane)

    def _must_look_first(self, row: Row[Any]) -> bool:
        """A doubtful command is looked up, where its system can; else only a key may resend.

        After a restore a command that is new to us may have been done long ago, and a
        system that is only looked up would do it again without a word (G17, H38).
        """
        if row.state == "in_doubt":
            return row.safe_by in ("lookup", "reference") or self._key_is_forgotten(row)
        return row.safe_by == "lookup" and row.attempts == 0 and self._just_restored()

    def _key_is_forgotten(self, row: Row[Any]) -> bool:
        """After an outage longer than its memory the same key makes a second object (H23)."""
        if row.safe_by != "key" or row.first_sent_at is None:
            return False
        memory = self._network().accepts[(row.system, row.kind)].key_memory_s
        return self._clock.now() >= unstamp(row.first_sent_at) + timedelta(seconds=memory)

    def _just_restored(self) -> bool:
        with self._store.read() as connection:
            until = connection.execute(
                select(meta.c.value).where(meta.c.key == LOOK_FIRST)
            ).scalar_one_or_none()
        return until is not None and stamp(self._clock.now()) < until

    def _command(self, row: Row[Any]) -> Command:
        aad = commands.aad(row.key)
        ours = from_json(COMMANDS[row.kind], self._seal.open(row.record, aad))
        record = aliases.theirs(self._network().items, row.system, ours)
        if row.body is not None:
            body = load_json(self._seal.open(row.body, aad))
        else:
            mapping = self._book.outgoing(self._names[row.system], row.kind)
            body = mapping.body(record) if mapping is not None else None
        key = row.key if not row.generation else f"{row.key}:g{row.generation}"
        return Command(
            key=key,
            kind=row.kind,
            record=record,
            body=body,
            attempt=row.attempts + 1,
            first_sent_at=unstamp(row.first_sent_at) if row.first_sent_at else None,
        )

    async def _begin(self, row: Row[Any], command: Command, verb: str) -> int | None:
        """Committed before the first byte leaves. None: it is not as it was any more, and
        somebody has taken it back, discarded it or asked for it anew."""
        now = self._clock.now()
        body = None
        if command.body is not None:
            body = self._seal.seal(dump_json(command.body), commands.aad(row.key))

        def unit(connection: Connection) -> int | None:
            begun = connection.execute(
                update(outbox)
                .where(
                    outbox.c.id == row.id,
                    outbox.c.state == row.state,
                    outbox.c.attempts == row.attempts,
                )
                .values(
                    state="sending",
                    attempts=outbox.c.attempts + 1,
                    first_sent_at=func.coalesce(outbox.c.first_sent_at, stamp(now)),
                    body=func.coalesce(outbox.c.body, body),
                )
            )
            if not begun.rowcount:
                return None
            attempt = insert(attempts).values(
                outbox_id=row.id, n=command.attempt, verb=verb, began_at=stamp(now)
            )
            return int(connection.execute(attempt.returning(attempts.c.id)).scalar_one())

        return await self._store.write(unit)

    async def _call(self, row: Row[Any], command: Command, verb: str) -> Ended:
        connector = self._connectors[row.system]
        if verb == "find" and not hasattr(connector, "find"):
            words = f"in doubt for longer than {row.system} remembers keys, and it has no lookup"
            return Ended(state="dead", words=words)
        try:
            with urgent(Urgency.FIRST if row.urgency == commands.URGENT else Urgency.REST):
                if verb == "find":
                    crash_point("outbox.looking", row.system)
                    found = await connector.find(command)
                    crash_point("outbox.looked", row.system)
                    return self._looked_up(row, found)
                receipt = await connector.send(command)
                crash_point("outbox.sent", row.system)
                return Ended(state="done", receipt=receipt)
        except RateLimited as error:
            return Ended(state=_before(row, verb), words=str(error), wait_s=max(error.after_s, 0.1))
        except LoginNeeded as error:
            return Ended(state=_before(row, verb), words=str(error), wait_s=LOGIN_S)
        except Rejected as error:
            return Ended(state="dead", words=str(error))
        except InDoubt as error:
            return self._doubt(row, str(error))
        except ConnectorError as error:  # Retry: it did not happen
            return Ended(
                state=_before(row, verb), words=str(error), wait_s=self._backoff(row.attempts)
            )
        except Hold as hold:
            return Ended(state="dead", words=hold.reason)
        except Exception as error:  # noqa: BLE001 - a bug of a connector stops its lane, not silence
            structlog.get_logger().exception("connector.failed", system=row.system, kind=row.kind)
            words = f"the connector failed ({type(error).__name__}); it may have happened"
            return Ended(state="dead", words=words)

    def _looked_up(self, row: Row[Any], found: Receipt | None) -> Ended:
        if found is not None:
            return Ended(state="done", receipt=found)
        if row.state != "in_doubt":
            return Ended(state="queued", words="looked first after a restore: not there")
        if row.lookups + 1 < LOOKUPS:
            return Ended(
                state="in_doubt",
                words="not found yet; looking once more before sending again",
                wait_s=max(1.0, self._lookup_after(row)),
            )
        return Ended(state="queued", words="surely not there; sending again")

    def _doubt(self, row: Row[Any], words: str) -> Ended:
        if row.safe_by == "none":
            return Ended(
                state="dead", words=f"in doubt, and {row.system} offers no lookup: {words}"
            )
        return Ended(state="in_doubt", words=words, wait_s=self._lookup_after(row))

    def _lookup_after(self, row: Row[Any]) -> float:
        return self._network().accepts[(row.system, row.kind)].lookup_after_s

    def _backoff(self, tries: int) -> float:
        wait = min(BACKOFF_MAX_S, BACKOFF_S * float(2 ** min(tries, 12)))
        return wait * self._rng.uniform(0.75, 1.25)

    async def _end(self, row: Row[Any], attempt_id: int | None, ended: Ended, verb: str) -> None:
        now = self._clock.now()
        steps = await self._store.write(
            lambda connection: self._record_end(connection, row, attempt_id, ended, verb, now)
        )
        crash_point("outbox.ended", row.system)
        steps.tell()
        if ended.state not in ("done", "queued"):
            structlog.get_logger().warning(
                "command.not_done",
                system=row.system,
                kind=row.kind,
                id=row.id,
                order_id=row.order_id,
                state=ended.state,
                words=ended.words[:200],
                again_s=round(ended.wait_s, 1),
            )

    def _record_end(
        self,
        connection: Connection,
        row: Row[Any],
        attempt_id: int | None,
        ended: Ended,
        verb: str,
        now: datetime,
    ) -> Steps:
        work = Work.begin(connection, self._network(), self._seal, now)
        values: dict[str, Any] = {
            "state": ended.state,
            "words": ended.words[:500],
            "due_at": stamp(now + timedelta(seconds=ended.wait_s)),
            "lookups": outbox.c.lookups + 1 if verb == "find" and ended.state == "in_doubt" else 0,
        }
        if ended.receipt is not None:
            values |= {"done_at": stamp(now), "reference": ended.receipt.reference}
        connection.execute(update(outbox).where(outbox.c.id == row.id).values(**values))
        if attempt_id is not None:
            connection.execute(
                update(attempts)
                .where(attempts.c.id == attempt_id)
                .values(
                    ended_at=stamp(now),
                    result=ended.state,
                    words=ended.words[:500],
                    said=ended.said,
                )
            )
        current = connection.execute(select(outbox).where(outbox.c.id == row.id)).one()
        if ended.receipt is not None:
            outcomes.done(work, current, ended.receipt)
        elif ended.state == "dead":
            outcomes.refused(work, current, ended.words)
        fulfillment.go_on(work)
        crash_point("outbox.ending", row.system)
        return work.finish()


_earlier = outbox.alias("earlier")
#: Only the first command of a lane that is not done may be tried (FIFO). Asked per row and
#: through an index: grouping all lanes cost 193 ms with 200,000 of them, this 0.1.
_IS_HEAD = ~exists().where(
    _earlier.c.system == outbox.c.system,
    _earlier.c.lane == outbox.c.lane,
    _earlier.c.id < outbox.c.id,
    _earlier.c.state != literal_column("'done'"),  # so that its index is found
    _earlier.c.state.not_in([literal_column(f"'{state}'") for state in ENDED]),
)
_DELIVERABLE = (
    outbox.c.system == bindparam("system"),
    outbox.c.urgency == bindparam("urgency"),
    outbox.c.state.in_([literal_column(f"'{state}'") for state in DELIVERABLE]),
    _IS_HEAD,
)
_DUE = Hot(
    select(outbox)
    .where(*_DELIVERABLE, outbox.c.due_at <= bindparam("now"))
    .order_by(outbox.c.due_at, outbox.c.id)
    .limit(bindparam("limit"))
)
_NEXT_DUE = Hot(select(outbox.c.due_at).where(*_DELIVERABLE).order_by(outbox.c.due_at).limit(1))


def _before(row: Row[Any], verb: str) -> str:
    """A send that did not happen only waits; but what was in doubt before it still is (H23)."""
    return "in_doubt" if verb == "find" or row.state == "in_doubt" else "waiting"


def retry(work: Work, ids: list[int], *, new_key: bool = False) -> int:
    """An operator corrected the cause: dead commands are due again, body made anew."""
    return work.connection.execute(
        update(outbox)
        .where(and_(outbox.c.id.in_(ids), outbox.c.state == "dead"))
        .values(
            state="in_doubt" if not new_key else "queued",
            body=None,
            due_at=stamp(work.now),
            generation=outbox.c.generation + int(new_key),
            words="asked again by an operator",
        )
    ).rowcount
