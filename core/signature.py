"""Is this push genuine? The signature is checked over the raw bytes, before anything is parsed.

Compared as bytes: `hmac.compare_digest` raises on a text with é in it (T1), and
a stranger chooses that text. A reason is a counter label and never goes back to
the sender.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence

from core.errors import Forged, InvariantBroken

#: Header pairs as the server received them: repeated names are still there.
Headers = Iterable[tuple[bytes, bytes]]
UNSIGNED = "unsigned"


def _base64(secret: bytes, body: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret, body, hashlib.sha256))


def _hex(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256).hex().encode()


def _shared(secret: bytes, _: bytes) -> bytes:
    return secret


_EXPECTED: Mapping[str, Callable[[bytes, bytes], bytes]] = {
    "hmac_sha256_base64": _base64,
    "hmac_sha256_hex": _hex,
    "shared_header": _shared,
}


def verify(
    scheme: str,
    body: bytes,
    headers: Headers,
    secrets: Sequence[str],
    header: str,
    *,
    prefix: bytes = b"",
) -> int:
    """Which of `secrets` signed it: 0 the current one, 1 the old one while rotating (T3).

    `prefix`: what the sender signs before the body, like the address it pushes to.
    Raises Forged. `unsigned` proves nothing: its push is only ever a hint.
    """
    if scheme == UNSIGNED:
        return 0
    expected = _EXPECTED.get(scheme)
    if expected is None:
        raise InvariantBroken(
            f"signature scheme {scheme!r} is unknown; the manifest was not checked"
        )
    if why_not_secrets(secrets) is not None:
        # An empty key makes a signature anybody can compute (T1).
        raise Forged("no_secret")
    given = _signature(headers, header.lower().encode())
    if scheme == "hmac_sha256_hex":
        given = given.lower()
    for index, secret in enumerate(secrets):
        if hmac.compare_digest(given, expected(secret.encode(), prefix + body)):
            return index
    raise Forged("wrong_signature")


def why_not_secrets(secrets: Sequence[str]) -> str | None:
    """Why these secrets cannot verify anything, for a refusal at start; or None."""
    if not secrets:
        return "has no webhook secret, so nobody could be told from a stranger"
    if any(not secret.strip() for secret in secrets):
        return "has an empty webhook secret, with which anybody can sign"
    return None


def _signature(headers: Headers, name: bytes) -> bytes:
    found = [value for key, value in headers if key.lower() == name]
    if not found:
        raise Forged("no_signature")
    if len(found) > 1:
        raise Forged("two_signatures")
    return found[0].strip()
