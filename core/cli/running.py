"""Verbs around the daemon itself: run, check, doctor."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import sys
from functools import partial
from typing import Any, Literal, cast

import uvloop

from core import (
    drift,
    mappings_in_force,
    noticing,
    retention,
    rules_in_force,
    serving,
    subscriptions,
)
from core.app import App, build
from core.cli.opened import configured
from core.cli.text import emit_json, table
from core.clock import SystemClock
from core.config import Config
from core.config_types import System
from core.daemon import Daemon, Lock
from core.errors import ConfigError, ConnectorError
from core.hangup import Hangup
from core.logs import set_up
from core.mapping.book import MappingBook
from core.network import Network
from core.networking import items_of, network_of, rules_of
from core.offer_rules import Rules
from core.reporter import Reporter
from core.rules_file import check_skus
from core.store.engine import read_only, schema_of
from core.store.refusals import refuse_unknown_schema
from core.store.schema import SCHEMA_VERSION
from core.watchdog import Watchdog

FINE, FINDINGS, UNREACHABLE = 0, 1, 3


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    for name, what, run in (
        ("run", "run the daemon until TERM", _run),
        ("check", "check the configuration and the mappings with their samples", _check),
        ("doctor", "ask every system whether we can work with it; changes nothing", _doctor),
    ):
        parser = verbs.add_parser(name, parents=[shared], help=what, description=what)
        parser.set_defaults(run=run)


# ------------------------------------------------------------------ run


def _run(options: argparse.Namespace) -> int:
    config = configured(options.config)
    set_up(
        level=cast(Literal["debug", "info", "warning", "error"], config.log.level),
        form=config.log.format,
    )
    lock = Lock(config.state.parent)
    lock.take()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config))
    finally:
        lock.release()
    return FINE


async def _serve(config: Config) -> None:
    app = build(config, SystemClock())
    daemon = Daemon(app, serving.servers)
    hangup = Hangup(app)
    hangup.listen()
    daemon.background.append(hangup.keep_reloading)
    reporter = Reporter(app)
    daemon.jobs += [
        ("report", reporter.send_if_due, 30.0),
        ("gauges", partial(serving.gauges, app), 5.0),
        ("subscriptions", partial(subscriptions.ensure, app), subscriptions.EVERY_S),
        ("retention", partial(retention.forget, app), retention.EVERY_S),
        ("drift", partial(drift.watch, app), drift.EVERY_S),
        ("differences", partial(noticing.look, app), noticing.EVERY_S),
        ("mappings", mappings_in_force.OnSave(app).look, mappings_in_force.LOOK_S),
    ]
    watchdog = Watchdog()
    daemon.background.append(watchdog.run)
    daemon.on_started.append(watchdog.start)
    try:
        await daemon.start()
        await subscriptions.ensure(app)
        await daemon.run()
    finally:
        await daemon.stop()


# ------------------------------------------------------------------ check


def _check(options: argparse.Namespace) -> int:
    """Everything that would stop or surprise the daemon; ConfigError lists it all."""
    config = configured(options.config)
    network = network_of(config)
    network = network.with_items(items_of(config, network))
    rules = _check_rules(config, network)
    names = [system.connector for system in config.systems.values()]
    folders = {system.connector: system.mappings for system in config.systems.values()}
    book = MappingBook.load(config.mappings, names, folders=folders)
    owners = [
        {"number": row.number, "of": row.scope or "everywhere", "owner": row.owner}
        for row in config.ownership.table()
    ]
    found = {
        "systems": list(config.systems),
        "locations": list(network.locations),
        "mappings": [f"{mapping.name} v{mapping.version}" for mapping in book],
        "aliases": len(network.items.aliases),
        "kits": len(network.items.kits),
        "rules": len(rules.written),
        "owners": owners,
    }
    if options.json:
        emit_json(found)
        return FINE
    counts = f"{len(config.systems)} systems, {len(list(book))} mappings"
    for count, noun in (
        (found["aliases"], "aliases"), (found["kits"], "kits"), (found["rules"], "offer rules"),
    ):  # fmt: skip
        counts += f", {count} {noun}" if count else ""
    print(f"{options.config} is fine: {counts}. {network.plan_words}".rstrip() + "\n")
    print("Every number and its one owner")
    print(table(owners, ["number", "of", "owner"], indent="  "))
    return FINE


def _check_rules(config: Config, network: Network) -> Rules:
    """The rules, and whether the items they name exist, where a state can tell."""
    rules = rules_of(config, network, network.rules.tags)
    if config.state.exists():
        engine = read_only(config.state)
        try:
            with engine.connect() as connection:
                schema = schema_of(connection) or 0
                refuse_unknown_schema(config.state, schema)
                if schema < SCHEMA_VERSION:
                    print(
                        f"The state has schema {schema}. The next `truecount run` brings it to"
                        f" {SCHEMA_VERSION} and keeps a copy of it as it was.\n",
                        file=sys.stderr,
                    )
                    return rules
                problems = check_skus(rules, rules_in_force.known_skus(connection))
        finally:
            engine.dispose()
        if problems:
            raise ConfigError(problems)
    return rules


# ------------------------------------------------------------------ doctor


def _doctor(options: argparse.Namespace) -> int:
    config = configured(options.config)
    set_up(level="warning")
    rows = asyncio.run(_probe_all(config))
    if options.json:
        emit_json({"systems": rows, "duplicates": _duplicate_modes(config)})
    else:
        for row in rows:
            mark = "ok " if row["well"] else "BAD"
            print(f"{mark}  {row['system']} ({row['connector']}): {row['words']}")
        print("\nHow a duplicate is prevented")
        print(table(_duplicate_modes(config), ["system", "command", "by", "lookup_after"]))
        print("\nHow each connector was verified")
        verified = [
            {"system": s.name, "connector": s.connector, "verified": s.manifest.verified}
            for s in config.systems.values()
        ]
        print(table(verified, ["system", "connector", "verified"]))
    return FINE if all(row["well"] for row in rows) else UNREACHABLE


def _duplicate_modes(config: Config) -> list[dict[str, Any]]:
    return [
        {
            "system": name,
            "command": kind,
            "by": spec.safe_by,
            "lookup_after": f"{spec.lookup_after_s:g} s",
        }
        for name, system in config.systems.items()
        for kind, spec in system.manifest.accepts.items()
    ]


async def _probe_all(config: Config) -> list[dict[str, Any]]:
    app = build(config, SystemClock())
    once = {name for name, system in config.systems.items() if _is_good_once(system)}
    lock = Lock(config.state.parent)
    why = _open_for_tokens(app, lock) if once else ""
    try:
        return [
            _not_asked(app, name, why) if why and name in once else await _probe(app, name)
            for name in app.connectors
        ]
    finally:
        for door in app.doors.values():
            await door.aclose()
        if once and not why:
            await app.store.close()
        lock.release()


def _is_good_once(system: System) -> bool:
    """Whether a login there spends a refresh token whose heir has to be kept (S24)."""
    return system.manifest.login.words.get("rotates", "") in ("true", "yes")


def _open_for_tokens(app: App, lock: Lock) -> str:
    """The state, to keep new tokens in; or why they cannot be kept, and so are not asked for."""
    try:
        lock.take()
    except ConfigError:
        return "the running daemon has its login; see `truecount status`"
    state = app.config.state
    if state.exists():
        engine = read_only(state)
        try:
            with engine.connect() as connection:
                older = schema_of(connection) != SCHEMA_VERSION
        finally:
            engine.dispose()
        if older:
            lock.release()
            return "the state is of another version; start the daemon once"
    app.store.open()
    return ""


def _not_asked(app: App, name: str, why: str) -> dict[str, Any]:
    connector = app.config.systems[name].connector
    words = f"not asked, its login is good once: {why}"
    return {"system": name, "connector": connector, "well": True, "words": words}


async def _probe(app: App, name: str) -> dict[str, Any]:
    """The connector's own probe, or one small read; nothing is changed."""
    system = app.config.systems[name]
    connector = app.connectors[name]
    row = {"system": name, "connector": system.connector, "well": True, "words": ""}
    print(f"asking {name} …", file=sys.stderr)
    try:
        if inspect.iscoroutinefunction(getattr(connector, "probe", None)):
            found = await connector.probe()
            row |= {"words": str(found), "well": not getattr(found, "missing", ())}
        else:
            resource = next(iter(system.manifest.reads))
            page = await connector.read(resource, None, None)
            row["words"] = f"read {len(page.items)} {resource}(s)"
    except ConnectorError as error:
        row |= {"well": False, "words": f"{type(error).__name__}: {error}"}
    return row
