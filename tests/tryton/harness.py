"""What tests of the whole daemon need to work with real Tryton servers.

    with tryton("erp") as erp, tryton("wms") as wms:
        erp.config("books")              # the lines of config.yaml for this system
        worker = Worker(wms)             # a person in the warehouse
        worker.pick(reference, found={"SKU-0001": 2})

`connector(server)` gives the connector behind a real `Door`, for tests of it alone.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from connectors.tryton import connect
from connectors.tryton.values import decode, encode
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


# ---------------------------------------------------------------- people at their desks


class TrytonError(Exception):
    """Tryton's words to a person: UserError, UserWarning, and the rest."""


@dataclass
class Person:
    """Somebody at the desktop client: JSON-RPC with a session, as the client does it.

    Logs in as the administrator, who may do what the daemon's own user may not.
    """

    server: TrytonServer
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    context: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        admin = self.server.facts["admin"]
        login = [admin["login"], {"password": admin["password"]}]
        user, token, _ = self._rpc("common.db.login", login)
        session = base64.b64encode(f"{admin['login']}:{user}:{token}".encode()).decode()
        self.http.headers["Authorization"] = f"Session {session}"
        self.context = self._rpc("model.res.user.get_preferences", [True, {}])
        self.context["company"] = self.server.facts["company"]

    def _rpc(self, method: str, params: list[Any]) -> Any:
        body = {"id": 1, "method": method, "params": encode(params)}
        answer = self.http.post(f"{self.server.url}/rpc/", json=body)
        answer.raise_for_status()
        said = decode(answer.json(parse_float=Decimal))
        if "error" in said:  # inside a 200
            raise TrytonError(*said["error"])
        return said["result"]

    def call(self, model: str, method: str, *args: Any, **context: Any) -> Any:
        return self._rpc(f"model.{model}.{method}", [*args, {**self.context, **context}])

    def rows(self, model: str, domain: list[Any], fields: list[str], **context: Any) -> list[Any]:
        found: list[Any] = self.call(
            model, "search_read", domain, 0, 1000, [["id", "ASC"]], fields, **context
        )
        return found

    def press(self, model: str, record: int, button: str) -> None:
        self.call(model, button, [record])

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Worker(Person):
    """Somebody in the warehouse. Shipments are called by our reference."""

    MODEL = "stock.shipment.out"

    def shipment(self, reference: str) -> dict[str, Any]:
        fields = ["number", "state", "reference", "warehouse", "inventory_moves", "outgoing_moves"]
        rows = self.rows(self.MODEL, [["reference", "=", reference]], fields)
        assert len(rows) == 1, f"{len(rows)} shipments for {reference}"
        return dict(rows[0])

    def pick(self, reference: str, found: Mapping[str, int] | None = None) -> None:
        """Pick what is there. `found` says how many of a SKU are really on the shelf."""
        shipment = self.shipment(reference)
        if found is not None:
            self._pick_short(shipment, found)
        elif shipment["state"] == "waiting":
            self.press(self.MODEL, shipment["id"], "assign_try")
        self.press(self.MODEL, shipment["id"], "pick")

    def _pick_short(self, shipment: dict[str, Any], found: Mapping[str, int]) -> None:
        """Assigned moves cannot be edited: back to waiting, change, assign again."""
        if shipment["state"] == "assigned":
            self.press(self.MODEL, shipment["id"], "wait")
        moves = self.rows(
            "stock.move",
            [["shipment", "=", f"{self.MODEL},{shipment['id']}"], ["state", "=", "draft"]],
            ["product.code", "quantity", "to_location.type"],
        )
        for move in moves:
            code = move["product."]["code"]
            if move["to_location."]["type"] != "customer" and code in found:
                self.call("stock.move", "write", [move["id"]], {"quantity": found[code]})
        self.press(self.MODEL, shipment["id"], "assign_try")

    def pack(self, reference: str, tracking: str = "") -> None:
        """Pack; the carrier is chosen and the label's number is written down."""
        shipment = self.shipment(reference)
        values: dict[str, Any] = {}
        if "carrier" in self.server.facts:
            values["carrier"] = self.server.facts["carrier"]
        if tracking:
            values["shipping_reference"] = tracking
        if values:
            self.call(self.MODEL, "write", [shipment["id"]], values)
        self.press(self.MODEL, shipment["id"], "pack")

    def ship(self, reference: str) -> None:
        """The courier takes the parcel."""
        self.press(self.MODEL, self.shipment(reference)["id"], "ship")

    def finish(self, reference: str) -> None:
        """Only now the units leave Tryton's stock."""
        self.press(self.MODEL, self.shipment(reference)["id"], "do")

    def send_off(
        self, reference: str, *, tracking: str = "", found: Mapping[str, int] | None = None
    ) -> None:
        """Pick, pack, ship and finish in one go."""
        self.pick(reference, found)
        self.pack(reference, tracking)
        self.ship(reference)
        self.finish(reference)

    def on_hand(self, sku: str) -> int:
        """What the warehouse's own screen shows: storage and output, bins included."""
        places = self.server.facts["locations"]
        inside = [places["storage"], places["output"]]
        rows = self.rows(
            "product.product",
            [["code", "=", sku]],
            ["quantity"],
            locations=inside,
            with_childs=True,
        )
        return int(rows[0]["quantity"])

    def count(self, sku: str, units: int, bin_code: str = "A-01") -> None:
        """An inventory count of one SKU in one bin: the other way stock changes."""
        place = self.server.facts["locations"]["bins"][bin_code]
        product = self.server.facts["products"][sku]
        line = {"product": product, "quantity": units}
        values = {
            "location": place,
            "date": datetime.now(UTC).date(),
            "company": self.server.facts["company"],
            "empty_quantity": "keep",
            "lines": [["create", [line]]],
        }
        (made,) = self.call("stock.inventory", "create", [values])
        self.press("stock.inventory", made, "confirm")


