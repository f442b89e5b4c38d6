"""The first half of the proof: every write to a number was its owner's to make (G5).

What came in is judged by its step and the table of owners in force at that step;
what went out by the command or the call, and by who reads what it tells. A
command in the outbox that no step decided is a finding by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from core import walk
from core.clock import stamp
from core.history import Epoch, Step
from core.network import COMPANY, TELLS, TRUECOUNT, Network
from core.proof import Finding, Proof, Tell, order_name
from core.store.schema import orders, outbox, steps, told

#: Steps that write a number or tell one.
WRITES = (
    "stock.read",
    "order.captured",
    "order.revised",
    "order.shipped",
    "price.read",
    "document.read",
    "listing.read",
    "fact.read",
    "refund.read",
    "command.queued",
)
#: How often it says how far it has come.
TELL_EVERY = 20_000
_CHUNK = 2_000


def look(
    connection: Connection,
    network: Network,
    epochs: Sequence[Epoch],
    proof: Proof,
    *,
    after: int,
    upto: int,
    tell: Tell,
) -> None:
    tables = _Tables(network, epochs)
    commands = _Commands(connection, proof)
    rows = connection.execute(
        select(steps)
        .where(steps.c.seq > after, steps.c.seq <= upto, steps.c.name.in_(WRITES))
        .order_by(steps.c.seq)
        .execution_options(yield_per=_CHUNK)
    )
    for count, row in enumerate(rows):
        if count % TELL_EVERY == 0:
            tell("writes", row.seq - after, upto - after)
        step = walk.as_step(row)
        if step.name == "command.queued":
            commands.judge(step, tables.at(step.seq))
        else:
            _judge(connection, proof, step, tables.at(step.seq))
    commands.rest()
    _calls(connection, proof, _Tables(network, epochs))


@dataclass(slots=True)
class _Tables:
    """The network in force, asked in the order of the walk."""

    present: Network
    epochs: Sequence[Epoch]
    _next: int = 0
    _current: Network | None = None

    def at(self, seq: int) -> Network:
        while self._next < len(self.epochs) and self.epochs[self._next].seq <= seq:
            self._current = self.epochs[self._next].network or self._current
            self._next += 1
        return self._current or self.present


# ------------------------------------------------------------------ what came in


def _judge(connection: Connection, proof: Proof, step: Step, network: Network) -> None:
    number, scope = _written(step)
    if number == "listing":  # a channel speaks for itself, and nobody else does for it
        owner = step.system if step.system in network.channels else ""
    else:
        owner = network.owners.owner.get((number, scope), "")
    proof.written[number].add(step.system, own=owner == step.system)
    if owner == step.system:
        return
    of = "" if scope in (COMPANY, step.system) else f" of {scope}"
    should = f"its owner was {owner}" if owner else "nobody owned it there"
    proof.find(
        Finding(
            what="foreign write",
            ref=f"step {step.seq}",
            at=stamp(step.at),
            who=step.system,
            should=owner,
            says=f"{step.system} wrote {number}{of} ({_about(connection, step)}); {should}",
        )
    )


def _written(step: Step) -> tuple[str, str]:
    """The number this step writes, and in which scope."""
    location = str(step.data.get("location") or "")
    match step.name:
        case "stock.read":
            return "on_hand", location
        case "order.shipped":
            return "shipment", location
        case "price.read":
            return str(step.data.get("number")), COMPANY
        case "document.read":
            return "invoice", COMPANY
        case "fact.read" | "refund.read":  # a part of this number
            return str(step.data.get("number")), str(step.data.get("scope"))
        case "listing.read":
            return "listing", step.system
        case _:
            return "order", step.system


def _about(connection: Connection, step: Step) -> str:
    if step.name == "stock.read":
        return f"{step.sku}: {step.data.get('units')} units"
    return step.sku or order_name(connection, step.order_id)


# ------------------------------------------------------------------ what went out


class _Commands:
    """Steps that queued a command beside the outbox itself; both are numbered in one order."""

    def __init__(self, connection: Connection, proof: Proof) -> None:
        self._connection = connection
        self._proof = proof
        self._rows: Iterator[Row[Any]] = iter(
            connection.execute(
                select(
                    outbox.c.id,
                    outbox.c.system,
                    outbox.c.kind,
                    outbox.c.order_id,
                    outbox.c.queued_at,
                    orders.c.system.label("channel"),
                    orders.c.location,
                )
                .outerjoin(orders, orders.c.id == outbox.c.order_id)
                .where(outbox.c.queued_at > (proof.since or ""))
                .order_by(outbox.c.id)
                .execution_options(yield_per=_CHUNK)
            )
        )
        self._row = next(self._rows, None)

    def judge(self, step: Step, network: Network) -> None:
        row, kind = self._row_of(step), str(step.data.get("kind"))
        if row is None or (row.system, row.kind) != (step.system, kind):
            says = f"{kind} to {step.system} was decided, and the outbox does not have it so"
            self._find("command lost", f"step {step.seq}", stamp(step.at), TRUECOUNT, says)
            return
        own = kind in TELLS and network.owners.may_tell(
            kind, row.system, channel=row.channel or "", location=row.location or ""
        )
        self._proof.told[" or ".join(TELLS.get(kind, ("?",)))].add(row.system, own=own)
        if not own:
            says = f"{kind} was queued for {row.system}, which is no reader of what it tells"
            self._find("told to no reader", f"command {row.id}", stamp(step.at), TRUECOUNT, says)

    def _row_of(self, step: Step) -> Row[Any] | None:
        """Its row. Those before it that no step decided are findings."""
        command_id = step.data.get("id")
        if not isinstance(command_id, int):
            return None
        while self._row is not None and self._row.id < command_id:
            self._undecided()
        if self._row is None or self._row.id != command_id:
            return None
        found, self._row = self._row, next(self._rows, None)
        return found

    def rest(self) -> None:
        while self._row is not None:
            self._undecided()

    def _undecided(self) -> None:
        row = self._row
        assert row is not None
        name = order_name(self._connection, row.order_id)
        says = f"{row.kind} to {row.system} for {name} is in the outbox, and no step decided it"
        self._find("undecided command", f"command {row.id}", row.queued_at, "", says)
        self._row = next(self._rows, None)

    def _find(self, what: str, ref: str, at: str, who: str, says: str) -> None:
        finding = Finding(what=what, ref=ref, at=at, who=who, should=TRUECOUNT, says=says)
        self._proof.find(finding)


def _calls(connection: Connection, proof: Proof, tables: _Tables) -> None:
    """Who was told what may be sold: only channels that read it from us."""
    rows = connection.execute(
        select(told.c.id, told.c.system, told.c.began_at, told.c.position)
        .where(told.c.began_at > (proof.since or ""))
        .order_by(told.c.id)
        .execution_options(yield_per=_CHUNK)
    )
    for row in rows:
        owners = tables.at(row.position or 0).owners
        own = owners.may_offer(row.system)
        proof.told["available_to_sell"].add(row.system, own=own)
        if own:
            continue
        owner = owners.owner.get(("available_to_sell", row.system), "")
        proof.find(
            Finding(
                what="told to no reader",
                ref=f"call {row.id}",
                at=row.began_at,
                who=TRUECOUNT,
                should=owner,
                says=f"{row.system} was told what it may sell, which is for {owner or 'nobody'}"
                " to say",
            )
        )
