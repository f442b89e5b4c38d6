"""Logging in, and tokens that expire (H28, S24)."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from core.clock import ManualClock
from core.errors import ConfigError, LoginNeeded, RateLimited, Retry
from core.login import REFUSED_FOR_S, STORED, Login, LoginSpec
from core.secrets import Secret
from core.wire import Lost, Raw

URL = "https://api.vendor.example/auth/o2/token"
WORDS = {
    "url": "token_url",
    "client_id": "client_id",
    "client_secret": "client_secret",
    "refresh_token": "refresh_token",
    "sends": "form",
    "header": "x-amz-access-token",
    "rotates": "true",
}
VALUES = {
    "token_url": URL,
    "client_id": "app-1",
    "client_secret": Secret("canary-client-secret"),
    "refresh_token": Secret("canary-first-refresh"),
}


def raw(status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Raw(status=status, headers=headers, content=content)


class TokenEndpoint:
    """Gives one-time refresh tokens. `script` answers come first."""

    def __init__(self, *script, rotates=True):
        self.script = list(script)
        self.rotates = rotates
        self.asked = []
        self.valid = "canary-first-refresh"
        self.number = 0
        self.hold = None

    async def exchange(self, method, url, *, headers, content=None):
        assert (method, url) == ("POST", URL)
        if headers["content-type"] == "application/json":
            fields = json.loads(content)
        else:
            fields = {key: one for key, (one,) in parse_qs(content.decode()).items()}
        self.asked.append(fields)
        if self.hold is not None:
            await self.hold.wait()
        if self.script:
            return self.script.pop(0)
        if fields["grant_type"] == "refresh_token" and fields["refresh_token"] != self.valid:
            return raw(400, {"error": "invalid_grant", "error_description": "no such token"})
        self.number += 1
        answer = {"access_token": f"canary-access-{self.number}", "expires_in": 3600}
        if self.rotates:
            self.valid = answer["refresh_token"] = f"canary-refresh-{self.number}"
        return raw(200, answer)


class Memory:
    def __init__(self):
        self.kept = {}
        self.before_use = []

    async def load(self, name):
        return self.kept.get(name)

    async def store(self, name, value):
        self.kept[name] = value


def a_login(endpoint, memory=None, clock=None, kind="refresh_token", words=WORDS, values=VALUES):
    memory = memory or Memory()
    return Login(
        "shop",
        LoginSpec.of(kind, words, values),
        clock=clock or ManualClock(datetime(2026, 11, 25, tzinfo=UTC)),
        wire=endpoint,
        load=memory.load,
        store=memory.store,
    )


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        ("none", {}, {}),
        ("session", {"user": "name", "secret": "token"}, {}),
        (
            "header",
            {"header": "X-Shopify-Access-Token", "secret": "token"},
            {"x-shopify-access-token": "shpat"},
        ),
        (
            "header",
            {"header": "Authorization", "prefix": "Token ", "secret": "token"},
            {"authorization": "Token shpat"},
        ),
        ("bearer", {"secret": "token"}, {"authorization": "Bearer shpat"}),
        (
            "basic",
            {"user": "name", "secret": "token"},
            {"authorization": "Basic " + base64.b64encode("jö:shpat".encode()).decode()},
        ),
    ],
)
async def test_logins_that_do_not_expire(kind, words, expected):
    login = a_login(None, kind=kind, words=words, values={"token": Secret("shpat"), "name": "jö"})
    assert await login.headers() == expected
    assert not await login.refresh(await login.headers())
    assert login.good_for_s() is None
    await login.aclose()


async def test_a_refresh_token_becomes_an_access_token_once():
    endpoint = TokenEndpoint()
    login = a_login(endpoint)
    for _ in range(3):
        assert await login.headers() == {"x-amz-access-token": "canary-access-1"}
    assert endpoint.asked == [
        {
            "grant_type": "refresh_token",
            "refresh_token": "canary-first-refresh",
            "client_id": "app-1",
            "client_secret": "canary-client-secret",
        }
    ]
    assert login.good_for_s() == 3600


async def test_client_credentials_as_json_with_a_bearer():
    endpoint = TokenEndpoint(rotates=False)
    words = {key: WORDS[key] for key in ("url", "client_id", "client_secret")}
    words |= {"sends": "json", "header": "Authorization"}
    login = a_login(endpoint, kind="client_credentials", words=words)
    assert await login.headers() == {"authorization": "Bearer canary-access-1"}
    assert endpoint.asked[0]["grant_type"] == "client_credentials"


async def test_a_token_is_renewed_a_minute_before_it_ends():
    clock, endpoint = ManualClock(datetime(2026, 11, 25, tzinfo=UTC)), TokenEndpoint()
    login = a_login(endpoint, clock=clock)
    await login.headers()
    clock.advance(3539)
    assert (await login.headers())["x-amz-access-token"] == "canary-access-1"
    clock.advance(2)
    assert (await login.headers())["x-amz-access-token"] == "canary-access-2"


async def test_a_token_in_hand_serves_while_the_endpoint_is_away():
    clock, endpoint = ManualClock(datetime(2026, 11, 25, tzinfo=UTC)), TokenEndpoint()
    login = a_login(endpoint, clock=clock)
    await login.headers()
    clock.advance(3545)
    endpoint.script = [Lost(why="gone", sent=False)] * 9
    assert (await login.headers())["x-amz-access-token"] == "canary-access-1"
    clock.advance(60)
    with pytest.raises(Retry, match="could not be asked: gone"):
        await login.headers()


async def test_many_callers_make_one_refresh():
    endpoint = TokenEndpoint()
    login = a_login(endpoint)
    async with asyncio.TaskGroup() as group:
        got = [group.create_task(login.headers()) for _ in range(20)]
    assert len(endpoint.asked) == 1
    assert {one.result()["x-amz-access-token"] for one in got} == {"canary-access-1"}


async def test_two_workers_refused_with_the_same_token_refresh_once():
    endpoint = TokenEndpoint()
    login = a_login(endpoint)
    used = await login.headers()
    assert all(await asyncio.gather(login.refresh(used), login.refresh(used)))
    assert await login.refresh(used)  # a third, late
    assert len(endpoint.asked) == 2


async def test_a_new_token_refused_at_once_is_not_renewed_over_and_over():
    clock, endpoint = ManualClock(datetime(2026, 11, 25, tzinfo=UTC)), TokenEndpoint()
    login = a_login(endpoint, clock=clock)
    assert await login.refresh(await login.headers())
    for _ in range(5):
        assert not await login.refresh(await login.headers())
    assert len(endpoint.asked) == 2
    clock.advance(31)
    assert await login.refresh(await login.headers())


async def test_the_new_refresh_token_is_stored_before_it_is_used():
    endpoint, memory = TokenEndpoint(), Memory()
    login = a_login(endpoint, memory)
    chain = []

    async def store(name, value):
        assert login.good_for_s() is None  # nobody has its access token yet
        chain.append(json.loads(value))
        memory.kept[name] = value

    login._store = store
    await login.headers()
    assert chain[0]["current"] == "canary-refresh-1"
    assert chain[0]["before"] == "canary-first-refresh"


async def test_a_token_that_could_not_be_stored_is_not_used():
    endpoint = TokenEndpoint()
    login = a_login(endpoint)

    async def disk_full(name, value):
        raise OSError("disk full")

    login._store = disk_full
    with pytest.raises(OSError, match="disk full"):
        await login.headers()
    assert login.good_for_s() is None


async def test_a_restart_goes_on_with_the_stored_token():
    endpoint, memory = TokenEndpoint(), Memory()
    await a_login(endpoint, memory).headers()
    again = a_login(endpoint, memory)
    assert (await again.headers())["x-amz-access-token"] == "canary-access-2"
    assert endpoint.asked[1]["refresh_token"] == "canary-refresh-1"


async def test_where_the_rotated_token_never_became_valid_the_one_before_gets_one_chance():
    endpoint, memory = TokenEndpoint(), Memory()
    await a_login(endpoint, memory).headers()
    endpoint.valid = "canary-first-refresh"  # the vendor rolled back
    again = a_login(endpoint, memory)
    await again.headers()
    assert [one["refresh_token"] for one in endpoint.asked[1:]] == [
        "canary-refresh-1",
        "canary-first-refresh",
    ]
    assert json.loads(memory.kept[STORED])["current"] == "canary-refresh-2"


async def test_a_token_newly_set_by_the_operator_beats_the_stored_one():
    endpoint, memory = TokenEndpoint(), Memory()
    await a_login(endpoint, memory).headers()
    endpoint.valid = "canary-second-refresh"
    values = VALUES | {"refresh_token": Secret("canary-second-refresh")}
    await a_login(endpoint, memory, values=values).headers()
    assert endpoint.asked[1]["refresh_token"] == "canary-second-refresh"


async def test_a_caller_that_gives_up_does_not_lose_the_rotated_token():
    """The endpoint has rotated already: whoever waited may go, the answer must be kept."""
    endpoint, memory = TokenEndpoint(), Memory()
    endpoint.hold = asyncio.Event()
    login = a_login(endpoint, memory)
    caller = asyncio.create_task(login.headers())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    endpoint.hold.set()
    await login.aclose()
    assert json.loads(memory.kept[STORED])["current"] == "canary-refresh-1"


async def test_a_refusal_asks_for_a_person_and_is_not_repeated():
    clock = ManualClock(datetime(2026, 11, 25, tzinfo=UTC))
    endpoint = TokenEndpoint()
    endpoint.valid = "another"
    login = a_login(endpoint, clock=clock)
    for _ in range(5):
        with pytest.raises(LoginNeeded) as caught:
            await login.headers()
    assert str(caught.value) == (
        "shop does not renew our login any more: authorize Truecount there again and put the"
        " new credential where systems.shop.secrets.refresh_token points:"
        " invalid_grant; no such token"
    )
    assert len(endpoint.asked) == 1
    clock.advance(REFUSED_FOR_S)
    endpoint.valid = "canary-first-refresh"
    assert await login.headers()


@pytest.mark.parametrize(
    "gone", [Lost(why="reset", sent=True), raw(503, b""), raw(500, b"<html>oops</html>")]
)
async def test_an_endpoint_that_is_away_for_a_moment_is_asked_again(gone):
    clock, endpoint = ManualClock(datetime(2026, 11, 25, tzinfo=UTC)), TokenEndpoint(gone)
    assert await a_login(endpoint, clock=clock).headers()
    assert len(endpoint.asked) == 2
    assert 0 < clock.monotonic() <= 10


async def test_a_rotating_token_is_sent_twice_at_most():
    endpoint = TokenEndpoint(*[Lost(why="reset", sent=True)] * 9)
    with pytest.raises(Retry):
        await a_login(endpoint).headers()
    assert len(endpoint.asked) == 2
    endpoint = TokenEndpoint(*[Lost(why="reset", sent=True)] * 9)
    with pytest.raises(Retry):
        await a_login(endpoint, words=WORDS | {"rotates": "false"}).headers()
    assert len(endpoint.asked) == 3


async def test_g11_an_endpoint_that_stays_away_is_asked_once_by_each_call():
    """Three for every probe were 245 calls in an outage of 13 hours."""
    endpoint = TokenEndpoint(*[raw(503, b"")] * 5)
    login = a_login(endpoint, words=WORDS | {"rotates": "false"})
    for asked in (3, 4, 5):
        with pytest.raises(Retry):
            await login.headers()
        assert len(endpoint.asked) == asked
    await login.headers()
    assert len(endpoint.asked) == 6


async def test_an_endpoint_that_says_later_is_left_alone():
    endpoint = TokenEndpoint(raw(429, {"message": "slow down"}, **{"retry-after": "120"}))
    with pytest.raises(RateLimited, match="slow down") as caught:
        await a_login(endpoint).headers()
    assert caught.value.after_s == 120
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>maintenance</html>", b"", b"[]", {"access_token": 5}, {"error": "temporarily_away"}],
)
async def test_an_answer_without_a_token_is_not_a_login(body):
    with pytest.raises(Retry, match="gave no token"):
        await a_login(TokenEndpoint(raw(200, body))).headers()


async def test_an_access_token_is_not_used_without_the_refresh_token_beside_it():
    """A day of the simulation was locked out by this: an answer with a value of another kind."""
    odd = {"access_token": "canary-access", "refresh_token": {"planted": 1}, "expires_in": 3600}
    endpoint, memory = TokenEndpoint(raw(200, odd)), Memory()
    login = a_login(endpoint, memory)
    with pytest.raises(Retry, match="gave no token") as caught:
        await login.headers()
    assert caught.value.words == "no refresh_token in its answer"
    assert memory.kept == {}
    assert await login.headers() == {"x-amz-access-token": "canary-access-1"}


async def test_when_the_login_itself_ends_is_known_from_its_answers_and_outlives_a_restart():
    endpoint, memory = TokenEndpoint(rotates=False), Memory()
    clock = ManualClock(datetime(2026, 11, 25, tzinfo=UTC))
    words = WORDS | {"expires_in": "refresh_expires_in"}
    answer = {"access_token": "canary-a", "expires_in": 600, "refresh_expires_in": "2592000"}
    endpoint.script = [raw(200, answer), raw(200, answer | {"refresh_expires_in": 2591000})]
    login = a_login(endpoint, memory, clock, words=words)
    assert await login.ends_at() is None
    await login.headers()
    assert await login.ends_at() == datetime(2026, 12, 25, tzinfo=UTC)
    kept = memory.kept[STORED]
    clock.advance(1000)
    await login.headers()  # the same end, told in seconds from now
    assert memory.kept[STORED] == kept
    again = a_login(endpoint, memory, clock, words=words)
    assert await again.ends_at() == datetime(2026, 12, 25, tzinfo=UTC)
    endpoint.script = [raw(200, answer)]  # somebody has authorized us anew
    clock.advance(10_000)
    await again.headers()
    assert await again.ends_at() == datetime(2026, 12, 25, tzinfo=UTC) + timedelta(seconds=11_000)
    assert json.loads(memory.kept[STORED])["current"] == "canary-first-refresh"


async def test_a_lost_answer_of_a_refresh_is_asked_for_once_more_with_the_same_token():
    """H28: a single-use token was used, and what came back was lost. The vendor decides."""
    endpoint, memory = TokenEndpoint(), Memory()
    endpoint.script = [Lost(sent=True, why="reset", seconds=0.1)]
    await a_login(endpoint, memory).headers()
    sent = [one["refresh_token"] for one in endpoint.asked]
    assert sent == ["canary-first-refresh", "canary-first-refresh"]
    assert json.loads(memory.kept[STORED])["current"] == "canary-refresh-1"


@pytest.mark.parametrize("life", ["60", 60, None, "soon"])
async def test_a_short_or_unclear_life_still_gives_a_usable_token(life):
    answer = {"access_token": "canary-short"} | ({"expires_in": life} if life else {})
    clock = ManualClock(datetime(2026, 11, 25, tzinfo=UTC))
    endpoint = TokenEndpoint(raw(200, answer))
    login = a_login(endpoint, clock=clock)
    await login.headers()
    clock.advance(20)
    await login.headers()
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "url", ["http://api.vendor.example/t", "https://169.254.169.254/t", "", "x"]
)
def test_a_token_url_that_leads_elsewhere_is_refused_at_start(url):
    with pytest.raises(ConfigError, match="the token URL of shop"):
        a_login(None, values=VALUES | {"token_url": url})


def test_a_url_may_stand_in_the_manifest_itself():
    spec = LoginSpec.of("refresh_token", WORDS | {"url": URL}, VALUES)
    assert spec.url == URL


async def test_no_secret_in_any_representation_or_error():
    echo = {"error_description": "bad canary-client-secret and canary-first-refresh"}
    login = a_login(TokenEndpoint(raw(400, echo)))
    with pytest.raises(LoginNeeded) as caught:
        await login.headers()
    shown = f"{caught.value!r} {caught.value} {LoginSpec.of('refresh_token', WORDS, VALUES)!r}"
    assert "canary" not in shown
    login = a_login(TokenEndpoint())
    await login.headers()
    assert "canary" not in repr(login._token)
