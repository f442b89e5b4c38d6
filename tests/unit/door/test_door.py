"""Login, breaker, limits and the log of the door (H25, H28, T12)."""

import asyncio
import io
import logging
import traceback

import httpx
import pytest
import structlog
from peer import (
    BASE,
    Opened,
    answer,
    babbles,
    drops,
    half_answers,
    hangs,
    listening,
    mocked,
    saying,
)

from core.breaker import State
from core.errors import ConnectorError, InDoubt, LoginNeeded, RateLimited, Retry
from core.limiter import BudgetSpec
from core.logs import set_up


def oauth(base):
    words = {
        "url": "url",
        "client_id": "id",
        "client_secret": "secret",
        "sends": "form",
        "header": "authorization",
    }
    values = {"url": f"{base}/token", "id": "app", "secret": "canary-app-secret"}
    return ("client_credentials", words, values)


class Guarded:
    """Answers 401 unless the newest token is shown."""

    def __init__(self):
        self.number = 0
        self.calls = 0

    async def __call__(self, request):
        await asyncio.sleep(0)
        if request.url.path.endswith("/token"):
            self.number += 1
            token = {"access_token": f"canary-t{self.number}", "expires_in": 3600}
            return httpx.Response(200, json=token)
        self.calls += 1
        if request.headers.get("authorization") != f"Bearer canary-t{self.number}":
            return httpx.Response(401, json={"message": "token expired"})
        return httpx.Response(200, json={})


async def test_a_token_refused_under_way_is_renewed_once_for_everybody():
    """H28: expired in the middle of a batch; eight workers, one refresh."""
    system = Guarded()
    opened = Opened(BASE, transport=httpx.MockTransport(system), login=oauth(BASE), at_once=8)
    await opened.door.call("GET", "/x")
    system.number = 7  # somebody revoked it: the next token is number 8
    got = await asyncio.gather(
        *(opened.door.call("PUT", "/x", json={}, writes=True) for _ in range(8))
    )
    assert all(one.status == 200 for one in got)
    assert system.number == 8
    await opened.door.aclose()


async def test_a_login_that_stays_refused_needs_a_person(vendor):
    token = vendor.post(f"{BASE}/token").respond(json={"access_token": "canary-t1"})
    route = vendor.get(f"{BASE}/x").respond(401, json={"message": "scope was dropped"})
    with pytest.raises(LoginNeeded) as caught:
        await mocked(vendor, login=oauth(BASE)).door.call("GET", "/x")
    assert str(caught.value) == (
        "shop refuses our login; see systems.shop.secrets.client_secret: scope was dropped"
    )
    assert (route.call_count, token.call_count) == (2, 2)


async def test_a_fixed_credential_refused_is_not_tried_again(vendor):
    route = vendor.get(f"{BASE}/x").respond(401)
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    with pytest.raises(LoginNeeded, match=r"systems\.shop\.secrets\.api_key"):
        await mocked(vendor, login=login).door.call("GET", "/x")
    assert route.call_count == 1


async def test_a_system_that_refuses_our_login_is_left_alone_and_asked_by_one_call(vendor):
    """H28: a key that every lane tries gets an account locked."""
    route = vendor.get(f"{BASE}/x").respond(401)
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    opened = mocked(vendor, login=login)
    door = opened.door
    for _ in range(20):
        with pytest.raises(LoginNeeded, match=r"systems\.shop\.secrets\.api_key"):
            await door.call("GET", "/x")
    assert (route.call_count, door.closed_for_s) == (2, 30)
    opened.clock.advance(30)
    refused = await asyncio.gather(
        *(door.call("GET", "/x") for _ in range(8)), return_exceptions=True
    )
    assert {type(one) for one in refused} == {LoginNeeded}
    assert (route.call_count, door.closed_for_s) == (3, 60)
    for _ in range(6):
        opened.clock.advance(door.closed_for_s)
        with pytest.raises(LoginNeeded):
            await door.call("GET", "/x")
    assert door.closed_for_s == 300
    route.respond(json={})
    opened.clock.advance(300)
    await door.call("GET", "/x")
    assert (door.login_needed, door.closed_for_s) == (None, 0)


async def test_one_refused_permission_beside_calls_that_work_pauses_nobody(vendor):
    vendor.get(f"{BASE}/listings").respond(403)
    vendor.get(f"{BASE}/orders").respond(json={})
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    door = mocked(vendor, login=login, answers={403: "login"}).door
    for _ in range(5):
        with pytest.raises(LoginNeeded):
            await door.call("GET", "/listings")
        await door.call("GET", "/orders")
    assert (door.login_needed, door.closed_for_s) == (None, 0)


async def test_a_connector_cannot_replace_the_login(vendor):
    route = vendor.get(f"{BASE}/x").respond(json={})
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    door = mocked(vendor, login=login).door
    await door.call("GET", "/x", headers={"Authorization": "other"})
    assert route.calls[0].request.headers.get_list("authorization") == ["Bearer canary-key"]


async def test_a_dead_token_endpoint_opens_the_breaker(vendor):
    token = vendor.post(f"{BASE}/token").mock(side_effect=httpx.ConnectError("x"))
    opened = mocked(vendor, login=oauth(BASE))
    for _ in range(10):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.OPEN
    assert token.call_count == 3 + 4  # after the first call each is a probe


# ---------------------------------------------------------------- breaker and limits


