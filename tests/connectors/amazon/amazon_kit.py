"""What the Amazon tests share: a door to the fake, and a witness over every exchange.

The witness checks each request and answer against Amazon's own published models
(unknown fields forbidden), read from the shelf beside the repository. They are
another project's files and are not copied into ours.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jsonschema
import pytest
import yaml

from connectors.amazon.fake import Fake
from core.clock import ManualClock
from core.contract import Answer
from core.errors import InDoubt, LoginNeeded, RateLimited, Rejected, Retry
from core.fake import World

REPO = Path(__file__).parents[3]
SHELF = REPO.parent / "shared/reference/contracts-data/west"
MODELS = SHELF / "amazon-sp-api/models"
EXAMPLES = SHELF / "examples/amazon"
NO_SHELF = f"Amazon's models are not at {MODELS}: the contract is not proven here"
needs_shelf = pytest.mark.skipif(not MODELS.is_dir(), reason=NO_SHELF)

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SETTINGS = {
    "seller_id": "A1FAKESELLER",
    "marketplace_ids": "ATVPDKIKX0DER",
    "orders_from": "2026-11-01T00:00:00Z",
    "fulfilled_by": "MERCHANT",
}
MANIFEST = yaml.safe_load((REPO / "connectors/amazon/manifest.yaml").read_text())


# ---------------------------------------------------------------- the published models


@cache
def model(name: str) -> dict[str, Any]:
    """A Swagger model with every object closed: a field it does not name is an error."""
    loaded: dict[str, Any] = json.loads((MODELS / name).read_text())
    _close(loaded["definitions"])
    return loaded


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("properties") and node.get("type") == "object":
            node["additionalProperties"] = False
        for child in node.values():
            _close(child)
    elif isinstance(node, list):
        for child in node:
            _close(child)


_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_instant(text: object) -> bool:
    return datetime.fromisoformat(str(text)).tzinfo is not None


def validate(name: str, schema: Mapping[str, Any], value: Any) -> None:
    """Raises jsonschema.ValidationError."""
    whole = {**copy.deepcopy(dict(schema)), "definitions": model(name)["definitions"]}
    jsonschema.Draft4Validator(whole, format_checker=_FORMATS).validate(value)


_FILES = ("orders_2026-01-01.json", "ordersV0.json", "listingsItems_2021-08-01.json")


def operation(method: str, path: str) -> tuple[str, dict[str, Any]]:
    """Which published operation a raw path is, and in which model."""
    for name in _FILES:
        for template, methods in model(name)["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path) and method.lower() in methods:
                return name, methods[method.lower()]
    raise AssertionError(f"{method} {path} is not an operation Amazon publishes")


@dataclass(slots=True)
class Exchange:
    method: str
    path: str  # raw, still percent-encoded
    query: str
    sent: bytes
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    got: bytes = b""

    def check(self) -> None:
        """Both halves against the model; AssertionError or ValidationError says what is wrong."""
        name, op = operation(self.method, self.path)
        self._check_query(name, op)
        for parameter in op["parameters"]:
            if parameter["in"] == "body":
                validate(name, parameter["schema"], json.loads(self.sent))
        if "json" not in self.headers.get("content-type", "json"):
            return  # a gateway's page: no model speaks of it
        answer = op["responses"][str(self.status)]
        documented = {header.lower() for header in answer.get("headers", {})}
        ours = {header for header in self.headers if header.startswith("x-amzn-")}
        assert ours == documented, f"{self.status} carries {ours}, published: {documented}"
        if "schema" in answer:
            validate(name, answer["schema"], json.loads(self.got))
        else:
            assert not self.got, f"{self.status} has a body where none is published"

    def _check_query(self, name: str, op: Mapping[str, Any]) -> None:
        known = {one["name"]: one for one in op["parameters"] if one["in"] == "query"}
        sent = parse_qsl(self.query, keep_blank_values=True)
        missing = {key for key, one in known.items() if one.get("required")} - dict(sent).keys()
        assert not missing, f"required and not sent: {missing}"
        for key, text in sent:
            assert key in known, f"{op['operationId']} has no parameter {key}"
            value: Any = text
            if known[key]["type"] == "array":
                value = text.split(",")
            elif known[key]["type"] == "integer":
                value = int(text)
            words = ("type", "items", "enum", "format", "maximum", "maxItems")
            validate(name, {word: known[key][word] for word in words if word in known[key]}, value)


class Witness:
    """Stands before an ASGI app, remembers every exchange, passes everything on."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["raw_path"].split(b"?")[0].decode()
        seen = Exchange(scope["method"], path, scope["query_string"].decode(), b"")

        async def hear() -> Any:
            message = await receive()
            seen.sent += message.get("body", b"")
            return message

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                seen.headers = {key.decode().lower(): v.decode() for key, v in message["headers"]}
            seen.got += message.get("body", b"")
            await send(message)

        await self.app(scope, hear, tell)
        if not path.startswith("/auth/"):
            self.exchanges.append(seen)

    def check(self) -> int:
        """All exchanges so far; returns how many."""
        for exchange in self.exchanges:
            exchange.check()
        return len(self.exchanges)


# ---------------------------------------------------------------- a door to the fake


class Door:
    """A small Api over the fake, with the default table of docs/connectors.md.

    It stands where core.http's door stands, so that these tests judge the
    connector and the fake alone.
    """

    def __init__(self, app: Any) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://amazon.test"
        )
        self.token = ""
        self.budgets: list[str] = []
        self.observed: dict[str, tuple[float, float, float]] = {}

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        writes: bool = False,
        budget: str = "calls",
        cost: float = 1,
        expect: frozenset[int] = frozenset(),
    ) -> Answer:
        assert budget in MANIFEST["budgets"], budget
        self.budgets.append(budget)
        for last in (False, True):
            if not self.token or last:
                await self._login()
            response = await self.client.request(
                method, path, params=params, json=json, headers={"x-amz-access-token": self.token}
            )
            if response.status_code not in (401, 403) or response.status_code in expect:
                return self._sort(response, writes=writes, expect=expect)
        raise LoginNeeded("amazon refuses us", status=response.status_code)

    def observe(self, budget: str, *, left: float, per_second: float, size: float) -> None:
        self.observed[budget] = (left, per_second, size)

    async def _login(self) -> None:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": "Atzr|fake",
            "client_id": "fake-client",
            "client_secret": "fake-secret",
        }
        response = await self.client.post("/auth/o2/token", data=form)
        assert response.status_code == 200, response.text
        self.token = response.json()["access_token"]

    def _sort(self, response: httpx.Response, *, writes: bool, expect: frozenset[int]) -> Answer:
        status = response.status_code
        html = response.content and "json" not in response.headers.get("content-type", "")
        if html or status in (500, 502, 504):
            raise (InDoubt if writes else Retry)("amazon did not answer", status=status)
        body = response.json() if response.content else None
        if status in expect or status < 300:
            return Answer(status=status, headers=dict(response.headers), body=body)
        if status == 429:
            raise RateLimited("amazon is busy", after_s=1)
        if status == 503:
            raise Retry("amazon is down", status=status)
        raise Rejected("amazon refuses", words=body["errors"][0]["message"], status=status)


def a_fake(clock: ManualClock, **settings: str) -> Fake:
    fake = Fake(World(settings=settings, now=clock.now))
    fake.list_item("TEE-BLU-M", 10, price=1999, title="Cotton tee, blue, M")
    fake.list_item("A/B 1%", 5, price=1250)
    return fake
