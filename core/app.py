"""The composition root: the only place that wires. Builds everything from a Config.

Connectors are found by the name the operator wrote and imported by that name;
the core knows no vendor. Clock, chance and transport come in as arguments, so
the same app runs in simulated time.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import structlog
from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from core import handover, in_force, restored, set_back
from core.breaker import Breaker
from core.clock import Clock, local_day, stamp, unstamp
from core.config import Config
from core.config_types import System
from core.contract import Dialect, Setup
from core.crash import crash_point
from core.errors import ConfigError, MappingError, Problem
from core.http import Door, DoorSpec
from core.intake import Intake
from core.limiter import BudgetSpec, Limiter
from core.login import Login, LoginSpec
from core.mapping.book import MappingBook
from core.metrics import Metrics
from core.network import Network
from core.networking import items_of, network_of, rules_of
from core.outbox import Outbox
from core.publish import Publisher
from core.restored import Gate
from core.seal import Seal, hide, key_from_text
from core.secrets import Secret
from core.steps import Steps
from core.store.engine import Store
from core.store.schema import health, tokens
from core.sweep import Resource, Sweep
from core.wire import Wire
from core.work import Work

#: Makes the transport of one system; None means real sockets.
Transports = Callable[[str], httpx.AsyncBaseTransport | None]


def real_sockets(system: str) -> httpx.AsyncBaseTransport | None:  # noqa: ARG001
    return None


@dataclass(slots=True)
class App:
    """Everything wired, nothing started."""

    config: Config
    clock: Clock
    store: Store
    seal: Seal
    network: Network
    book: MappingBook
    metrics: Metrics
    doors: dict[str, Door] = field(default_factory=dict)
    limiters: dict[str, Limiter] = field(default_factory=dict)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)  # the first system of each
    connectors: dict[str, Any] = field(default_factory=dict)
    backlog: int = 0  # kept and not yet applied: counted now and then, and at each event between
    saved_breakers: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    gate: Gate = field(init=False)
    intake: Intake = field(init=False)
    sweep: Sweep = field(init=False)
    outbox: Outbox = field(init=False)
    publisher: Publisher = field(init=False)

    def kept(self) -> None:
        """One more push is on the disk. Counted here, so that a surge within a few seconds, or
        a count that does not come, cannot carry the backlog past its limit (H46)."""
        self.backlog += 1

    def settled(self, rows: int) -> None:
        """So many of what was kept are applied, held or ignored."""
        self.backlog = max(0, self.backlog - rows)

    @property
    def may_read(self) -> bool:
        """Reading stops at half of what may wait, receiving at all of it: what a sweep would
        bring is safe at its owner, what is pushed may come once only (G13)."""
        return self.backlog <= self.config.listen.waiting_max // 2

    async def close(self) -> None:
        for door in self.doors.values():
            await door.aclose()
        await self.store.close()


def build(
    config: Config,
    clock: Clock,
    *,
    rng: random.Random | None = None,
    transports: Transports = real_sockets,
    threaded: bool = True,
    book: MappingBook | None = None,
) -> App:
    """Wire the whole daemon. Raises ConfigError with everything that does not fit.

    Mapping files with a problem stop it only where there is no state yet, which may hold
    what was in force before; `mappings_in_force.restore` says.
    """
    chance = rng or random.Random()  # noqa: S311 - jitter only; nothing secret
    for system in config.systems.values():
        hide(*(secret.reveal() for secret in system.secrets.values()))
    names = {name: system.connector for name, system in config.systems.items()}
    folders = {system.connector: system.mappings for system in config.systems.values()}
    network = network_of(config)
    network = network.with_items(items_of(config, network))
    if book is None:
        book = MappingBook.start(config.mappings, names.values(), folders=folders)
        if book.refused and not config.state.exists():
            raise MappingError(book.refused)
    app = App(
        config=config,
        clock=clock,
        store=Store(config.state, threaded=threaded),
        seal=seal_of(config),
        network=replace(network, rules=rules_of(config, network, network.rules.tags)),
        book=book,
        metrics=Metrics(),
    )
    for system in config.systems.values():
        _open_door(app, system, chance, transports)
        app.connectors[system.name] = _connect(app, system)
    _wire_flows(app, names, chance)
    return app


async def open_state(app: App) -> None:
    """Open the database; say what is in force from now on, if it is not what was (G5)."""
    app.store.open()
    if app.store.migrated is not None:
        structlog.get_logger().warning(
            "state.migrated",
            words=f"the state had an older schema; as it was, it is in {app.store.migrated.name}",
        )

    def unit(connection: Connection) -> Steps:
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        in_force.put_in_force(work)
        app.network = work.network = replace(app.network, live_since=handover.begin(work))
        handover.show_all(work)
        set_back.to_now(work)
        restored.converge(work)
        told = work.finish()
        crash_point("state.opening")
        return told

    (await app.store.write(unit)).tell()
    if app.network.plan_words:
        structlog.get_logger().warning("mode.plan", words=app.network.plan_words)
    crash_point("state.opened")
    app.gate.look()
    restore_health(app)


async def put_right(app: App) -> None:
    """The clock was set back while we ran."""

    def unit(connection: Connection) -> Steps:
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        set_back.to_now(work)
        return work.finish()

    (await app.store.write(unit)).tell()
    app.publisher.wait_no_longer()


def seal_of(config: Config) -> Seal:
    """The key of today, and the one before it while what it sealed is still read."""
    keys = [config.seal_key, *([config.seal_key_old] if config.seal_key_old else [])]
    return Seal(*(key_from_text(key.reveal()) for key in keys))


def _wire_flows(app: App, names: Mapping[str, str], chance: random.Random) -> None:
    def network() -> Network:
        return app.network

    resources = _resources(app.config)
    app.gate = Gate(app.store, app.seal, app.clock, network=network, resources=resources)
    app.intake = Intake(
        app.store,
        app.seal,
        app.clock,
        network=network,
        book=app.book,
        connectors=names,
        hears=app.connectors,
    )
    app.sweep = Sweep(
        app.store,
        app.seal,
        app.clock,
        network=network,
        connectors=app.connectors,
        resources=resources,
    )
    app.outbox = Outbox(
        app.store,
        app.seal,
        app.clock,
        chance,
        network=network,
        book=app.book,
        connectors=app.connectors,
        names=names,
        gate=app.gate,
    )
    app.publisher = Publisher(
        app.store,
        app.seal,
        app.clock,
        chance,
        network=network,
        connectors=app.connectors,
        gate=app.gate,
        linger_s=app.config.publish.linger_s,
    )


def _resources(config: Config) -> dict[tuple[str, str], Resource]:
    return {
        (name, resource): Resource(
            system=name,
            name=resource,
            every_s=system.every_s.get(resource, spec.every_s),
            overlap_s=spec.overlap_s,
            snapshot=spec.snapshot,
            full_every_s=spec.full_every_s,
        )
        for name, system in config.systems.items()
        for resource, spec in system.manifest.reads.items()
    }


def _account(system: System) -> str:
    """What a vendor counts calls by: one application at one address with one credential.

    Two systems of one account share their budgets and their tokens: each alone would draw the
    whole rate, and of a token that rotates each use would end the other's.
    """
    words, secrets = system.manifest.login.words, system.secrets
    names = sorted(name for name in words.values() if name in secrets)
    if not names:
        return system.name
    parts = [system.manifest.name, system.settings.get("base_url", "")]
    parts += [secrets[name].reveal() for name in names]
    if system.manifest.login.kind == "signed":
        # One grant may cover several shops, and each then has a chain of tokens of its own.
        parts += [f"{name}={value}" for name, value in sorted(system.settings.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _limiter(app: App, system: System, chance: random.Random) -> Limiter:
    budgets = {
        name: BudgetSpec(per_second=budget.per_second, burst=budget.burst)
        for name, budget in system.manifest.budgets.items()
    }
    return Limiter(
        budgets,
        app.clock,
        on_change=lambda state: _save_soon(app, system.name, state),
        rng=chance,
    )


def _open_door(app: App, system: System, chance: random.Random, transports: Transports) -> None:
    manifest = system.manifest
    first = app.accounts.setdefault(_account(system), system.name)
    limiter = app.limiters.get(first) or _limiter(app, system, chance)
    wire = Wire(
        at_once=manifest.at_once,
        timeout_s=manifest.timeout_s,
        answer_max=manifest.answer_max,
        private=system.private,
        ca_file=system.ca_file,
        transport=transports(system.name),
        monotonic=app.clock.monotonic,
    )
    values: dict[str, str | Secret] = {**system.settings, **system.secrets}
    login = app.logins.get(first) or Login(
        system.name,
        LoginSpec.of(
            manifest.login.kind,
            manifest.login.words,
            values,
            private=system.private,
            expires_at=_midnight_after(app, system.login_ends),
        ),
        clock=app.clock,
        wire=wire,
        load=lambda name: _load_token(app, system.name, name),
        store=lambda name, value: _store_token(app, system.name, name, value),
        dialect=_dialect(system),
    )
    breaker = Breaker(at_once=manifest.at_once)
    door = Door(
        DoorSpec(
            system=system.name,
            base_url=system.settings.get("base_url", ""),
            private=system.private,
            answers=manifest.answers,
            at_once=manifest.at_once,
            plans=system.plans,
        ),
        wire,
        login,
        limiter=limiter,
        breaker=breaker,
        clock=app.clock,
        observer=app.metrics.observe_call,
        rng=chance,
    )
    app.limiters[system.name] = limiter
    app.breakers[system.name] = breaker
    app.logins[system.name] = login
    app.doors[system.name] = door


def _midnight_after(app: App, day: date | None) -> datetime | None:
    """The end of a day as the company's calendar has it."""
    return local_day(day, app.network.zone).end if day else None


