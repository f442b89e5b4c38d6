"""The calls the fake speaks, each with Shopee's own checks and refusals.

Unknown parameters are refused although Shopee may ignore them: a typo must not pass here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.shopee.fake_shop import Package, Placed, Shop
from connectors.shopee.fake_views import (
    Shape,
    escrow_of,
    item_of,
    model_of,
    order_of,
    return_of,
)

_WINDOW_S = 15 * 86400
_WAITING = ("LOGISTICS_NOT_START", "LOGISTICS_READY")
_REASONS = frozenset(
    {"OUT_OF_STOCK", "CUSTOMER_REQUEST", "UNDELIVERABLE_AREA", "COD_NOT_SUPPORTED"}
)


class No(Exception):
    """A call Shopee answers with an error, inside a 200."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


@dataclass(slots=True)
class Book:
    """The shop, and the habits of its calls that a test may choose."""

    shop: Shop
    needs: Mapping[str, list[str]] = field(default_factory=dict)  # info_needed
    warehouses: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """`params` are the query's without the common ones; a name that repeats is joined by commas."""

    params: Mapping[str, str]
    body: Mapping[str, Any]

    def number(self, name: str, *, least: int = 0, most: int = 2**62) -> int:
        text = self.params.get(name, "")
        if not text.isdecimal() or not least <= int(text) <= most:
            raise No("error_param", f"{name} is wrong.")
        return int(text)

    def names(self, name: str, most: int) -> list[str]:
        found = [one for one in self.params.get(name, "").split(",") if one]
        if not 1 <= len(found) <= most:
            raise No("error_param", f"{name} has {len(found)} members.")
        return found


def _span(call: Call, begins: str, ends: str) -> tuple[int, int]:
    found = call.number(begins), call.number(ends)
    if not 0 <= found[1] - found[0] <= _WINDOW_S:
        raise No("order.order_list_invalid_time", "The time range must be within 15 days.")
    return found


# ---------------------------------------------------------------- orders


def get_order_list(book: Book, call: Call) -> Shape:
    by = call.params.get("time_range_field")
    if by not in ("create_time", "update_time"):
        raise No("error_param", "time_range_field is wrong.")
    begins, ends = _span(call, "time_from", "time_to")
    size = call.number("page_size", least=1, most=100)
    pending = call.params.get("request_order_status_pending") == "true"
    found = [
        placed
        for placed in book.shop.orders.values()
        if begins <= (placed.updated if by == "update_time" else placed.created) <= ends
        and (pending or placed.status != "PENDING")
        and call.params.get("order_status", placed.status) == placed.status
    ]
    found.sort(key=lambda placed: (placed.updated, placed.order))
    # The cursor counts: whoever is updated between two pages moves all that follow (H9).
    start = int(call.params.get("cursor") or 0)
    shown = found[start : start + size]
    more = start + size < len(found)
    with_status = call.params.get("response_optional_fields") == "order_status"
    return {
        "more": more,
        "next_cursor": str(start + size) if more else "",
        "order_list": [
            {"order_sn": placed.order, "booking_sn": ""}
            | ({"order_status": placed.status} if with_status else {})
            for placed in shown
        ],
    }


def get_order_detail(book: Book, call: Call) -> Shape:
    wanted = call.params.get("response_optional_fields", "").split(",")
    pending = call.params.get("request_order_status_pending") == "true"
    found = [
        order_of(placed, wanted, book.shop.currency)
        for order in call.names("order_sn_list", 50)
        if (placed := book.shop.orders.get(order)) is not None
        and (pending or placed.status != "PENDING")
    ]
    if not found:
        raise No("error_not_found", "Wrong parameters, detail: the order is not found.")
    return {"order_list": found}


def get_escrow_detail(book: Book, call: Call) -> Shape:
    placed = book.shop.orders.get(call.params.get("order_sn", ""))
    if placed is None or placed.status in ("UNPAID", "PENDING"):
        raise No("order_not_found", "The order is not found.")
    return escrow_of(placed)


