"""People at their desks: packers and a bookkeeper, through JSON-RPC as the desktop client works.

What they do is Tryton's own way of doing it; the connector never sees this face.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from connectors.tryton.values import decode, encode
from tests.tryton.server import TrytonServer


class TrytonError(Exception):
    """Tryton's words to a person: UserError, UserWarning, and the rest."""


@dataclass
class Person:
    """Somebody at the desktop client: JSON-RPC with a session, as the client does it.

    Logs in as the administrator, who may do what the daemon's own user may not.
    """

    server: TrytonServer
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    context: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        admin = self.server.facts["admin"]
        login = [admin["login"], {"password": admin["password"]}]
        user, token, _ = self._rpc("common.db.login", login)
        session = base64.b64encode(f"{admin['login']}:{user}:{token}".encode()).decode()
        self.http.headers["Authorization"] = f"Session {session}"
        self.context = self._rpc("model.res.user.get_preferences", [True, {}])
        self.context["company"] = self.server.facts["company"]

    def _rpc(self, method: str, params: list[Any]) -> Any:
        body = {"id": 1, "method": method, "params": encode(params)}
        answer = self.http.post(f"{self.server.url}/rpc/", json=body)
        answer.raise_for_status()
        said = decode(answer.json(parse_float=Decimal))
        if "error" in said:  # inside a 200
            raise TrytonError(*said["error"])
        return said["result"]

    def call(self, model: str, method: str, *args: Any, **context: Any) -> Any:
        return self._rpc(f"model.{model}.{method}", [*args, {**self.context, **context}])

    def rows(self, model: str, domain: list[Any], fields: list[str], **context: Any) -> list[Any]:
        found: list[Any] = self.call(
            model, "search_read", domain, 0, 1000, [["id", "ASC"]], fields, **context
        )
        return found

    def press(self, model: str, record: int, button: str) -> None:
        self.call(model, button, [record])

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Worker(Person):
    """Somebody in the warehouse. Shipments are called by our reference."""

    MODEL = "stock.shipment.out"

    def shipment(self, reference: str) -> dict[str, Any]:
        fields = ["number", "state", "reference", "warehouse", "inventory_moves", "outgoing_moves"]
        rows = self.rows(self.MODEL, [["reference", "=", reference]], fields)
        assert len(rows) == 1, f"{len(rows)} shipments for {reference}"
        return dict(rows[0])

    def pick(self, reference: str, found: Mapping[str, int] | None = None) -> None:
        """Pick what is there. `found` says how many of a SKU are really on the shelf."""
        shipment = self.shipment(reference)
        if found is not None:
            self._pick_short(shipment, found)
        elif shipment["state"] == "waiting":
            self.press(self.MODEL, shipment["id"], "assign_try")
        self.press(self.MODEL, shipment["id"], "pick")

    def _pick_short(self, shipment: dict[str, Any], found: Mapping[str, int]) -> None:
        """Assigned moves cannot be edited: back to waiting, change, assign again."""
        if shipment["state"] == "assigned":
            self.press(self.MODEL, shipment["id"], "wait")
        moves = self.rows(
            "stock.move",
            [["shipment", "=", f"{self.MODEL},{shipment['id']}"], ["state", "=", "draft"]],
            ["product.code", "quantity", "to_location.type"],
        )
        for move in moves:
            code = move["product."]["code"]
            if move["to_location."]["type"] != "customer" and code in found:
                self.call("stock.move", "write", [move["id"]], {"quantity": found[code]})
        self.press(self.MODEL, shipment["id"], "assign_try")

    def pack(self, reference: str, tracking: str = "") -> None:
        """Pack; the carrier is chosen and the label's number is written down."""
        shipment = self.shipment(reference)
        values: dict[str, Any] = {}
        if "carrier" in self.server.facts:
            values["carrier"] = self.server.facts["carrier"]
        if tracking:
            values["shipping_reference"] = tracking
        if values:
            self.call(self.MODEL, "write", [shipment["id"]], values)
        self.press(self.MODEL, shipment["id"], "pack")

    def ship(self, reference: str) -> None:
        """The courier takes the parcel."""
        self.press(self.MODEL, self.shipment(reference)["id"], "ship")

    def finish(self, reference: str) -> None:
        """Only now the units leave Tryton's stock."""
        self.press(self.MODEL, self.shipment(reference)["id"], "do")

    def send_off(
        self, reference: str, *, tracking: str = "", found: Mapping[str, int] | None = None
    ) -> None:
        """Pick, pack, ship and finish in one go."""
        self.pick(reference, found)
        self.pack(reference, tracking)
        self.ship(reference)
        self.finish(reference)

    def on_hand(self, sku: str) -> int:
        """What the warehouse's own screen shows: storage and output, bins included."""
        places = self.server.facts["locations"]
        inside = [places["storage"], places["output"]]
        rows = self.rows(
            "product.product",
            [["code", "=", sku]],
            ["quantity"],
            locations=inside,
            with_childs=True,
        )
        return int(rows[0]["quantity"])

    def count(self, sku: str, units: int, bin_code: str = "A-01") -> None:
        """An inventory count of one SKU in one bin: the other way stock changes."""
        place = self.server.facts["locations"]["bins"][bin_code]
        product = self.server.facts["products"][sku]
        line = {"product": product, "quantity": units}
        values = {
            "location": place,
            "date": datetime.now(UTC).date(),
            "company": self.server.facts["company"],
            "empty_quantity": "keep",
            "lines": [["create", [line]]],
        }
        (made,) = self.call("stock.inventory", "create", [values])
        self.press("stock.inventory", made, "confirm")


