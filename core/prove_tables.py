"""What the walk of a SKU comes to, against what the tables hold (G6, G7).

A row that somebody changed, added or took away without a step is found here:
numbers in force, live claims, and claims that are over with their evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, literal_column, select

from core import ledger, stock
from core.clock import stamp, unstamp
from core.history import Held, Past, Step
from core.network import TRUECOUNT
from core.proof import Finding, Proof, order_name
from core.store import schema as s
from core.store.hot import Hot


def claim_name(
    connection: Connection, sku: str, claim_id: int, units: int, order_id: int | None
) -> str:
    return f"claim {claim_id} ({units} of {sku} for {order_name(connection, order_id)})"


def age(reading: ledger.Reading | None) -> str:
    """How a number says when it is from."""
    if reading is None:
        return "none"
    if reading.counter is not None:
        return f"counter {reading.counter}"
    if reading.as_of is not None:
        return f"as of {stamp(reading.as_of)}"
    return f"read begun {stamp(reading.began_at)}"


def compare(connection: Connection, proof: Proof, past: Past, over: Mapping[str, int]) -> None:
    """`past` folded to its end; `over`: how many claims the walk ended and released."""
    _numbers(connection, proof, past)
    live = {row.id: row for row in _LIVE(connection, sku=past.sku)}
    for claim_id in sorted(live.keys() | past.claims.ids()):
        row, held = live.get(claim_id), past.claims.get(claim_id)
        if row is None or held is None or stock.as_claim(row) != held.claim:
            _claim(connection, proof, past.sku, row, held)
    counted = {row.state: row.count for row in _COUNT_OVER(connection, sku=past.sku)}
    if any(counted.get(state, 0) != count for state, count in over.items()):
        _from_nowhere(connection, proof, past.sku)


# ------------------------------------------------------------------ numbers in force


def _numbers(connection: Connection, proof: Proof, past: Past) -> None:
    rows = _NUMBERS(connection, sku=past.sku).all()
    for row in rows:
        if row.location in past.network.locations:  # else it is none of ours any more
            words = _unlike(past, row)
            if words:
                _number_differs(proof, past.sku, row.location, words)
    for location in past.places.keys() - {row.location for row in rows}:
        if past.places[location].reading is not None:
            words = "a number by the walk, and none in the table"
            _number_differs(proof, past.sku, location, words)


def _unlike(past: Past, row: Row[Any]) -> str:
    """In which way this number is not the one of the walk; "" if it is."""
    if not past.network.owners.may_write("on_hand", row.location, row.system):
        return f"the number of {row.system}, not its owner's"
    place, source = past.place(row.location), past.network.source_of(row.location)
    kept = stock.as_reading(row, unstamp(row.began_at))
    if place.reading is None or _terms(kept, source) != _terms(place.reading, source):
        return f"{_said(kept, source)} in the table, and {_said(place.reading, source)} by the walk"
    if (unstamp(row.confirmed_at) if row.confirmed_at else None) != place.confirmed_at:
        return "a pass as its evidence that the walk does not know"
    return ""


def _terms(reading: ledger.Reading, source: ledger.Source) -> tuple[object, ...]:
    supply = reading.on_hand if source.basis == "on_hand" else reading.available
    return supply, reading.counter, reading.as_of, reading.began_at, reading.doubt


def _said(reading: ledger.Reading | None, source: ledger.Source) -> str:
    return f"{_terms(reading, source)[0]} ({age(reading)})" if reading else "nothing"


def _number_differs(proof: Proof, sku: str, location: str, words: str) -> None:
    ref, says = f"stock {sku} {location}", f"{sku} at {location} has {words}"
    proof.find(Finding(what="numbers differ", ref=ref, should=TRUECOUNT, says=says))


# ------------------------------------------------------------------ claims


def _claim(
    connection: Connection, proof: Proof, sku: str, row: Row[Any] | None, held: Held | None
) -> None:
    if held is None:
        assert row is not None, "one of the two knows it"
        name = claim_name(connection, sku, row.id, row.units, row.order_id)
        says = f"{name} is {row.state} in the table, and not alive by the walk"
    else:
        name = claim_name(connection, sku, held.id, held.claim.units, held.order_id)
        says = f"{name} is not the same in the table and by the walk"
        if row is None:
            says = f"{name} is {held.claim.state} by the walk, and not alive in the table"
    ref = f"claim {held.id if held else row.id}"  # type: ignore[union-attr]  # asserted above
    proof.find(Finding(what="claims differ", ref=ref, should=TRUECOUNT, says=says))


def look_up(connection: Connection, proof: Proof, sku: str, over: Mapping[int, Step]) -> None:
    """What the table says of claims that are over, by the steps that ended them."""
    rows = {row.id: row for row in connection.execute(_CLAIMS, {"ids": list(over)})}
    for claim_id, step in over.items():
        what, words = _over(step, rows.get(claim_id))
        if not what:
            continue
        name = claim_name(connection, sku, claim_id, step.data["units"], step.order_id)
        proof.find(
            Finding(
                what=what,
                ref=f"claim {claim_id}",
                at=stamp(step.at),
                who=TRUECOUNT,
                should=TRUECOUNT,
                says=f"{name} {words}",
            )
        )


def _over(step: Step, row: Row[Any] | None) -> tuple[str, str]:
    """What is wrong with the row of a claim that this step ended, in a word and in words."""
    state, evidence = step.name.removeprefix("claim."), step.data.get("evidence") or ""
    if row is None:
        return "claim lost", f"is {state} by the walk, and gone from the table"
    if (row.state, row.units) != (state, step.data["units"]):
        return "claims differ", f"is {state} by the walk, and {row.state} in the table"
    if row.evidence != evidence:
        what = "false evidence" if row.evidence else "no evidence"
        return what, f"has evidence {row.evidence!r}; the walk says {evidence!r}"
    return "", ""


def _from_nowhere(connection: Connection, proof: Proof, sku: str) -> None:
    """Claims that the table calls over, and no step ended."""
    for row in connection.execute(_NOT_IN_WALK, {"sku": sku}):
        name = claim_name(connection, sku, row.id, row.units, row.order_id)
        says = f"{name} is {row.state} in the table, and no step says how"
        ref = f"claim {row.id}"
        proof.find(Finding(what="no evidence", ref=ref, should=TRUECOUNT, says=says))


# ------------------------------------------------------------------ rows

_OF_SKU = s.claims.c.sku == bindparam("sku")
_OVER = s.claims.c.state.in_([literal_column("'ended'"), literal_column("'released'")])
_NUMBERS = Hot(select(s.stock).where(s.stock.c.sku == bindparam("sku")))
_LIVE = Hot(select(s.claims).where(_OF_SKU, ~_OVER))
_CLAIMS = select(s.claims).where(s.claims.c.id.in_(bindparam("ids", expanding=True)))
_COUNT_OVER = Hot(
    select(s.claims.c.state, func.count().label("count"))
    .where(_OF_SKU, _OVER)
    .group_by(s.claims.c.state)
)
_NOT_IN_WALK = select(s.claims).where(
    _OF_SKU,
    _OVER,
    s.claims.c.id.not_in(
        select(func.json_extract(s.steps.c.data, "$.claim")).where(
            s.steps.c.sku == bindparam("sku"),
            s.steps.c.name.in_(["claim.ended", "claim.released"]),
        )
    ),
)
