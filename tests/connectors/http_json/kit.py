"""A fake behind the real door: what the daemon has, without a socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.http_json import HttpJson, connect
from core.breaker import Breaker
from core.clock import ManualClock
from core.contract import Command, Item, Setup
from core.fakehost import FakeHost, System
from core.http import Door, DoorSpec
from core.limiter import BudgetSpec, Limiter
from core.login import Login, LoginSpec
from core.manifest import load_manifest
from core.wire import Wire

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
SECRETS = {
    "generic_wms": {"api_token": "wms-token", "webhook_secret": "hush"},
    "generic_erp": {"api_key": "erp-key"},
    "generic_channel": {"api_token": "channel-token", "webhook_secret": "hush"},
}


@dataclass
class Bench:
    """One system, its fake, its connector, and everything it pushed."""

    connector: HttpJson
    fake: Any
    host: FakeHost
    clock: ManualClock
    pushes: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def faults(self) -> Any:
        return self.host.faults("it")

    def calls(self, method: str = "") -> list[str]:
        return [
            f"{call['method']} {call['path']}"
            for call in self.host.log("it")
            if method in ("", call["method"])
        ]


def a_door(app: Any, clock: ManualClock, login: LoginSpec, base_url: str, **spec: Any) -> Door:
    return Door(
        DoorSpec(system="it", base_url=base_url, **spec),
        Wire(transport=httpx.ASGITransport(app)),
        Login("it", login, clock=clock),
        limiter=Limiter(
            dict.fromkeys(("calls", "slow"), BudgetSpec(per_second=1e6, burst=1e6)), clock
        ),
        breaker=Breaker(),
        clock=clock,
    )


def a_bench(connector: str, **settings: str) -> Bench:
    clock = ManualClock(NOW)
    pushes: list[tuple[dict[str, str], bytes]] = []

    async def deliver(headers: Any, body: bytes) -> int:
        pushes.append((dict(headers), body))
        return 200

    system = System(name="it", connector=connector, settings=settings, secrets=SECRETS[connector])
    host = FakeHost([system], now=clock.now, deliver={"it": deliver})
    manifest = load_manifest(connector)
    login = LoginSpec.of(manifest.login.kind, manifest.login.words, SECRETS[connector])
    base_url = "https://fake.example/it"
    door = a_door(host.app, clock, login, base_url, answers=manifest.answers)
    setup = Setup(
        system="it", api=door, settings={"base_url": base_url, **settings}, manifest=manifest.raw
    )
    return Bench(connect(setup), host.fake("it"), host, clock, pushes)


async def a_pass(
    connector: HttpJson, resource: str, since: str | None = None
) -> tuple[list[Item], str | None]:
    """All pages of one pass, as the sweep walks them."""
    items: list[Item] = []
    token: str | None = None
    for _ in range(1000):
        page = await connector.read(resource, since, token)
        items += page.items
        token = page.next
        if token is None:
            return items, page.since
    raise AssertionError("the pass has no end")


def a_command(kind: str, record: Any, body: Any) -> Command:
    return Command(key=record.reference, kind=kind, record=record, body=body)
