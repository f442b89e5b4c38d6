"""What an operator may change while the daemon runs: retry, replay, reload, sweep.

The command line asks the running daemon over its operations port; with no daemon
running it takes the lock and does the same itself. Every verb is recorded.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from core import holds, intake, orders, outbox, stock, sweep
from core.app import App
from core.errors import MappingError, TruecountError
from core.store import schema as s
from core.work import Work

VERBS = ("retry", "replay", "reload", "sweep", "accept")


class Unknown(TruecountError):
    """The operator named something that is not there; says what is."""


async def operate(app: App, verb: str, words: dict[str, Any]) -> dict[str, Any]:
    """Do one verb. Unknown says what is wrong with its words; LookupError: no such verb."""
    if verb == "retry":
        return await _retry(app, _ids(words), new_key=bool(words.get("new_key")))
    if verb == "replay":
        return await _replay(app, words.get("hold"), words.get("inbox"))
    if verb == "reload":
        return await _reload(app)
    if verb == "accept":
        return await _accept(app, words.get("hold"))
    if verb == "sweep":
        return await _sweep(
            app, str(words.get("system", "")), words.get("resource"), full=bool(words.get("full"))
        )
    raise LookupError(verb)


def _ids(words: dict[str, Any]) -> list[int]:
    ids = words.get("ids") or []
    if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
        raise Unknown("`ids` is a list of command numbers, as `truecount dead` prints them")
    return ids


def _work(app: App, connection: Connection) -> Work:
    return Work.begin(connection, app.network, app.seal, app.clock.now())


async def _retry(app: App, ids: list[int], *, new_key: bool) -> dict[str, Any]:
    """Dead commands (all, or these) are due again."""

    def unit(connection: Connection) -> int:
        work = _work(app, connection)
        dead = connection.execute(
            select(s.outbox.c.id, s.outbox.c.order_id).where(s.outbox.c.state == "dead")
        ).all()
        chosen = [row for row in dead if not ids or row.id in ids]
        for row in chosen:
            holds.close_member(work, "command", str(row.id))
            work.steps.add(5, "operator.retry", order_id=row.order_id, id=row.id)
        count = outbox.retry(work, [row.id for row in chosen], new_key=new_key) if chosen else 0
        work.finish()
        return count

    return {"retried": await app.store.write(unit)}


async def _replay(app: App, hold: object, inbox_seq: object) -> dict[str, Any]:
    """Held records (of one exception, one row, or all) are understood and decided again."""

    def unit(connection: Connection) -> int:
        work = _work(app, connection)
        where = [s.inbox.c.state == "held"]
        if isinstance(inbox_seq, int):
            where.append(s.inbox.c.seq == inbox_seq)
        seqs = set(connection.execute(select(s.inbox.c.seq).where(*where)).scalars())
        if isinstance(hold, int):
            members = connection.execute(
                select(s.hold_members.c.ref).where(
                    s.hold_members.c.hold_id == hold, s.hold_members.c.member == "inbox"
                )
            ).scalars()
            seqs &= {int(ref) for ref in members}
        count = intake.replay(work, sorted(seqs)) if seqs else 0
        _reconsider_held(work, connection)
        work.finish()
        return count

    return {"replayed": await app.store.write(unit)}


def _reconsider_held(work: Work, connection: Connection) -> None:
    held = connection.execute(select(s.orders.c.id).where(s.orders.c.state == "held")).scalars()
    for order_id in list(held):
        orders.reconsider(work, order_id)


async def _accept(app: App, hold: object) -> dict[str, Any]:
    """A person has seen to it: an exception that nothing else can close."""

    def unit(connection: Connection) -> int:
        found = connection.execute(
            select(s.holds).where(s.holds.c.id == hold, s.holds.c.closed_at.is_(None))
        ).one_or_none()
        if found is None:
            raise Unknown(f"no open exception has the number {hold}; see `truecount holds`")
        work = _work(app, connection)
        if found.cause.startswith("counter_reset:"):
            stock.forget_counters(work, found.system)
            count = intake.replay(work, _waiting(connection, found.id))
        elif found.cause.startswith(orders.LATE):
            count = _close_all(work, connection, found.id)
        else:
            raise Unknown(f"it closes by itself when its cause is gone: {found.next_step}")
        work.steps.add(4, "operator.accepted", system=found.system, cause=found.cause)
        work.finish()
        return count

    return {"accepted": await app.store.write(unit)}


def _waiting(connection: Connection, hold_id: int) -> list[int]:
    refs = connection.execute(
        select(s.hold_members.c.ref).where(
            s.hold_members.c.hold_id == hold_id,
            s.hold_members.c.member == "inbox",
            s.hold_members.c.closed_at.is_(None),
        )
    ).scalars()
    return sorted(int(ref) for ref in refs)


def _close_all(work: Work, connection: Connection, hold_id: int) -> int:
    rows = connection.execute(
        select(s.hold_members).where(
            s.hold_members.c.hold_id == hold_id, s.hold_members.c.closed_at.is_(None)
        )
    ).all()
    for row in rows:
        causes = holds.open_causes(work, row.member, row.ref)
        others = {cause for cause, number in causes.items() if number != hold_id}
        holds.close_member(work, row.member, row.ref, keep=others)
    return len(rows)


async def _reload(app: App) -> dict[str, Any]:
    """Read the mappings again; on any error the old ones stay in force (H34)."""
    problems = app.book.reload()
    if problems:
        raise MappingError(problems)

    def unit(connection: Connection) -> int:
        causes = select(s.holds.c.id).where(
            s.holds.c.closed_at.is_(None),
            s.holds.c.cause.startswith("mapping:") | s.holds.c.cause.startswith("no_mapping:"),
        )
        members = connection.execute(
            select(s.hold_members.c.ref).where(
                s.hold_members.c.hold_id.in_(causes),
                s.hold_members.c.member == "inbox",
                s.hold_members.c.closed_at.is_(None),
            )
        ).scalars()
        work = _work(app, connection)
        seqs = sorted({int(ref) for ref in members})
        count = intake.replay(work, seqs) if seqs else 0
        work.finish()
        return count

    return {"replayed": await app.store.write(unit)}


async def _sweep(app: App, system: str, resource: object, *, full: bool) -> dict[str, Any]:
    """Read one system (or one resource of it) now; `full`: from the beginning."""
    if system not in app.config.systems:
        raise Unknown(f"no system is called {system!r}; there are {', '.join(app.config.systems)}")
    resources = [str(resource)] if resource else list(app.config.systems[system].manifest.reads)

    def unit(connection: Connection) -> None:
        for name in resources:
            sweep.sweep_now(connection, system, name, app.clock.now(), full=full)
        connection.execute(update(s.fetches).where(s.fetches.c.system == system).values(attempts=0))

    await app.store.write(unit)
    return {"due": resources}
