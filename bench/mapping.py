"""`python -m bench.mapping [--quick]`: records a second, load time of all mappings, a preview.

The same mapping of the same Shopify order in one run: ours, hand-written Python (the
floor), jmespath, jsonata and jinja2. The others only put values elsewhere; ours also
types, checks and can say what was wrong. Each must come out with the same values, or
its figure is not printed. `pip install -e .[bench]` brings the other engines.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jmespath
import orjson

from core.codec import to_json
from core.mapping import MappingBook, load_mapping
from core.mapping.mapping import Text, read_mapping
from core.mapping.preview import Recorded, compare
from core.model import Order
from core.strict import load_json

ROOT = Path(__file__).resolve().parents[1]
MAPPINGS = ROOT / "mappings"
SAMPLE = MAPPINGS / "shopify" / "samples" / "order_1001.json"
Engine = Callable[[Any], Any]

OURS = """\
mapping: shop.order
version: 1
becomes: order
key: id
revision: updatedAt
fields:
  number: name
  placed_at: createdAt | time
  currency: currencyCode
  total: now.total | money
  payment: displayFinancialStatus | choose payment
  ship_to.name: shippingAddress.name
  ship_to.city: shippingAddress.city
  ship_to.postcode: shippingAddress.zip
  ship_to.country: shippingAddress.countryCodeV2
lines:
  each: lineItems.nodes
  fields:
    key: id
    sku: sku
    title: title
    quantity: currentQuantity | whole
    unit_price: originalUnitPriceSet.shopMoney.amount | money
  taxes:
    each: now.taxLines
    fields:
      title: title
      rate: rate | number
      amount: priceSet.shopMoney.amount | money
choices:
  payment: {PAID: paid, PENDING: pending, AUTHORIZED: authorized, REFUNDED: refunded}
"""
JMESPATH = """{key: id, number: name, placed_at: createdAt, currency: currencyCode,
total: now.total, payment: displayFinancialStatus, name: shippingAddress.name,
city: shippingAddress.city,
postcode: shippingAddress.zip, country: shippingAddress.countryCodeV2,
lines: lineItems.nodes[].{key: id, sku: sku, title: title, quantity: currentQuantity,
unit_price: originalUnitPriceSet.shopMoney.amount,
taxes: now.taxLines[].{title: title, rate: rate, amount: priceSet.shopMoney.amount}}}"""
JSONATA = """{"key": id, "number": name, "placed_at": createdAt, "currency": currencyCode,
"total": now.total, "payment": $lookup({"PAID": "paid", "PENDING": "pending",
"AUTHORIZED": "authorized", "REFUNDED": "refunded"}, displayFinancialStatus),
"name": shippingAddress.name, "city": shippingAddress.city, "postcode": shippingAddress.zip,
"country": shippingAddress.countryCodeV2,
"lines": [lineItems.nodes.{"key": id, "sku": sku, "title": title, "quantity": currentQuantity,
"unit_price": originalUnitPriceSet.shopMoney.amount,
"taxes": [now.taxLines.{"title": title, "rate": rate, "amount": priceSet.shopMoney.amount}]}]}"""
JINJA = """{% set words = {"PAID": "paid", "PENDING": "pending", "AUTHORIZED": "authorized",
"REFUNDED": "refunded"} %}{"key": {{ d.id|tojson }}, "number": {{ d.name|tojson }},
"placed_at": {{ d.createdAt|tojson }}, "currency": {{ d.currencyCode|tojson }},
"total": {{ d.now.total|tojson }}, "payment": {{ words[d.displayFinancialStatus]|tojson }},
"name": {{ d.shippingAddress.name|tojson }}, "city": {{ d.shippingAddress.city|tojson }},
"postcode": {{ d.shippingAddress.zip|tojson }},
"country": {{ d.shippingAddress.countryCodeV2|tojson }},
"lines": [{% for l in d.lineItems.nodes %}{"key": {{ l.id|tojson }}, "sku": {{ l.sku|tojson }},
"title": {{ l.title|tojson }}, "quantity": {{ l.currentQuantity|tojson }},
"unit_price": {{ l.originalUnitPriceSet.shopMoney.amount|tojson }},
"taxes": [{% for t in l.now.taxLines %}{"title": {{ t.title|tojson }}, "rate": {{ t.rate|tojson }},
"amount": {{ t.priceSet.shopMoney.amount|tojson }}}{{ "," if not loop.last }}{% endfor %}]}
{{- "," if not loop.last }}{% endfor %}]}"""
WORDS = {"PAID": "paid", "PENDING": "pending", "AUTHORIZED": "authorized", "REFUNDED": "refunded"}


# ------------------------------------------------------------------ the engines


def by_hand(d: Any) -> Any:
    ship = d["shippingAddress"]
    return {
        "key": d["id"], "number": d["name"], "placed_at": d["createdAt"],
        "currency": d["currencyCode"], "total": d["now"]["total"],
        "payment": WORDS[d["displayFinancialStatus"]], "name": ship["name"], "city": ship["city"],
        "postcode": ship["zip"], "country": ship["countryCodeV2"],
        "lines": [
            {
                "key": line["id"], "sku": line["sku"], "title": line["title"],
                "quantity": line["currentQuantity"],
                "unit_price": line["originalUnitPriceSet"]["shopMoney"]["amount"],
                "taxes": [
                    {"title": tax["title"], "rate": tax["rate"],
                     "amount": tax["priceSet"]["shopMoney"]["amount"]}
                    for tax in line["now"]["taxLines"]
                ],
            }
            for line in d["lineItems"]["nodes"]
        ],
    }  # fmt: skip


def with_jmespath() -> Engine:
    """It has no table of words: that one lookup is Python's."""
    compiled = jmespath.compile(JMESPATH)

    def run(document: Any) -> Any:
        made = compiled.search(document)
        made["payment"] = WORDS[made["payment"]]
        return made

    return run


