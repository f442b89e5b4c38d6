"""Shopee Open Platform v2: owns its orders, returns and refunds; is told stock and parcels.

Every call is signed, refresh tokens are good once, and a no comes inside a 200 (`signing`).
Orders are read in windows that are never paged (`windows`), stock is written item by item
with every warehouse in the call (`stock`). See README.md for the vendor's habits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from connectors.shopee import forms
from connectors.shopee.calls import Calls, Refusal
from connectors.shopee.listings import Listings
from connectors.shopee.orders import Orders
from connectors.shopee.pushes import CODES, events_of
from connectors.shopee.returns import Returns
from connectors.shopee.shipping import Shipping
from connectors.shopee.signing import Shops
from connectors.shopee.stock import Stock
from connectors.shopee.windows import Window
from core.contract import (
    Api,
    Command,
    Dialect,
    Event,
    Item,
    Offer,
    OfferResult,
    Page,
    Push,
    Receipt,
    Setup,
)
from core.errors import ConfigError, InvariantBroken, Problem, Rejected

#: An authorization that ends within so many days is said.
_SOON_DAYS = 30
_WAYS = ("any", "pickup", "dropoff")
#: What a shop hears that has no warehouses of its own.
_ONE_WAREHOUSE = frozenset({"warehouse.error_not_in_whitelist", "error_not_in_whitelist"})


def connect(setup: Setup) -> Shopee:
    """Raises ConfigError with every setting that Shopee would never understand."""
    problems = [
        Problem(file=f"systems.{setup.system}.settings.{name}", line=0, what=what)
        for name, what in _wrong(setup.settings)
    ]
    if problems:
        raise ConfigError(problems)
    return Shopee(setup.api, setup.settings)


def _wrong(settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in ("partner_id", "shop_id"):
        text = settings[name].strip()
        if not (text.isascii() and text.isdecimal()):
            yield name, f"is {text[:40]!r}, not a number as Shopee shows it"
    try:
        aware = datetime.fromisoformat(settings["orders_from"]).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        text = settings["orders_from"][:40]
        yield "orders_from", f"is {text!r}, not an instant like 2026-11-01T00:00:00Z"
    hand_over = settings.get("hand_over", _WAYS[0])
    if hand_over not in _WAYS:
        yield "hand_over", f"is {hand_over[:40]!r}; it may be {', '.join(_WAYS)}"


def dialect(values: Mapping[str, str]) -> Dialect:
    return Shops(values)


class Shopee:
    """One shop."""

    def __init__(self, api: Api, settings: Mapping[str, str]) -> None:
        self._api = api
        self._shop = settings["shop_id"].strip()
        self._from = settings["orders_from"]
        self._calls = Calls(api)
        self._orders = Orders(self._calls)
        self._returns = Returns(self._calls, self._orders)
        self._listings = Listings(self._calls)
        self._stock = Stock(self._calls, self._listings)
        hand_over = settings.get("hand_over", "any")
        self._shipping = Shipping(self._calls, self._orders, hand_over=hand_over)

    # ------------------------------------------------------------ reading

    async def read(self, resource: str, since: str | None, page: str | None) -> Page:
        match resource:
            case "order":
                return await self._orders.page(self._window(since, page))
            case "return" | "refund":
                window = self._window(since, page)
                return await self._returns.page(window, money=resource == "refund")
            case "listing":
                return await self._listings.page(page)
        raise InvariantBroken(f"the Shopee connector does not read {resource}")

    async def fetch(self, resource: str, external_id: str) -> Item | None:
        match resource:
            case "order":
                return await self._orders.one(external_id)
            case "return" | "refund":
                return await self._returns.one(external_id, money=resource == "refund")
        raise InvariantBroken(f"the Shopee connector does not fetch {resource}")

    def _window(self, since: str | None, page: str | None) -> Window:
        return Window.of(page) if page else Window.first(since or self._from, self._api.now())

    # ------------------------------------------------------------ telling

    async def send(self, command: Command) -> Receipt:
        return await self._shipping.send(command)

    async def find(self, command: Command) -> Receipt | None:
        return await self._shipping.find(command)

    async def publish(self, offers: Sequence[Offer]) -> Sequence[OfferResult]:
        return await self._stock.publish(offers)

    # ------------------------------------------------------------ hearing

    def events(self, push: Push) -> Sequence[Event]:
        return events_of(push, self._shop)

    async def ensure_subscriptions(self, url: str) -> Sequence[str]:
        """Switch on what is missing where the app pushes to us; an app has one address only.

        Shopee switches pushes off when too few arrive, which is what any long outage of ours
        looks like. Another address is somebody's decision: `doctor` shows it.
        """
        config = await self._calls.ask("push/get_app_push_config", forms.PushConfig)
        theirs = config.get("callback_url") or ""
        if theirs not in ("", url):
            return ()
        missing = sorted(set(CODES) - set(config.get("push_config_on_list") or ()))
        if theirs == url and not missing and not _is_suspended(config):
            return ()
        body = {"callback_url": url, "set_push_config_on": list(CODES)}
        told = await self._calls.tell("push/set_app_push_config", body)
        if isinstance(told, Refusal):
            raise Rejected("Shopee refuses the push address", words=told.words)
        return [str(code) for code in missing or CODES]

    # ------------------------------------------------------------ for `doctor`

    async def probe(self) -> Mapping[str, str]:
        """What each kind of call answers; nothing is changed."""
        shop = await self._calls.bare("shop/get_shop_info", forms.ShopInfo)
        places = await self._calls.ask_if_there(
            "shop/get_warehouse_detail", list[forms.Warehouse], {}, _ONE_WAREHOUSE
        )
        config = await self._calls.ask("push/get_app_push_config", forms.PushConfig)
        names = [one.get("location_id") or "" for one in places or ()]
        return {
            "shop": f"{shop['shop_name']}, {shop['region']}, {shop['status']}",
            "authorization": self._ends(shop.get("expire_time") or 0),
            "warehouses": ", ".join(filter(None, names)) or "one",
            "push": _pushed(config),
        }

    def _ends(self, epoch: int) -> str:
        if not epoch:
            return "Shopee does not say when it ends"
        at = datetime.fromtimestamp(epoch, UTC)
        days = (at - self._api.now()).days
        words = f"until {at:%Y-%m-%d}, {days} days"
        return f"{words}: authorize again in time" if days < _SOON_DAYS else words


def _is_suspended(config: forms.PushConfig) -> bool:
    return "suspend" in (config.get("live_push_status") or "").lower()


def _pushed(config: forms.PushConfig) -> str:
    url, state = config.get("callback_url") or "", config.get("live_push_status") or "unknown"
    missing = sorted(set(CODES) - set(config.get("push_config_on_list") or ()))
    words = f"to {url}, {state}" if url else "to no address"
    return f"{words}; not switched on: {', '.join(map(str, missing))}" if missing else words
