"""A manifest that promises something unclear is refused, with file and line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.manifest import Budget, Manifest, bundled, load_manifest
from tests.unit.configured import SHOP, STORE, changed, connectors, line_of


def read(folder: Path, text: str, name: str = "shop") -> Manifest:
    return load_manifest(name, [connectors(folder, **{name: text})])


def problems(folder: Path, text: str, name: str = "shop") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, name)
    return [str(problem) for problem in caught.value.problems]


def test_a_manifest_is_typed_in_seconds_and_bytes(tmp_path: Path) -> None:
    shop = read(tmp_path, SHOP)
    assert shop.package == "connectors.shop"
    assert shop.file == "connectors/shop/manifest.yaml"
    assert shop.reads["order"].every_s == 300.0
    assert shop.reads["order"].overlap_s == 60.0
    assert shop.reads["order"].fetch
    assert not shop.reads["order"].snapshot
    assert shop.accepts["confirm_shipment"].lookup_after_s == 30.0
    assert shop.stock_write is not None
    assert shop.stock_write.batch == 250
    assert shop.budgets == {"calls": Budget(per_second=0.5, burst=20.0)}
    assert shop.answers == {423: "retry"}
    assert shop.hooks is not None
    assert shop.hooks.header == "x-signature"
    assert shop.hooks.topic_header == "x-topic"
    assert shop.hooks.body_max == 2 * 1024 * 1024
    assert (shop.at_once, shop.timeout_s, shop.answer_max) == (4, 20.0, 32 * 1024 * 1024)
    assert shop.login.words == {"secret": "token"}
    assert shop.settings["version"].default == "7"


def test_another_engine_is_named_by_its_package(tmp_path: Path) -> None:
    shop = read(tmp_path, changed("name: shop\n", "name: shop\nengine: http_json\n", SHOP))
    assert (shop.engine, shop.package) == ("http_json", "connectors.http_json")


def test_what_an_engine_needs_passes_through_untouched(tmp_path: Path) -> None:
    shop = read(
        tmp_path, SHOP + "http:\n  requests: {order: {path: /orders, rows: [a, 1, true]}}\n"
    )
    assert shop.raw["http"] == {"requests": {"order": {"path": "/orders", "rows": ["a", 1, True]}}}


REFUSED = {
    "unknown key inside": (
        "stock_write: {write: conditional,",
        "stock_write: {writes: absolute, write: conditional, # here\n ",
        '"writes" is not an option of stock_write\n  Did you mean "write"?',
    ),
    "name": ("name: shop", "name: shoop # here", "name is not the name of its folder, shop"),
    "engine": (
        "title: A shop",
        "title: A shop\nengine: ../x # here",
        "engine is not a connector name\n  A letter first, then a-z, 0-9 and _.",
    ),
    "role": (
        "roles: [channel]",
        "roles: [chanel] # here",
        'roles has "chanel"\n  Did you mean "channel"?',
    ),
    "owns": (
        "owns: [order]",
        "owns: [orders] # here",
        'owns has "orders"\n  Did you mean "order"?',
    ),
    "owns and receives": (
        "receives: [available_to_sell, shipment]",
        "receives: [available_to_sell, order] # here",
        "receives has order, which it also owns\n  Keep one.",
    ),
    "write for nothing": (
        "stock_write:",
        "# here\nstock_write:",
        "stock_write is for a number it does not receive\n  Add available_to_sell to receives.",
    ),
    "record": (
        "  order: {every: 5m",
        "  orders: {every: 5m # here\n   ",
        'reads.orders is not a record\n  Did you mean "order"?',
    ),
    "command": (
        "  confirm_shipment: {",
        "  confirm_shipments: { # here\n    ",
        'accepts.confirm_shipments is not a command\n  Did you mean "confirm_shipment"?',
    ),
    "no duplicate mode": (
        "{safe_by: lookup, lookup_after: 30s, urgency: high}",
        "{urgency: high} # here",
        "accepts.confirm_shipment.safe_by is missing\n  how a duplicate is prevented",
    ),
    "duration": (
        "every: 15m,",
        "every: 15, # here\n   ",
        'reads.listing.every is "15", not a duration like 30s, 5m, 2h or 1d',
    ),
    "choice": (
        "field: net,",
        "field: nett, # here\n ",
        'stock_write.field is "nett"; it may be net or gross',
    ),
    "bound": (
        "batch: 250,",
        "batch: 0, # here\n ",
        "stock_write.batch is less than 1",
    ),
    "login secret": (
        "login: {kind: bearer, secret: token}",
        "login: {kind: bearer, secret: tokn} # here",
        'login.secret is "tokn", which is not declared\n  Did you mean "token"?',
    ),
    "login word missing": (
        "login: {kind: bearer, secret: token}",
        "login: {kind: bearer} # here",
        "login.secret is missing\n  Login of kind bearer needs it.",
    ),
    "login word of another kind": (
        "login: {kind: bearer, secret: token}",
        "login: {kind: bearer, secret: token, prefix: Bearer} # here",
        "login.prefix means nothing for login of kind bearer\n  Remove it.",
    ),
    "login sends": (
        "login: {kind: bearer, secret: token}",
        "login: {kind: client_credentials, url: 'https://a.example/t', client_id: version,"
        " client_secret: token, header: X-Token, sends: xml} # here",
        "login.sends may be form or json",
    ),
    "budget": (
        "{per_second: 0.5, burst: 20}",
        "{per_second: fast, burst: 20} # here",
        'budgets.calls.per_second is "fast", not a number',
    ),
    "hook secret": (
        "  secret: hook\n",
        "  secret: hok # here\n",
        'hooks.secret is "hok", which is not declared\n  Did you mean "hook"?',
    ),
    "hook header": (
        "  header: X-Signature\n",
        "",
        "hooks.header is missing\n  Scheme hmac_sha256_hex reads it.",
    ),
    "two topics": (
        "topic: {header: X-Topic}",
        "topic: {header: X-Topic, always: order} # here",
        "hooks.topic is either {header: …} or {always: …}",
    ),
    "no topics": (
        "  topics: [orders/create]\n",
        "",
        "hooks.topics is missing\n  List the topics worth keeping (T25).",
    ),
    "secret name": (
        "  hook: {what",
        "  hook_file: {what: never} # here\n  hook: {what",
        "secrets.hook_file has a name whose ending means something else\n  Rename it.",
    ),
    "setting name": (
        "  version: {default",
        "  Version: {what: never} # here\n  version: {default",
        "settings.Version is not a name\n  A letter first, then a-z, 0-9 and _.",
    ),
    "setting and secret": (
        "  version: {default",
        "  token: {what: never}\n  version: {default",
        'secrets and settings both have "token"\n  Keep one.',
    ),
    "status": ('"423": retry', '"4xx": retry', 'answers has "4xx", not a status like 423'),
    "answer": (
        '"423": retry',
        '"423": again',
        'answers has "again"\n  It may be retry or reject or in_doubt or login.',
    ),
}
#: Problems whose line is that of a block, named by its key.
AT = {
    "hook header": "hooks:",
    "no topics": "hooks:",
    "setting and secret": "secrets:",
    "status": "answers:",
    "answer": "answers:",
    "write for nothing": "stock_write:",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_promise_that_is_not_clear_is_refused(case: str, tmp_path: Path) -> None:
    old, new, message = REFUSED[case]
    text = changed(old, new, SHOP)
    if case == "write for nothing":
        text = changed("[available_to_sell, shipment]", "[shipment]", text)
    line = line_of(AT.get(case, "# here"), text)
    assert problems(tmp_path, text) == [f"connectors/shop/manifest.yaml:{line}  {message}"]


def test_a_missing_option_says_what_it_is_for(tmp_path: Path) -> None:
    text = changed("roles: [channel]", "role: [channel]", SHOP)
    assert problems(tmp_path, text) == [
        "connectors/shop/manifest.yaml:1  roles is missing\n"
        "  channel, warehouse, erp, courier or oms",
        'connectors/shop/manifest.yaml:3  "role" is not an option\n  Did you mean "roles"?',
    ]


def test_s3_a_warehouse_says_what_its_number_means(tmp_path: Path) -> None:
    text = changed("stock_source: {basis: on_hand, ordered_by: counter}\n", "", STORE)
    assert problems(tmp_path, text, "store") == [
        f"connectors/store/manifest.yaml:{line_of('owns:', text)}  owns has on_hand, and nothing"
        " says what that number means (S3)\n  Add stock_source: {basis: …, ordered_by: …}."
    ]


def test_a_channel_that_is_told_stock_says_how(tmp_path: Path) -> None:
    text = "".join(line for line in SHOP.splitlines(True) if not line.startswith("stock_write"))
    assert problems(tmp_path, text) == [
        f"connectors/shop/manifest.yaml:{line_of('receives:', text)}  receives has"
        " available_to_sell, and nothing says how it is written\n"
        "  Add stock_write: {write: …, field: …, batch: …}."
    ]


@pytest.mark.parametrize("name", ["../../etc", "Shop", "9shop", "a" * 42, "", "sho p", "shop/x"])
def test_t23_a_connector_name_is_never_a_path(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a connector name"):
        load_manifest(name)


def test_t23_a_manifest_is_not_followed_out_of_its_folder(tmp_path: Path) -> None:
    search = connectors(tmp_path)
    (tmp_path / "elsewhere.yaml").write_text(SHOP, encoding="utf-8")
    (search / "shop" / "manifest.yaml").unlink()
    (search / "shop" / "manifest.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(ConfigError) as caught:
        load_manifest("shop", [search])
    assert str(caught.value) == (
        "connectors/shop/manifest.yaml:1  is a link to a file outside its folder\n"
        "  Put the file itself here."
    )


def test_an_unknown_connector_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        load_manifest("amazn")
    assert str(caught.value) == (
        'connectors/amazn:1  there is no connector "amazn"\n  Did you mean "amazon"?'
    )


def test_t28_other_peoples_connectors_are_found_by_entry_point_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "truecount_theirs"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError", encoding="utf-8")
    (package / "manifest.yaml").write_text(changed("name: shop", "name: theirs", SHOP), "utf-8")
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: theirs\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[truecount.connectors]\ntheirs = truecount_theirs\nempty = json\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    theirs = load_manifest("theirs")
    assert theirs.package == "truecount_theirs"
    assert theirs.folder == package
    assert "truecount_theirs" not in sys.modules
    with pytest.raises(ConfigError, match='the package of connector "empty" has no manifest'):
        load_manifest("empty")


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_manifest_is_accepted(name: str) -> None:
    assert load_manifest(name).name == name
