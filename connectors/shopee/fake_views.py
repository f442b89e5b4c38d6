"""Shopee's documents: only fields its published structure has, masked as it masks them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.shopee.fake_shop import (
    CENT,
    DAYS_TO_SHIP,
    SHIPPING,
    Line,
    Listed,
    Model,
    Package,
    Placed,
    Returned,
)

Shape = dict[str, Any]
_DAY = 86400
_UNPAID = frozenset({"UNPAID", "PENDING"})
#: Left out of an order unless `response_optional_fields` names them.
OPTIONAL = frozenset(
    "buyer_user_id buyer_username estimated_shipping_fee recipient_address actual_shipping_fee"
    " goods_to_declare note note_update_time item_list pay_time dropshipper dropshipper_phone"
    " split_up buyer_cancel_reason cancel_by cancel_reason actual_shipping_fee_confirmed"
    " buyer_cpf_id fulfillment_flag pickup_done_time package_list shipping_carrier payment_method"
    " total_amount invoice_data".split()
)


def money(cents: int) -> float:
    return cents / CENT


def order_of(placed: Placed, wanted: Iterable[str], currency: str) -> Shape:
    ready = placed.status not in _UNPAID
    whole = {
        "order_sn": placed.order,
        "region": "SG",
        "currency": currency,
        "cod": placed.cod,
        "total_amount": money(placed.total),
        "order_status": placed.status,
        "create_time": placed.created,
        "update_time": placed.updated,
        "pay_time": placed.created if ready and not placed.cod else 0,
        "days_to_ship": DAYS_TO_SHIP,
        "ship_by_date": placed.created + DAYS_TO_SHIP * _DAY if ready else 0,
        "pending_terms": ["FRAUD_CHECK"] if placed.status == "PENDING" else [],
        "booking_sn": "",
        "shipping_carrier": "SPX Express",
        "checkout_shipping_carrier": "Standard Delivery",
        "payment_method": "Cash on Delivery" if placed.cod else "Credit Card",
        "message_to_seller": "",
        "estimated_shipping_fee": money(SHIPPING),
        "recipient_address": {
            "name": "L***",
            "phone": "******12",
            "town": "",
            "district": "",
            "city": "",
            "state": "",
            "region": "SG",
            "zipcode": "520123",
            "full_address": "****",
        },
        "item_list": [_line(line) for line in placed.lines],
        "package_list": [_package(package, placed) for package in placed.packages],
        "fulfillment_flag": "fulfilled_by_local_seller",
        "split_up": placed.split,
        "cancel_by": placed.cancel_by,
        "cancel_reason": placed.cancel_reason if placed.status == "CANCELLED" else "",
        "buyer_cancel_reason": placed.cancel_reason if placed.cancel_by == "buyer" else "",
        "note": "",
        "pickup_done_time": 0,
    }
    left_out = OPTIONAL - set(wanted)
    if placed.status == "UNPAID":
        left_out |= {"total_amount"}  # it is there once the buyer has paid
    return {name: value for name, value in whole.items() if name not in left_out}


def _line(line: Line) -> Shape:
    return {
        "item_id": line.item.item,
        "item_name": line.item.name,
        "item_sku": line.item.sku,
        "model_id": line.model.model,
        "model_name": "",
        "model_sku": line.model.sku if line.item.has_model else "",
        "model_quantity_purchased": line.quantity,
        "model_original_price": money(line.model.price),
        "model_discounted_price": money(line.model.price),
        "order_item_id": line.key,
        "line_item_id": line.key,
        "promotion_group_id": 0,
        "product_location_id": line.place,
        "active_qty": line.active,
        "cancel_requested_qty": line.cancel_requested,
        "cancelled_qty": line.cancelled,
        "return_requested_qty": 0,
        "returned_qty": 0,
    }


def _package(package: Package, placed: Placed) -> Shape:
    lines = {line.key: line for line in placed.lines}
    return {
        "package_number": package.number,
        "logistics_status": package.state,
        "logistics_channel_id": 18025,
        "shipping_carrier": "SPX Express",
        "item_list": [
            {
                "item_id": lines[key].item.item,
                "model_id": lines[key].model.model,
                "model_quantity": units,
                "order_item_id": key,
                "promotion_group_id": 0,
                "product_location_id": lines[key].place,
            }
            for key, units in package.units.items()
        ],
    }


def escrow_of(placed: Placed) -> Shape:
    vouchers = sum(line.voucher for line in placed.lines)
    return {
        "order_sn": placed.order,
        "buyer_user_name": "b***",
        "return_order_sn_list": [],
        "order_income": {
            "escrow_amount": money(placed.total - placed.given_back),
            "buyer_total_amount": money(placed.total),
            "voucher_from_seller": money(vouchers),
            "voucher_from_shopee": 0.0,
            "coins": 0.0,
            "buyer_paid_shipping_fee": money(SHIPPING),
            "seller_return_refund": money(placed.given_back),
            "items": [_income(line) for line in placed.lines],
        },
    }


def _income(line: Line) -> Shape:
    return {
        "item_id": line.item.item,
        "item_name": line.item.name,
        "item_sku": line.item.sku,
        "model_id": line.model.model,
        "model_sku": line.model.sku if line.item.has_model else "",
        "line_item_id": line.key,
        "original_price": money(line.model.price * line.quantity),
        "discounted_price": money(line.model.price * line.quantity),
        "seller_discount": 0.0,
        "shopee_discount": 0.0,
        "discount_from_coin": 0.0,
        "discount_from_voucher_shopee": 0.0,
        "discount_from_voucher_seller": money(line.voucher),
        "quantity_purchased": line.quantity,
    }


def item_of(item: Listed, currency: str) -> Shape:
    whole: Shape = {
        "item_id": item.item,
        "item_name": item.name,
        "item_sku": item.sku,
        "item_status": item.status,
        "update_time": item.updated,
        "has_model": item.has_model,
        "is_fulfillment_by_shopee": item.by_shopee,
        "tag": {"kit": item.kit},
    }
    if not item.has_model:
        (model,) = item.models
        whole |= {"price_info": [_price(model, currency)], "stock_info_v2": _stock(model)}
    return whole


def model_of(model: Model, item: Listed, currency: str) -> Shape:
    return {
        "model_id": model.model,
        "model_sku": model.sku,
        "model_status": "MODEL_NORMAL",
        "tier_index": [0],
        "promotion_id": 0,
        "has_promotion": model.locked or model.reserved > 0,
        "price_info": [_price(model, currency)],
        "stock_info_v2": _stock(model),
        "is_fulfillment_by_shopee": item.by_shopee,
    }


def _price(model: Model, currency: str) -> Shape:
    price = money(model.price)
    return {"currency": currency, "current_price": price, "original_price": price}


def _stock(model: Model) -> Shape:
    return {
        "summary_info": {
            "total_reserved_stock": model.reserved,
            "total_available_stock": model.for_sale,
        },
        "seller_stock": [
            {"location_id": place, "stock": stock, "if_saleable": True}
            for place, stock in model.places.items()
        ],
        "shopee_stock": [],
    }


def return_of(returned: Returned, currency: str, *, detail: bool) -> Shape:
    lines = {line.key: line for line in returned.order.lines}
    items = [_returned(lines[key], units, detail=detail) for key, units in returned.units.items()]
    return {
        "return_sn": returned.number,
        "order_sn": returned.order.order,
        "status": returned.status,
        "reason": "WRONG_ITEM",
        "text_reason": "",
        "return_solution": returned.solution,
        "refund_amount": money(returned.amount),
        "currency": currency,
        "create_time": returned.created,
        "update_time": returned.updated,
        "due_date": returned.created + 2 * _DAY,
        "return_ship_due_date": 0,
        "return_seller_due_date": 0,
        "tracking_number": "",
        "needs_logistics": returned.solution == 0,
        "validation_type": "seller_validation",
        "user": {"username": "b***", "email": "****", "portrait": ""},
        "item": items,
    }


def _returned(line: Line, units: int, *, detail: bool) -> Shape:
    found: Shape = {
        "item_id": line.item.item,
        "model_id": line.model.model,
        "name": line.item.name,
        "amount": units,
        "item_price": money(line.model.price),
        "item_sku": line.item.sku,
        "variation_sku": line.model.sku if line.item.has_model else "",
    }
    return {**found, "refund_amount": money(line.model.price * units)} if detail else found