def with_jsonata() -> Engine:
    expression = importlib.import_module("jsonata").Jsonata(JSONATA)
    run: Engine = expression.evaluate
    return run


def with_jinja2() -> Engine:
    """A template makes text, so the text is read again: that is how it is used."""
    template = importlib.import_module("jinja2").Environment(autoescape=False).from_string(JINJA)
    return lambda document: json.loads(template.render(d=document))


def flat(made: Any) -> Any:
    """What ours made, in the shape of the others, for the comparison."""
    assert isinstance(made, Order)
    return {
        "key": made.key, "number": made.number, "placed_at": made.placed_at,
        "currency": made.currency, "total": made.total.amount, "payment": str(made.payment),
        "name": made.ship_to.name, "city": made.ship_to.city, "postcode": made.ship_to.postcode,
        "country": made.ship_to.country,
        "lines": [
            {
                "key": line.key, "sku": line.sku, "title": line.title, "quantity": line.quantity,
                "unit_price": line.unit_price.amount,
                "taxes": [
                    {"title": tax.title, "rate": tax.rate, "amount": tax.amount.amount}
                    for tax in line.taxes
                ],
            }
            for line in made.lines
        ],
    }  # fmt: skip


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict):
        return ours.keys() == dict(theirs).keys() and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, datetime):
        return ours == (theirs if isinstance(theirs, datetime) else datetime.fromisoformat(theirs))
    if isinstance(ours, Decimal | int):
        return Decimal(str(theirs)) == ours
    return bool(ours == theirs)


# ------------------------------------------------------------------ measured


def rate(run: Engine, document: Any, seconds: float) -> float:
    """Records a second: the best of five rounds."""
    run(document)
    found = []
    for _ in range(5):
        count, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds / 5:
            for _ in range(20):
                run(document)
            count += 20
        found.append(count / spent)
    return max(found)


def engines() -> list[tuple[str, str, Engine]]:
    """(name, version, run); one that is not installed is named with the reason."""
    mapping = read_mapping(Text(OURS.encode()), "bench", "shop.order")
    found: list[tuple[str, str, Engine]] = [
        ("hand-written Python", "floor", by_hand),
        ("Truecount", "", mapping.record),
        ("jmespath", version("jmespath"), with_jmespath()),
    ]
    for name, package, make in (
        ("jsonata", "jsonata-python", with_jsonata), ("jinja2", "jinja2", with_jinja2),
    ):  # fmt: skip
        try:
            found.append((name, version(package), make()))
        except (ImportError, PackageNotFoundError):
            print(f"{name}: skipped, {package} is not installed (pip install -e '.[bench]')")
    return found


