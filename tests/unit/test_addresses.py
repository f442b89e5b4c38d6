"""T10: which addresses are never called, in whatever spelling."""

from __future__ import annotations

import ipaddress

import pytest

from core.addresses import why_not_ip, why_not_url

METADATA = "is a link-local or metadata address"
PRIVATE = "is an address of a private network"
ODD = "has an IP address in an unusual spelling"

NEVER = {
    "http://169.254.169.254/latest": METADATA,
    "https://169.254.169.254": METADATA,
    "https://[::ffff:169.254.169.254]": METADATA,
    "https://[64:ff9b::169.254.169.254]": METADATA,
    "https://[2002:a9fe:a9fe::]": METADATA,
    "https://[fe80::1]": METADATA,
    "https://[fe80::1%25eth0]": METADATA,
    "https://[fd00:ec2::254]": METADATA,
    "https://100.100.100.200": METADATA,
    "https://metadata.google.internal": METADATA,
    "https://METADATA.google.internal.": METADATA,
    "https://2852039166/": ODD,
    "https://0xa9fea9fe/": ODD,
    "https://0251.0376.0251.0376/": ODD,
    "https://127.1/": ODD,
    "https://0.0.0.0": "is not the address of a machine",
    "https://[::]": "is not the address of a machine",
    "https://224.0.0.1": "is not the address of a machine",
    "https://255.255.255.255": "is not the address of a machine",
    "file:///etc/passwd": "is not a URL with a host",
    "file://host/etc/passwd": "begins with file, not with https",
    "//shop.example.com": "begins with nothing, not with https",
    "shop.example.com": "is not a URL with a host",
    "https://user:word@shop.example.com": "has a user or password in it",
    "https://@shop.example.com": "has a user or password in it",
    "https://shop.example.com/?token=1": "has a query or a fragment",
    "https://shop.example.com/?": "has a query or a fragment",
    "https://shop.example.com/#a": "has a query or a fragment",
    "https://shop.example.com:99999": "is not a URL",
    "https://shop.example.com:0": "has port 0",
    "https://[::1": "is not a URL",
    "https://shop.example.com\\@evil.example": "is not a URL with a host",
    "https://shop .example.com": "has a space or a control character in it",
    "https://shop\texample.com": "has a space or a control character in it",
    "https://shöp.example.com": "has a host name with letters that do not belong there",
    "https://a..b": "has a host name with letters that do not belong there",
}

ONLY_PRIVATE = {
    "http://shop.example.com": "is plain http, which everybody on the way can read",
    "https://10.0.0.7:8443/api": PRIVATE,
    "https://192.168.1.5": PRIVATE,
    "https://127.0.0.1": PRIVATE,
    "https://[::1]": PRIVATE,
    "https://[::ffff:127.0.0.1]": PRIVATE,
    "https://[fd12::1]": PRIVATE,
    "https://100.64.0.1": PRIVATE,
    "https://localhost": PRIVATE,
    "https://wms.internal": PRIVATE,
    "https://printer.local": PRIVATE,
}


@pytest.mark.parametrize("url", NEVER)
def test_these_are_refused_everywhere(url: str) -> None:
    assert why_not_url(url, private=True) == NEVER[url]
    assert why_not_url(url, private=False) is not None


@pytest.mark.parametrize("url", ONLY_PRIVATE)
def test_these_need_a_system_declared_private(url: str) -> None:
    assert why_not_url(url, private=True) is None
    assert why_not_url(url, private=False) == ONLY_PRIVATE[url]


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com",
        "https://shop.example.com:8443/admin/api",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://SHOP.example.com.",
        "https://3pl.example.com",
    ],
)
def test_a_public_address_over_https_is_fine(url: str) -> None:
    assert why_not_url(url, private=False) is None


def test_a_resolved_address_is_judged_again() -> None:
    assert why_not_ip(ipaddress.ip_address("169.254.169.254"), private=True) == METADATA
    assert why_not_ip(ipaddress.ip_address("10.1.2.3"), private=False) == PRIVATE
    assert why_not_ip(ipaddress.ip_address("10.1.2.3"), private=True) is None
    assert why_not_ip(ipaddress.ip_address("93.184.216.34"), private=False) is None
