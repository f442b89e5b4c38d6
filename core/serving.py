"""The two ports of the daemon: hooks for the world, operations for us."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from core import deadline_views, operate, views
from core.app import App
from core.clock import unstamp
from core.config_types import System
from core.daemon import Daemon
from core.errors import ConfigError, Problem
from core.manifest_types import Hooks
from core.metrics import BREAKER_STATES
from core.rounds import SCHEDULER_S
from core.store.refusals import unusable
from core.store.schema import ENDED, cursors, inbox, outbox
from core.web.operations import (
    LoopLag,
    OperationsSpec,
    keeps_moving,
    operations,
    store_works,
    task_lives,
)
from core.web.receiver import HookSpec, Receiver, ReceiverLimits
from core.web.server import ServerLimits, WebServer

MIB = 1024 * 1024
#: A loop that has not come round for so long is wedged on something (H33).
WEDGED_S = 120.0


def token_path(state: Path) -> Path:
    return state / "operations.token"


def new_token(state: Path) -> str:
    """A token only this machine's operator can read; new at every start."""
    path = token_path(state)
    token = secrets.token_urlsafe(32)
    try:
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(token)
    except OSError as error:  # no room, most likely (H3)
        raise unusable(path, error) from error
    return token


def servers(daemon: Daemon) -> list[WebServer]:
    """The hooks port and the operations port, not yet started."""
    app = daemon.app
    listen = app.config.listen

    def kept() -> None:
        app.kept()
        daemon.wake("intake")

    receiver = Receiver(
        hooks={
            name: spec
            for name, s in app.config.systems.items()
            if (spec := hook_spec(s, app.config.listen.public_url))
        },
        store=app.store,
        seal=app.seal,
        clock=app.clock,
        limits=ReceiverLimits(
            body_max=listen.body_max, backlog_max=listen.waiting_max, answer_s=listen.deadline_s
        ),
        on_kept=kept,
        metrics=app.metrics,
        backlog=lambda: app.backlog,
    )

    def refuse() -> None:
        receiver.closing = True

    daemon.on_stopping.append(refuse)
    hooks = WebServer(
        receiver,
        name="hooks",
        host=listen.hooks.host,
        port=listen.hooks.port,
        clock=app.clock,
        metrics=app.metrics,
        limits=ServerLimits(
            request_s=listen.deadline_s,
            connections_max=listen.connections,
            wire_bytes_max=max(16 * MIB, 4 * listen.body_max),
        ),
        place=(app.config.file, 1),
    )
    return [hooks, _operations(daemon)]


def hook_spec(system: System, public_url: str) -> HookSpec | None:
    """How one system pushes: its manifest's scheme with this installation's secrets.

    Raises ConfigError where it signs an address that config.yaml does not name.
    """
    hooks = system.manifest.hooks
    if hooks is None:
        return None
    names = (hooks.secret, f"{hooks.secret}_old")
    known = tuple(system.secrets[name].reveal() for name in names if name in system.secrets)
    if hooks.scheme != "unsigned" and not known:
        return None  # no secret, no hooks: the sweep alone carries this system
    return HookSpec(
        system=system.name,
        scheme=hooks.scheme,
        header=hooks.header,
        prefix=_signed_before(system.name, hooks, public_url),
        secrets=known,
        topic_header=hooks.topic_header,
        topic_always=hooks.topic_always,
        topics=frozenset(hooks.topics),
        identity=hooks.identity,
        body_max=hooks.body_max,
    )


def _signed_before(system: str, hooks: Hooks, public_url: str) -> bytes:
    if "{url}" in hooks.prefix and not public_url:
        what = f"{system} signs the address it pushes to, and listen.public_url is not set"
        fix = (
            f"Set it, so that the address is PUBLIC_URL/hooks/{system}; or leave out the secret"
            f" {hooks.secret}: then {system} is only polled."
        )
        raise ConfigError([Problem(file=f"systems.{system}", line=1, what=what, fix=fix)])
    return hooks.prefix.replace("{url}", f"{public_url}/hooks/{system}").encode()


def _operations(daemon: Daemon) -> WebServer:
    app = daemon.app
    listen = app.config.listen
    lag = LoopLag(app.clock, app.metrics)
    daemon.background.append(lag.run)

    async def do(verb: str, words: Mapping[str, Any]) -> Mapping[str, Any]:
        done = await operate.operate(app, verb, dict(words))
        for kind in ("intake", "sweep", "outbox", "publish"):
            daemon.wake(kind)
        return done

    def status() -> dict[str, Any]:
        with app.store.read() as connection:
            return views.status(connection, app.network, app.clock.now())

    daemon.checks["store"] = store_works(app.store)
    application = operations(
        spec=OperationsSpec(
            host=listen.operations.host,
            token=new_token(app.config.state.parent),
            hosts=app.config.console.hosts,
            place=(app.config.file, 1),
        ),
        checks=daemon.checks,
        status=status,
        operate=do,
        metrics=app.metrics,
        clock=app.clock,
        lag=lag,
    )
    _watch(daemon)
    return WebServer(
        application,
        name="operations",
        host=listen.operations.host,
        port=listen.operations.port,
        clock=app.clock,
        metrics=app.metrics,
        place=(app.config.file, 1),
    )


def _watch(daemon: Daemon) -> None:
    """Every loop is watched: ended or wedged, /readyz says which."""

    def started() -> None:
        woken = partial(getattr, daemon, "woken_at")
        daemon.checks["scheduler wakes"] = keeps_moving(
            daemon.app.clock, woken, limit_s=SCHEDULER_S
        )
        for task in daemon.tasks:
            daemon.checks[f"{task.get_name()} runs"] = task_lives(task)
        for loop in daemon.loops.values():
            moved = partial(getattr, loop, "last_moved")
            daemon.checks[f"{loop.name} moves"] = keeps_moving(
                daemon.app.clock, moved, limit_s=WEDGED_S
            )

    daemon.on_started.append(started)
    for name, system in daemon.app.config.systems.items():
        for resource in system.manifest.reads:
            age = partial(_age_s, daemon.app, name, resource)
            daemon.app.metrics.sweep_succeeded(name, resource, age)


def _age_s(app: App, system: str, resource: str) -> float:
    with app.store.read() as connection:
        at = connection.execute(
            select(cursors.c.complete_at).where(
                cursors.c.system == system, cursors.c.resource == resource
            )
        ).scalar_one_or_none()
    return (app.clock.now() - unstamp(at)).total_seconds() if at else float("inf")


async def gauges(app: App) -> None:
    """Numbers a scrape should not have to count itself."""
    with app.store.read() as connection:
        waiting = connection.execute(
            select(func.count()).select_from(inbox).where(inbox.c.state == "pending")
        ).scalar_one()
        rows = connection.execute(
            select(outbox.c.system, outbox.c.state, func.count().label("n"))
            .where(outbox.c.state.not_in(ENDED))
            .group_by(outbox.c.system, outbox.c.state)
        ).all()
        due = deadline_views.numbers(connection, app.clock.now())
    app.metrics.deadlines_are(due)
    app.backlog = waiting
    app.metrics.pending.set(waiting)
    app.metrics.outbox.clear()
    for row in rows:
        app.metrics.outbox.labels(row.system, row.state).set(row.n)
    for name, breaker in app.breakers.items():
        app.metrics.breaker.labels(name).set(BREAKER_STATES[breaker.state])
    app.metrics.commits.set(app.store.commits)
    app.metrics.units.set(app.store.units)
    app.metrics.store_waiting.set(app.store.waiting)
