"""Where a call may go, and what it carries there (T10-T13)."""

import pytest
from peer import BASE, Opened, answer, listening, mocked, saying

from core.errors import ConfigError, Rejected


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/v1/x",
        "//evil.example/x",
        "https://api.vendor.example.evil.example/x",
        "https://api.vendor.example@evil.example/x",
        "https://user:pass@api.vendor.example/x",
        "http://api.vendor.example/v1/x",
        "https://api.vendor.example:8443/v1/x",
        "https://api.vendor.example\\@evil.example/x",
        "https://evil.example\t/x",
        "file:///etc/passwd",
        "https://[::1/x",
    ],
)
async def test_a_link_to_another_host_is_not_followed(vendor, path):
    route = vendor.route().respond(json={})
    with pytest.raises(Rejected, match=r"another host|do not belong there"):
        await mocked(vendor).door.call("GET", path)
    assert not route.called


@pytest.mark.parametrize("path", ["../admin", "/x/../../admin", "/%2e%2e/admin", "/a b", "/a\r\nb"])
async def test_a_crooked_path_is_refused(vendor, path):
    with pytest.raises(Rejected, match="do not belong there"):
        await mocked(vendor).door.call("GET", path)


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("", None, BASE),
        ("/x", None, f"{BASE}/x"),
        ("x/", None, f"{BASE}/x/"),
        ("/x?a=1", {"b": "2,3"}, f"{BASE}/x?a=1&b=2%2C3"),
        ("/x", [("id", "1"), ("id", "2")], f"{BASE}/x?id=1&id=2"),
        ("/x/a%2Fb", None, f"{BASE}/x/a%2Fb"),
        (f"{BASE}/x?cursor=a%3D%3D", None, f"{BASE}/x?cursor=a%3D%3D"),
        ("https://API.vendor.example:443/other#top", None, "https://api.vendor.example/other"),
    ],
)
async def test_links_of_the_same_origin_are(vendor, path, params, expected):
    route = vendor.route().respond(json={})
    await mocked(vendor).door.call("GET", path, params=params)
    assert str(route.calls[0].request.url) == expected


async def test_a_redirect_is_refused_and_carries_no_login_away():
    """T11: httpx keeps a vendor's own token header on a redirect to another host."""
    async with listening(saying(answer())) as evil:
        script = saying(answer(302, location=f"{evil.base}/x?steal"))
        async with listening(script) as peer:
            login = ("header", {"header": "X-Token", "secret": "t"}, {"t": "canary-redirect"})
            async with Opened(peer.base, login=login) as door:
                with pytest.raises(Rejected, match="302 to GET /x: redirect refused"):
                    await door.call("GET", "/x")
            assert b"x-token: canary-redirect" in peer.requests[0].lower()
        assert evil.requests == []


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "127.0.0.1", "10.0.0.7"],
)
async def test_a_name_that_leads_inside_is_not_connected_to(address):
    """T10: DNS rebinding; the address that was looked at is the one connected to."""

    async def rebinding(host, port):
        return ["93.184.216.34", address]

    async with Opened(BASE, private=False, resolver=rebinding) as door:
        with pytest.raises(Rejected, match=r"api\.vendor\.example leads to"):
            await door.call("POST", "/x", writes=True)


async def test_a_private_system_may_be_inside_but_never_the_metadata_service():
    async with listening(saying(answer())) as peer:
        port = int(peer.base.rpartition(":")[2])
        answers = iter([["127.0.0.1"], ["169.254.169.254"]])

        async def moving(host, _):
            return next(answers)

        base = f"http://wms.example:{port}"
        async with Opened(base, resolver=moving) as door:
            assert (await door.call("GET", "/x")).status == 200
        async with Opened(base, resolver=moving) as door:
            with pytest.raises(Rejected, match="link-local or metadata"):
                await door.call("GET", "/x")


async def test_a_second_address_is_tried_where_the_first_is_dead():
    async with listening(saying(answer())) as peer:
        port = int(peer.base.rpartition(":")[2])

        async def two(host, _):
            return ["127.0.0.9", "127.0.0.1"]

        async with Opened(f"http://wms.example:{port}", resolver=two) as door:
            assert (await door.call("GET", "/x")).status == 200


@pytest.mark.parametrize(
    "base", ["http://api.vendor.example", "https://169.254.169.254", "ftp://x"]
)
def test_a_base_url_that_must_not_be_is_refused_at_start(base):
    with pytest.raises(ConfigError, match="the base URL of shop"):
        Opened(base, private=False)


async def test_the_environment_does_not_choose_a_proxy(monkeypatch, tmp_path):
    """T12: HTTP_PROXY and .netrc are somebody else's idea."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with listening(saying(answer())) as peer:
        async with Opened(peer.base) as door:
            await door.call("GET", "/x")
        assert b"authorization" not in peer.requests[0].lower()


async def test_cookies_of_a_system_are_not_kept():
    async with listening(saying(answer(set_cookie="session=canary; Path=/"))) as peer:
        async with Opened(peer.base) as door:
            await door.call("GET", "/x")
            await door.call("GET", "/x")
        assert b"cookie" not in peer.requests[1].lower()
