"""Shopee pretending: signatures, one-time tokens, a no inside each 200, pages that shift.

The state lives in `fake_shop`, the calls in `fake_calls`, the documents in `fake_views`; here
are the door (signature, tokens, rates, bad days), the pushes and what a test may do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from connectors.shopee.fake_calls import CALLS, Book, Call, No
from connectors.shopee.fake_shop import Placed, Shop, SoldOut
from connectors.shopee.signing import push_signature, signature
from core.fake import World

__all__ = ["Fake", "SoldOut"]

_API = "/api/v2/"
_REFRESH = "auth/access_token/get"
_ACCESS_LIFE = timedelta(hours=4)
_OLD_ACCESS = timedelta(minutes=5)  # the one before a refresh stays good so long
_CLOCK_S = 300
_SIGNED = frozenset({"partner_id", "timestamp", "sign", "access_token", "shop_id"})
_PUBLIC = ("auth/", "public/", "push/")
#: Answers that are not wrapped in `response`, and have no `error` when they are fine.
_BARE = frozenset({"shop/get_shop_info", "public/get_shops_by_partner"})
_HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
#: Bad habits that are answered in Shopee's own words.
_SAYING = {
    "throttle": ("error_rate_limit", "Too many requests."),
    "quota": ("error_limit", "The daily limit is reached."),
    "ill": ("error_server", "Something is wrong on our side."),
    "busy": ("error_system_busy", "The system is busy."),
    "bare": ("", ""),
}


class Fake:
    """One shop in Singapore, and the app that is authorized for it.

    Settings: partner_id, partner_key, shop_id, refresh_token, push_key (defaults `2001887`,
    `fake-key`, `14701711`, `fake-refresh-0`, `fake-push-key`); locations joined by commas
    (`SGZ`); currency (`SGD`); info_needed, a JSON object (`{"dropoff": []}`); restock `true`: a
    cancellation puts its units back; per_second, calls a second before it says
    error_rate_limit (0: never); callback_url, where it pushes
    (`https://hooks.example/hooks/shopee`); push `false`: silent; forgiving `true`: the refresh
    token before the newest still works, unlike Shopee's, for days on which nobody is there to
    authorize anew.

    Methods, all with JSON in and out:
      list_item(sku, quantity, price=1200, name="", models=True), list_models(skus, price=1200)
      place_order(lines=[{"sku", "quantity"}], status="READY_TO_SHIP", cod=False, voucher=0)
      pay(order), cancel(order, by="buyer"), request_cancel(order, units={}), decide(order, accept)
      split(order, parts=[{"sku": units}]), collect(order): the courier has it
      request_return(order, units, amount, solution=0) -> its number; move_return(number, status)
      give_back(number): the payout falls, the return is not touched
      reserve(sku, units), lock(sku), move(sku, place, quantity), drop_item(sku)
      stock(sku) -> by location; packages(order); status(order)
      misbehave(call, how, times=1): html | down | lost (done, then 504) | throttle | quota | ill |
        busy | bare (a 200 with nothing in it)
      expire_tokens(), revoke(), lose_token_answers(times), calls() -> calls in order
      pushed() -> how many arrived; push_again(): the last one once more; settle()
    """

    def __init__(self, world: World) -> None:
        self.world = world
        settings = world.settings
        self.partner = settings.get("partner_id", "2001887")
        self.key = settings.get("partner_key", "fake-key")
        self.shop_id = settings.get("shop_id", "14701711")
        self.push_key = settings.get("push_key", "fake-push-key")
        self.refresh_token = settings.get("refresh_token", "fake-refresh-0")
        self.tokens: dict[str, datetime] = {}
        self.refreshed = 0
        self.authorized = True
        self.lost_answers = 0
        places = settings.get("locations", "SGZ").split(",")
        self.shop = Shop(
            world,
            places,
            currency=settings.get("currency", "SGD"),
            restock=settings.get("restock", "true") == "true",
        )
        self.forgiving = settings.get("forgiving", "false") == "true"
        self.spent = ""
        needs = json.loads(settings.get("info_needed", '{"dropoff": []}'))
        self.book = Book(self.shop, needs=needs, warehouses=len(places) > 1)
        self.per_second = float(settings.get("per_second", "0"))
        self.recent: list[datetime] = []
        self.habits: dict[str, list[str]] = {}
        self.log: list[str] = []
        self.config: dict[str, Any] = {
            "callback_url": settings.get("callback_url", "https://hooks.example/hooks/shopee"),
            "live_push_status": "Normal",
            "push_config_on_list": [3, 4, 29, 30],
        }
        self.pushes: list[bytes] = []
        self.arrived = 0
        self.on_the_way: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ what a test does

    def list_item(
        self, sku: str, quantity: int, price: int = 1200, name: str = "", models: bool = True
    ) -> str:
        listed = self.shop.list_item({sku: quantity}, price, name or sku, models=models)
        return f"{listed.item}.{listed.models[0].model}"

    def list_models(self, skus: Mapping[str, int], price: int = 1200) -> list[str]:
        """One item with several models."""
        listed = self.shop.list_item(skus, price, "An item", models=True)
        return [f"{listed.item}.{model.model}" for model in listed.models]

    def place_order(
        self,
        lines: Sequence[Mapping[str, Any]],
        status: str = "READY_TO_SHIP",
        cod: bool = False,
        voucher: int = 0,
    ) -> str:
        wanted = [(str(line["sku"]), int(line["quantity"])) for line in lines]
        placed = self.shop.checkout(wanted, status=status, cod=cod, voucher=voucher)
        self._push()
        return placed.order

    def pay(self, order: str) -> None:
        self.shop.pay(self._placed(order))
        self._push()

    def cancel(self, order: str, by: str = "buyer") -> None:
        self.shop.cancel(self._placed(order), by, "changed mind")
        self._push()

    def request_cancel(self, order: str, units: Mapping[str, int] | None = None) -> None:
        """The buyer asks: for the whole order, or for units of SKUs."""
        placed = self._placed(order)
        if not units:
            self.shop.ask_to_cancel(placed, "changed mind")
        for line in placed.lines:
            line.cancel_requested = (units or {}).get(line.model.sku, 0)
        self.shop.touch(placed)
        self._push()

    def decide(self, order: str, accept: bool) -> None:
        placed = self._placed(order)
        if placed.status == "IN_CANCEL":
            self.shop.decide(placed, accept=accept)
        for line in placed.lines:
            if line.cancel_requested:
                self.shop.cancel_units(line, line.cancel_requested * accept, placed)
        self._push()

    def split(self, order: str, parts: Sequence[Mapping[str, int]]) -> None:
        placed = self._placed(order)
        keys = {line.model.sku: line.key for line in placed.lines}
        self.shop.split_order(
            placed, [{keys[sku]: units for sku, units in part.items()} for part in parts]
        )
        self._push()

    def collect(self, order: str) -> None:
        placed = self._placed(order)
        for package in placed.packages:
            package.state = "LOGISTICS_PICKUP_DONE"
        placed.status = "SHIPPED"
        self.shop.touch(placed)
        self._push()

    def request_return(
        self, order: str, units: Mapping[str, int], amount: int, solution: int = 0
    ) -> str:
        placed = self._placed(order)
        keys = {line.model.sku: line.key for line in placed.lines}
        back = {keys[sku]: number for sku, number in units.items()}
        made = self.shop.ask_back(placed, back, amount, solution=solution)
        self._push()
        return made.number

    def move_return(self, number: str, status: str) -> None:
        self.shop.move_return(self.shop.returns[number], status)
        self._push()

    def give_back(self, number: str) -> None:
        self.shop.give_back(self.shop.returns[number])

    def reserve(self, sku: str, units: int) -> None:
        self.shop.find(sku)[1].reserved = units

    def lock(self, sku: str, locked: bool = True) -> None:
        self.shop.find(sku)[1].locked = locked

    def move(self, sku: str, place: str, quantity: int) -> None:
        """Somebody types a number into Seller Center."""
        self.shop.find(sku)[1].places[place] = quantity

    def drop_item(self, sku: str) -> None:
        del self.shop.items[self.shop.find(sku)[0].item]

    def stock(self, sku: str) -> dict[str, int]:
        return dict(self.shop.find(sku)[1].places)

    def packages(self, order: str) -> list[dict[str, Any]]:
        placed = self._placed(order)
        skus = {line.key: line.model.sku for line in placed.lines}
        return [
            {
                "number": one.number,
                "state": one.state,
                "tracking": one.tracking,
                "told": one.told,
                "lines": {skus[key]: units for key, units in one.units.items()},
            }
            for one in placed.packages
        ]

    def status(self, order: str) -> str:
        return self._placed(order).status

    def misbehave(self, call: str, how: str, times: int = 1) -> None:
        self.habits.setdefault(call, []).extend([how] * times)

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def revoke(self) -> None:
        """The seller takes the authorization back."""
        self.authorized = False
        self.tokens.clear()

    def lose_token_answers(self, times: int = 1) -> None:
        self.lost_answers += times

    def calls(self) -> list[str]:
        return list(self.log)

    def pushed(self) -> int:
        return self.arrived

    def push_again(self) -> None:
        """With the same bytes: that is all a repeat has in common with the first."""
        self._send(self.pushes[-1])

    async def settle(self) -> None:
        """Until every push on its way has been answered."""
        while self.on_the_way:
            await asyncio.gather(*self.on_the_way)

    def signed(self, body: bytes, url: str = "") -> dict[str, str]:
        """The headers of a push."""
        to = url or str(self.config["callback_url"])
        return {
            "authorization": push_signature(self.push_key, to, body),
            "content-type": "application/json",
        }

    def _placed(self, order: str) -> Placed:
        return self.shop.orders[order]

    # ------------------------------------------------------------ pushes

    def _push(self) -> None:
        for code, data in self.shop.changes:
            if code in self.config["push_config_on_list"]:
                body = {
                    "code": code,
                    "shop_id": int(self.shop_id),
                    "timestamp": self.shop.now(),
                    "data": data,
                }
                self.pushes.append(orjson.dumps(body))
                self._send(self.pushes[-1])
        self.shop.changes.clear()

    def _send(self, body: bytes) -> None:
        if self.world.settings.get("push") == "false":
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        task = loop.create_task(self._deliver(body))
        self.on_the_way.add(task)
        task.add_done_callback(self.on_the_way.discard)

    async def _deliver(self, body: bytes) -> None:
        status = await self.world.deliver(self.signed(body), body)
        self.arrived += 200 <= status < 300

    # ------------------------------------------------------------ the door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        response = self._answer(request, await request.body())
        response.headers["date"] = format_datetime(self.world.now(), usegmt=True)
        await response(scope, receive, send)
        self._push()

    def _answer(self, request: Request, body: bytes) -> Response:
        path = request.url.path
        start = path.find(_API)
        if start < 0:
            return JSONResponse({"error": "error_not_found", "message": "No such path."}, 404)
        path = path[start:]
        call = path.removeprefix(_API)
        self.log.append(call)
        query: dict[str, str] = {}
        for name, value in parse_qsl(request.url.query, keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value
        if request.method != "GET" and not call.startswith("auth/"):
            self.world.writes.append(call)
        habit = self.habits[call].pop(0) if self.habits.get(call) else ""
        if habit == "html":
            return HTMLResponse(_HTML, 502)
        if habit == "down":
            return HTMLResponse(_HTML, 503)
        if habit in _SAYING:
            return self._bad(*_SAYING[habit])
        try:
            self._admit(call, path, query)
            answer = self._done(call, request.method, query, body)
        except No as no:
            return self._bad(no.error, no.message)
        if call == _REFRESH and self.lost_answers:
            self.lost_answers -= 1
            habit = "lost"
        return HTMLResponse(_HTML, 504) if habit == "lost" else JSONResponse(answer)

    def _bad(self, error: str, message: str) -> Response:
        if not error:
            return JSONResponse({})
        return JSONResponse({"error": error, "message": message, "request_id": self._id()})

    def _id(self) -> str:
        return f"{self.world.rng.getrandbits(64):016x}"

    def _admit(self, call: str, path: str, query: Mapping[str, str]) -> None:
        if query.get("partner_id") != self.partner:
            raise No("error_param", "partner_id is wrong.")
        stamp = query.get("timestamp", "")
        if not stamp.isdecimal() or abs(self.shop.now() - int(stamp)) > _CLOCK_S:
            raise No("error_param", "Invalid timestamp")
        parts = [self.partner, path, stamp]
        public = call.startswith(_PUBLIC)
        if not public:
            parts += [query.get("access_token", ""), query.get("shop_id", "")]
        if query.get("sign") != signature(self.key, *parts):
            raise No("error_sign", "Wrong sign.")
        if not public:
            if query.get("shop_id") != self.shop_id:
                raise No("error_permission", "The shop is not linked to this app.")
            if self.tokens.get(query.get("access_token", ""), self.world.now()) <= self.world.now():
                raise No("invalid_acceess_token", "Invalid access_token.")
        self._take()

    def _take(self) -> None:
        """So many calls a second, of all kinds together."""
        now = self.world.now()
        self.recent = [at for at in self.recent if now - at < timedelta(seconds=1)]
        if self.per_second and len(self.recent) >= self.per_second:
            raise No(*_SAYING["throttle"])
        self.recent.append(now)

    def _done(self, call: str, method: str, query: Mapping[str, str], body: bytes) -> Any:
        head = {"error": "", "message": "", "request_id": self._id()}
        given = json.loads(body) if body else {}
        params = {name: value for name, value in query.items() if name not in _SIGNED}
        if call == _REFRESH and method == "POST":
            return {**head, **self._refresh(given)}
        if call in _BARE and method == "GET":
            return {"request_id": head["request_id"], **self._bare(call)}
        if call.startswith("push/"):
            return {**head, "response": self._push_config(call, given)}
        known = CALLS.get(call)
        if known is None or known[1] != method:
            raise No("error_not_found", f"No such call: {method} {call}.")
        perform, _, names = known
        unknown = (given.keys() if method == "POST" else params.keys()) - set(names.split())
        if unknown or (method == "POST" and params):
            raise No("error_param", f"Unknown parameters: {sorted(unknown or params)}.")
        response = perform(self.book, Call(params=params, body=given))
        return head if response is None else {**head, "response": response}

    def _refresh(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A new pair for a refresh token that is used for the first time."""
        if given.get("partner_id") != int(self.partner):
            raise No("error_param", "partner_id is wrong.")
        if not self.authorized:
            raise No("shop_access_expired", "The shop's authorization has expired.")
        if given.get("shop_id") != int(self.shop_id):
            raise No("shop_no_linked", "The shop is not linked.")
        good = {self.refresh_token, self.spent if self.forgiving else self.refresh_token}
        if given.get("refresh_token") not in good - {""}:
            raise No("error_shop_refresh_token", "The refresh_token is wrong.")
        now = self.world.now()
        self.tokens = {name: min(end, now + _OLD_ACCESS) for name, end in self.tokens.items()}
        self.refreshed += 1
        self.spent = str(given["refresh_token"])
        self.refresh_token = f"fake-refresh-{self.refreshed}"
        token = f"fake-access-{self.world.rng.getrandbits(64):016x}"
        self.tokens[token] = now + _ACCESS_LIFE
        return {
            "partner_id": int(self.partner),
            "shop_id": int(self.shop_id),
            "access_token": token,
            "refresh_token": self.refresh_token,
            "expire_in": int(_ACCESS_LIFE.total_seconds()),
        }

    def _bare(self, call: str) -> dict[str, Any]:
        ends = self.shop.now() + 200 * 86400
        if call == "public/get_shops_by_partner":
            shop = {"region": "SG", "shop_id": int(self.shop_id), "expire_time": ends}
            return {"authed_shop_list": [shop], "more": False}
        return {
            "shop_name": "A shop",
            "region": "SG",
            "status": "NORMAL",
            "auth_time": self.shop.now(),
            "expire_time": ends,
        }

    def _push_config(self, call: str, given: Mapping[str, Any]) -> dict[str, Any]:
        if call == "push/set_app_push_config":
            self.config["callback_url"] = given.get("callback_url", self.config["callback_url"])
            on = {*self.config["push_config_on_list"], *given.get("set_push_config_on", ())}
            self.config["push_config_on_list"] = sorted(
                on - {*given.get("set_push_config_off", ())}
            )
            self.config["live_push_status"] = "Normal"
            return {"result": "success"}
        if call == "push/get_app_push_config":
            return dict(self.config)
        raise No("error_not_found", f"No such call: {call}.")
