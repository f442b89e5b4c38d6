"""Amazon pretending: LWA, token buckets, lagging searches, queued stock writes.

The state lives in `fake_market`, the operations in `fake_calls`, the words in
`fake_words`; here are the door (login, quotas, bad days) and what a test may do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from connectors.amazon.fake_calls import OPERATIONS, Book, Call, Refusal
from connectors.amazon.fake_market import Market, Placed, SoldOut
from connectors.amazon.fake_words import problems
from core.fake import World

__all__ = ["Fake", "SoldOut"]

_TOKEN_LIFE_S = 3600
_HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


class Fake:
    """Amazon.com for one seller account.

    Settings: client_id, client_secret, refresh_token, seller_id (defaults `fake-client`,
    `fake-secret`, `Atzr|fake`, `A1FAKESELLER`); rate_scale multiplies every rate (1);
    patch_delay seconds until an accepted quantity is live (1); search_lag seconds a
    search stays behind (120); discount_sign `-` or `+` (`-`).

    Methods, all with JSON in and out:
      list_item(sku, quantity, price=1999, title="", by_amazon=False)
      place_order(lines=[{"sku", "quantity"}], pending=False, discount=0) -> order id, or SoldOut
      release_pending(order), cancel(order), request_cancel(order, reason=...)
      stock(sku) -> what is for sale now; attributes(sku) -> the whole stock attribute
      shipments(order) -> parcels confirmed; status(order) -> fulfillmentStatus
      misbehave(operation, how, times=1): html | lost (done, then 504) | throttle | down (503)
      expire_tokens(), calls() -> operations called, in order, refused ones included
    """

    def __init__(self, world: World) -> None:
        self.world = world
        settings = world.settings
        self.market = Market(world)
        lag = timedelta(seconds=float(settings.get("search_lag", "120")))
        sign = 1 if settings.get("discount_sign", "-") == "+" else -1
        self.book = Book(self.market, lag, sign)
        self.scale = float(settings.get("rate_scale", "1"))
        self.seller = settings.get("seller_id", "A1FAKESELLER")
        self.login = {
            "client_id": settings.get("client_id", "fake-client"),
            "client_secret": settings.get("client_secret", "fake-secret"),
            "refresh_token": settings.get("refresh_token", "Atzr|fake"),
        }
        self.tokens: dict[str, datetime] = {}
        self.buckets: dict[str, tuple[float, datetime]] = {}
        self.habits: dict[str, list[str]] = {}
        self.log: list[str] = []

    # ------------------------------------------------------------ what a test does

    def list_item(
        self, sku: str, quantity: int, price: int = 1999, title: str = "", by_amazon: bool = False
    ) -> None:
        self.market.list_item(sku, quantity, price=price, title=title or sku, by_amazon=by_amazon)

    def place_order(
        self, lines: Sequence[Mapping[str, Any]], pending: bool = False, discount: int = 0
    ) -> str:
        wanted = [(str(line["sku"]), int(line["quantity"])) for line in lines]
        return self.market.checkout(wanted, pending=pending, discount=discount).order

    def release_pending(self, order: str) -> None:
        """The payment went through: prices and address appear."""
        placed = self.market.orders[order]
        placed.status = "UNSHIPPED"
        self.market.touch(placed)

    def cancel(self, order: str) -> None:
        """Cancelled at Amazon; the listing's number is left alone."""
        placed = self.market.orders[order]
        placed.status = "CANCELLED"
        self.market.touch(placed)

    def request_cancel(self, order: str, reason: str = "Ordered by mistake") -> None:
        """The buyer asks; nothing is cancelled by it."""
        placed = self.market.orders[order]
        for line in placed.lines:
            line.cancel_reason = reason
        self.market.touch(placed)

    def stock(self, sku: str) -> int:
        self.market.settle()
        return self.market.listings[sku].stock.quantity

    def attributes(self, sku: str) -> dict[str, Any]:
        self.market.settle()
        stock = self.market.listings[sku].stock
        return {
            "quantity": stock.quantity,
            "lead_time_to_ship_max_days": stock.lead_time_to_ship_max_days,
        }

    def shipments(self, order: str) -> list[dict[str, Any]]:
        return [dict(package) for package in self._placed(order).packages.values()]

    def status(self, order: str) -> str:
        return self._placed(order).status

    def misbehave(self, operation: str, how: str, times: int = 1) -> None:
        self.habits.setdefault(operation, []).extend([how] * times)

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def calls(self) -> list[str]:
        return list(self.log)

    def _placed(self, order: str) -> Placed:
        return self.market.orders[order]

    # ------------------------------------------------------------ the door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        response = self._answer(request, await request.body())
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes) -> Response:
        # The raw path, because a SKU may hold an escaped slash.
        raw = request.scope.get("raw_path") or request.url.path.encode()
        names = raw.split(b"?")[0].decode().split("/")
        for start, name in enumerate(names):
            if name == "auth":
                return self._token(request.method, body)
            if name in ("orders", "listings"):
                return self._operation(request, names[start:], body)
        return JSONResponse(problems("NotFound", "No such path."), 404)

    def _operation(self, request: Request, names: list[str], body: bytes) -> Response:
        operation = _operation_of(request.method, names)
        if operation is None:
            return JSONResponse(problems("NotFound", "No such path."), 404)
        self.log.append(operation)
        if request.method != "GET":
            self.world.writes.append(operation)
        bare = {"x-amzn-RequestId": f"{self.world.rng.getrandbits(64):016x}"}
        refusal = self._unauthorized(request, names)
        if refusal:
            return JSONResponse(refusal, 403, bare)
        habit = self.habits[operation].pop(0) if self.habits.get(operation) else ""
        if habit == "html":
            return HTMLResponse(_HTML, 502)
        if habit == "down":
            return JSONResponse(problems("InternalFailure", "Service unavailable."), 503, bare)
        if habit == "throttle" or not self._take(operation):
            message = "You exceeded your quota for the requested resource."
            return JSONResponse(problems("QuotaExceeded", message), 429, bare)
        response = self._perform(operation, request, names, body)
        if habit == "lost":
            return HTMLResponse(_HTML, 504)
        response.headers.update(bare)
        return response

    def _perform(self, operation: str, request: Request, names: list[str], body: bytes) -> Response:
        perform, rate, _ = OPERATIONS[operation]
        limit = {"x-amzn-RateLimit-Limit": str(rate * self.scale)}
        params: dict[str, str] = {}
        for name, value in parse_qsl(request.url.query, keep_blank_values=True):
            params[name] = f"{params[name]},{value}" if name in params else value
        call = Call(names=[unquote(name) for name in names[3:]], params=params, body=body)
        try:
            status, answer = perform(self.book, call)
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status, limit)
        if answer is None:
            return Response(status_code=status, headers=limit)
        return JSONResponse(answer, status, limit)

    def _unauthorized(self, request: Request, names: list[str]) -> dict[str, Any] | None:
        denied = "Access to requested resource is denied."
        token = request.headers.get("x-amz-access-token")
        if token is None:
            return problems("MissingAuthenticationToken", denied)
        if self.tokens.get(token, self.world.now()) <= self.world.now():
            return problems("Unauthorized", denied, "The access token you provided has expired.")
        if names[0] == "listings" and unquote(names[3]) != self.seller:
            return problems("Unauthorized", denied)
        return None

    def _take(self, operation: str) -> bool:
        """One token of the operation's bucket, refilled by the world's clock."""
        _, rate, burst = OPERATIONS[operation]
        now = self.world.now()
        left, at = self.buckets.get(operation, (float(burst), now))
        left = min(float(burst), left + (now - at).total_seconds() * rate * self.scale)
        taken = left >= 1
        self.buckets[operation] = (left - taken, now)
        return taken

    def _token(self, method: str, body: bytes) -> Response:
        """LWA: a form, a refresh token that stays, an access token for an hour."""
        form = dict(parse_qsl(body.decode()))
        if method != "POST" or form.get("grant_type") != "refresh_token":
            return _lwa_error(400, "unsupported_grant_type", "The grant type is not supported.")
        if any(form.get(name) != self.login[name] for name in ("client_id", "client_secret")):
            return _lwa_error(401, "invalid_client", "Client authentication failed.")
        if form.get("refresh_token") != self.login["refresh_token"]:
            return _lwa_error(400, "invalid_grant", "The request has an invalid grant parameter.")
        token = f"Atza|{self.world.rng.getrandbits(128):032x}"
        self.tokens[token] = self.world.now() + timedelta(seconds=_TOKEN_LIFE_S)
        return JSONResponse(
            {
                "access_token": token,
                "refresh_token": self.login["refresh_token"],
                "token_type": "bearer",
                "expires_in": _TOKEN_LIFE_S,
            }
        )


def _lwa_error(status: int, error: str, text: str) -> Response:
    return JSONResponse({"error": error, "error_description": text}, status)


def _operation_of(method: str, names: list[str]) -> str | None:
    match names:
        case ["orders", "2026-01-01", "orders"] if method == "GET":
            return "searchOrders"
        case ["orders", "2026-01-01", "orders", _] if method == "GET":
            return "getOrder"
        case ["orders", "v0", "orders", _, "shipmentConfirmation"] if method == "POST":
            return "confirmShipment"
        case ["listings", "2021-08-01", "items", _] if method == "GET":
            return "searchListingsItems"
        case ["listings", "2021-08-01", "items", _, _]:
            return {"GET": "getListingsItem", "PATCH": "patchListingsItem"}.get(method)
    return None
