"""Subscriptions switch themselves off after a few failures: they are re-asserted (H10).

That happens during exactly the outage the sweep has to heal, so a subscription
found missing is said, and its system is swept at once.
"""

from __future__ import annotations

import inspect

import structlog
from sqlalchemy import Connection

from core.app import App
from core.errors import ConnectorError
from core.sweep import sweep_now

EVERY_S = 3600.0


async def ensure(app: App) -> None:
    """Make what is missing at every system whose connector can; say what was made."""
    public = app.config.listen.public_url
    if not public:
        return
    for name, connector in app.connectors.items():
        if app.config.systems[name].plans:
            continue  # a subscription is a write to its account; the sweep carries it meanwhile
        make = getattr(connector, "ensure_subscriptions", None)
        if not inspect.iscoroutinefunction(make):
            continue
        try:
            made = await make(f"{public}/hooks/{name}")
        except ConnectorError as error:
            structlog.get_logger().warning(
                "subscription.failed", system=name, words=str(error), again_s=EVERY_S
            )
            continue
        if made:
            structlog.get_logger().info("subscription.made", system=name, count=len(made))
            await _sweep_gap(app, name)


async def _sweep_gap(app: App, system: str) -> None:
    now = app.clock.now()

    def unit(connection: Connection) -> None:
        for resource in app.config.systems[system].manifest.reads:
            sweep_now(connection, system, resource, now)

    await app.store.write(unit)
