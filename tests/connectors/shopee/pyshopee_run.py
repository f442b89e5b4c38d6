"""A client of Shopee's API v2 that others wrote (pyshopee), against a base URL; prints what it saw.

Run in a process of its own: the client prints every URL with its token, and imports a browser
driver that it does not need here. It asks for returns at a path that is not Shopee's, so those
are left out. Arguments: base URL, order, item, model.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import types
from typing import Any

_driver = types.ModuleType("selenium")
_driver.webdriver = types.ModuleType("selenium.webdriver")  # type: ignore[attr-defined]
sys.modules |= {"selenium": _driver, "selenium.webdriver": _driver.webdriver}

from pyshopee2 import Client  # noqa: E402


def main(base: str, order: str, item: str, model: str) -> dict[str, Any]:
    Client.BASE_URL = base
    client = Client(14701711, 2001887, "fake-key", "https://unused.example")
    client.get_access_token(14701711, 2001887, "fake-key", "fake-refresh-0")
    now = int(time.time())
    listed = client.order.get_order_list(
        time_range_field="update_time",
        time_from=now - 15 * 86400 + 60,
        time_to=now + 60,
        page_size=1,
        request_order_status_pending="true",
    )["response"]
    following = client.order.get_order_list(
        time_range_field="update_time",
        time_from=now - 15 * 86400 + 60,
        time_to=now + 60,
        page_size=1,
        request_order_status_pending="true",
        cursor=listed["next_cursor"],
    )["response"]
    detail = client.order.get_order_detail(
        order_sn_list=order, response_optional_fields="item_list,total_amount,package_list"
    )["response"]["order_list"][0]
    asked = client.logistics.get_shipping_parameter(order_sn=order)["response"]
    shipped = client.logistics.ship_order(order_sn=order, dropoff={})
    again = client.logistics.ship_order(order_sn=order, dropoff={})
    stock = [{"model_id": int(model), "seller_stock": [{"location_id": "SGZ", "stock": 4}]}]
    written = client.product.update_stock(item_id=int(item), stock_list=stock)["response"]
    models = client.product.get_model_list(item_id=item)["response"]["model"]
    items = client.product.get_item_list(offset=0, page_size=10, item_status="NORMAL")
    refused = client.product.update_stock(item_id=1, stock_list=stock)
    return {
        "orders": [row["order_sn"] for page in (listed, following) for row in page["order_list"]],
        "more": [listed["more"], following["more"]],
        "total": detail["total_amount"],
        "quantity": detail["item_list"][0]["active_qty"],
        "ways": list(asked["info_needed"]),
        "shipped": [shipped["error"], again["error"]],
        "tracking": client.logistics.get_tracking_number(order_sn=order)["error"],
        "written": [[row["model_id"], row["stock"]] for row in written["success_list"]],
        "shown": models[0]["stock_info_v2"]["seller_stock"][0]["stock"],
        "items": items["response"]["total_count"],
        "refused": refused["error"],
        "paid": client.payment.get_escrow_detail(order_sn=order)["response"]["order_income"][
            "buyer_total_amount"
        ],
        "shop": client.shop.get_shop_info()["region"],
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        found = main(*sys.argv[1:])
    print(json.dumps(found))
