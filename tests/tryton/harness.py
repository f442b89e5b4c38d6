"""What tests of the whole daemon need to work with real Tryton servers.

    with tryton("erp") as erp, tryton("wms") as wms:
        erp.config("books")              # the lines of config.yaml for this system
        worker = Worker(wms)             # a person in the warehouse
        worker.pick(reference, found={"SKU-0001": 2})

`connector(server)` gives the connector behind a real `Door`, for tests of it alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from connectors.tryton import connect
from core.breaker import Breaker
from core.clock import SystemClock
from core.contract import Command, Item, Setup
from core.http import Door, DoorSpec
from core.limiter import BudgetSpec, Limiter
from core.login import Login, LoginSpec
from core.manifest import Manifest, load_manifest
from core.mapping import load_mapping
from core.model import BookOrder, Document, Order
from core.wire import Wire
from tests.tryton.people import Bookkeeper as Bookkeeper
from tests.tryton.people import Worker as Worker
from tests.tryton.server import TrytonServer

NAMES = {"erp": "tryton", "wms": "tryton_wms"}
MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"


@contextlib.contextmanager
def tryton(role: str, *, currency: str = "USD") -> Iterator[TrytonServer]:
    """One running server on a fresh copy of the data, gone afterwards."""
    with TrytonServer(role, currency=currency) as server:
        yield server


def settings_of(server: TrytonServer, **more: str) -> dict[str, str]:
    """Settings of config.yaml for this server, with the manifest's defaults."""
    manifest = load_manifest(NAMES[server.role])
    settings = {name: setting.default for name, setting in manifest.settings.items()}
    settings["base_url"] = server.url
    if server.role == "wms":
        settings["tracking_field"] = "shipping_reference"
    return settings | more


def config(server: TrytonServer, key_variable: str, **more: str) -> dict[str, Any]:
    """The block below `systems.NAME` of config.yaml; the key comes from the environment."""
    manifest = load_manifest(NAMES[server.role])
    given = settings_of(server, **more)
    defaults = {name: setting.default for name, setting in manifest.settings.items()}
    changed = {name: value for name, value in given.items() if value != defaults[name]}
    return {
        "connector": NAMES[server.role],
        "network": "private",
        "settings": changed,
        "secrets": {"key": "${" + key_variable + "}"},
    }


@contextlib.asynccontextmanager
async def connector(
    server: TrytonServer,
    *,
    key: str = "",
    transport: httpx.AsyncBaseTransport | None = None,
    **more: str,
) -> AsyncIterator[Any]:
    """The connector as the daemon builds it: a real Door, real sockets, the real manifest."""
    manifest = load_manifest(NAMES[server.role])
    settings = settings_of(server, **more)
    door = _door(manifest, settings, key or server.key, transport)
    try:
        yield connect(
            Setup(system=manifest.name, api=door, settings=settings, manifest=manifest.raw)
        )
    finally:
        await door.aclose()


def _door(
    manifest: Manifest,
    settings: Mapping[str, str],
    key: str,
    transport: httpx.AsyncBaseTransport | None,
) -> Door:
    clock = SystemClock()
    wire = Wire(
        at_once=manifest.at_once, timeout_s=manifest.timeout_s, private=True, transport=transport
    )
    words = manifest.login.words
    spec = LoginSpec.of(manifest.login.kind, words, {"key": key}, private=True)
    budgets = {
        name: BudgetSpec(per_second=budget.per_second, burst=budget.burst)
        for name, budget in manifest.budgets.items()
    }
    return Door(
        DoorSpec(
            system=manifest.name,
            base_url=settings["base_url"],
            private=True,
            answers=manifest.answers,
            at_once=manifest.at_once,
        ),
        wire,
        Login(manifest.name, spec, clock=clock, wire=wire),
        limiter=Limiter(budgets, clock),
        breaker=Breaker(at_once=manifest.at_once),
        clock=clock,
    )


def command(kind: str, record: Any) -> Command:
    return Command(key=record.reference, kind=kind, record=record)


async def everything(system: Any, resource: str, since: str | None = None) -> list[Item]:
    """All pages of one pass."""
    items: list[Item] = []
    token: str | None = None
    while True:
        page = await system.read(resource, since, token)
        items += page.items
        token = page.next
        if token is None:
            return items


async def records(name: str, system: Any, resource: str, since: str | None = None) -> list[Any]:
    """The same through the mapping an operator has: our records, or a Hold."""
    file = f"mappings/{name}/{resource}.yaml"
    mapping = load_mapping(MAPPINGS / name / f"{resource}.yaml", file)
    return [
        mapping.record(item.body, external_id=item.external_id, revision=item.revision)
        for item in await everything(system, resource, since)
    ]


async def book(system: Any, order: Order) -> BookOrder:
    """The sale of an order, booked."""
    booked = BookOrder(
        reference=f"truecount:shop:{order.key}:book_order:1", channel="shop", order=order
    )
    await system.send(command("book_order", booked))
    return booked


async def documents_of(system: Any, booked: BookOrder) -> dict[str, list[Document]]:
    """What the ledger tells about one order, by kind."""
    mark = f":{booked.order.key}:"
    found: dict[str, list[Document]] = {}
    for one in await records("tryton", system, "document"):
        if mark in one.reference:
            found.setdefault(one.kind, []).append(one)
    return found


def sale_of(keeper: Bookkeeper, booked: BookOrder) -> dict[str, Any]:
    """The one sale there must be."""
    sales = keeper.sales(booked.reference)
    assert len(sales) == 1, f"{len(sales)} sales for {booked.reference}"
    return sales[0]


# ---------------------------------------------------------------- a bad line


class Losing(httpx.AsyncBaseTransport):
    """A line that lets one write through and loses its answer: the `lose`-th, counted from 1."""

    def __init__(self, lose: int) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._lose = lose
        self.writes = 0
        self.lost = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if request.method == "GET":
            return answer
        self.writes += 1
        if self.writes != self._lose:
            return answer
        await answer.aread()  # Tryton has finished; only we do not hear it
        await answer.aclose()
        self.lost = True
        raise httpx.ReadError("the line broke", request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()
