"""Vendors that sign each call and say no inside a 200: `login: {kind: signed}` (S24, H28, H47)."""

import json
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from core.breaker import Breaker
from core.clock import ManualClock
from core.contract import Verdict
from core.errors import InDoubt, LoginNeeded, RateLimited, Rejected, Retry
from core.http import Door, DoorSpec
from core.limiter import BudgetSpec, Limiter
from core.login import STORED, Login, LoginSpec
from core.secrets import Secret
from core.wire import Wire

BASE = "https://vendor.example/api"
NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
WORDS = {
    "url": f"{BASE}/token",
    "client_secret": "key",
    "refresh_token": "refresh_token",
    "rotates": "true",
}
LIFE_S = 14400


class Plain:
    """The smallest dialect there is: the token and the second are the signature."""

    def sign(self, call):
        return {"token": call.token, "at": str(int(call.at.timestamp())), "of": call.path}

    def refresh(self, refresh_token):
        return {"refresh": refresh_token}

    def tokens(self, body, at):
        return {
            "access_token": body.get("access"),
            "refresh_token": body.get("refresh"),
            "expires_in": LIFE_S,
        }

    def verdict(self, body, at):
        error = body.get("error") if isinstance(body, dict) else None
        known = ("login", "clock", "limited", "retry", "in_doubt", "gone", "reject")
        if error not in known:
            return None
        return Verdict(meaning=error, words=f"said: {error}", after_s=float(body.get("after", 0)))


class Vendor:
    """One-time refresh tokens, signatures of at most five minutes; `script` answers come first."""

    def __init__(self, clock):
        self.clock = clock
        self.skew = timedelta()
        self.script = []
        self.chain = 1
        self.valid = ""
        self.refreshed = []
        self.paths = []
        self.lose_token_answers = 0

    def now(self):
        return self.clock.now() + self.skew

    def __call__(self, request):
        parts = urlsplit(str(request.url))
        query = {name: one for name, (one,) in parse_qs(parts.query).items()}
        self.paths.append(parts.path)
        assert query["of"] == parts.path
        date = {"date": format_datetime(self.now(), usegmt=True)}
        if abs(self.now().timestamp() - int(query["at"])) > 300:
            return httpx.Response(200, json={"error": "clock"}, headers=date)
        if parts.path.endswith("/token"):
            return self._token(json.loads(request.content)["refresh"], request, date)
        if self.script:
            return httpx.Response(200, json=self.script.pop(0), headers=date)
        if query.get("token", "") != self.valid:
            return httpx.Response(200, json={"error": "login"}, headers=date)
        return httpx.Response(200, json={"fine": query.get("q", 1)}, headers=date)

    def _token(self, refresh, request, date):
        self.refreshed.append(refresh)
        if refresh != f"refresh-{self.chain}":
            return httpx.Response(200, json={"error": "gone"}, headers=date)
        self.chain += 1
        self.valid = f"access-{self.chain}"
        if self.lose_token_answers:
            self.lose_token_answers -= 1
            raise httpx.ReadTimeout("lost", request=request)
        answer = {"access": self.valid, "refresh": f"refresh-{self.chain}"}
        return httpx.Response(200, json=answer, headers=date)


class House:
    def __init__(self):
        self.clock = ManualClock(NOW)
        self.vendor = Vendor(self.clock)
        self.kept = {}
        self.open()

    def open(self):
        """As after a restart: what is stored is all there is."""
        wire = Wire(transport=httpx.MockTransport(self.vendor))
        values = {"key": Secret("the key"), "refresh_token": Secret("refresh-1")}

        async def load(name):
            return self.kept.get(name)

        async def store(name, value):
            self.kept[name] = value

        login = Login(
            "shop",
            LoginSpec.of("signed", WORDS, values),
            clock=self.clock,
            wire=wire,
            load=load,
            store=store,
            dialect=Plain(),
        )
        budgets = {"calls": BudgetSpec(per_second=10, burst=10)}
        self.door = Door(
            DoorSpec(system="shop", base_url=BASE),
            wire,
            login,
            limiter=Limiter(budgets, self.clock, rng=random.Random(1)),
            breaker=Breaker(),
            clock=self.clock,
        )


@pytest.fixture
async def house():
    made = House()
    yield made
    await made.door.aclose()


async def test_a_call_is_signed_as_it_leaves_and_keeps_its_own_query(house):
    answer = await house.door.call("GET", "/orders", params={"q": "a b"})
    assert answer.body == {"fine": "a b"}
    assert house.vendor.paths == ["/api/token", "/api/orders"]


async def test_s24_a_new_refresh_token_is_stored_before_the_access_token_is_used(house):
    seen = []
    asked = house.vendor

    def watched(request):
        if not str(request.url).startswith(f"{BASE}/token"):
            seen.append(json.loads(house.kept[STORED])["current"])
        return asked(request)

    house.vendor = watched
    house.open()
    await house.door.call("GET", "/orders")
    assert seen == ["refresh-2"]


