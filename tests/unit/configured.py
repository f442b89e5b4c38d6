"""A small shop for the tests of config, manifest and ownership: files on a real disk."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from core.config import Config, load_config
from core.errors import ConfigError

SHOP = """\
name: shop
title: A shop
roles: [channel]
owns: [order]
receives: [available_to_sell, shipment]
verified: this test
settings:
  base_url: {required: true, what: "where the shop is"}
  version: {default: "7", what: "the version"}
secrets:
  token: {required: true, what: "the token"}
  hook: {what: "signs the pushes"}
login: {kind: bearer, secret: token}
hooks:
  scheme: hmac_sha256_hex
  header: X-Signature
  secret: hook
  topic: {header: X-Topic}
  topics: [orders/create]
  identity: [X-Id]
reads:
  order: {every: 5m, overlap: 1m, fetch: true}
  listing: {every: 15m, snapshot: true}
accepts:
  confirm_shipment: {safe_by: lookup, lookup_after: 30s, urgency: high}
stock_write: {write: conditional, field: net, batch: 250, settle: 5s}
budgets:
  calls: {per_second: 0.5, burst: 20}
answers: {"423": retry}
"""

STORE = """\
name: store
title: A warehouse
roles: [warehouse]
owns: [on_hand, shipment]
receives: [order]
verified: this test
accepts:
  fulfill_order: {safe_by: reference}
settings:
  base_url: {required: true, what: "where the warehouse is"}
secrets:
  token: {required: true, what: "the token"}
login: {kind: bearer, secret: token}
reads:
  stock_reading: {every: 1m}
stock_source: {basis: on_hand, ordered_by: counter}
"""

BOOKS = """\
name: books
title: A ledger
engine: shop
roles: [erp]
owns: [on_hand, invoice, unit_cost]
receives: [order]
verified: this test
login: {kind: none}
"""

POST = """\
name: post
title: A courier
roles: [courier]
owns: [parcel]
verified: this test
login: {kind: none}
"""

SEAL_KEY = base64.b64encode(b"k" * 32).decode()
ENV = {
    "SEAL": SEAL_KEY,
    "TOKEN": "token-of-the-shop",
    "STORE_TOKEN": "token-of-the-store",
    "EMPTY": "",
    "SHORT": "short",
}

CONFIG = """\
company: {name: Acme, timezone: Europe/Berlin, currency: EUR}
seal_key: ${SEAL}
systems:
  web:
    connector: shop
    settings: {base_url: "https://shop.example.com"}
    secrets: {token: "${TOKEN}"}
  depot:
    connector: store
    settings: {base_url: "https://wms.example.com"}
    secrets: {token: "${STORE_TOKEN}"}
  ledger:
    connector: books
locations:
  east:
    at: {depot: EAST}
    serves: [web]
owners:
  - {number: on_hand, owner: depot}
  - {number: invoice, owner: ledger}
"""


def connectors(folder: Path, **changed: str) -> Path:
    """A folder of connectors; a manifest given by name replaces ours or is added."""
    texts = {"shop": SHOP, "store": STORE, "books": BOOKS, "post": POST, **changed}
    for name, text in texts.items():
        (folder / "connectors" / name).mkdir(parents=True, exist_ok=True)
        (folder / "connectors" / name / "manifest.yaml").write_text(text, encoding="utf-8")
    return folder / "connectors"


def load(folder: Path, text: str = CONFIG, **manifests: str) -> Config:
    search = connectors(folder, **manifests)
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, ENV, [search])


def refused(folder: Path, text: str, **manifests: str) -> list[str]:
    """The same without the columns, of which `test_config.py` has the exact ones."""
    found = refused_with_columns(folder, text, **manifests)
    return [re.sub(r"^(config\.yaml:\d+):\d+  ", r"\1  ", problem) for problem in found]


def refused_with_columns(folder: Path, text: str, **manifests: str) -> list[str]:
    """Every problem of a configuration as an operator reads it, without the folder's name."""
    try:
        load(folder, text, **manifests)
    except ConfigError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def changed(old: str, new: str, text: str = CONFIG) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the text"
    return text.replace(old, new)


def line_of(marker: str, text: str) -> int:
    """The line with a marker; tests say `# here` where the problem is."""
    return text[: text.index(marker)].count("\n") + 1