def cancel_order(book: Book, call: Call) -> Shape:
    placed = _order(book, call.body.get("order_sn"))
    if call.body.get("cancel_reason") not in _REASONS:
        raise No("error_param", "cancel_reason is wrong.")
    try:
        book.shop.cancel(placed, "seller", call.body["cancel_reason"])
    except ValueError as why:
        raise No("order. error_permission", str(why)) from None
    return {"update_time": placed.updated}


def split_order(book: Book, call: Call) -> Shape:
    """Once, before anything is arranged, and every unit into just one package."""
    placed = _order(book, call.body.get("order_sn"))
    if placed.split:
        raise No("order.order_has_been_split", "The order has been split.")
    if placed.status != "READY_TO_SHIP":
        raise No("order.order_cannot_split", f"The order is {placed.status}.")
    parts: list[dict[int, int]] = []
    for package in call.body.get("package_list") or []:
        rows = package.get("item_list") or []
        parts.append({row.get("order_item_id", 0): row.get("model_quantity", 0) for row in rows})
    whole = {line.key: line.active for line in placed.lines if line.active}
    given: dict[int, int] = {}
    for part in parts:
        for key, units in part.items():
            given[key] = given.get(key, 0) + units
    if len(parts) < 2 or not all(parts) or given != whole:
        raise No("order.order_split_wrong_item_quantity", "Every unit goes into one package.")
    book.shop.split_order(placed, parts)
    return {
        "order_sn": placed.order,
        "package_list": [{"package_number": one.number} for one in placed.packages],
    }


def handle_buyer_cancellation(book: Book, call: Call) -> Shape:
    placed = _order(book, call.body.get("order_sn"))
    if call.body.get("operation") not in ("ACCEPT", "REJECT"):
        raise No("error_param", "operation is wrong.")
    if placed.status != "IN_CANCEL":
        raise No("order.cancel_order_invalid_status", "The order is not in cancel.")
    book.shop.decide(placed, accept=call.body["operation"] == "ACCEPT")
    return {"update_time": placed.updated}


def _order(book: Book, order: Any) -> Placed:
    placed = book.shop.orders.get(str(order))
    if placed is None:
        raise No("error_not_found", "The order is not found.")
    return placed


# ---------------------------------------------------------------- shipping


def get_shipping_parameter(book: Book, call: Call) -> Shape:
    placed = _order(book, call.params.get("order_sn"))
    _package(placed, call.params.get("package_number"))
    slots = [
        {"date": book.shop.now(), "time_text": "", "pickup_time_id": "slot-1", "flags": []},
        {
            "date": book.shop.now(),
            "time_text": "",
            "pickup_time_id": "slot-2",
            "flags": ["recommended"],
        },
    ]
    addresses = [
        {"address_id": 1, "region": "SG", "address_flag": [], "time_slot_list": slots},
        {
            "address_id": 2,
            "region": "SG",
            "address_flag": ["pickup_address"],
            "time_slot_list": slots,
        },
    ]
    return {
        "info_needed": dict(book.needs),
        "pickup": {"address_list": addresses if "pickup" in book.needs else []},
        "dropoff": {
            "branch_list": [{"branch_id": 7, "region": "SG"}] if "dropoff" in book.needs else [],
            "slug_list": [],
        },
    }


def ship_order(book: Book, call: Call) -> Shape | None:
    placed = _order(book, call.body.get("order_sn"))
    package = _package(placed, call.body.get("package_number"))
    ways = [way for way in ("pickup", "dropoff", "non_integrated") if way in call.body]
    if len(ways) != 1:
        raise No("logistics.ship_order_only_support_one_type", "Exactly one way.")
    if package.state == "LOGISTICS_REQUEST_CREATED":
        raise No(" logistics.package_already_shipped", "The package has been shipped.")
    if placed.status not in ("READY_TO_SHIP", "RETRY_SHIP") or package.state not in _WAITING:
        raise No("logistics.ship_order_not_ready_to_ship", f"The order is {placed.status}.")
    (way,) = ways
    if way not in book.needs:
        raise No(f"logistics.ship_order_unsupport_{way}", f"{way} is not supported.")
    given = call.body[way]
    for name in book.needs[way]:
        if not given.get(name):
            raise No("logistics.error_param\t", f"{name} is missing.")
    if way == "pickup" and given["address_id"] != 2:
        raise No("logistics.pickup_address_unsupported", "Not a pickup address.")
    book.shop.arrange(placed, package, {way: given})
    return None


