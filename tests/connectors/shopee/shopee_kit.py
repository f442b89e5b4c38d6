"""What the Shopee tests share: the fake behind the real door, and a witness over every exchange.

The witness holds each request and each answer against the vendor's published structure: names,
types and required fields, unknown ones forbidden. It is others' capture of the documentation,
read from the shelf beside the repository and not copied into ours.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from connectors.shopee import Shopee, connect, dialect
from connectors.shopee.fake import Fake
from core.breaker import Breaker
from core.clock import ManualClock
from core.contract import Command, Offer, Setup
from core.fake import World
from core.http import Door, DoorSpec
from core.limiter import BudgetSpec, Limiter
from core.login import Login, LoginSpec
from core.manifest import load_manifest
from core.mapping import load_mapping
from core.model import ConfirmShipment, Order, QuantityLine
from core.secrets import Secret
from core.strict import dump_json, load_json
from core.wire import Wire

REPO = Path(__file__).resolve().parents[3]
SHELF = REPO.parent / "shared/reference/contracts-data/asia"
STRUCTURE = SHELF / "shopee-v2.structure.json"
VECTORS = SHELF / "signature-vectors.json"
NO_SHELF = f"the reference shelf is not at {SHELF}: the contract is not proven here"
needs_shelf = pytest.mark.skipif(not STRUCTURE.is_file(), reason=NO_SHELF)

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
BASE = "https://partner.shopeemobile.com"
SETTINGS = {
    "base_url": BASE,
    "token_url": f"{BASE}/api/v2/auth/access_token/get",
    "partner_id": "2001887",
    "shop_id": "14701711",
    "orders_from": "2026-11-01T00:00:00Z",
    "hand_over": "any",
}
SECRETS = {
    "partner_key": "fake-key",
    "refresh_token": "fake-refresh-0",
    "push_key": "fake-push-key",
}

# ---------------------------------------------------------------- the published structure

#: Of every call, in the query; their names are the authorization page's.
COMMON = frozenset({"partner_id", "timestamp", "sign", "access_token", "shop_id"})
#: Codes of calls as such: the reference's own list (contracts-asia.md 4 and 14), of no call's page.
CODES = frozenset(
    "error_sign error_permission error_rate_limit error_limit error_server error_system_busy"
    " invalid_acceess_token error_param".split()
)
_REFUSAL = [{"n": name, "t": "string", "req": True} for name in ("error", "message", "request_id")]
_WHOLE = frozenset("int int32 int64 uint64 timestamp".split())


class Unlike(AssertionError):
    """An exchange that the published structure does not have."""


@cache
def structure() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STRUCTURE.read_text())
    _put_right(found["v2.product.get_item_base_info"]["response"])
    return {(one["method"], one["path"]): one for one in found.values()}


def _put_right(answer: list[dict[str, Any]]) -> None:
    """The page draws five fields of an item beside the list of items, once for all of them.

    That cannot be meant: each item has a stock of its own. Nothing else is changed.
    """
    (response,) = [one for one in answer if one["n"] == "response"]
    items, *beside = response["c"]
    assert [one["n"] for one in (items, *beside)] == [
        "item_list", "complaint_policy", "tax_info", "description_info", "description_type",
        "stock_info_v2",
    ]  # fmt: skip
    items["c"] += beside
    response["c"] = [items]


def fits(value: Any, fields: Sequence[Mapping[str, Any]], where: str) -> None:
    """Every name known and of its type, every required one there. Raises Unlike."""
    if not isinstance(value, dict):
        raise Unlike(f"{where} is no object")
    known = {one["n"]: one for one in fields}
    for name, inside in value.items():
        if name not in known:
            raise Unlike(f"{where}.{name} is not published")
        _is_of_type(inside, known[name], f"{where}.{name}")
    missing = {one["n"] for one in fields if one.get("req")} - value.keys()
    if missing:
        raise Unlike(f"{where} lacks {sorted(missing)}")


def _is_of_type(value: Any, one: Mapping[str, Any], where: str) -> None:
    kind = one["t"]
    if kind.endswith("[]"):
        if not isinstance(value, list):
            raise Unlike(f"{where} is no list")
        for number, each in enumerate(value):
            _is_of_type(each, {**one, "t": kind[:-2]}, f"{where}[{number}]")
    elif kind == "object":
        if one.get("c"):
            fits(value, one["c"], where)
    elif kind in _WHOLE:
        _must(type(value) is int, where, kind)
    elif kind == "float":
        _must(type(value) in (int, float), where, kind)
    else:
        _must(isinstance(value, {"string": str, "boolean": bool}[kind]), where, kind)


def _must(fine: bool, where: str, kind: str) -> None:
    if not fine:
        raise Unlike(f"{where} is no {kind}")


def from_query(text: str, kind: str) -> Any:
    """A parameter of a query as its published type; text that is none of it stays text."""
    if kind.endswith("[]"):
        return [from_query(one, kind[:-2]) for one in text.split(",")]
    if kind in _WHOLE and text.isdecimal():
        return int(text)
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


@dataclass(slots=True)
class Exchange:
    method: str
    path: str
    query: str
    sent: bytes
    status: int = 0
    kind: str = ""
    got: bytes = b""

    def check(self) -> None:
        """Both halves against the published structure. Raises Unlike."""
        path = self.path[self.path.find("/api/v2/") :]
        call = structure().get((self.method, path))
        if call is None:
            raise Unlike(f"{self.method} {self.path} is not published")
        self._check_request(call)
        if "json" not in self.kind:
            return  # a gateway's page: no structure speaks of it
        answer = json.loads(self.got)
        if not answer:
            return  # a bad habit of the fake's, and meant to be one
        error = answer.get("error", "")
        if error:
            fits(answer, _REFUSAL, "refusal")
        else:
            fits(answer, call["response"], "answer")
            names = {one["n"] for one in call["response"]}
            _must("error" in answer or "error" not in names, path, "answer with an error")
        if error and error not in call["errors"] and error not in CODES:
            raise Unlike(f"{path} never says {error!r}")
        if not error and {"response"} & {one["n"] for one in call["response"]}:
            _must("response" in answer or call["path"].endswith("ship_order"), path, "response")

    def _check_request(self, call: Mapping[str, Any]) -> None:
        query: dict[str, str] = {}
        for name, text in parse_qsl(self.query, keep_blank_values=True):
            query[name] = f"{query[name]},{text}" if name in query else text
        wanted = COMMON if call["type"] == "Shop" else COMMON - {"access_token", "shop_id"}
        if wanted - query.keys():
            raise Unlike(f"{self.path} lacks {sorted(wanted - query.keys())}")
        own = {name: text for name, text in query.items() if name not in wanted}
        if self.method == "POST":
            if own:
                raise Unlike(f"{self.path} has {sorted(own)} in the query of a POST")
            fits(json.loads(self.sent), call["request"], "request")
            return
        kinds = {one["n"]: one["t"] for one in call["request"]}
        typed = {name: from_query(text, kinds.get(name, "string")) for name, text in own.items()}
        fits(typed, call["request"], "request")


class Witness:
    """Stands before an ASGI app, remembers every exchange, passes everything on."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        seen = Exchange(scope["method"], scope["path"], scope["query_string"].decode(), b"")

        async def hear() -> Any:
            message = await receive()
            seen.sent += message.get("body", b"")
            return message

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                headers = {name.lower(): value for name, value in message["headers"]}
                seen.kind = headers.get(b"content-type", b"").decode()
            seen.got += message.get("body", b"")
            await send(message)

        await self.app(scope, hear, tell)
        self.exchanges.append(seen)

    def check(self) -> int:
        """All exchanges so far; returns how many."""
        for exchange in self.exchanges:
            exchange.check()
        return len(self.exchanges)

    def asked(self, call: str) -> list[dict[str, str]]:
        return [dict(parse_qsl(one.query)) for one in self.exchanges if one.path.endswith(call)]

    def told(self, call: str) -> list[Any]:
        return [json.loads(one.sent) for one in self.exchanges if one.path.endswith(call)]


