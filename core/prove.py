"""`truecount prove`: the log is walked, and nobody wrote what is not his, and no unit is lost.

Nothing is taken from the daemon's word. Every step is judged by the owners in
force when it was made, every claim that ended is judged again by the number in
force then, every offer by the pool of its moment; and what the walk comes to must
be what the tables hold. Memory holds one SKU at a time, however long the log is.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from core import prove_owners, prove_stock, prove_units, walk
from core.clock import stamp
from core.network import Network
from core.proof import Proof, Tell, silent
from core.steps import last_step


def prove(
    connection: Connection,
    network: Network,
    now: datetime,
    *,
    since: datetime | None = None,
    tell: Tell = silent,
) -> Proof:
    """Everything, or what happened after `since`. `connection` must see one moment throughout."""
    after = walk.position_at(connection, since) if since else 0
    upto = last_step(connection)
    epochs = walk.epochs(connection, network)
    proof = Proof(
        since=stamp(since) if since else None,
        until=stamp(now),
        steps=upto - after,
        tables=len({epoch.seq for epoch in epochs if epoch.network is not None}),
    )
    prove_owners.look(connection, network, epochs, proof, after=after, upto=upto, tell=tell)
    prove_stock.look(connection, network, epochs, proof, after=after, upto=upto, tell=tell)
    prove_units.look(connection, proof, after=after, tell=tell)
    return proof
