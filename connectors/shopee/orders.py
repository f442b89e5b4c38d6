"""Orders with what their buyer paid: Shopee says prices in one call and vouchers in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.shopee import forms
from connectors.shopee.calls import Calls
from connectors.shopee.windows import Window
from core.contract import Item, Page
from core.errors import Retry

_A_LIST = 100
_A_DETAIL = 50
#: Without this list most of an order is left out. Who the buyer is, is not asked.
FIELDS = ",".join(
    "item_list recipient_address pay_time cancel_by cancel_reason buyer_cancel_reason"
    " fulfillment_flag package_list shipping_carrier total_amount split_up"
    " pickup_done_time payment_method estimated_shipping_fee".split()
)
#: Nothing is paid yet: there is no payout to ask for.
_UNPAID = frozenset({"UNPAID", "PENDING"})
_NO_PAYOUT = frozenset({"order_not_found", "common.error_not_found", "error_not_found"})
_NO_ORDER = frozenset({"error_not_found", "order.error_not_found"})


class Orders:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def page(self, window: Window) -> Page:
        """One window, or half of it asked for next when it does not fit into one answer."""
        params = {
            "time_range_field": "update_time",
            "time_from": str(window.begins),
            "time_to": str(window.ends),
            "page_size": str(_A_LIST),
            # Orders that wait for Shopee's checks are left out unless asked for.
            "request_order_status_pending": "true",
        }
        if window.rest:
            params["cursor"] = window.rest
        found, date = await self._calls.dated("order/get_order_list", forms.OrderList, params)
        if found["more"] and window.can_be_cut:
            return Page(items=(), next=window.half().token)
        items = await self._items(found["order_list"])
        if found["more"]:
            cursor = found.get("next_cursor") or ""
            if not cursor or cursor == window.rest:
                raise Retry("Shopee has more orders of one second and names no next page")
            return Page(items=items, next=window.inside(cursor).token)
        return following_page(window, items, date)

    async def one(self, order_sn: str) -> Item | None:
        found = await self.details([order_sn])
        return await self._item(found[0]) if found else None

    async def details(self, order_sns: Sequence[str]) -> list[Any]:
        params = {
            "order_sn_list": ",".join(order_sns),
            "request_order_status_pending": "true",
            "response_optional_fields": FIELDS,
        }
        found = await self._calls.ask_if_there(
            "order/get_order_detail", forms.OrderDetails, params, _NO_ORDER
        )
        return list(found["order_list"]) if found is not None else []

    async def income(self, order_sn: str) -> Mapping[str, Any] | None:
        """What the buyer paid and who pays for which discount; None while nobody knows."""
        found = await self._calls.ask_if_there(
            "payment/get_escrow_detail", forms.Escrow, {"order_sn": order_sn}, _NO_PAYOUT
        )
        return found["order_income"] if found is not None else None

    async def _items(self, listed: Sequence[forms.ListedOrder]) -> list[Item]:
        items: list[Item] = []
        sns = list(dict.fromkeys(row["order_sn"] for row in listed))
        for start in range(0, len(sns), _A_DETAIL):
            asked = sns[start : start + _A_DETAIL]
            known = {order["order_sn"]: order for order in await self.details(asked)}
            for sn in asked:
                # What the list has and the details have not is shown to a person, not lost.
                order = known.get(sn)
                items.append(await self._item(order) if order else _unknown(sn))
        return items

    async def _item(self, order: forms.Order) -> Item:
        income = None
        if order["order_status"] not in _UNPAID:
            income = await self.income(order["order_sn"])
        body = {**order, "item_list": _lines(order, income)}
        if income is not None:
            body["income"] = income
        return Item(external_id=order["order_sn"], revision=str(order["update_time"]), body=body)


def following_page(window: Window, items: Sequence[Item], date: datetime | None) -> Page:
    following = window.following()
    if following is not None:
        return Page(items=items, next=following.token)
    return Page(items=items, since=window.complete_up_to(date))


def listing_key(item_id: object, model_id: object) -> str:
    """A model's number is its item's where the item has no models: 0 for all of them."""
    return f"{item_id}.{model_id}"


def _unknown(order_sn: str) -> Item:
    return Item(external_id=order_sn, body={"order_sn": order_sn})


def _lines(order: forms.Order, income: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The order's lines with our name of their listing, and each with its part of the payout."""
    paid: list[Mapping[str, Any]] = list(income["items"]) if income is not None else []
    lines = []
    for line in order.get("item_list") or []:
        found = {**line, "listing": listing_key(line["item_id"], line["model_id"])}
        part = next((one for one in paid if _is_of(one, line)), None)
        if part is not None:
            paid.remove(part)
            found["income"] = part
        lines.append(found)
    return lines


def _is_of(part: Mapping[str, Any], line: forms.Line) -> bool:
    """The same line of the order; of two alike (a bundle beside a single one) the first left."""
    same = (part["item_id"], part["model_id"]) == (line["item_id"], line["model_id"])
    theirs, ours = part.get("line_item_id"), line.get("line_item_id")
    return same and (not theirs or not ours or theirs == ours)
