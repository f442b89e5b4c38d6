"""Amazon's own Python client (`amzn-sp-api`) against a base URL; prints what it understood.

Run in a process of its own: the client configures logging, uses threads and warns.
Arguments: base URL, order id, order item id.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from spapi import ApiException, SPAPIClient, SPAPIConfig
from spapi.api.listings_items_v2021_08_01.listings_api import ListingsApi
from spapi.api.orders_v0.orders_v0_api import OrdersV0Api
from spapi.api.orders_v2026_01_01.get_order_api import GetOrderApi
from spapi.api.orders_v2026_01_01.search_orders_api import SearchOrdersApi
from spapi.models.listings_items_v2021_08_01 import ListingsItemPatchRequest, PatchOperation
from spapi.models.orders_v0 import (
    ConfirmShipmentOrderItem,
    ConfirmShipmentRequest,
    PackageDetail,
)

MARKET = "ATVPDKIKX0DER"


def main(base: str, order: str, item: str) -> dict[str, Any]:
    config = SPAPIConfig("fake-client", "fake-secret", "Atzr|fake", region="NA")
    client = SPAPIClient(config, oauth_endpoint=f"{base}/auth/o2/token", endpoint=base)
    door = client.api_client
    found = SearchOrdersApi(door).search_orders(
        last_updated_after="2026-11-01T00:00:00Z",
        marketplace_ids=[MARKET],
        fulfilled_by=["MERCHANT"],
        included_data=["RECIPIENT", "PROCEEDS", "FULFILLMENT", "TAX"],
        max_results_per_page=1,
    )
    following = SearchOrdersApi(door).search_orders(
        last_updated_after="2026-11-01T00:00:00Z",
        marketplace_ids=[MARKET],
        fulfilled_by=["MERCHANT"],
        included_data=["RECIPIENT", "PROCEEDS", "FULFILLMENT", "TAX"],
        max_results_per_page=1,
        pagination_token=found.pagination.next_token,
    )
    detail = PackageDetail(
        package_reference_id="1",
        carrier_code="UPS",
        tracking_number="1Z999AA10123456784",
        ship_date="2026-11-25T10:15:00Z",
        order_items=[ConfirmShipmentOrderItem(order_item_id=item, quantity=2)],
    )
    request = ConfirmShipmentRequest(package_detail=detail, marketplace_id=MARKET)
    OrdersV0Api(door).confirm_shipment(order, request)
    after = GetOrderApi(door).get_order(order, included_data=["PACKAGES", "FULFILLMENT"]).order
    listings = ListingsApi(door)
    return {
        "orders": [one.order_id for one in [*found.orders, *following.orders]],
        "before": str(found.last_updated_before).replace("T", " ")[:16],
        "total": found.orders[0].proceeds.grand_total.amount,
        "city": found.orders[0].recipient.delivery_address.city,
        "status": after.fulfillment.fulfillment_status,
        "parcels": [one.package_reference_id for one in after.packages],
        "patch": _patch(listings, 3),
        "invalid": _patch(listings, -1),
        "listed": listings.search_listings_items("A1FAKESELLER", [MARKET]).number_of_results,
        "one": listings.get_listings_item(
            "A1FAKESELLER", "A/B 1%", [MARKET], included_data=["fulfillmentAvailability"]
        )
        .fulfillment_availability[0]
        .quantity,
        "missing": _status_of_missing(door),
    }


def _patch(listings: ListingsApi, quantity: int) -> str:
    stock = {"fulfillment_channel_code": "DEFAULT", "quantity": quantity}
    patch = PatchOperation(op="merge", path="/attributes/fulfillment_availability", value=[stock])
    body = ListingsItemPatchRequest(product_type="PRODUCT", patches=[patch])
    return str(listings.patch_listings_item("A1FAKESELLER", "A/B 1%", [MARKET], body).status)


def _status_of_missing(door: Any) -> int:
    try:
        GetOrderApi(door).get_order("000-0000000-0000000")
    except ApiException as refused:
        return int(refused.status)
    return 200


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
