"""What the Shopify tests share: the fake behind the real door, in virtual time."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.shopify import Shopify, connect
from connectors.shopify.fake import Fake
from core.breaker import Breaker
from core.clock import ManualClock
from core.contract import Answer, Command, Setup
from core.fake import World
from core.http import Door, DoorSpec
from core.limiter import BudgetSpec, Limiter
from core.login import Login, LoginSpec
from core.model import ConfirmShipment, QuantityLine
from core.wire import Wire

REPOSITORY = Path(__file__).resolve().parents[3]
#: Copies of other projects' files stay outside the repository.
SHELF = REPOSITORY.parent / "shared" / "reference" / "contracts-data" / "west"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SETTINGS = {
    "base_url": "https://demo.myshopify.com",
    "version": "2026-07",
    "notify_customer": "false",
    "access_token": "shpat_pretend",
    "webhook_secret": "pretend secret",
}


def shelf(*parts: str) -> Path:
    """A file of the reference shelf, or the test is skipped and says why."""
    path = SHELF.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the reference shelf is not on this machine: {path}")
    return path


@cache
def schema(version: str) -> Any:
    graphql = pytest.importorskip("graphql", reason="needs the `proof` extra")
    packed = shelf("shopify", f"admin_{version}.json.gz").read_bytes()
    found = json.loads(gzip.decompress(packed))
    return graphql.build_client_schema(found.get("data", found), assume_valid=True)


class Tap(httpx.AsyncBaseTransport):
    """Between door and fake: keeps every exchange, and can lose an answer on purpose."""

    def __init__(self, fake: Fake) -> None:
        self._inner = httpx.ASGITransport(app=fake)  # type: ignore[arg-type]
        self.exchanges: list[tuple[dict[str, Any], int, Any]] = []
        self.lose_next = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        self.exchanges.append((asked, response.status_code, json.loads(body)))
        if self.lose_next == asked["operationName"]:
            self.lose_next = ""
            raise httpx.ReadTimeout("the answer was lost", request=request)
        return httpx.Response(
            response.status_code, headers=response.headers, content=body, request=request
        )

    def names(self) -> list[str]:
        return [asked["operationName"] for asked, _, _ in self.exchanges]

    def asked(self, name: str) -> list[dict[str, Any]]:
        return [a["variables"] for a, _, _ in self.exchanges if a["operationName"] == name]


@dataclass(slots=True, kw_only=True)
class Bench:
    """A shop, the connector that talks to it, and everything said between them."""

    clock: ManualClock
    fake: Fake
    tap: Tap
    connector: Shopify
    limiter: Limiter
    pushes: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    receiver: list[int] = field(default_factory=lambda: [200])

    def ids(self, sku: str) -> tuple[str, str]:
        """(listing, place) of a SKU at the first location."""
        number = self.fake.shop.variants[sku].number
        return f"gid://shopify/InventoryItem/{number}", "gid://shopify/Location/1"


def bench(**settings: str) -> Bench:
    clock = ManualClock(NOON)
    pushes: list[tuple[Mapping[str, str], bytes]] = []
    receiver = [200]

    async def deliver(headers: Mapping[str, str], body: bytes) -> int:
        pushes.append((headers, body))
        return receiver[0]

    fake = Fake(World(settings={**SETTINGS, **settings}, now=clock.now, deliver=deliver))
    tap = Tap(fake)
    limiter = Limiter({"points": BudgetSpec(per_second=100, burst=2000)}, clock)
    spec = LoginSpec(
        kind="header",
        header="x-shopify-access-token",
        secret_name="access_token",
        secret=SETTINGS["access_token"],
    )
    door = Door(
        DoorSpec(system="shopify", base_url=SETTINGS["base_url"]),
        Wire(transport=tap),
        Login("shopify", spec, clock=clock),
        limiter=limiter,
        breaker=Breaker(),
        clock=clock,
    )
    setup = Setup(system="shopify", api=door, settings={**SETTINGS, **settings}, manifest={})
    return Bench(
        clock=clock,
        fake=fake,
        tap=tap,
        connector=connect(setup),
        limiter=limiter,
        pushes=pushes,
        receiver=receiver,
    )


class Said:
    """An Api that says what it is told to: for answers the fake never gives."""

    def __init__(self, *answers: Any, status: int = 200) -> None:
        self._answers = list(answers)
        self._status = status
        self.observed: list[tuple[str, float, float, float]] = []
        self.asked: list[Any] = []

    async def call(self, method: str, path: str, **facts: Any) -> Answer:
        self.asked.append(facts)
        return Answer(status=self._status, headers={}, body=self._answers.pop(0))

    def observe(self, budget: str, *, left: float, per_second: float, size: float) -> None:
        self.observed.append((budget, left, per_second, size))

    def now(self) -> datetime:
        return NOON


def connector_over(api: Said) -> Shopify:
    return connect(Setup(system="shopify", api=api, settings=SETTINGS, manifest={}))  # type: ignore[arg-type]


def a_shipment(
    order: Mapping[str, Any],
    lines: Sequence[tuple[str, int]] = (),
    *,
    tracking: str = "1Z999",
    parcel: int = 1,
) -> Command:
    """Confirm these (sku, units) of an order of the fake; without lines, all of it."""
    by_sku = {line["sku"]: line for line in order["lines"]}
    wanted = lines or [(line["sku"], line["current"]) for line in order["lines"]]
    record = ConfirmShipment(
        reference="truecount:shopify:1:ship:1",
        order=order["id"],
        number=order["name"],
        shipment="S1",
        parcel=parcel,
        shipped_at=NOON,
        carrier="UPS" if tracking else "",
        tracking=tracking,
        lines=tuple(
            QuantityLine(line=by_sku[sku]["id"], sku=sku, quantity=units) for sku, units in wanted
        ),
    )
    return Command(key=record.reference, kind="confirm_shipment", record=record)