def get_tracking_number(book: Book, call: Call) -> Shape:
    placed = _order(book, call.params.get("order_sn"))
    package = _package(placed, call.params.get("package_number"))
    if package.state in _WAITING:
        raise No("logistics.package_number_not_exist", "The package has no number.")
    shown = package.tracking if book.shop.now() >= package.shown_at else ""
    return {"tracking_number": shown, "hint": "" if shown else "Not yet."}


def _package(placed: Placed, number: Any) -> Package:
    """The number is due where the order is split, and refused where it is not."""
    if not placed.split:
        if number:
            raise No("logistics.ship_order_not_need_pacakge_number", "The order is not split.")
        return placed.packages[0]
    if not number:
        raise No("logistics.ship_order_need_pacakge_number", "The order is split.")
    for package in placed.packages:
        if package.number == number:
            return package
    raise No("logistics.package_not_exist", "There is no such package.")


# ---------------------------------------------------------------- items


def get_item_list(book: Book, call: Call) -> Shape:
    offset = call.number("offset")
    size = call.number("page_size", least=1, most=100)
    statuses = call.names("item_status", 10)
    found = [item for item in book.shop.items.values() if item.status in statuses]
    shown = found[offset : offset + size]
    more = offset + size < len(found)
    answer: Shape = {
        "item": [
            {"item_id": item.item, "item_status": item.status, "update_time": item.updated}
            for item in shown
        ],
        "total_count": len(found),
        "has_next_page": more,
    }
    if more:
        answer["next_offset"] = offset + size
    return answer


def get_item_base_info(book: Book, call: Call) -> Shape:
    ids = call.names("item_id_list", 50)
    known = book.shop.items
    return {
        "item_list": [
            item_of(known[int(one)], book.shop.currency) for one in ids if int(one) in known
        ]
    }


def get_model_list(book: Book, call: Call) -> Shape:
    item = book.shop.items.get(call.number("item_id"))
    if item is None:
        raise No("error_item_not_found", "Product not found.")
    models = (
        [model_of(model, item, book.shop.currency) for model in item.models]
        if item.has_model
        else []
    )
    return {"tier_variation": [], "model": models}


def update_stock(book: Book, call: Call) -> Shape:
    item = book.shop.items.get(call.body.get("item_id", 0))
    if item is None:
        raise No("error_item_not_found", "Product not found.")
    if item.kit:
        raise No("error_busi_cannot_edit_vsku", "A kit is counted by its components.")
    rows = call.body.get("stock_list") or []
    if not 1 <= len(rows) <= 50:
        raise No("error_param", f"{len(rows)} models.")
    models = {model.model: model for model in item.models}
    numbers = [_numbers(book, row) for row in rows]
    if any(row.get("model_id", 0) not in models for row in rows):
        raise No("error_param", "A model is not found.")
    taken: list[Shape] = []
    refused: list[Shape] = []
    for row, stock in zip(rows, numbers, strict=True):
        model = models[row.get("model_id", 0)]
        if model.locked:
            reason = "The stock is locked by a promotion."
        elif sum(stock.values()) < model.reserved:
            reason = "stock below reserved"
        else:
            model.places |= stock
            item.updated = book.shop.now()
            for place, number in stock.items():
                taken.append({"model_id": model.model, "location_id": place, "stock": number})
            continue
        refused.append({"model_id": model.model, "failed_reason": reason})
    return {"success_list": taken, "failure_list": refused}


