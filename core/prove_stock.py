"""The proof's second part, SKU by SKU: the past is folded and judged at every step (G4, G6-G8).

A number in force is never older than the one before it. A claim ends only by what
the number in force then really excludes, by the arithmetic of `core.ledger` and
not by the words that were written. An offer is never above the pool of its moment
(core/prove_offers.py), and the end of it all is in the tables (core/prove_tables.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, union

from core import ledger, prove_offers, prove_tables, stock, walk
from core.clock import stamp
from core.history import EVENTS, FOREIGN, Epoch, Held, Past, Step
from core.network import TRUECOUNT, Network
from core.proof import Finding, Proof, Tell
from core.prove_offers import Offered
from core.store import schema as s

#: How often it says how far it has come.
TELL_EVERY = 500
#: Claims that are over are looked up in the table so many at once.
OVER_MAX = 500
_CHUNK = 2_000
#: After everything that is known of a SKU, its tables are compared.
_END = 2**62
_OVER = ("claim.ended", "claim.released")

#: What is known of a SKU, in the order it happened: (sku, position, rank, what).
Known = tuple[str, int, int, Step | Offered | None]


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
    recent = select(s.steps.c.sku).where(s.steps.c.seq > after, s.steps.c.sku != "")
    everything = merge(
        _steps(connection, recent if after else None, upto),
        ((o.sku, o.position, 1, o) for o in prove_offers.offers(connection, proof)),
        _skus(connection, recent if after else None),
        key=lambda known: known[:3],
    )
    done = 0
    for sku, events in groupby(everything, key=lambda known: known[0]):
        judge = _Judge(connection, proof, Past(sku, epochs, network), after)
        for _, position, _, event in events:
            done += 1
            if done % TELL_EVERY == 0:
                tell("stock and claims", done, upto)
            judge.event(position, event)
        judge.end(upto)
        proof.skus += 1


def _steps(connection: Connection, recent: Any, upto: int) -> Iterator[Known]:
    c = s.steps.c
    own: ColumnElement[bool] = c.sku != "" if recent is None else c.sku.in_(recent)
    rows = connection.execute(
        select(s.steps)
        .where(own, c.seq <= upto, c.name.in_(EVENTS))
        .order_by(c.sku, c.seq)
        .execution_options(yield_per=_CHUNK)
    )
    return ((row.sku, row.seq, 0, walk.as_step(row)) for row in rows)


def _skus(connection: Connection, recent: Any) -> Iterator[Known]:
    """SKUs the tables know, whether or not the walk does."""
    if recent is not None:
        statement = recent.distinct().order_by(s.steps.c.sku)
    else:
        live = select(s.claims.c.sku).where(s.claims.c.state.in_(stock.LIVE))
        both = union(select(s.stock.c.sku), live).subquery()
        statement = select(both.c.sku).order_by(both.c.sku)
    rows = connection.execute(statement.execution_options(yield_per=_CHUNK))
    return ((row.sku, _END, 2, None) for row in rows)


class _Judge:
    """One SKU. Steps up to `after` are folded and not judged."""

    def __init__(self, connection: Connection, proof: Proof, past: Past, after: int) -> None:
        self._connection = connection
        self._proof = proof
        self._past = past
        self._after = after
        self._count = {"ended": 0, "released": 0}
        self._over: dict[int, Step] = {}  # claims that are over, not looked up in the table yet

    def event(self, position: int, event: Step | Offered | None) -> None:
        if isinstance(event, Offered):
            self._past.upto(position)
            prove_offers.judge(self._proof, self._past, event)
        elif isinstance(event, Step):
            self._past.upto(event.seq)
            self._step(event, judged=event.seq > self._after)

    def end(self, upto: int) -> None:
        self._past.upto(upto)
        self._look_up()
        prove_tables.compare(self._connection, self._proof, self._past, self._count)

    def _step(self, step: Step, *, judged: bool) -> None:
        if step.name in _OVER:
            self._count[step.name.removeprefix("claim.")] += 1
            if judged:
                self._is_over(step)
        place = self._past.place(str(step.data.get("location", "")))
        before = place.reading if place.system == step.system else None
        wrong = self._past.apply(step)
        if wrong and wrong != FOREIGN:  # that is found among the owners
            self._find("walk", f"{step.name} of {self._past.sku}: {wrong}", step)
        elif step.name == "stock.read" and judged and not wrong:
            self._proof.readings += 1
            self._in_order(step, before, place.reading)

    def _in_order(
        self, step: Step, before: ledger.Reading | None, after: ledger.Reading | None
    ) -> None:
        """By the owner's own order a number in force is never older than the one before (G4)."""
        assert after is not None, "it was just read"
        source = self._past.network.source_of(step.data["location"])
        if ledger.compare(before, after, source) in ("stale", "reset"):
            says = (
                f"{step.system} is believed {self._past.sku} of {step.data['location']} "
                f"({prove_tables.age(after)}), which is older than what it had said "
                f"({prove_tables.age(before)})"
            )
            self._find("older number", says, step)

    # -------------------------------------------------------------- claims that end

    def _is_over(self, step: Step) -> None:
        held = self._past.claims.get(step.data.get("part_of") or step.data.get("claim") or 0)
        if held is None:
            return  # the fold says so
        self._proof.ended += 1
        given_back = step.name == "claim.released" and held.claim.state == "open"
        if not given_back:
            self._evidence(step, held)
        self._over[step.data["claim"]] = step
        if len(self._over) >= OVER_MAX:
            self._look_up()

    def _evidence(self, step: Step, held: Held) -> None:
        """Judged again, by the number in force in that moment (G7)."""
        written, evidence = step.data.get("evidence") or "", self._past.may_end(held)
        if evidence == written and evidence:
            return
        name = prove_tables.claim_name(
            self._connection, self._past.sku, held.id, held.claim.units, held.order_id
        )
        if not written:
            self._find("no evidence", f"{name} ended without evidence", step)
            return
        reading = self._past.place(held.location).in_force()
        truth = f"what held was {evidence!r}"
        if not evidence:
            truth = f"the number in force was {prove_tables.age(reading)}"
        self._find("false evidence", f"{name} ended by {written!r}, and {truth}", step)

    def _look_up(self) -> None:
        if self._over:
            prove_tables.look_up(self._connection, self._proof, self._past.sku, self._over)
            self._over.clear()

    def _find(self, what: str, says: str, step: Step) -> None:
        self._proof.find(
            Finding(
                what=what,
                ref=f"step {step.seq}",
                at=stamp(step.at),
                who=step.system or TRUECOUNT,
                should=TRUECOUNT,
                says=says,
            )
        )
