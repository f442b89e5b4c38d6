"""Every key of a manifest.yaml: its kind, its default, its choices (docs/connectors.md)."""

from __future__ import annotations

from core.fields import Option, Table

ANSWERS = ("retry", "reject", "in_doubt", "login")
BASES = ("on_hand", "available")
ORDERS = ("counter", "as_of", "request")

_TOKEN = ("url", "client_id", "client_secret")
#: Kind of login -> the keys it needs, the keys it may have.
LOGIN_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "header": (("header", "secret"), ("prefix",)),
    "bearer": (("secret",), ()),
    "basic": (("user", "secret"), ()),
    "refresh_token": (
        (*_TOKEN, "refresh_token", "sends", "header"),
        ("prefix", "rotates", "expires_in"),
    ),
    "client_credentials": ((*_TOKEN, "sends", "header"), ("prefix",)),
    "signed": (("url", "client_secret", "refresh_token"), ("rotates", "expires_in")),
    "session": ((), ("user", "secret")),
}

_HEAD: Table = {
    "name": Option("text", "the folder's name", required=True),
    "title": Option("text", "what people call the system", required=True),
    "engine": Option("text", "the package with connect(), where it is another one's"),
    "roles": Option("words", "channel, warehouse, erp, courier or oms", required=True),
    "owns": Option("words", "numbers it can own"),
    "receives": Option("words", "numbers it can be told"),
    "verified": Option("text", "how we know that it works", required=True),
    "settings": Option("named", "what config.yaml may set"),
    "settings.*.required": Option("flag", "refused without it", default="false"),
    "settings.*.default": Option("text", "where config.yaml is silent"),
    "settings.*.what": Option("text", "one sentence for the operator", required=True),
    "secrets": Option("named", "credentials, by name"),
    "secrets.*.required": Option("flag", "refused without it", default="false"),
    "secrets.*.what": Option("text", "one sentence for the operator", required=True),
    "http": Option("free", "for engines such as http_json; passed through as it is"),
}

_DOORS: Table = {
    "login": Option("block", "how we log in", required=True),
    "login.kind": Option("choice", "the kind", required=True, choices=tuple(LOGIN_WORDS)),
    "login.header": Option("text", "the header that carries it"),
    "login.prefix": Option("text", "what stands before it there"),
    "login.secret": Option("text", "the name of a secret"),
    "login.user": Option("text", "the name of a setting"),
    "login.url": Option("text", "where tokens come from: a URL or the name of a setting"),
    "login.client_id": Option("text", "the name of a setting or secret"),
    "login.client_secret": Option("text", "the name of a setting or secret"),
    "login.refresh_token": Option("text", "the name of a setting or secret"),
    "login.sends": Option("text", "form or json"),
    "login.rotates": Option("text", "a new refresh token comes with each access token"),
    "login.expires_in": Option("text", "where its answer says how long the refresh token lives"),
    "hooks": Option("block", "how pushes arrive"),
    "hooks.scheme": Option(
        "choice",
        "how they are signed",
        required=True,
        choices=("hmac_sha256_base64", "hmac_sha256_hex", "shared_header", "unsigned"),
    ),
    "hooks.header": Option("text", "the header with the signature or the shared secret"),
    "hooks.prefix": Option(
        "text", "what is signed before the body; {url} is the address pushed to"
    ),
    "hooks.secret": Option("text", "the name of a secret", required=True),
    "hooks.topic": Option("block", "how a push is named", required=True),
    "hooks.topic.header": Option("text", "by a header"),
    "hooks.topic.always": Option("text", "always the same"),
    "hooks.topics": Option("words", "topics worth keeping"),
    "hooks.identity": Option("words", "headers that identify an event"),
    "hooks.body_max": Option("size", "the largest body", default="2 MiB", least=1),
}

_WORK: Table = {
    "reads": Option("named", "resources that can be read"),
    "reads.*.every": Option("duration", "how often", required=True, least=1),
    "reads.*.overlap": Option("duration", "how far to reach back", default="0s"),
    "reads.*.snapshot": Option("flag", "a pass is the whole truth", default="false"),
    "reads.*.full_every": Option(
        "duration", "read from the beginning again so often", default="0s"
    ),
    "reads.*.fetch": Option("flag", "one object can be read again", default="false"),
    "accepts": Option("named", "commands that can be sent"),
    "accepts.*.safe_by": Option(
        "choice",
        "how a duplicate is prevented",
        required=True,
        choices=("key", "reference", "lookup", "absolute", "none"),
    ),
    "accepts.*.lookup_after": Option("duration", "wait before looking it up", default="0s"),
    "accepts.*.key_memory": Option(
        "duration", "how long it remembers a key; after that it is looked up", default="24h"
    ),
    "accepts.*.urgency": Option(
        "choice", "what goes first", default="normal", choices=("high", "normal")
    ),
    "stock_write": Option("block", "how its shown quantity is written"),
    "stock_write.write": Option(
        "choice", "the kind", required=True, choices=("conditional", "relative", "absolute")
    ),
    "stock_write.field": Option("choice", "what it means", required=True, choices=("net", "gross")),
    "stock_write.batch": Option("count", "offers in one call", default="1", least=1, most=10_000),
    "stock_write.settle": Option("duration", "until it can be read back", default="0s"),
    "stock_source": Option("block", "what its stock number means"),
    "stock_source.basis": Option("choice", "the basis", required=True, choices=BASES),
    "stock_source.ordered_by": Option("choice", "the order", required=True, choices=ORDERS),
    "stock_source.settle": Option("duration", "until it includes its own event", default="0s"),
    "stock_source.missing_is_zero": Option("flag", "an absent SKU has none", default="false"),
    "stock_source.gapless": Option("flag", "movements are counted without a hole", default="false"),
    "stock_source.for_sale": Option(
        "words", "words for units that may be sold", default="[available, good]"
    ),
}

_LIMITS: Table = {
    "budgets": Option("named", "token buckets"),
    "budgets.*.per_second": Option("number", "tokens that come back", required=True, least=1e-6),
    "budgets.*.burst": Option("number", "tokens at most", required=True, least=1),
    "at_once": Option("count", "calls in flight", default="4", least=1, most=256),
    "timeout": Option("duration", "for one call", default="20s", least=1, most=600),
    "answer_max": Option("size", "the largest answer", default="32 MiB", least=1),
    "answers": Option("pairs", "statuses that mean something else here"),
}

MANIFEST: Table = {**_HEAD, **_DOORS, **_WORK, **_LIMITS}
