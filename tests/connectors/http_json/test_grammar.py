"""A wrong `http:` block stops the start, with its place and the nearest right name."""

# ruff: noqa: E501 - a table reads best with one case in a line
from __future__ import annotations

import copy
from typing import Any

import pytest

from connectors.http_json.grammar import parse
from connectors.http_json.pointing import Template, at, placed
from core.errors import ConfigError, Rejected
from core.manifest import load_manifest
from tests.connectors.http_json.test_another_dialect import MANIFEST


def problems_of(manifest: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(manifest)
    return str(caught.value)


def changed(path: str, value: Any) -> dict[str, Any]:
    manifest = copy.deepcopy(MANIFEST)
    spot: Any = manifest
    *parents, last = path.split("/")
    for name in parents:
        spot = spot[int(name)] if isinstance(spot, list) else spot[name]
    if value is None:
        del spot[last]
    else:
        spot[int(last) if isinstance(spot, list) else last] = value
    return manifest


@pytest.mark.parametrize("name", ["generic_wms", "generic_erp", "generic_channel"])
def test_our_own_manifests_are_right(name: str) -> None:
    assert parse(load_manifest(name).raw)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("http/reads/price/pagin", {}, "http.reads.price.pagin: is not known here; did you mean paging?"),
        ("http/reads/price/items", None, "http.reads.price.items: is missing"),
        ("http/reads/price/items", "a..b", "http.reads.price.items: 'a..b' is not a dotted path"),
        ("http/reads/price/items", "rows[?x]", "is not a dotted path"),
        ("http/reads/price/path", "prices", "does not begin with /"),
        ("http/reads/price/path", "/{record.key}", "{record.key} is not known here; there is settings"),
        ("http/reads/price/path", "/a{b", "has a { or } that is not around a field"),
        ("http/reads/price/id", None, "http.reads.price.id: is missing"),
        ("http/reads/price/budget", "slwo", "did you mean slow?"),
        ("http/reads/price/method", "DELETE", "http.reads.price.method: is 'DELETE'; one of GET, POST"),
        ("http/reads/price/since", {"param": "x", "format": "is0", "item": "a"}, "did you mean iso?"),
        ("http/reads/price/since", {"param": "x", "format": "iso"}, "needs either `item`"),
        ("http/reads/price/paging", {"kind": "pages"}, "did you mean page?"),
        ("http/reads/price/paging", {"kind": "page"}, "http.reads.price.paging.param: is missing"),
        ("http/reads/price/paging", {"kind": "token", "param": "t"}, "paging.path: is missing"),
        ("http/reads/price/paging", {"kind": "keyset", "size": "x"}, "is 'x', not a whole number"),
        ("http/reads/stock_reading/paging", {"kind": "keyset", "size": 5}, "it needs since.item"),
        ("http/reads/stock_reading/paging", {"kind": "offset", "param": "o", "size": 5, "repeat": 5}, "it would never end"),
        ("http/reads/prise", {"path": "/x", "items": ".", "id": "x"}, "is no record; did you mean price?"),
        ("http/reads/price", None, "http.reads.price: is missing: the manifest promises it"),
        ("http/reads/document/fetch", None, "the manifest promises `fetch: true`"),
        ("http/sends/book_invoice/find", None, "the manifest says `safe_by: lookup`"),
        ("http/sends/book_invoice/find/where", {}, "how a row of the answer is known to be ours"),
        ("http/sends/book_invoice/path", "/{record.order_ref}", "BookInvoice has no order_ref"),
        ("http/sends/book_invoice/path", "/{record.total.minr}", "Money has no minr"),
        ("http/sends/book_shipment/already", {"status": 409}, "`find` must say what had been made"),
        ("http/sends/book_order", {"path": "/x"}, "http.sends.book_order: is not promised"),
        ("http/errors/0", {"status": 429, "then": "retry"}, "401, 429 and 503 are the door's"),
        ("http/errors/0", {"status": "soon", "then": "retry"}, "is not a list of HTTP statuses"),
        ("http/errors/0", {"then": "retry"}, "asks nothing"),
        ("http/errors/0", {"path": "a", "then": "retry"}, "needs either `in` or `present`"),
        ("http/errors/0", {"status": 500, "then": "explode"}, "one of reject, retry, in_doubt, login"),
        ("http/publish/row", {"q": "{quantitty}"}, "{quantitty} is not known here"),
        ("http/publish/results", "rows", "belongs to a write with many `rows`"),
        ("stock_write", {"batch": 100}, "a batch needs a place for its rows"),
        ("stock_write", None, "belong together"),
        ("http/events/doc", {"resource": "document", "ful": True}, "did you mean full?"),
        ("hooks/topics", ["doc", "doc2"], "http.events.doc2: is missing"),
        ("http/errors", {"path": "x"}, "http.errors: is not a list of rules"),
        ("http/reads", ["x"], "is not a block"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(path: str, value: Any, said: str) -> None:
    told = problems_of(changed(path, value))
    assert said in told
    assert told.startswith("connectors/odd/manifest.yaml:1  http")
    assert "connectors/http_json/README.md" in told


def test_all_problems_are_told_at_once() -> None:
    manifest = changed("http/reads/price/path", "prices")
    manifest["http"]["errors"][0]["then"] = "explode"
    manifest["http"]["nonsense"] = 1
    assert len(problems_of(manifest).split("manifest.yaml:1")) == 4


def test_paths_walk_and_do_nothing_else() -> None:
    document = {"a": [{"b": None}, {"b": {"c": 7}}], "keys": 1}
    assert at(document, "a.1.b.c") == 7
    assert at(document, "a.0.b.c") is None
    assert at(document, "a.9") is None
    assert at(document, "a.-1") is None
    assert at(document, "keys") == 1  # a name, never a method
    assert at(document, "a.__class__") is None
    assert at(document, ".") is document
    constants = {"a": {"b": 1}}
    assert placed("a.c", 2, dict(constants)) == {"a": {"b": 1, "c": 2}}
    assert constants == {"a": {"b": 1}}


def test_a_template_inserts_and_does_nothing_else() -> None:
    sources = {"key": "{settings.secret}", "n": 3, "settings": {"secret": "hush"}}
    assert Template.of("x-{key}-{n}").fill(sources) == "x-{settings.secret}-3"
    assert Template.of("{n}").value(sources) == 3
    for climbing in ("", ".", ".."):
        with pytest.raises(Rejected):
            Template.of("/a/{key}").fill_path({"key": climbing})