async def test_h28_after_a_restart_the_newest_refresh_token_goes_on(house):
    await house.door.call("GET", "/orders")
    house.open()
    await house.door.call("GET", "/orders")
    assert house.vendor.refreshed == ["refresh-1", "refresh-2"]


async def test_a_refused_token_is_renewed_once_and_the_call_repeated(house):
    await house.door.call("POST", "/orders", json={"a": 1}, writes=True)
    house.vendor.valid = "another"
    await house.door.call("POST", "/orders", json={"a": 1}, writes=True)
    assert house.vendor.refreshed == ["refresh-1", "refresh-2"]
    house.vendor.script = [{"error": "login"}] * 2
    house.clock.advance(60)
    with pytest.raises(LoginNeeded, match="said: login"):
        await house.door.call("GET", "/orders")


async def test_h28_a_lost_refresh_answer_of_a_one_time_token_asks_for_a_person(house):
    """The token is spent and its heir is nowhere: nothing but a new consent helps."""
    house.vendor.lose_token_answers = 1
    with pytest.raises(LoginNeeded, match="authorize Truecount there again"):
        await house.door.call("GET", "/orders")
    assert house.vendor.refreshed == ["refresh-1", "refresh-1"]
    assert "refresh-" not in str(house.door.login_needed or "")


@pytest.mark.parametrize("hours", [-3, 3])
async def test_a_clock_that_is_hours_wrong_is_put_right_by_the_first_answer(house, hours):
    house.vendor.skew = timedelta(hours=hours)
    answer = await house.door.call("GET", "/orders")
    assert answer.body == {"fine": 1}
    assert house.door.clock_offset_s == pytest.approx(hours * 3600, abs=1)
    assert house.vendor.paths == ["/api/token", "/api/token", "/api/orders"]


async def test_a_clock_that_goes_wrong_later_costs_one_repeat_even_of_a_write(house):
    await house.door.call("GET", "/orders")
    house.vendor.skew = timedelta(hours=1)
    await house.door.call("POST", "/orders", json={}, writes=True)
    assert house.vendor.paths[2:] == ["/api/orders", "/api/orders"]


async def test_a_timestamp_that_stays_refused_is_not_repeated_for_ever(house):
    await house.door.call("GET", "/orders")
    house.vendor.script = [{"error": "clock"}] * 5
    with pytest.raises(Retry):
        await house.door.call("POST", "/orders", json={}, writes=True)
    assert len(house.vendor.script) == 3


@pytest.mark.parametrize(
    ("error", "writes", "raised"),
    [
        ("retry", False, Retry),
        ("retry", True, Retry),
        ("in_doubt", False, Retry),
        ("in_doubt", True, InDoubt),
        ("reject", True, Rejected),
        ("limited", True, RateLimited),
        ("gone", False, LoginNeeded),
    ],
)
async def test_h47_a_no_inside_a_200_is_what_its_words_mean(house, error, writes, raised):
    await house.door.call("GET", "/orders")
    house.vendor.script = [{"error": error, "after": 90.0}]
    method = "POST" if writes else "GET"
    with pytest.raises(raised, match=f"said: {error}") as caught:
        await house.door.call(method, "/orders", writes=writes)
    assert type(caught.value) is raised
    if raised is RateLimited:
        assert 90 <= caught.value.after_s < 100
    if error == "gone":
        assert house.vendor.refreshed == ["refresh-1"]


async def test_words_of_the_vendor_hold_no_token_and_are_cut(house):
    await house.door.call("GET", "/orders")

    class Talks(Plain):
        def verdict(self, body, at):
            return Verdict(meaning="retry", words=f"{house.vendor.valid} " + "x" * 900)

    house.door._login._dialect = Talks()
    with pytest.raises(Retry) as caught:
        await house.door.call("POST", "/orders", json={}, writes=True)
    assert "access-2" not in caught.value.words
    assert len(caught.value.words) == 300


async def test_a_token_endpoint_that_is_limited_or_ill_is_no_refused_login(house):
    for error, raised in (("limited", RateLimited), ("retry", Retry)):
        house.vendor._token = lambda *_, said=error: httpx.Response(200, json={"error": said})
        with pytest.raises(raised) as caught:
            await house.door.call("GET", "/orders")
        assert type(caught.value) is raised


async def test_half_a_token_answer_is_not_used(house):
    """An access token without its refresh token would lock us out four hours later (H28)."""
    house.vendor._token = lambda *_: httpx.Response(200, json={"access": "a"})
    with pytest.raises(Retry, match="refresh_token"):
        await house.door.call("GET", "/orders")
    assert house.kept == {}
