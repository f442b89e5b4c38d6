"""How Shopee wants its calls signed, and what its error codes mean for a call as such.

Codes come with stray blanks, tabs and prefixes, one is misspelled, and nearly all of them
come inside a 200. What is not listed here is about the object of the call, and for the
connector to judge.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from core.contract import Json, Unsigned, Verdict

API = "/api/v2/"
#: Signed without a shop and its token.
_PUBLIC = (f"{API}auth/", f"{API}public/", f"{API}push/")
#: `expire_in` is seconds in the text of the documentation and an epoch in one of its samples.
_EPOCH_S = 1_000_000_000
#: The day of a daily quota begins at midnight there.
_SINGAPORE = timezone(timedelta(hours=8))

_TOKEN = frozenset({"error_auth", "invalid_acceess_token", "invalid_access_token"})
_GONE = frozenset(
    "shop_access_expired refresh_token_expired error_shop_refresh_token shop_no_linked"
    " shop_banned merchant_access_expired merchant_no_linked error_merchant_refresh_token"
    " error_sign source_ip_undeclared".split()
)
_CLOCK = frozenset({"error_sign", "error_param", "error_auth", "error_timestamp"})
#: It may have happened: Shopee failed somewhere behind the door, or its courier did.
_ILL = frozenset(
    "error_server error_inner error_network error_timeout error_connection error_core_server"
    " error_third_party_server".split()
)


def signature(key: str, *parts: object) -> str:
    """Of `parts` as they stand beside each other; the key is used as the text it is."""
    base = "".join(str(part) for part in parts)
    return hmac.new(key.encode(), base.encode(), hashlib.sha256).hexdigest()


def push_signature(key: str, url: str, body: bytes) -> str:
    """Of the address it is sent to, a bar and the raw body."""
    return hmac.new(key.encode(), f"{url}|".encode() + body, hashlib.sha256).hexdigest()


def code_of(body: Json) -> str:
    """The error code without what surrounds it; "" where there is none."""
    error = body.get("error") if isinstance(body, dict) else None
    return error.strip() if isinstance(error, str) else ""


def words_of(body: Json) -> str:
    """Code and sentence, for an operator. Nothing else of an answer: it may hold a buyer."""
    message = body.get("message") if isinstance(body, dict) else None
    said = message.strip() if isinstance(message, str) else ""
    return ": ".join(filter(None, (code_of(body), said)))


class Shops:
    """The dialect of calls for one shop."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._partner = values["partner_id"].strip()
        self._key = values["partner_key"]
        self._shop = values["shop_id"].strip()

    def sign(self, call: Unsigned) -> Mapping[str, str]:
        # Whatever stands before it is a proxy's.
        path = call.path[max(call.path.find(API), 0) :]
        stamp = str(int(call.at.timestamp()))
        common = {"partner_id": self._partner, "timestamp": stamp}
        if path.startswith(_PUBLIC):
            return {**common, "sign": signature(self._key, self._partner, path, stamp)}
        sign = signature(self._key, self._partner, path, stamp, call.token, self._shop)
        return {**common, "access_token": call.token, "shop_id": self._shop, "sign": sign}

    def refresh(self, refresh_token: str) -> Json:
        return {
            "refresh_token": refresh_token,
            "partner_id": int(self._partner),
            "shop_id": int(self._shop),
        }

    def tokens(self, body: Json, at: datetime) -> Mapping[str, Json]:
        if not isinstance(body, dict):
            return {}
        life = body.get("expire_in")
        if isinstance(life, int) and life > _EPOCH_S:
            life -= int(at.timestamp())
        # An empty token is none; None is refused as half an answer.
        return {
            "access_token": body.get("access_token") or None,
            "refresh_token": body.get("refresh_token") or None,
            "expires_in": life,
        }

    def verdict(self, body: Json, at: datetime) -> Verdict | None:
        code, words = code_of(body), words_of(body)
        # `logistics.error_server` is ill like `error_server`; its `error_limit` is not our quota.
        bare = code.rpartition(".")[2].strip()
        if not code:
            return None
        if bare in _CLOCK and "timestamp" in words.lower():
            return Verdict(meaning="clock", words=words)
        if bare in _TOKEN:
            return Verdict(meaning="login", words=words)
        if bare in _GONE:
            return Verdict(meaning="gone", words=words)
        if bare == "error_rate_limit":
            return Verdict(meaning="limited", words=words)
        if code == "error_limit":
            return Verdict(meaning="limited", words=words, after_s=_until_midnight(at))
        if bare == "error_system_busy":
            return Verdict(meaning="retry", words=words)
        if bare in _ILL:
            return Verdict(meaning="in_doubt", words=words)
        return None


def _until_midnight(at: datetime) -> float:
    there = at.astimezone(_SINGAPORE)
    midnight = there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - there).total_seconds()
