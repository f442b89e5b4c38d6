"""What the shop sells: one row for each model at each warehouse.

The walk goes by offset, and items move while it goes on (H9). A row that slips through one
pass costs nothing: a listing is missing after two complete passes only (core.passes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopee import forms
from connectors.shopee.calls import Calls
from connectors.shopee.orders import listing_key
from core.contract import Item, Page
from core.errors import Retry

_ITEMS_A_PAGE = 50
#: Deleted ones are left out; what is banned or unlisted may come back.
_STATUSES = ("NORMAL", "BANNED", "UNLIST", "REVIEWING")


class Listings:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def page(self, page: str | None) -> Page:
        offset = int(page or 0)
        params = [
            ("offset", str(offset)),
            ("page_size", str(_ITEMS_A_PAGE)),
            *(("item_status", status) for status in _STATUSES),
        ]
        found = await self._calls.ask("product/get_item_list", forms.ItemList, params)
        ids = [row["item_id"] for row in found.get("item") or []]
        items: list[Item] = []
        for info in await self._infos(ids):
            rows = model_rows(info, await self.models(info))
            items += _stock_items(rows)
        if not found["has_next_page"]:
            return Page(items=items)
        following = found.get("next_offset") or 0
        if following <= offset:
            raise Retry("Shopee has more items and names no next page")
        return Page(items=items, next=str(following))

    async def models(self, info: forms.ItemInfo) -> list[Any]:
        """An item without models is its own only one, with the number 0."""
        if info.get("has_model"):
            return await self.models_of(info["item_id"])
        names = ("price_info", "stock_info_v2", "is_fulfillment_by_shopee", "pre_order")
        own = {name: info[name] for name in names if name in info}  # type: ignore[literal-required]
        return [{**own, "model_id": 0, "model_sku": "", "model_status": "NORMAL"}]

    async def models_of(self, item_id: int) -> list[Any]:
        found = await self._calls.ask(
            "product/get_model_list", forms.ModelList, {"item_id": str(item_id)}
        )
        return list(found["model"])

    async def info(self, item_id: int) -> forms.ItemInfo | None:
        found = await self._infos([item_id])
        return found[0] if found else None

    async def _infos(self, ids: Sequence[int]) -> list[forms.ItemInfo]:
        if not ids:
            return []
        params = {"item_id_list": ",".join(str(one) for one in ids)}
        found = await self._calls.ask("product/get_item_base_info", forms.ItemInfos, params)
        return found["item_list"]


def model_rows(info: Mapping[str, Any], models: Sequence[Any]) -> list[dict[str, Any]]:
    """Each model with what it has of its item."""
    kit = (info.get("tag") or {}).get("kit") or False
    return [
        {
            **model,
            "listing": listing_key(info["item_id"], model["model_id"]),
            "item_id": info["item_id"],
            "item_name": info.get("item_name") or "",
            "item_sku": info.get("item_sku") or "",
            "item_status": info.get("item_status") or "",
            # Shopee counts a kit by its components; nobody may write it.
            "kit": kit,
        }
        for model in models
    ]


def places_of(model: Mapping[str, Any]) -> list[forms.Place]:
    stock = model.get("stock_info_v2") or {}
    return list(stock.get("seller_stock") or [])


def reserved_of(model: Mapping[str, Any]) -> int:
    """Units a promotion holds: what we write may not be fewer."""
    summary = (model.get("stock_info_v2") or {}).get("summary_info") or {}
    return summary.get("total_reserved_stock") or 0


def _stock_items(rows: Sequence[dict[str, Any]]) -> list[Item]:
    items = []
    for row in rows:
        places = places_of(row)
        names = " ".join(place.get("location_id") or "" for place in places).strip()
        for place in places:
            where = place.get("location_id") or ""
            body = {**row, "location": {**place, "location_id": where}, "locations": names}
            # No revision: Shopee keeps none for a number.
            items.append(Item(external_id=f"{row['listing']}.{where}", body=body))
    return items
