"""Mapping files on a real disk for the tests of the language."""

from __future__ import annotations

import tempfile
from pathlib import Path

from core.errors import Hold, MappingError
from core.mapping import Mapping, load_mapping

ORDER = """\
mapping: shop.order
version: 1
becomes: order
key: id
revision: rev
fields:
  number: name
  placed_at: at | time
  currency: cur
  total: total | money
  payment: pay | choose payment
lines:
  each: items
  fields:
    key: id
    sku: sku | sku
    quantity: qty | whole
    unit_price: price | money
choices:
  payment: {PAID: paid, PENDING: pending}
"""

DOCUMENT = {
    "id": 820982911946154508,
    "rev": "7",
    "name": "#1001",
    "at": "2026-11-20T14:03:22Z",
    "cur": "EUR",
    "total": "43.97",
    "pay": "PAID",
    "items": [
        {"id": "a", "sku": "00123", "qty": 2, "price": "20.00"},
        {"id": "b", "sku": "MUG", "qty": 1, "price": "3.97"},
    ],
}

SEND = """\
mapping: shop.fulfill_order
version: 1
sends: fulfill_order
body:
  reference: reference
  items:
    each: lines
    fields:
      sku: sku
      qty: quantity
"""


def write(folder: Path, text: str, name: str = "") -> Path:
    """The file a mapping's own first line names, or `name`."""
    name = name or text.split()[1]
    connector, _, stem = name.partition(".")
    path = folder / connector / f"{stem}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(text: str, name: str = "") -> Mapping:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), text, name)
        return load_mapping(path, f"mappings/{path.parent.name}/{path.name}")


def problems(text: str, name: str = "") -> str:
    """All problems of a broken file, without the folder: "12  what\\n  fix"."""
    try:
        load(text, name)
    except MappingError as refused:
        return (
            str(refused)
            .replace("mappings/shop/order.yaml:", "")
            .replace("mappings/shop/fulfill_order.yaml:", "")
        )
    raise AssertionError("the mapping was accepted")


def changed(old: str, new: str, text: str = ORDER) -> str:
    assert text.count(old) == 1, f"{old!r} is in the text {text.count(old)} times"
    return text.replace(old, new)


def held(mapping: Mapping, document: object) -> Hold:
    try:
        made = (
            mapping.record(document) if mapping.direction == "incoming" else mapping.body(document)
        )
    except Hold as hold:
        return hold
    raise AssertionError(f"not held: {made}")