def compared(seconds: float) -> list[dict[str, Any]]:
    document = orjson.loads(SAMPLE.read_bytes())
    exact = load_json(SAMPLE.read_bytes())
    rows: list[dict[str, Any]] = []
    wanted = flat(read_mapping(Text(OURS.encode()), "bench", "shop.order").record(exact))
    for name, of, run in engines():
        given = exact if name in ("Truecount", "hand-written Python") else document
        made = run(given)
        if not same(wanted, flat(made) if isinstance(made, Order) else made):
            print(f"{name}: NOT THE SAME, no figure", file=sys.stderr)
            continue
        rows.append({"engine": name, "version": of, "per_s": round(rate(run, given, seconds))})
    return rows


def loading() -> dict[str, Any]:
    """All mappings of the repository: read, checked, compiled, their examples run."""
    names = sorted({path.parent.name for path in MAPPINGS.glob("*/*.yaml")})
    times, book = [], MappingBook(MAPPINGS, names)
    for _ in range(3):
        began = time.perf_counter()
        problems = book.reload()
        times.append((time.perf_counter() - began) * 1000)
        assert not problems, problems
    began = time.perf_counter()
    one = load_mapping(MAPPINGS / "shopify" / "order.yaml", "shopify/order.yaml")
    alone = (time.perf_counter() - began) * 1000
    return {
        "files": len(list(book)),
        "all_ms": round(statistics.median(times)),
        "one_ms": round(alone, 1),
        "one": one.said,
    }


def previewed(count: int = 500) -> dict[str, Any]:
    """500 orders under two versions that differ in one field, and under two that do not."""
    text = (MAPPINGS / "shopify" / "order.yaml").read_bytes()
    old = read_mapping(Text(text), "old", "shopify.order")
    edited = text.replace(
        b"sku || variant.id || id | sku", b"sku || variant.id || id | sku | lower"
    )
    assert edited != text
    new = read_mapping(Text(edited), "new", "shopify.order")
    body = SAMPLE.read_bytes()
    documents = [
        Recorded(label=f"no {n}", document=load_json(body), external_id=str(n))
        for n in range(count)
    ]
    began = time.perf_counter()
    effect = compare(old, old, documents)
    same_ms = (time.perf_counter() - began) * 1000
    assert effect.same == count
    began = time.perf_counter()
    changed = compare(old, new, documents)
    changed_ms = (time.perf_counter() - began) * 1000
    assert changed.changed == count
    return {
        "orders": count,
        "unchanged_ms": round(same_ms),
        "changed_ms": round(changed_ms),
    }


def whole_rate(seconds: float) -> dict[str, Any]:
    """The real mapping of a Shopify order, from bytes to our record."""
    mapping = load_mapping(MAPPINGS / "shopify" / "order.yaml", "shopify/order.yaml")
    body = SAMPLE.read_bytes()
    document = load_json(body)
    assert to_json(mapping.record(document)) == to_json(mapping.record(load_json(body)))
    return {
        "mapping_per_s": round(rate(mapping.record, document, seconds)),
        "from_bytes_per_s": round(
            rate(lambda data: mapping.record(load_json(data)), body, seconds)
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    seconds = 1.0 if asked.quick else 5.0
    rows = compared(seconds)
    floor = rows[0]["per_s"]
    print(f"{'engine':<22}{'records/s':>12}{'of the floor':>14}")
    for row in rows:
        said = f"{row['engine']} {row['version']}".strip()
        print(f"{said:<22}{row['per_s']:>12,}{row['per_s'] / floor:>13.1%}")
    found = {
        "engines": rows,
        "whole": whole_rate(seconds),
        "load": loading(),
        "preview": previewed(),
    }
    whole, load, preview = found["whole"], found["load"], found["preview"]
    print(
        f"\nthe whole Shopify mapping: {whole['mapping_per_s']:,} records/s,"
        f" {whole['from_bytes_per_s']:,} from bytes"
        f"\nall {load['files']} mappings with their examples: {load['all_ms']} ms;"
        f" shopify/order.yaml alone: {load['one_ms']} ms"
        f"\npreview of {preview['orders']} orders: {preview['unchanged_ms']} ms where nothing"
        f" changes, {preview['changed_ms']} ms where every order does"
    )
    if asked.json:
        asked.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
