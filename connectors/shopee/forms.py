"""What this connector touches of Shopee's answers; the rest is the mappings' affair."""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, NotRequired, TypedDict, TypeVar

Part = TypeVar("Part")


class Answered(TypedDict, Generic[Part]):
    response: Part


class ListedOrder(TypedDict):
    order_sn: str


class OrderList(TypedDict):
    order_list: list[ListedOrder]
    more: bool
    next_cursor: NotRequired[str | None]


class Line(TypedDict):
    item_id: int
    model_id: int
    order_item_id: NotRequired[int | None]
    line_item_id: NotRequired[int | None]
    active_qty: NotRequired[int | None]


class PackageLine(TypedDict):
    item_id: int
    model_id: int
    model_quantity: int
    order_item_id: NotRequired[int | None]
    promotion_group_id: NotRequired[int | None]


class Package(TypedDict):
    package_number: str
    logistics_status: NotRequired[str | None]
    item_list: NotRequired[list[PackageLine] | None]


class Order(TypedDict):
    order_sn: str
    order_status: str
    update_time: int
    item_list: NotRequired[list[Line] | None]
    package_list: NotRequired[list[Package] | None]
    split_up: NotRequired[bool | None]


class OrderDetails(TypedDict):
    order_list: list[Order]


class IncomeLine(TypedDict):
    item_id: int
    model_id: int
    line_item_id: NotRequired[int | None]


class Income(TypedDict):
    items: list[IncomeLine]
    escrow_amount: NotRequired[Decimal | int | None]
    seller_return_refund: NotRequired[Decimal | int | None]
    drc_adjustable_refund: NotRequired[Decimal | int | None]


class Escrow(TypedDict):
    order_income: Income


class Place(TypedDict):
    location_id: NotRequired[str | None]
    stock: int


class Summary(TypedDict):
    total_reserved_stock: NotRequired[int | None]


class StockInfo(TypedDict):
    summary_info: NotRequired[Summary | None]
    seller_stock: NotRequired[list[Place] | None]


class Model(TypedDict):
    model_id: int
    stock_info_v2: NotRequired[StockInfo | None]


class ModelList(TypedDict):
    model: list[Model]


class ListedItem(TypedDict):
    item_id: int


class ItemList(TypedDict):
    item: NotRequired[list[ListedItem] | None]
    has_next_page: bool
    next_offset: NotRequired[int | None]


class Tag(TypedDict):
    kit: NotRequired[bool | None]


class ItemInfo(TypedDict):
    item_id: int
    item_name: NotRequired[str | None]
    item_sku: NotRequired[str | None]
    item_status: NotRequired[str | None]
    has_model: NotRequired[bool | None]
    tag: NotRequired[Tag | None]
    stock_info_v2: NotRequired[StockInfo | None]


class ItemInfos(TypedDict):
    item_list: list[ItemInfo]


class ListedReturn(TypedDict):
    return_sn: str
    order_sn: str
    status: str
    update_time: int


# `return` is a word of Python's.
ReturnList = TypedDict("ReturnList", {"return": list[ListedReturn], "more": bool})


class Taken(TypedDict):
    model_id: NotRequired[int | None]
    location_id: NotRequired[str | None]
    stock: NotRequired[int | None]


class NotTaken(TypedDict):
    model_id: NotRequired[int | None]
    failed_reason: NotRequired[str | None]


class StockWritten(TypedDict):
    success_list: NotRequired[list[Taken] | None]
    failure_list: NotRequired[list[NotTaken] | None]


class Slot(TypedDict):
    pickup_time_id: str
    flags: NotRequired[list[str] | None]


class Address(TypedDict):
    address_id: int
    address_flag: NotRequired[list[str] | None]
    time_slot_list: NotRequired[list[Slot] | None]


class Pickup(TypedDict):
    address_list: NotRequired[list[Address] | None]


class Branch(TypedDict):
    branch_id: int


class Slug(TypedDict):
    slug: str


class Dropoff(TypedDict):
    branch_list: NotRequired[list[Branch] | None]
    slug_list: NotRequired[list[Slug] | None]


class Needed(TypedDict):
    """An absent way is not offered; an empty list needs nothing."""

    pickup: NotRequired[list[str] | None]
    dropoff: NotRequired[list[str] | None]
    non_integrated: NotRequired[list[str] | None]


class ShippingParameter(TypedDict):
    info_needed: Needed
    pickup: NotRequired[Pickup | None]
    dropoff: NotRequired[Dropoff | None]


class Tracking(TypedDict):
    tracking_number: NotRequired[str | None]


class ShopInfo(TypedDict):
    shop_name: str
    region: str
    status: str
    expire_time: NotRequired[int | None]


class Warehouse(TypedDict):
    location_id: NotRequired[str | None]
    warehouse_name: NotRequired[str | None]


class PushConfig(TypedDict):
    callback_url: NotRequired[str | None]
    live_push_status: NotRequired[str | None]
    push_config_on_list: NotRequired[list[int] | None]