def _numbers(book: Book, row: Mapping[str, Any]) -> dict[str, int]:
    """Every warehouse of the shop, each once; a shop with one may leave its name out."""
    given: Sequence[Mapping[str, Any]] = row.get("seller_stock") or []
    home = book.shop.places[0] if len(book.shop.places) == 1 else ""
    stock = {str(one.get("location_id") or home): one.get("stock") for one in given}
    if len(stock) != len(given) or set(stock) != set(book.shop.places):
        raise No("error_param", "Every location_id of the shop must be given.")
    if any(type(number) is not int or number < 0 for number in stock.values()):
        raise No("error_param", "stock is wrong.")
    return {place: int(number) for place, number in stock.items() if number is not None}


# ---------------------------------------------------------------- returns and the shop


def get_return_list(book: Book, call: Call) -> Shape:
    size = call.number("page_size", least=1, most=100)
    start = (call.number("page_no", least=1) - 1) * size
    found = list(book.shop.returns.values())
    if "update_time_from" in call.params:
        begins, ends = _span(call, "update_time_from", "update_time_to")
        found = [one for one in found if begins <= one.updated <= ends]
    shown = found[start : start + size]
    return {
        "more": start + size < len(found),
        "return": [return_of(one, book.shop.currency, detail=False) for one in shown],
    }


def get_return_detail(book: Book, call: Call) -> Shape:
    returned = book.shop.returns.get(call.params.get("return_sn", ""))
    if returned is None:
        raise No("error_not_exists", "The return is not found.")
    return return_of(returned, book.shop.currency, detail=True)


def get_warehouse_detail(book: Book, _: Call) -> list[Shape]:
    if not book.warehouses:
        raise No("warehouse.error_not_in_whitelist", "The shop has one warehouse.")
    return [
        {"warehouse_id": number, "warehouse_name": place, "location_id": place, "region": "SG"}
        for number, place in enumerate(book.shop.places, start=1)
    ]


#: call: what does it, its method, its parameters (of the query, or of the body of a POST).
CALLS: dict[str, tuple[Callable[[Book, Call], Any], str, str]] = {
    "order/get_order_list": (
        get_order_list,
        "GET",
        "time_range_field time_from time_to page_size cursor order_status"
        " response_optional_fields request_order_status_pending",
    ),
    "order/get_order_detail": (
        get_order_detail,
        "GET",
        "order_sn_list request_order_status_pending response_optional_fields",
    ),
    "order/cancel_order": (
        cancel_order,
        "POST",
        "order_sn cancel_reason item_list partial_cancel_item_list",
    ),
    "order/split_order": (split_order, "POST", "order_sn package_list"),
    "order/handle_buyer_cancellation": (handle_buyer_cancellation, "POST", "order_sn operation"),
    "payment/get_escrow_detail": (get_escrow_detail, "GET", "order_sn"),
    "logistics/get_shipping_parameter": (get_shipping_parameter, "GET", "order_sn package_number"),
    "logistics/ship_order": (
        ship_order,
        "POST",
        "order_sn package_number pickup dropoff non_integrated",
    ),
    "logistics/get_tracking_number": (
        get_tracking_number,
        "GET",
        "order_sn package_number response_optional_fields",
    ),
    "product/get_item_list": (
        get_item_list,
        "GET",
        "offset page_size update_time_from update_time_to item_status",
    ),
    "product/get_item_base_info": (
        get_item_base_info,
        "GET",
        "item_id_list need_tax_info need_complaint_policy",
    ),
    "product/get_model_list": (get_model_list, "GET", "item_id"),
    "product/update_stock": (update_stock, "POST", "item_id stock_list"),
    "returns/get_return_list": (
        get_return_list,
        "GET",
        "page_no page_size create_time_from create_time_to update_time_from update_time_to status",
    ),
    "returns/get_return_detail": (get_return_detail, "GET", "return_sn"),
    "shop/get_warehouse_detail": (get_warehouse_detail, "GET", "warehouse_type"),
}
