"""Which addresses the daemon may call (T10).

An address in a configuration is a way into the operator's own network. Https
only, plain http for a system declared `network: private`, and the link-local
and metadata ranges never, in whatever spelling. Pure: the caller resolves names
and asks `why_not_ip` again for every address it is about to connect to.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Names under which clouds hand out credentials to whoever asks from inside.
_METADATA_NAMES = frozenset(
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data"]
)
#: Metadata services that do not live in a link-local range (AWS over IPv6, Alibaba, Oracle).
_METADATA_IPS = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)
_NUMBER_PART = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def why_not_url(url: str, *, private: bool) -> str | None:
    """Why this base URL is refused, or None. Says nothing of the URL's user or query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if url != url.strip() or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        return "has a space or a control character in it"
    if "\\" in url or not host:
        return "is not a URL with a host"
    if parts.scheme not in ("http", "https"):
        return f"begins with {parts.scheme or 'nothing'}, not with https"
    if parts.username is not None or parts.password is not None:
        return "has a user or password in it"
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        return "has a query or a fragment"
    if port == 0:
        return "has port 0"
    if parts.scheme == "http" and not private:
        return "is plain http, which everybody on the way can read"
    return _why_not_host(host, private=private)


def why_not_ip(ip: Ip, *, private: bool) -> str | None:
    """Why no connection to this address is made, or None."""
    plain = _unwrapped(ip)
    if plain.is_link_local or plain in _METADATA_IPS:
        return "is a link-local or metadata address"
    if (
        plain.is_multicast
        or plain.is_unspecified
        or plain == ipaddress.ip_address("255.255.255.255")
    ):
        return "is not the address of a machine"
    if not private and not plain.is_global:
        return "is an address of a private network"
    return None


def _why_not_host(host: str, *, private: bool) -> str | None:
    name = host.rstrip(".").lower()
    if name in _METADATA_NAMES:
        return "is a link-local or metadata address"
    try:
        return why_not_ip(ipaddress.ip_address(name.partition("%")[0]), private=private)
    except ValueError:
        pass
    # 2852039166 and 0xa9fea9fe are 169.254.169.254 to a C library. Nobody needs them.
    if all(_NUMBER_PART.fullmatch(part) for part in name.split(".")):
        return "has an IP address in an unusual spelling"
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", name) or ".." in name:
        return "has a host name with letters that do not belong there"
    if not private and (
        name == "localhost" or name.endswith((".localhost", ".local", ".internal"))
    ):
        return "is an address of a private network"
    return None


def _unwrapped(ip: Ip) -> Ip:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64): those reach the same machine."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
