"""Connectors as somebody else would install them: our plain ones, with what a test needs.

They are found by the entry points of an installed distribution, as any third party's are,
so the program that is killed is the installed one, without a switch for tests.

- `crash_shop` sells like `generic_channel`, and a number told to it is live at once;
- `crash_market` sells like that, never pushes, is read without an overlap
  (nothing heals a cursor that moved too early) and renews its login with one-time tokens;
- `crash_depot` and `crash_books` are looked up after a second, not after fifteen;
- `crash_blind` books like `crash_books` and can neither look up nor tell a duplicate.
"""

from __future__ import annotations

from pathlib import Path

from tests.flows.house import ROOT

Changes = tuple[tuple[str, str], ...]

_LOGIN = """\
login:
  kind: refresh_token
  url: token_url
  client_id: client_id
  client_secret: client_secret
  refresh_token: refresh_token
  sends: form
  rotates: "true"
  header: authorization
"""
_SHOP: Changes = (("batch: 100, settle: 2s", "batch: 100, settle: 0s"),)
_MARKET: Changes = (
    *_SHOP,
    (
        "settings:\n",
        'settings:\n  token_url: {required: true, what: "where a refresh token is exchanged"}\n',
    ),
    (
        '  api_token: {required: true, what: "token that may read orders and write stock and'
        ' shipments"}\n',
        '  client_id: {required: true, what: "of our app"}\n'
        '  client_secret: {required: true, what: "of our app"}\n'
        '  refresh_token: {required: true, what: "from the consent page"}\n',
    ),
    ("login: {kind: bearer, secret: api_token}\n", _LOGIN),
    ("  order: {every: 60s, overlap: 2m, fetch: true}\n", "  order: {every: 60s, fetch: true}\n"),
)
_DEPOT: Changes = (("lookup_after: 5s", "lookup_after: 1s"),)
_BOOKS: Changes = tuple(
    (
        f"  {kind}: {{safe_by: lookup, lookup_after: 15s}}",
        f"  {kind}: {{safe_by: lookup, lookup_after: 1s}}",
    )
    for kind in ("book_order", "book_shipment", "book_invoice", "cancel_order")
)
_BLIND: Changes = tuple((old, old.partition("{")[0] + "{safe_by: none}") for old, _ in _BOOKS)
#: Our own name: the plain connector it is made of, and what is different.
MADE: dict[str, tuple[str, Changes]] = {
    "crash_shop": ("generic_channel", _SHOP),
    "crash_market": ("generic_channel", _MARKET),
    "crash_depot": ("generic_wms", _DEPOT),
    "crash_books": ("generic_erp", _BOOKS),
    "crash_blind": ("generic_erp", _BLIND),
}


def install(folder: Path) -> Path:
    """Write them as an installed distribution; the folder to put on PYTHONPATH."""
    site = folder / "site"
    points = []
    for name, (plain, changes) in MADE.items():
        text = (ROOT / "connectors" / plain / "manifest.yaml").read_text("utf-8")
        for old, new in ((f"name: {plain}", f"name: {name}"), *changes):
            assert text.count(old) == 1, f"{plain}: {old!r} stands there {text.count(old)} times"
            text = text.replace(old, new)
        package = site / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "manifest.yaml").write_text(text, "utf-8")
        points.append(f"{name} = {name}\n")
    info = site / "crash_connectors-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crash-connectors\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[truecount.connectors]\n{''.join(points)}")
    return site
