"""What we must not keep is forgotten on time: raw payloads and buyers (G20, T15).

Raw bodies go when they are older than `retention.raw`. Buyers of finished orders
go `retention.buyer` after the order last changed; the ledger keeps its units and
amounts, so it still balances. `secure_delete` overwrites the freed pages.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, select, update

from core import order_rows
from core.app import App
from core.clock import stamp
from core.codec import to_json
from core.lifecycle import State
from core.steps import Steps
from core.store.schema import ENDED, attempts, inbox, orders, outbox
from core.work import Work

EVERY_S = 3600.0
#: Orders cleaned in one transaction; the rest waits for the next.
BATCH = 500
#: An order whose buyer is gone; stands in `doc_hash`, where no real hash can.
GONE = "buyer forgotten"


async def forget(app: App) -> None:
    """Forget what is due. Safe to call at any time."""
    await app.store.write(lambda connection: _forget_raw(app, connection))
    while await app.store.write(lambda connection: _forget_buyers(app, connection)) == BATCH:
        pass


def _forget_raw(app: App, connection: Connection) -> int:
    limit = stamp(app.clock.now() - timedelta(seconds=app.config.retention.raw_s))
    return connection.execute(
        update(inbox)
        .where(inbox.c.received_at < limit, inbox.c.body.is_not(None), inbox.c.state != "pending")
        .values(body=None, headers=None)
    ).rowcount


def _forget_buyers(app: App, connection: Connection) -> int:
    """Blank the buyer inside the sealed document; lines and amounts stay."""
    now = app.clock.now()
    limit = stamp(now - timedelta(seconds=app.config.retention.buyer_s))
    work = Work(connection, app.network, app.seal, now, Steps(now))
    rows = connection.execute(
        select(orders)
        .where(
            orders.c.changed_at < limit,
            orders.c.state.in_([State.SHIPPED.value, State.CANCELLED.value]),
            orders.c.doc_hash != GONE,
        )
        .limit(BATCH)
    ).all()
    for row in rows:
        order = order_rows.without_buyer(order_rows.read(work, row))
        doc = app.seal.seal(to_json(order), order_rows.aad(row.system, row.external_id))
        connection.execute(
            update(orders).where(orders.c.id == row.id).values(doc=doc, doc_hash=GONE)
        )
    _forget_commands(connection, limit)
    return len(rows)


def _forget_commands(connection: Connection, limit: str) -> None:
    """What was told of a buyer goes with the buyer; key, kind and reference stay.

    Of one that is still dead its document stays, or it could not be asked again.
    """
    connection.execute(
        update(outbox)
        .where(outbox.c.done_at < limit, outbox.c.state.in_(ENDED), outbox.c.record != b"")
        .values(record=b"", body=None)
    )
    connection.execute(
        update(attempts)
        .where(attempts.c.began_at < limit, attempts.c.said.is_not(None))
        .values(said=None)
    )