class Bookkeeper(Person):
    """Somebody who reads the ledger."""

    def sales(self, reference: str) -> list[dict[str, Any]]:
        fields = ["number", "state", "untaxed_amount", "tax_amount", "total_amount", "party",
                  "shipment_state", "invoice_state", "sale_date"]  # fmt: skip
        return self.rows("sale.sale", [["reference", "=", reference]], fields)

    def lines(self, reference: str) -> list[dict[str, Any]]:
        fields = ["product.code", "quantity", "unit_price", "amount", "taxes.name", "description"]
        return self.rows("sale.line", [["sale.reference", "=", reference]], fields)

    def postings(self, invoice: str) -> dict[str, Decimal]:
        """Debit less credit of one invoice's entry, by what the account is for."""
        roles = {number: role for role, number in self.server.facts["accounts"].items()}
        (row,) = self.rows("account.invoice", [["number", "=", invoice]], ["move"])
        lines = self.rows(
            "account.move.line", [["move", "=", row["move"]]], ["account", "debit", "credit"]
        )
        sums: dict[str, Decimal] = {}
        for line in lines:
            role = roles.get(line["account"], str(line["account"]))
            sums[role] = sums.get(role, Decimal(0)) + line["debit"] - line["credit"]
        return {role: amount for role, amount in sums.items() if amount}

    def change_price(self, sku: str, price: str) -> None:
        """The list price is the ledger's to change."""
        (row,) = self.rows("product.product", [["code", "=", sku]], ["template"])
        values = {"list_price": Decimal(price)}
        self.call("product.template", "write", [row["template"]], values)

    def buy(self, sku: str, units: int, cost: str) -> None:
        """Goods come in at another price: the average cost moves."""
        (supplier,) = self.rows("stock.location", [["type", "=", "supplier"]], ["id"])
        company = self.server.facts["company"]
        (owner,) = self.rows("company.company", [["id", "=", company]], ["currency"])
        (product,) = self.rows("product.product", [["code", "=", sku]], ["default_uom"])
        values = {
            "product": product["id"],
            "unit": product["default_uom"],
            "quantity": units,
            "from_location": supplier["id"],
            "to_location": self.server.facts["locations"]["storage"],
            "company": company,
            "unit_price": Decimal(cost),
            "currency": owner["currency"],
        }
        (move,) = self.call("stock.move", "create", [values])
        self.call("stock.move", "do", [move], _skip_warnings=True)  # it comes from no purchase

    def cost_of(self, sku: str) -> Decimal:
        (row,) = self.rows("product.product", [["code", "=", sku]], ["cost_price"])
        return Decimal(row["cost_price"])
