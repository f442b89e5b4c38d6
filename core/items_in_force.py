"""Brings items into force: at start, and by a reload. A file with a problem changes nothing.

What follows from other items is written in the transaction that brings them into
force. The list itself is kept in the state: a daemon that starts knows which words
mean something else than when it stopped, and a face shows what is in force and not
what somebody is just writing.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import replace

import orjson
from sqlalchemy import Connection, insert, select

from core import fulfillment, refused_files, renames
from core.app import App
from core.clock import stamp
from core.crash import crash_point
from core.errors import ConfigError, Problem
from core.items import Alias, Items
from core.network import Network
from core.networking import items_of
from core.rules_in_force import known_skus
from core.steps import Steps
from core.store.schema import item_lists, steps
from core.work import Work

_IN_FORCE = select(item_lists).order_by(item_lists.c.seq.desc()).limit(1)


async def restore(app: App) -> None:
    """At start: what changed while we were down follows, or the items before stay in force."""
    with app.store.read() as connection:
        before = kept(connection, app.network)
        problems = _problems(connection, app, before, app.network.items)
    if problems:
        app.network = app.network.with_items(before)
    await _bring(app, app.network.items, problems)


async def reload(app: App) -> Items:
    """The file comes into force. ConfigError: it does not, and an exception says why."""
    problems: Sequence[Problem]
    try:
        items = items_of(app.config, app.network)
    except ConfigError as error:
        problems = error.problems
    else:
        with app.store.read() as connection:
            problems = _problems(connection, app, app.network.items, items)
        if not problems:
            await _bring(app, items, [])
            return items

    def unit(connection: Connection) -> Steps:
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        refused_files.show(work, "items", problems, noun="the items")
        return work.finish()

    (await app.store.write(unit)).tell()
    raise ConfigError(problems)


def refuse(app: App, items: Items) -> None:
    """Raises ConfigError where something that is here speaks against these."""
    with app.store.read() as connection:
        problems = _problems(connection, app, app.network.items, items)
    if problems:
        raise ConfigError(problems)


async def take(app: App, items: Items) -> None:
    """These come into force; nothing speaks against them (`refuse`)."""
    await _bring(app, items, [])


def _problems(connection: Connection, app: App, before: Items, after: Items) -> list[Problem]:
    file = app.config.items.as_posix() if app.config.items else "items.yaml"
    return renames.problems(connection, app.network, file, before, after)


async def _bring(app: App, items: Items, problems: Sequence[Problem]) -> None:
    """Swap, and follow. The network has the items just before that is committed (as rules do)."""
    own = app.network.items

    def unit(connection: Connection) -> Steps:
        before, rules = kept(connection, app.network), app.network.rules
        app.network = app.network.with_items(items)
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        if _remember(work, items):
            renames.follow(work, before)
            for sku in app.network.rules.differing(rules, known_skus(connection)):
                work.sku_changed(sku, "tags")
            fulfillment.go_on(work)
            crash_point("items.swapped")
        refused_files.show(work, "items", problems, noun="the items")
        return work.finish()

    try:
        told = await app.store.write(unit)
    except Exception:
        app.network = app.network.with_items(own)  # nothing was written, so nothing has changed
        raise
    crash_point("items.in_force")
    told.tell()


def _remember(work: Work, items: Items) -> bool:
    """Keep the list if it is another one than last time; True if it was."""
    doc = to_json(items)
    digest = hashlib.sha256(doc).hexdigest()
    last = work.connection.execute(_IN_FORCE).one_or_none()
    if digest == (last.digest if last else _DIGEST_OF_NONE):
        return False
    seq = work.connection.execute(
        insert(steps)
        .values(at=stamp(work.now), stop=4, name="items.in_force")
        .returning(steps.c.seq)
    ).scalar_one()
    work.connection.execute(
        insert(item_lists).values(seq=seq, digest=digest, doc=zlib.compress(doc))
    )
    return True


# ------------------------------------------------------------------ looking


def kept(connection: Connection, network: Network) -> Items:
    """The items in force, as the state knows them."""
    row = connection.execute(_IN_FORCE).one_or_none()
    items = from_json(zlib.decompress(row.doc)) if row is not None else Items.none()
    return replace(items, many_words=frozenset(network.channels))


def as_kept(network: Network, connection: Connection) -> Network:
    """The network as a face sees it: with the items in force, whatever the file says by now."""
    return network.with_items(kept(connection, network))


def to_json(items: Items) -> bytes:
    """Equal items give equal bytes, wherever they stand in which file."""
    doc = {
        "aliases": sorted((a.system, a.their_sku, a.sku, a.factor) for a in items.aliases),
        "kits": {kit: dict(needs) for kit, needs in items.kits.items()},
        "tagged": {sku: sorted(tags) for sku, tags in items.tagged.items()},
        "lots": sorted(items.lots),
        "apart": sorted(sorted(group) for group in items.apart),
    }
    return orjson.dumps(doc, option=orjson.OPT_SORT_KEYS)


def from_json(doc: bytes) -> Items:
    read = orjson.loads(doc)
    return Items(
        aliases=tuple(
            Alias(system=system, their_sku=their_sku, sku=sku, factor=factor)
            for system, their_sku, sku, factor in read["aliases"]
        ),
        kits=read["kits"],
        tagged={sku: frozenset(tags) for sku, tags in read["tagged"].items()},
        lots=frozenset(read["lots"]),
        apart=frozenset(frozenset(group) for group in read["apart"]),
    )


_DIGEST_OF_NONE = hashlib.sha256(to_json(Items())).hexdigest()