# ---------------------------------------------------------------- a shop and its connector


class Losing(httpx.AsyncBaseTransport):
    """Passes a call on, and loses the answer where it was asked to."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app)
        self.lose_next = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        if self.lose_next and urlsplit(str(request.url)).path.endswith(self.lose_next):
            self.lose_next = ""
            raise httpx.ReadTimeout("the answer was lost", request=request)
        return httpx.Response(
            response.status_code, headers=response.headers, content=body, request=request
        )


@dataclass(slots=True, kw_only=True)
class Bench:
    clock: ManualClock
    fake: Fake
    witness: Witness
    line: Losing
    settings: Mapping[str, str]
    kept: dict[str, str] = field(default_factory=dict)
    skew: timedelta = timedelta()
    pushes: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    door: Door = field(init=False)
    limiter: Limiter = field(init=False)
    shopee: Shopee = field(init=False)

    def open(self) -> None:
        """As after a restart of ours: what was stored is all there is."""
        manifest = load_manifest("shopee")
        wire = Wire(transport=self.line, timeout_s=5)
        secrets = {name: Secret(value) for name, value in SECRETS.items()}

        async def load(name: str) -> str | None:
            return self.kept.get(name)

        async def store(name: str, value: str) -> None:
            self.kept[name] = value

        login = Login(
            "shopee",
            LoginSpec.of(manifest.login.kind, manifest.login.words, {**self.settings, **secrets}),
            clock=self.clock,
            wire=wire,
            load=load,
            store=store,
            dialect=dialect({**self.settings, **SECRETS}),
        )
        budgets = {
            name: BudgetSpec(per_second=budget.per_second, burst=budget.burst)
            for name, budget in manifest.budgets.items()
        }
        self.limiter = Limiter(budgets, self.clock, rng=random.Random(1))
        self.door = Door(
            DoorSpec(system="shopee", base_url=BASE, answers=manifest.answers),
            wire,
            login,
            limiter=self.limiter,
            breaker=Breaker(),
            clock=self.clock,
        )
        self.shopee = connect(
            Setup(system="shopee", api=self.door, settings=self.settings, manifest=manifest.raw)
        )

    async def all(self, resource: str, since: str | None = None) -> tuple[list[Any], Any, int]:
        """A whole pass: its items, its watermark, how many pages it took."""
        items: list[Any] = []
        page = await self.shopee.read(resource, since, None)
        pages = 1
        while True:
            items += page.items
            if page.next is None:
                return items, page.since, pages
            page = await self.shopee.read(resource, since, page.next)
            pages += 1


def bench(**settings: str) -> Bench:
    clock = ManualClock(START)
    pushes: list[tuple[Mapping[str, str], bytes]] = []
    made: list[Bench] = []

    async def deliver(headers: Mapping[str, str], body: bytes) -> int:
        pushes.append((headers, body))
        return 200

    def theirs() -> datetime:
        return clock.now() + (made[0].skew if made else timedelta())

    given = {**SETTINGS, **SECRETS, **settings}
    fake = Fake(World(settings=given, now=theirs, deliver=deliver))
    witness = Witness(fake)
    ours = {name: settings.get(name, value) for name, value in SETTINGS.items()}
    made.append(
        Bench(
            clock=clock,
            fake=fake,
            witness=witness,
            line=Losing(witness),
            settings=ours,
            pushes=pushes,
        )
    )
    made[0].open()
    return made[0]


def order_of(item: Any) -> Order:
    """What the mapping makes of what the connector read."""
    path = REPO / "mappings/shopee/order.yaml"
    mapping = load_mapping(path, "mappings/shopee/order.yaml")
    record = mapping.record(
        load_json(dump_json(item.body)),
        external_id=item.external_id,
        revision=item.revision,
    )
    assert isinstance(record, Order)
    return record


def an_offer(listing: str, quantity: int, place: str = "SGZ", locations: str = "SGZ") -> Offer:
    return Offer(
        listing=listing,
        place=place,
        sku=listing,
        quantity=quantity,
        shown=None,
        key=f"k:{listing}:{place}",
        extras={"locations": locations},
    )


def a_parcel(
    fake: Fake,
    order: str,
    units: Mapping[str, int] | None = None,
    *,
    tracking: str = "OURS1",
    parcel: int = 1,
    complete: bool = True,
    body: Any = None,
) -> Command:
    lines = {line.model.sku: line for line in fake.shop.orders[order].lines}
    wanted = units or {sku: line.active for sku, line in lines.items()}
    record = ConfirmShipment(
        reference=f"truecount:shopee:{order}:confirm_shipment:{parcel}",
        order=order,
        number=order,
        shipment=f"S{parcel}",
        parcel=parcel,
        shipped_at=START,
        carrier="SPX",
        tracking=tracking,
        lines=tuple(
            QuantityLine(line=str(lines[sku].key), sku=sku, quantity=number)
            for sku, number in wanted.items()
        ),
        complete=complete,
    )
    return Command(key=record.reference, kind="confirm_shipment", record=record, body=body)
