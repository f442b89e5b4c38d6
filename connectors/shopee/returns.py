"""Returns, and the money given back for them: Shopee pages them by number, within 15 days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.shopee import forms
from connectors.shopee.calls import Calls
from connectors.shopee.orders import Orders, following_page
from connectors.shopee.windows import Window
from core.contract import Item, Page
from core.errors import Retry

_A_LIST = 100
_NO_RETURN = frozenset({"error_not_exists", "error_not_found"})
#: Until one of these nobody was given anything.
_DECIDED = frozenset({"ACCEPTED", "PROCESSING", "CLOSED"})


class Returns:
    def __init__(self, calls: Calls, orders: Orders) -> None:
        self._calls = calls
        self._orders = orders

    async def page(self, window: Window, *, money: bool) -> Page:
        number = int(window.rest or 1)
        params = {
            "page_no": str(number),
            "page_size": str(_A_LIST),
            "update_time_from": str(window.begins),
            "update_time_to": str(window.ends),
        }
        found, date = await self._calls.dated("returns/get_return_list", forms.ReturnList, params)
        if found["more"] and window.can_be_cut:
            return Page(items=(), next=window.half().token)
        items = [
            item
            for row in found["return"]
            if (item := await self.one(row["return_sn"], money=money)) is not None
        ]
        if found["more"]:
            if not found["return"]:
                raise Retry("Shopee has more returns of one second and shows an empty page")
            return Page(items=items, next=window.inside(str(number + 1)).token)
        return following_page(window, items, date)

    async def one(self, return_sn: str, *, money: bool) -> Item | None:
        """The return; for its money with what the payout of its order says was given back."""
        found: Any = await self._calls.ask_if_there(
            "returns/get_return_detail", forms.ListedReturn, {"return_sn": return_sn}, _NO_RETURN
        )
        if found is None:
            return None
        if not money:
            return Item(external_id=return_sn, revision=str(found["update_time"]), body=found)
        income = None
        if found["status"] in _DECIDED:
            income = await self._orders.income(found["order_sn"])
        back = income is not None and _is_lower(income)
        # No revision: the payout changes without touching the return.
        return Item(external_id=return_sn, body={**found, "given_back": back})


def _is_lower(income: Mapping[str, Any]) -> bool:
    """The payout is lower by a return: a part, a decision of Shopee's, or all there was."""
    parts = (income.get(name) or 0 for name in ("seller_return_refund", "drc_adjustable_refund"))
    left = income.get("escrow_amount")
    return any(parts) or (left is not None and left <= 0)
