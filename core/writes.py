"""What would leave us now, and why: commands in their lanes, numbers on their way to channels.

Only looks. A command is shown by what it asks for, never by its buyer. An offer is
computed as the publisher would at this moment; a number that is not due any more when
it could be sent is not in the list, because it would not be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from core import commands, offers, publish_rows
from core.clock import stamp
from core.codec import from_json
from core.model import COMMANDS, Order, QuantityLine
from core.money import Money
from core.offers import Computed
from core.pools import Pools
from core.seal import Seal
from core.store import schema as s
from core.work import Work

#: Commands of one system that are listed; SKUs of one channel that are computed for the list.
COMMANDS_MAX = 500
SKUS_MAX = 2_000
#: Why a command is where it is, in a person's words. One that is `waiting` has words of its own.
_WHY = {
    "queued": "",
    "sending": "it is being sent",
    "in_doubt": "whether it happened is looked up first",
}


#: Why a SKU stands in the change feed, where its word says too little.
_MOVED = {
    "stock": "a stock number arrived",
    "order": "an order was captured or changed",
    "claim": "units were claimed",
    "release": "units were given back",
    "shipped": "a parcel has left",
    "listing": "the listing is new or changed",
    "rules": "the offer rules changed",
    "configuration": "the configuration changed",
    "stop-sell": "it was stopped by hand",
    "resume-sell": "its stop was ended",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write to one system. `before` and `now`: the number there and the one it gets.

    `due` is None while it waits for something else than time: `why` says for what.
    """

    system: str
    lane: str
    what: str
    of: str
    asks: str
    why: str
    due: str | None
    before: int | None = None
    now: int | None = None
    command: int | None = None


# ------------------------------------------------------------------ commands


def of_commands(
    connection: Connection, seal: Seal, plans: Collection[str], only: Collection[int] | None = None
) -> tuple[list[Write], dict[str, int]]:
    """Commands that are to be sent, lane by lane; and how many more of each system there are."""
    where = [s.outbox.c.state.not_in(s.ENDED)]
    if only is not None:
        where.append(s.outbox.c.id.in_(only))
    rows = connection.execute(
        select(s.outbox, s.orders.c.number, s.orders.c.system.label("channel"))
        .outerjoin(s.orders, s.orders.c.id == s.outbox.c.order_id)
        .where(*where)
        .order_by(s.outbox.c.system, s.outbox.c.id)
    )
    found: list[Write] = []
    listed: dict[str, int] = {}
    stopped: dict[tuple[str, str], Row[Any]] = {}
    for row in rows:
        listed[row.system] = listed.get(row.system, 0) + 1
        ahead = stopped.setdefault((row.system, row.lane), row)
        if listed[row.system] <= COMMANDS_MAX:
            found.append(_command(seal, row, ahead, plans))
    more = {name: count - COMMANDS_MAX for name, count in listed.items() if count > COMMANDS_MAX}
    return found, more


def _command(seal: Seal, row: Row[Any], ahead: Row[Any], plans: Collection[str]) -> Write:
    record = from_json(COMMANDS[row.kind], seal.open(row.record, commands.aad(row.key)))
    sends = row.state not in ("dead", "planned") and row.system not in plans
    if ahead.id != row.id:
        why = f"waits behind command {ahead.id}, which is {ahead.state.replace('_', ' ')}"
    elif row.state == "planned" and row.system not in plans:
        why = "from before this was live: `truecount release` or `truecount by-hand` says whose"
    elif row.system in plans:
        why = "nothing is sent: mode is plan"
    elif row.state == "dead":
        why = f"given up, a person decides: {row.words}"
    else:
        why = row.words or _WHY.get(row.state, "")
    return Write(
        system=row.system,
        lane=row.lane,
        what=row.kind,
        of=f"{row.channel}:{row.number}",
        asks=said_of(record),
        why=why,
        due=row.due_at if sends and ahead.id == row.id else None,
        command=row.id,
    )


def said_of(record: Any) -> str:
    """What a command asks for, in units and money; nothing a buyer wrote."""
    order = getattr(record, "order", None)
    lines: Iterable[Any] = getattr(record, "lines", ())
    total = getattr(record, "total", None)
    if isinstance(order, Order):
        lines, total = order.lines, order.total
    said = [
        f"{line.quantity} x {line.sku or f'line {line.line}'}"
        if isinstance(line, QuantityLine)
        else f"{line.quantity} x {line.sku}"
        for line in lines
    ]
    where = f"from {record.place}" if getattr(record, "place", "") else ""
    parcel = f"tracking {record.tracking}" if getattr(record, "tracking", "") else ""
    money = str(total) if isinstance(total, Money) else ""
    return " ".join(word for word in (", ".join(said), where, parcel, money) if word)


# ------------------------------------------------------------------ numbers


def of_offers(
    work: Work, system: str, skus: Iterable[str] | None = None
) -> tuple[list[Write], int]:
    """Numbers one channel would be told now, lower before higher; and how many SKUs wait beside.

    `skus`: only these, whether the channel is due for them or not.
    """
    connection = work.connection
    why: Mapping[str, str] = {}
    if skus is None:
        after = publish_rows.cursor(connection, system)
        why = _reasons(connection, after) | _again(work, system)
    due = list(why) if skus is None else list(skus)
    seqs = publish_rows.seqs_of(connection, due[:SKUS_MAX])
    basis = Pools().decided(work, seqs, frozenset())
    computed: list[Computed] = []
    left = due[:SKUS_MAX]
    while left:
        wanted = offers.wanted(work, system, left, basis)
        computed += wanted.computed
        left = left[len(wanted.taken) :] if wanted.taken else []
    computed.sort(key=lambda one: offers.lower_first(one.offer))
    now = stamp(work.now) if system not in work.network.plans else None
    found = [_offer(system, one, why.get(one.offer.sku, ""), now) for one in computed]
    return found, max(0, len(due) - SKUS_MAX)


def _reasons(connection: Connection, after: int) -> dict[str, str]:
    rows = connection.execute(
        select(s.feed.c.sku, s.feed.c.why).where(s.feed.c.seq > after).order_by(s.feed.c.seq)
    )
    return {row.sku: _MOVED.get(row.why, row.why) for row in rows}


def _again(work: Work, system: str) -> dict[str, str]:
    rows = work.connection.execute(
        select(s.republish.c.sku, s.republish.c.why).where(
            s.republish.c.system == system, s.republish.c.due_at <= stamp(work.now)
        )
    )
    return {row.sku: row.why for row in rows}


def _offer(system: str, one: Computed, why: str, due: str | None) -> Write:
    offer, terms = one.offer, one.terms
    because = f"pool {terms.pool}" + (f", {terms.because}" if terms.because else "")
    return Write(
        system=system,
        lane=f"{offer.sku} at {offer.place}" if offer.place else offer.sku,
        what="stock",
        of=offer.sku,
        asks=because,
        why=why,
        due=due,
        before=offer.shown,
        now=offer.quantity,
    )