async def test_a_dead_system_is_left_alone_and_asked_by_one_probe(vendor):
    route = vendor.put(f"{BASE}/x").mock(side_effect=httpx.ConnectError("x"))
    opened = mocked(vendor)
    for _ in range(50):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    assert route.call_count == 5
    assert opened.door.closed_for_s > 0
    with pytest.raises(RateLimited, match="does not answer; it is asked again in 5 s") as caught:
        await opened.door.call("PUT", "/x", writes=True)
    opened.clock.advance(caught.value.after_s)
    route.mock(return_value=httpx.Response(200, json={}))
    assert opened.door.closed_for_s == 0
    await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.RAMP
    await asyncio.gather(*(opened.door.call("PUT", "/x", writes=True) for _ in range(20)))
    assert opened.breaker.state is State.CLOSED


async def test_after_an_outage_calls_come_back_one_two_four(vendor):
    """H30: two hundred rows wait; the system that just got up is not run over."""
    flying, widths = 0, []

    async def system(request):
        nonlocal flying
        if opened.clock.monotonic() < 5:
            raise httpx.ConnectError("down")
        flying += 1
        widths.append(flying)
        await asyncio.sleep(0.001)
        flying -= 1
        return httpx.Response(200, json={})

    opened = Opened(BASE, transport=httpx.MockTransport(system), at_once=4)
    for _ in range(5):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    opened.clock.advance(5)
    await opened.door.call("PUT", "/x", writes=True)
    await asyncio.gather(*(opened.door.call("PUT", "/x", writes=True) for _ in range(200)))
    assert widths[:4] == [1, 1, 1, 2]
    assert max(widths) == 4
    assert opened.breaker.state is State.CLOSED


async def test_a_caller_that_gives_up_in_the_ramp_lets_the_next_one_in():
    stuck = asyncio.Event()

    async def system(request):
        if request.url.path.endswith("/stuck"):
            await stuck.wait()
        if opened.clock.monotonic() < 5:
            raise httpx.ConnectError("down")
        return httpx.Response(200, json={})

    opened = Opened(BASE, transport=httpx.MockTransport(system))
    for _ in range(5):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    opened.clock.advance(5)
    await opened.door.call("PUT", "/x", writes=True)
    first = asyncio.create_task(opened.door.call("PUT", "/stuck", writes=True))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(opened.door.call("PUT", "/x", writes=True))
    await asyncio.sleep(0.01)
    assert not second.done()
    first.cancel()
    assert (await asyncio.wait_for(second, 1)).status == 200


async def test_refusals_and_limits_do_not_open_the_breaker(vendor):
    opened = mocked(vendor)
    for status in (400, 403, 404, 409, 422, 429, 408) * 3:
        vendor.put(f"{BASE}/x").respond(status)
        with pytest.raises(ConnectorError):
            await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.CLOSED


async def test_a_maintenance_page_opens_the_breaker(vendor):
    vendor.put(f"{BASE}/x").respond(200, html="<h1>back soon</h1>")
    opened = mocked(vendor)
    for _ in range(5):
        with pytest.raises(InDoubt):
            await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.OPEN


async def test_a_cancelled_call_gives_back_what_it_held():
    async with listening(hangs) as peer, Opened(peer.base, at_once=1) as door:
        task = asyncio.create_task(door.call("GET", "/x"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert door._gate._free == 1
        assert door._breaker._flying == 0


async def test_the_vendors_word_reaches_the_limiter(vendor):
    opened = mocked(vendor, budgets={"calls": BudgetSpec(per_second=1, burst=10)}, wait_max_s=5)
    opened.door.observe("calls", left=0, per_second=0.1, size=10)
    with pytest.raises(RateLimited) as caught:
        await opened.door.call("GET", "/x")
    assert caught.value.after_s == pytest.approx(10)


# ---------------------------------------------------------------- canary


async def test_no_secret_and_no_query_in_any_log_or_error_at_debug():
    """T13: everything goes wrong in every way; nothing of it names a secret."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    heard = io.StringIO()
    set_up(level="debug", form="json", stream=heard)
    shown = []
    login = (
        "header",
        {"header": "X-Shopify-Access-Token", "secret": "token"},
        {"token": "canary-header-token"},
    )
    echo = b'{"message": "canary-header-token is wrong for jane@canary.example"}'
    scripts = [
        drops,
        half_answers,
        babbles,
        saying(answer(422, echo)),
        saying(answer(401, echo)),
        saying(answer(500, echo)),
        saying(answer(302, b"", location="https://x.example/?canary-query")),
        saying(answer(200, b"<html>canary-header-token</html>")),
        saying(answer()),
    ]
    try:
        for script in scripts:
            async with listening(script) as peer, Opened(peer.base, login=login) as door:
                for path in ("/x", f"{peer.base}/x", "https://evil.example/x"):
                    try:
                        await door.call(
                            "POST",
                            f"{path}?sign=canary-query",
                            params={"access_token": "canary-param"},
                            json={"name": "canary-body"},
                            writes=True,
                        )
                    except ConnectorError as error:
                        shown += traceback.format_exception(error)
                        shown += [repr(error), repr(error.__context__), repr(error.__cause__)]
                        structlog.get_logger().exception("call.failed", words=str(error))
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        logging.raiseExceptions = True
    said = heard.getvalue()
    assert said.count("call.failed") > 15
    for text in (*shown, said):
        for secret in ("canary-header-token", "canary-param", "canary.example"):
            assert secret not in text
    assert "canary-body" not in said.replace('json={"name": "canary-body"}', "").replace(
        'json={\\"name\\": \\"canary-body\\"}', ""
    )