def _dialect(system: System) -> Dialect | None:
    """How its calls are signed; it needs the words, as a session does."""
    if system.manifest.login.kind != "signed":
        return None
    values = {name: secret.reveal() for name, secret in system.secrets.items()}
    dialect: Dialect = _of_package(system, "dialect")({**system.settings, **values})
    return dialect


def _connect(app: App, system: System) -> Any:
    """Import the connector by its package and let it build itself."""
    manifest = system.manifest
    settings = dict(system.settings)
    if manifest.login.kind == "session":
        # A session login is the connector's own conversation, so it needs the words.
        settings |= {name: secret.reveal() for name, secret in system.secrets.items()}
    connect = _of_package(system, "connect")
    return connect(
        Setup(
            system=system.name,
            api=app.doors[system.name],
            settings=settings,
            manifest=manifest.raw,
        )
    )


def _of_package(system: System, name: str) -> Any:
    manifest = system.manifest
    try:
        return getattr(importlib.import_module(manifest.package), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            [
                Problem(
                    file=manifest.file,
                    line=1,
                    what=f"the connector {manifest.name} cannot be loaded: {error}",
                    fix="Install its package, or correct `engine:` in its manifest.",
                )
            ]
        ) from error


# ------------------------------------------------------------------ durable health


_SAVING: set[asyncio.Task[None]] = set()


