"""What an operator may change while the daemon runs: retry, discard, replay, reload, stop-sell, …

The command line asks the running daemon over its operations port; with no daemon
running it takes the lock and does the same itself. Every verb is recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from core import (
    doubts,
    fulfillment,
    handover,
    holds,
    intake,
    items_in_force,
    mappings_in_force,
    operate_differences,
    operate_holds,
    operate_items,
    operate_orders,
    outbox,
    overrides,
    passes,
    readings,
    rehearsal,
    restored,
    rules_in_force,
    silence,
    sweep,
    taking_back,
)
from core.app import App
from core.mapping import preview_text
from core.mapping.preview import Effect
from core.rule_kinds import Override, StopSell
from core.store import schema as s
from core.verbs import Unknown, open_hold, said, until_of, work_of
from core.work import Work


async def operate(app: App, verb: str, words: dict[str, Any]) -> dict[str, Any]:
    """Do one verb; with the word `plan` only say what it would send (core/rehearsal.py).

    Unknown says what is wrong with its words; LookupError: no such verb.
    """
    plan = bool(words.get("plan"))
    if verb not in VERBS:
        raise LookupError(verb)
    if not plan:
        return await _do(app, verb, words)
    if verb not in PLANNED:
        raise Unknown(f"`{verb}` has no plan: it sends nothing by itself")
    own, seen = rehearsal.app_of(app)
    return await _do(own, verb, words) | rehearsal.as_json(seen)


async def _do(app: App, verb: str, words: dict[str, Any]) -> dict[str, Any]:
    match verb:
        case "sweep":
            full = bool(words.get("full"))
            return await _sweep(app, str(words.get("system", "")), words.get("resource"), full=full)
        case "reload":
            return await _reload(app, accepted=bool(words.get("yes")))
        case "accept":
            return await _accept(app, words.get("hold"))
        case "map":
            return await operate_items.map_word(app, words, plan=bool(words.get("plan")))
    return await _BY_WORDS[verb](app, words)


def _ids(words: dict[str, Any]) -> list[int]:
    ids = words.get("ids") or []
    if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
        raise Unknown("`ids` is a list of command numbers, as `truecount dead` prints them")
    return ids


async def _retry(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """Dead commands (all, these, or those of one exception) are due again."""
    ids, new_key = _ids(words), bool(words.get("new_key"))

    def unit(connection: Connection) -> int:
        work = work_of(app, connection)
        dead = connection.execute(
            select(s.outbox.c.id, s.outbox.c.order_id).where(s.outbox.c.state == "dead")
        ).all()
        named = ids or _commands_of(connection, words)
        chosen = [row for row in dead if named is None or row.id in named]
        for row in chosen:
            holds.close_member(work, "command", str(row.id))
            work.steps.add(5, "operator.retry", order_id=row.order_id, id=row.id)
        count = outbox.retry(work, [row.id for row in chosen], new_key=new_key) if chosen else 0
        work.finish()
        return count

    return {"retried": await app.store.write(unit)}


def _commands_of(connection: Connection, words: dict[str, Any]) -> list[int] | None:
    """The members of `--hold ID`; None: no exception was named."""
    if words.get("hold") is None:
        return None
    hold = open_hold(connection, words)
    refs = connection.execute(
        select(s.hold_members.c.ref).where(
            s.hold_members.c.hold_id == hold.id,
            s.hold_members.c.member == "command",
            s.hold_members.c.closed_at.is_(None),
        )
    ).scalars()
    return [int(ref) for ref in refs]


async def _discard(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """These dead commands are given up for good; what waits behind them goes on."""
    ids, why = _ids(words), f"{said(words, 'by')}: {said(words, 'reason')}"
    if not ids:
        raise Unknown("name the commands to discard, as `truecount dead` prints them")

    def unit(connection: Connection) -> int:
        work = work_of(app, connection)
        rows = connection.execute(select(s.outbox).where(s.outbox.c.id.in_(ids))).all()
        states = {row.id: row.state for row in rows}
        for command in ids:
            if states.get(command) != "dead":
                state = states.get(command, "not there")
                raise Unknown(f"command {command} is {state.replace('_', ' ')}, not dead")
        for row in rows:
            taking_back.discard(work, row, why)
        work.finish()
        return len(rows)

    return {"discarded": await app.store.write(unit)}


async def _replay(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """Records are understood and decided again: held ones (of one exception, one row, or all),
    or those of one system that were decided already and come out differently now."""
    if words.get("applied"):
        return await _replay_applied(app, words)

    def unit(connection: Connection) -> dict[str, Any]:
        work = work_of(app, connection)
        seqs = sorted(_chosen(connection, words.get("hold"), words.get("inbox")))
        done = _told(mappings_in_force.effects_of_replay(connection, app, seqs))
        count = intake.replay(work, seqs) if seqs else 0
        _reconsider_held(work, connection)
        work.finish()
        return {"replayed": count} | done

    return await app.store.write(unit)


def _chosen(connection: Connection, hold: object, inbox_seq: object) -> set[int]:
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
    return seqs


async def _replay_applied(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """The newest record of each object, where what was decided from it would differ now."""
    system, resource = str(words.get("system", "")), str(words.get("resource", ""))
    if system not in app.config.systems:
        raise Unknown(f"no system is called {system!r}; there are {', '.join(app.config.systems)}")
    newest = (
        select(func.max(s.inbox.c.seq))
        .where(
            s.inbox.c.system == system,
            s.inbox.c.resource == resource,
            s.inbox.c.state == "applied",
            s.inbox.c.body.is_not(None),
        )
        .group_by(s.inbox.c.external_id)
    )

    def unit(connection: Connection) -> dict[str, Any]:
        seqs = sorted(connection.execute(newest).scalars())
        effects = mappings_in_force.effects_of_replay(connection, app, seqs)
        if not words.get("yes"):
            mappings_in_force.ask_first(effects, "replay --applied")
        work = work_of(app, connection)
        differ = any(not effect.nothing for effect in effects)
        count = intake.replay(work, seqs, state="applied") if differ else 0
        work.steps.add(4, "operator.replayed", system=system, resource=resource, count=count)
        work.finish()
        return {"replayed": count} | _told(effects)

    return await app.store.write(unit)


def _told(effects: Sequence[Effect]) -> dict[str, Any]:
    """What changed, as data and as the lines a person reads; nothing where nothing did."""
    changed = [effect for effect in effects if not effect.nothing]
    if not changed:
        return {}
    return {
        "changes": [preview_text.as_json(effect) for effect in changed],
        "said": [line for effect in changed for line in preview_text.lines(effect)],
    }


def _reconsider_held(work: Work, connection: Connection) -> None:
    held = connection.execute(select(s.orders.c.id).where(s.orders.c.state == "held")).scalars()
    for order_id in list(held):
        fulfillment.reconsider(work, order_id)


#: What a person decides about by another word.
_RELEASED = (
    handover.CAUSE,
    f"{holds.LATE}operator:",
    f"{holds.LATE}{handover.LEFT_IN_PART}:",
)


async def _accept(app: App, hold: object) -> dict[str, Any]:
    """A person has seen to it: an exception that nothing else can close."""

    def unit(connection: Connection) -> int:
        found = connection.execute(
            select(s.holds).where(s.holds.c.id == hold, s.holds.c.closed_at.is_(None))
        ).one_or_none()
        if found is None:
            raise Unknown(f"no open exception has the number {hold}; see `truecount holds`")
        work = work_of(app, connection)
        if found.cause.startswith(_RELEASED):
            raise Unknown(f"`accept` is no answer to it: {found.next_step}")
        if found.cause.startswith("counter_reset:"):
            readings.forget_counters(work, found.system)
            count = intake.replay(work, _waiting(connection, found.id))
        elif found.cause.startswith(doubts.IMPLAUSIBLE):
            count = intake.replay(work, _waiting(connection, found.id), accepted=True)
        elif found.cause.startswith(passes.UNLIKELY):
            count = passes.accept(work, found.cause)
            _close_all(work, connection, found.id)
        elif found.cause == restored.CAUSE:
            restored.go_on(work)
            count = 1
        elif found.cause.startswith((holds.LATE, silence.CAUSE)):
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
        if row.member == "order":
            fulfillment.reconsider(work, int(row.ref))  # counted in the warehouse: asked again
    return len(rows)


async def _reload(app: App, *, accepted: bool) -> dict[str, Any]:
    """Read items, mappings and offer rules again; on any error the old ones stay (H34).

    The items come first: rules choose by their tags. They are a file of their own, so a
    problem of the others does not take them back.
    """
    items = await items_in_force.reload(app)
    rules = await rules_in_force.read(app)
    count = await mappings_in_force.reload(app, accepted=accepted)
    await rules_in_force.take(app, rules)
    done = {"replayed": count}
    if app.config.items:
        done |= {"aliases": len(items.aliases), "kits": len(items.kits)}
    return done | ({"rules": len(rules.written)} if app.config.rules else {})


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


# ------------------------------------------------------------------ stop-sell, resume-sell


async def _stop_sell(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """Nobody sells this item from now on, on one channel or on all."""
    override = Override(
        sku=_sku(app, words),
        channel=_channel(app, words),
        by=said(words, "by"),
        reason=said(words, "reason"),
        since=app.clock.now(),
        until=until_of(app, words),
    )
    await rules_in_force.act(app, lambda work: overrides.stop(work, override))
    until = f"{override.until:%Y-%m-%d %H:%M %Z}" if override.until else "somebody resumes it"
    return {"stopped": override.sku, "on": override.channel or "every channel", "until": until}


async def _resume_sell(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """The rules of the file alone say again what is sold of this item."""
    sku, channel = _sku(app, words), _channel(app, words)
    by = said(words, "by") if words.get("by") else "an operator"

    def change(work: Work) -> int:
        ended = overrides.resume(work, sku, channel, by)
        if not ended:
            raise Unknown(_why_not_resumed(app, sku, channel))
        return ended

    await rules_in_force.act(app, change)
    return {"resumed": sku, "on": channel or "every channel"}


def _why_not_resumed(app: App, sku: str, channel: str) -> str:
    stops = [r for r in app.network.rules.about(sku) if isinstance(r.says, StopSell)]
    if channel and any(not rule.origin and not rule.channels for rule in stops):
        return f"{sku} is stopped on every channel: resume it without --channel"
    for rule in stops:
        if rule.origin:
            return f"{rule.origin} stops {sku}: remove that row, then `truecount reload`"
    return f"nobody has stopped {sku}" + (f" on {channel}" if channel else "")


def _sku(app: App, words: dict[str, Any]) -> str:
    sku = str(words.get("sku", ""))
    with app.store.read() as connection:
        if sku not in rules_in_force.known_skus(connection):
            raise Unknown(f"no warehouse, ERP or channel has named the SKU {sku!r}")
    return sku


def _channel(app: App, words: dict[str, Any]) -> str:
    channel = str(words.get("channel", ""))
    if channel and channel not in app.network.channels:
        known = ", ".join(app.network.channels)
        raise Unknown(f"no channel is called {channel!r}; there are {known}")
    return channel


#: Verbs that are told everything in words.
_BY_WORDS: dict[str, Callable[[App, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    "retry": _retry,
    "replay": _replay,
    "discard": _discard,
    "stop-sell": _stop_sell,
    "resume-sell": _resume_sell,
    "release": operate_orders.release,
    "by-hand": operate_orders.done_by_hand,
    "hold": operate_orders.hold,
    "cancel": operate_orders.cancel,
    "grant": operate_orders.grant,
    "refuse": operate_orders.refuse,
    "assign": operate_holds.assign,
    "note": operate_holds.note,
    "snooze": operate_holds.snooze,
    "write-off": operate_differences.write_off,
}
VERBS = frozenset(_BY_WORDS) | {"sweep", "reload", "accept", "map"}
#: Verbs of which a plan can be asked.
PLANNED = frozenset(
    {
        *("retry", "discard", "replay", "accept", "map", "write-off"),
        *("release", "by-hand", "hold", "cancel", "grant", "refuse"),
    }
)
