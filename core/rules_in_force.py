"""Brings offer rules into force: at start, by a reload, by an operator's word, and by time.

What a change of the rules changes for channels goes into the change feed in the
same transaction. The network has the new rules just before that transaction is
committed: from then on the publisher finds those SKUs in the feed, and by the
old rules it would tell the old number and never look again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, insert, literal_column, select, union
from sqlalchemy.dialects.sqlite import insert as upsert

from core import fulfillment, overrides, refused_files
from core.app import App
from core.clock import stamp, unstamp
from core.crash import crash_point
from core.errors import ConfigError, Problem
from core.network import Network
from core.networking import rules_of
from core.offer_rules import Rules
from core.rules_file import check_skus, read_rules
from core.steps import Steps
from core.store.hot import Hot
from core.store.schema import items, lines, listings, offer_rules, steps, ticks
from core.work import Work

T = TypeVar("T")
#: What the exception of a refused file and our row of `ticks` are called.
NAME = "rules"

_KNOWN = union(select(items.c.sku), select(listings.c.sku))
_IN_FORCE = select(offer_rules).order_by(offer_rules.c.seq.desc()).limit(1)
_SHORT = select(lines.c.sku).where(lines.c.short > 0).distinct()
_FED_UNTIL = Hot(select(ticks.c.ok_at).where(ticks.c.name == literal_column(f"'{NAME}'")))


# ------------------------------------------------------------------ at start, and by a reload


async def restore(app: App) -> None:
    """At start: overrides count again, and what changed while we were down is fed."""
    with app.store.read() as connection:
        app.network = _with_overrides(app.network, connection)
    rules = app.network.rules

    def change(work: Work) -> None:
        known = known_skus(work.connection)
        if _remember(work, rules):
            # How the text before was understood, with which tags, is not known any more.
            for sku in known:
                work.sku_changed(sku, "rules")
        _show(work, check_skus(rules, known))

    await act(app, change)


async def read(app: App) -> Rules:
    """What the file says now. If it cannot be taken: ConfigError, and an exception is open."""
    problems: Sequence[Problem]
    try:
        rules = rules_of(app.config, app.network, app.network.rules.tags)
    except ConfigError as error:
        problems = error.problems
    else:
        with app.store.read() as connection:
            problems = check_skus(rules, known_skus(connection))
        if not problems:
            return rules

    def unit(connection: Connection) -> None:
        work = _work(app, connection)
        _show(work, problems)
        work.finish()

    await app.store.write(unit)
    raise ConfigError(problems)


async def take(app: App, rules: Rules) -> None:
    """Rules without a problem come into force."""

    def change(work: Work) -> None:
        _remember(work, rules)
        _show(work, [])

    await act(app, change, rules)


def _remember(work: Work, rules: Rules) -> bool:
    """Keep the text if it is another one than last time; True if it was."""
    digest = _digest(rules)
    last = work.connection.execute(_IN_FORCE).one_or_none()
    if digest == (last.digest if last else ""):
        return False
    seq = work.connection.execute(
        insert(steps)
        .values(at=stamp(work.now), stop=6, name="rules.in_force")
        .returning(steps.c.seq)
    ).scalar_one()
    work.connection.execute(insert(offer_rules).values(seq=seq, digest=digest, doc=rules.text))
    return True


def _digest(rules: Rules) -> str:
    """Of what the rules come to; "" for none. Which items a tag means is a part of it."""
    if not rules.text:
        return ""
    tags = sorted(f"{sku} {' '.join(sorted(tags))}" for sku, tags in rules.tags.items())
    return hashlib.sha256("\n".join([*tags, rules.text]).encode()).hexdigest()


def _show(work: Work, problems: Sequence[Problem]) -> None:
    refused_files.show(work, "rules", problems, noun="the offer rules")


# ------------------------------------------------------------------ by time, and by a person


def next_due(app: App) -> datetime | None:
    """The first moment of a rule that is not fed yet; it may have passed already. Now, where the
    clock was set back: moments that were fed are still to come."""
    with app.store.read() as connection:
        since = _FED_UNTIL(connection).scalar_one_or_none()
    if since is None:
        return None
    now = app.clock.now()
    return now if unstamp(since) > now else app.network.rules.next_change(unstamp(since))


async def pass_time(app: App) -> bool:
    """Feed the SKUs of every rule that began or ended by now. False if there was none."""
    due = next_due(app)
    if due is None or due > app.clock.now():
        return False
    await act(app, lambda _: None)
    return True


async def act(app: App, change: Callable[[Work], T], rules: Rules | None = None) -> T:
    """Make one change, and bring into force what comes of it; `rules`: these instead."""
    written = app.network.rules

    def unit(connection: Connection) -> tuple[T, Steps]:
        work = _work(app, connection)
        result = change(work)
        _bring(app, work, rules)
        crash_point("rules.swapped")
        return result, work.finish()

    try:
        result, told = await app.store.write(unit)
    except Exception:
        # Nothing was written, so nothing has changed.
        with app.store.read() as connection:
            app.network = _with_overrides(replace(app.network, rules=written), connection)
        raise
    crash_point("rules.in_force")
    told.tell()
    return result


def _bring(app: App, work: Work, rules: Rules | None) -> None:
    """Swap, and feed: SKUs about which other rules stand now, and those whose time has come."""
    before = app.network.rules
    overrides.expire(work)
    network = app.network if rules is None else replace(app.network, rules=rules)
    app.network = _with_overrides(network, work.connection)
    known = known_skus(work.connection)
    since = _FED_UNTIL(work.connection).scalar_one_or_none()
    changed = app.network.rules.differing(before, known)
    if since is not None:
        # Later than now where the clock was set back: what began too early has yet to begin.
        first, last = sorted((unstamp(since), work.now))
        changed += before.changed_between(first, last, known)
    for sku in changed:
        work.sku_changed(sku, "rules")
    work.network = app.network
    _cover_short(work)
    work.connection.execute(
        upsert(ticks)
        .values(name=NAME, ok_at=stamp(work.now))
        .on_conflict_do_update(index_elements=["name"], set_={"ok_at": stamp(work.now)})
    )


def _cover_short(work: Work) -> None:
    """With less safety stock there may be units for orders that were short of them."""
    short = work.changed.keys() & set(work.connection.execute(_SHORT).scalars())
    work.freed |= {(sku, location) for sku in short for location in work.network.locations}
    fulfillment.go_on(work)


# ------------------------------------------------------------------ looking


def known_skus(connection: Connection) -> list[str]:
    """Every SKU that an owner or a channel has named."""
    return list(connection.execute(_KNOWN).scalars())


def as_kept(network: Network, connection: Connection, file: str) -> Network:
    """The network as a face sees it: with the rules in force, whatever the file says by now."""
    row = connection.execute(_IN_FORCE).one_or_none()
    rules = network.rules
    if row is not None and row.doc:
        rules, _ = read_rules(row.doc.encode(), file, network, network.rules.tags)
    return _with_overrides(replace(network, rules=rules), connection)


def _with_overrides(network: Network, connection: Connection) -> Network:
    stops = overrides.open_ones(connection, network.zone)
    return replace(network, rules=network.rules.with_overrides(stops))


def _work(app: App, connection: Connection) -> Work:
    return Work.begin(connection, app.network, app.seal, app.clock.now())