def _save_soon(app: App, system: str, state: Mapping[str, Any]) -> None:
    """Budgets survive a restart, or a restart loop would eat Amazon's burst."""
    body = orjson.dumps(state).decode()
    at = stamp(app.clock.now())

    def unit(connection: Connection) -> None:
        _save_health(connection, system, "budget", body, at)

    async def save() -> None:
        if not app.store.closing:
            await app.store.write(unit, single=True)

    task = asyncio.get_running_loop().create_task(save())
    _SAVING.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[None]) -> None:
    _SAVING.discard(task)
    if not task.cancelled():
        task.exception()  # Busy: the next change is saved instead


def _save_health(connection: Connection, system: str, kind: str, state: str, at: str) -> None:
    connection.execute(
        insert(health)
        .values(system=system, kind=kind, state=state, at=at)
        .on_conflict_do_update(index_elements=["system", "kind"], set_={"state": state, "at": at})
    )


async def save_breakers(app: App) -> None:
    """Those that changed; where nothing fails, nothing is written."""
    now = app.clock.now()
    marks = {n: b.mark for n, b in app.breakers.items() if b.mark != app.saved_breakers.get(n)}
    if not marks:
        return
    states = {n: app.breakers[n].export(app.clock.monotonic()) for n in marks}

    def unit(connection: Connection) -> None:
        for name, state in states.items():
            _save_health(connection, name, "breaker", orjson.dumps(state).decode(), stamp(now))

    await app.store.write(unit)
    app.saved_breakers |= marks


def restore_health(app: App) -> None:
    """Put budgets and breakers back as they were, aged by the time we were away."""
    now = app.clock.now()
    with app.store.read() as connection:
        rows = connection.execute(select(health)).all()
    for row in rows:
        elapsed = _elapsed(now, row.at)
        state = orjson.loads(row.state)
        if row.kind == "budget" and row.system in app.limiters:
            app.limiters[row.system].restore(state, elapsed)
        elif row.kind == "breaker" and row.system in app.breakers:
            app.breakers[row.system].restore(state, app.clock.monotonic(), elapsed)


def _elapsed(now: datetime, at: str) -> float:
    return max(0.0, (now - unstamp(at)).total_seconds())


def _token_aad(system: str, name: str) -> bytes:
    return f"token:{system}:{name}".encode()


async def _load_token(app: App, system: str, name: str) -> str | None:
    if not app.config.state.exists():
        return None  # a look at the systems before the first start
    with app.store.read() as connection:
        value = connection.execute(
            select(tokens.c.value).where(tokens.c.system == system, tokens.c.name == name)
        ).scalar_one_or_none()
    return None if value is None else app.seal.open(value, _token_aad(system, name)).decode()


async def _store_token(app: App, system: str, name: str, value: str) -> None:
    sealed = app.seal.seal(value.encode(), _token_aad(system, name))
    at = stamp(app.clock.now())

    def unit(connection: Connection) -> None:
        connection.execute(
            insert(tokens)
            .values(system=system, name=name, value=sealed, stored_at=at)
            .on_conflict_do_update(
                index_elements=["system", "name"], set_={"value": sealed, "stored_at": at}
            )
        )

    await app.store.write(unit)


def own_code_is_ours() -> None:
    """`core` is a common name; a foreign one in the same environment must not be ours."""
    here = Path(__file__).resolve().parent
    import core

    found = Path(core.__file__ or "").resolve().parent
    if found != here:
        raise ConfigError(
            [
                Problem(
                    file=str(found),
                    line=1,
                    what="another package named `core` hides Truecount's",
                    fix="Install Truecount into a virtual environment of its own.",
                )
            ]
        )
