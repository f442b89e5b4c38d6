"""inventorySetQuantities as Shopify does it: compare-and-set, all or nothing, keys remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopify.fake_graphql import Refused
from connectors.shopify.fake_shop import Shop
from connectors.shopify.fake_views import Node, gid, number_of

_INPUT = frozenset({"name", "reason", "referenceDocumentUri", "quantities"})
_LINE = frozenset({"inventoryItemId", "locationId", "quantity", "changeFromQuantity"})
#: Input arrays are at most this long.
LINES_MAX = 250
QUANTITY_MAX = 1_000_000_000


class StockWrites:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        #: Key -> (what was asked, whether it succeeded).
        self._keys: dict[str, tuple[str, bool]] = {}
        self.blame_one = False
        self.calls = 0

    def set(self, given: Mapping[str, Any], idempotent: Mapping[str, Any] | None) -> Node:
        self.calls += 1
        self._refuse_malformed(given, idempotent)
        assert idempotent is not None
        key, asked = str(idempotent["key"]), json.dumps(given, sort_keys=True)
        before = self._keys.get(key)
        if before and before[0] != asked:
            return _failed([_error(None, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "Key was used.")])
        if before and not before[1]:
            return _failed([_error(None, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "Use a new key.")])
        # An identical retry after success is judged afresh and comes back as stale:
        # that is what was seen live, whatever the documentation promises.
        errors = self._errors(given["quantities"])
        self._keys[key] = (asked, not errors)
        if errors:
            return _failed(errors[:1] if self.blame_one else errors)
        for line in given["quantities"]:
            self._write(line)
        group = {
            "__typename": "InventoryAdjustmentGroup",
            "id": gid("InventoryAdjustmentGroup", self._shop.number()),
            "reason": given["reason"],
            "referenceDocumentUri": given.get("referenceDocumentUri"),
        }
        return {"__typename": "P", "inventoryAdjustmentGroup": group, "userErrors": []}

    def _refuse_malformed(
        self, given: Mapping[str, Any], idempotent: Mapping[str, Any] | None
    ) -> None:
        if not idempotent or not idempotent.get("key"):
            raise Refused(
                "The @idempotent directive is required for this mutation but was not provided.",
                "BAD_REQUEST",
            )
        extra = set(given) - _INPUT
        for line in given["quantities"]:
            extra |= set(line) - _LINE
            if "changeFromQuantity" not in line:
                raise Refused("changeFromQuantity must be given; null opts out", "BAD_REQUEST")
        if extra:
            words = f"Field is not defined on InventoryQuantityInput: {', '.join(sorted(extra))}"
            raise Refused(words, "INVALID_VARIABLE")
        if len(given["quantities"]) > LINES_MAX:
            raise Refused("The input array size is greater than the maximum of 250", "MAX_INPUT")

    def _errors(self, lines: Sequence[Mapping[str, Any]]) -> list[Node]:
        errors: list[Node] = []
        seen: set[tuple[str, str]] = set()
        for index, line in enumerate(lines):
            pair = (line["inventoryItemId"], line["locationId"])
            field, code, words = self._judge(line)
            if pair in seen:
                field, code = "inventoryItemId", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
                words = "The combination of inventoryItemId and locationId must be unique."
            seen.add(pair)
            if code:
                errors.append(_error(["input", "quantities", str(index), field], code, words))
        return errors

    def _judge(self, line: Mapping[str, Any]) -> tuple[str, str, str]:
        """(field, code, words) of what is wrong with one line; empty words when nothing is."""
        number = number_of(line["inventoryItemId"])
        variant = next((v for v in self._shop.variants.values() if v.number == number), None)
        location = number_of(line["locationId"])
        if variant is None:
            return "inventoryItemId", "INVALID_INVENTORY_ITEM", "The item could not be found."
        if location not in self._shop.locations:
            return "locationId", "INVALID_LOCATION", "The location could not be found."
        if not variant.tracked:
            return "inventoryItemId", "NON_MUTABLE_INVENTORY_ITEM", "The item is not tracked."
        level = variant.levels.get(location)
        if level is None:
            words = "The specified inventory item is not stocked at the location."
            return "locationId", "ITEM_NOT_STOCKED_AT_LOCATION", words
        if line["quantity"] > QUANTITY_MAX:
            return "quantity", "INVALID_QUANTITY_TOO_HIGH", "The quantity is too high."
        expected = line["changeFromQuantity"]
        if expected is not None and expected != level.available:
            words = "The specified compare quantity does not match the current quantity."
            return "changeFromQuantity", "CHANGE_FROM_QUANTITY_STALE", words
        return "", "", ""

    def _write(self, line: Mapping[str, Any]) -> None:
        number = number_of(line["inventoryItemId"])
        variant = next(v for v in self._shop.variants.values() if v.number == number)
        level = variant.levels[number_of(line["locationId"])]
        level.available = line["quantity"]
        level.updated_at = self._shop.second()


def _error(field: list[str] | None, code: str, words: str) -> Node:
    return {
        "__typename": "InventorySetQuantitiesUserError",
        "field": field,
        "code": code,
        "message": words,
    }


def _failed(errors: Sequence[Node]) -> Node:
    return {"__typename": "P", "inventoryAdjustmentGroup": None, "userErrors": list(errors)}
