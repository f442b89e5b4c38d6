"""The systems outside: every fake with its true state, and the configuration that names them.

Who may take part is written in connectors/simulation; the core knows no vendor.
"""

from __future__ import annotations

import base64
import functools
import importlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from core.fake import Sells
from core.fakehost import Hosted, System
from core.simulation.business import ZONE, Business, Place
from core.simulation.logins import Door, Tokens
from core.simulation.loop import TrueTime
from core.simulation.scenario import BOOKS, DEPOT, Member, Scenario

#: Hands one push of a system to whoever carries it; returns at once.
Carrier = Callable[[str, Mapping[str, str], bytes], int]

_SEAL = base64.b64encode(b"a simulated key, never for real.").decode()
_BASE = "http://127.0.0.1:9"
ITEMS, RULES = "items.yaml", "rules.yaml"
POST = "post.example"


@functools.cache
def cast_folder() -> Path:
    """connectors/, found as an installed package and never imported."""
    spec = find_spec("connectors")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


@functools.cache
def kinds() -> dict[str, dict[str, Any]]:
    """Who may take part: connector -> role, how many at most, settings, secrets, fake."""
    text = (cast_folder() / "simulation" / "cast.json").read_text("utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


class World:
    """All systems of one run. `skews`: by how many seconds the clock of one is wrong."""

    def __init__(self, scenario: Scenario, true: TrueTime, carry: Carrier) -> None:
        self.scenario = scenario
        self.true = true
        self.systems: dict[str, Hosted] = {}
        self.clocks: dict[str, Callable[[], datetime]] = {}
        self.channels: dict[str, Sells] = {}
        self.doors: dict[str, Asgi] = {}
        self.tokens: dict[str, Tokens] = {}
        self.received: dict[str, int] = dict.fromkeys(scenario.skus, 0)
        self.sent_over: Counter[tuple[str, str]] = Counter()  # units taken from (sku, location)
        self.placed: dict[tuple[str, str], datetime] = {}  # when, by the clock of its channel
        skews = scenario.chance("clocks")
        for member in scenario.cast:
            skew_s = skews.choice((0.0, 0.0, skews.uniform(-600, 600)))
            self.systems[member.name] = self._hosted(member, carry, skew_s)
            self.doors[member.name] = self._door(member)
        for member in scenario.channels:
            acts = importlib.import_module(f"connectors.{member.connector}.acts")
            self.channels[member.name] = acts.Acts(self.fake(member.name))

    def fake(self, name: str) -> Any:
        return self.systems[name].fake

    @property
    def depot(self) -> Any:
        return self.fake(DEPOT)

    @property
    def books(self) -> Any:
        return self.fake(BOOKS)

    def _door(self, member: Member) -> Asgi:
        """What is reached from outside: the fake, or its login before it."""
        fake: Asgi = self.fake(member.name)
        if not member.one_time:
            return fake
        words = kinds()[member.connector]["one_time"]
        self.tokens[member.name] = Tokens(self.clocks[member.name])
        inside = f"Bearer {words['inside']}".encode()
        return Door(fake, self.tokens[member.name], path=words["path"], inside=inside)

    def log_out(self, system: str) -> bool:
        """Access tokens of this system end now; False where there are none that end."""
        if system in self.tokens:
            self.tokens[system].expire()
        elif hasattr(self.fake(system), "expire_tokens"):
            self.fake(system).expire_tokens()
        else:
            return False
        return True

    def _hosted(self, member: Member, carry: Carrier, skew_s: float) -> Hosted:
        kind = kinds()[member.connector]
        settings = dict(_filled(kind["fake"], member))
        if "push" in settings or member.role == "channel":
            settings["push"] = "true" if self.scenario.pushes else "false"
        if member.role == "warehouse":
            settings["basis"] = self.scenario.basis

        async def deliver(headers: Mapping[str, str], body: bytes) -> int:
            return carry(member.name, headers, body)

        return Hosted(
            System(
                name=member.name,
                connector=member.connector,
                settings=settings,
                secrets=dict(_filled(kind["secrets"], member)),
            ),
            now=self.clocks.setdefault(
                member.name, lambda: self.true.now() + timedelta(seconds=skew_s)
            ),
            seed=self.scenario.seed,
            deliver=deliver,
        )

    async def open(self) -> None:
        """The shelves are filled, every article is in the books and listed everywhere."""
        shelves = self.scenario.chance("shelves")
        main, *others = self.scenario.business.places
        for sku in self.scenario.skus:
            self.receive(sku, self.scenario.units, main)
            for place in others:
                self.receive(sku, shelves.choice((0, 1, self.scenario.units)), place)
        for sku in self.scenario.listed:
            self.books.set_item(sku, "10.00", "4.00")
            for channel in self.channels.values():
                channel.offer(sku)

    def receive(self, sku: str, units: int, place: Place) -> None:
        self.received[sku] += units
        self.depot.receive(sku, place.at, units)

    def send_over(self, sku: str, units: int, place: Place) -> None:
        """A transfer leaves: its units are on a truck until they `arrive`."""
        self.sent_over[sku, place.name] += units
        self.depot.send_over(sku, place.at, units)

    def arrive(self, sku: str, units: int, place: Place) -> None:
        self.depot.arrive(sku, place.at, units)

    async def buy(self, channel: str, lines: Mapping[str, int], *, paid: bool) -> str | None:
        """One order, if the channel shows that many; its id there."""
        order = await self.channels[channel].buy(lines, paid=paid)
        if order is not None:
            self.placed[channel, order] = self.clocks[channel]()
        return order


def _filled(words: Mapping[str, str], member: Member) -> dict[str, str]:
    def filled(text: str) -> str:
        for mark, value in (
            ("@NAME@", member.name),
            ("@INITIAL@", member.name[0].upper()),
            ("@BASE@", f"{_BASE}/{member.name}"),
        ):
            text = text.replace(mark, value)
        return text

    return {name: filled(text) for name, text in words.items()}


# ------------------------------------------------------------------ our side of it


def _ours(member: Member, what: str) -> Mapping[str, str]:
    """The settings or secrets that our side is given."""
    kind = kinds()[member.connector]
    words = dict(kind[what])
    if member.one_time:
        words = words | kind["one_time"][what] if what == "settings" else kind["one_time"][what]
    return _filled(words, member)


def own_connectors(scenario: Scenario, folder: Path) -> list[Path]:
    """Where the manifests lie that differ from ours: with a login of one-time tokens."""
    for member in scenario.cast:
        if member.one_time:
            kind = kinds()[member.connector]["one_time"]
            text = (cast_folder() / member.connector / "manifest.yaml").read_text("utf-8")
            manifest = yaml.safe_load(text)
            manifest["name"] = _connector(member)
            manifest["login"] = kind["login"]
            for what in ("settings", "secrets"):
                needs = {name: {"required": True, "what": name} for name in kind[what]}
                kept = manifest[what] if what == "settings" else {}
                manifest[what] = kept | needs
            own = folder / _connector(member)
            own.mkdir(parents=True, exist_ok=True)
            (own / "manifest.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return [folder]


def _connector(member: Member) -> str:
    return f"one_time_{member.connector}" if member.one_time else member.connector


def environment(scenario: Scenario) -> dict[str, str]:
    """The secrets, as the daemon finds them."""
    found = {"SEAL": _SEAL}
    for member in scenario.cast:
        for name, value in _ours(member, "secrets").items():
            found[f"{member.name}_{name}".upper()] = value
    return found


def configuration(scenario: Scenario, mappings: Path) -> str:
    """config.yaml of this run. JSON is YAML."""
    business = scenario.business
    return json.dumps(
        _files(business)
        | {
            "company": {"name": "Acme", "timezone": ZONE, "currency": "USD"},
            "state": "state/truecount.db",
            "seal_key": "${SEAL}",
            "mappings": str(mappings),
            "listen": {"public_url": "http://127.0.0.1:8080"},
            "publish": {
                "policy": scenario.policy,
                "linger": f"{round(scenario.linger_s * 1000)}ms",
            },
            "systems": {one.name: _system(scenario, one, mappings) for one in scenario.cast},
            "locations": {
                place.name: {
                    "at": {DEPOT: place.at, BOOKS: place.books},
                    "serves": list(place.serves),
                    "safety_stock": place.safety,
                }
                for place in business.places
            },
            "owners": [
                {"number": "on_hand", "owner": DEPOT},
                *[
                    {"number": number, "owner": BOOKS}
                    for number in ("list_price", "unit_cost", "tax", "invoice")
                ],
            ],
        },
        indent=1,
    )


def _files(business: Business) -> dict[str, Any]:
    """What else the configuration says, where this business has it."""
    found: dict[str, Any] = {}
    if business.kits:
        found["items"] = ITEMS
    if business.rules:
        found["rules"] = RULES
    if business.forgets:
        found["retention"] = {"raw": "1d", "buyer": "1d"}
    if business.mail is not None:
        found["report"] = {
            "recipients": ["owner@acme.example"],
            "from": "truecount@acme.example",
            "smtp": {"host": POST, "port": 25, "tls": "none"},
        }
    return found


def write_files(business: Business, folder: Path) -> None:
    """The files that the configuration names, beside it."""
    if business.kits:
        (folder / ITEMS).write_text(json.dumps({"kits": business.kits}), encoding="utf-8")
    if business.rules:
        (folder / RULES).write_text(json.dumps({"rules": business.rules}), encoding="utf-8")


def _system(scenario: Scenario, member: Member, mappings: Path) -> dict[str, Any]:
    every = scenario.every_s
    paces = {
        "channel": {"order": every, "listing": 3 * every},
        "warehouse": {"stock_reading": every, "shipment": every},
        "books": {"document": 2 * every, "price": 4 * every, "stock_reading": 4 * every},
    }
    found: dict[str, Any] = {
        "connector": _connector(member),
        "network": "private",
        "mappings": str(mappings / member.connector),
        "settings": {"base_url": f"{_BASE}/{member.name}", **_ours(member, "settings")},
        "secrets": {
            name: f"${{{member.name}_{name}}}".upper() for name in _ours(member, "secrets")
        },
        "every": {name: f"{seconds:g}s" for name, seconds in paces[member.role].items()},
    }
    if member.role == "warehouse":
        found["stock_source"] = {"basis": scenario.basis, "ordered_by": "counter"}
    return found


#: What a fake's door looks like from the network.
Asgi = Callable[[Any, Any, Any], Awaitable[None]]