class Bookkeeper(Person):
    """Somebody who reads the ledger."""

    def sales(self, reference: str) -> list[dict[str, Any]]:
        fields = ["number", "state", "untaxed_amount", "tax_amount", "total_amount", "party",
                  "shipment_state", "invoice_state", "sale_date"]  # fmt: skip
        return self.rows("sale.sale", [["reference", "=", reference]], fields)

    def lines(self, reference: str) -> list[dict[str, Any]]:
        fields = ["product.code", "quantity", "unit_price", "amount", "taxes.name", "description"]
        return self.rows("sale.line", [["sale.reference", "=", reference]], fields)

    def postings(self, invoice: str) -> dict[str, Decimal]:
        """Debit less credit of one invoice's entry, by what the account is for."""
        roles = {number: role for role, number in self.server.facts["accounts"].items()}
        (row,) = self.rows("account.invoice", [["number", "=", invoice]], ["move"])
        lines = self.rows(
            "account.move.line", [["move", "=", row["move"]]], ["account", "debit", "credit"]
        )
        sums: dict[str, Decimal] = {}
        for line in lines:
            role = roles.get(line["account"], str(line["account"]))
            sums[role] = sums.get(role, Decimal(0)) + line["debit"] - line["credit"]
        return {role: amount for role, amount in sums.items() if amount}

    def change_price(self, sku: str, price: str) -> None:
        """The list price is the ledger's to change."""
        (row,) = self.rows("product.product", [["code", "=", sku]], ["template"])
        values = {"list_price": Decimal(price)}
        self.call("product.template", "write", [row["template"]], values)

    def change_cost(self, sku: str, cost: str) -> Decimal:
        """Set what a unit costs from now on; returns what it cost before."""
        (row,) = self.rows("product.product", [["code", "=", sku]], ["cost_price"])
        self.call("product.product", "write", [row["id"]], {"cost_price": Decimal(cost)})
        return Decimal(row["cost_price"])


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
