"""Reading orders and listings: watermark, pages, what is hidden."""

from __future__ import annotations

from shopify_kit import NOON, Said, bench, connector_over

from connectors.shopify.standing import standing


async def test_a_pass_ends_with_the_greatest_stamp_seen() -> None:
    of = bench()
    of.fake.add_product("T", price="10.00", stock=200)
    for _ in range(60):
        of.clock.advance(1)
        of.fake.place_order([{"sku": "T", "quantity": 1}])
    first = await of.connector.read("order", None, None)
    assert len(first.items) == 50
    assert first.next is not None
    second = await of.connector.read("order", None, first.next)
    assert len(second.items) == 10
    assert second.next is None
    assert second.since == "2026-11-20T12:01:00Z"
    ids = {item.external_id for item in [*first.items, *second.items]}
    assert len(ids) == 60


async def test_an_edited_old_order_comes_again() -> None:
    of = bench()
    of.fake.add_product("T", price="10.00", stock=200)
    old = of.fake.place_order([{"sku": "T", "quantity": 2}])
    of.clock.advance(60)
    of.fake.place_order([{"sku": "T", "quantity": 1}])
    of.clock.advance(60)
    of.fake.remove_units(old["name"], "T", 1)
    page = await of.connector.read("order", "2026-11-20T12:01:30Z", None)
    assert [item.external_id for item in page.items] == [old["id"]]


async def test_the_bound_is_inclusive_and_rounded_down_to_their_second() -> None:
    of = bench()
    of.fake.add_product("T", stock=5)
    of.fake.place_order([{"sku": "T", "quantity": 1}])
    page = await of.connector.read("order", "2026-11-20T13:00:00.900000+01:00", None)
    assert len(page.items) == 1
    assert of.tap.asked("Orders")[0]["query"] == "updated_at:>='2026-11-20T12:00:00Z'"


async def test_an_empty_last_page_keeps_the_watermark() -> None:
    """H47: the orders behind the cursor moved on while we read."""
    of = bench()
    of.fake.add_product("T", stock=60)
    for _ in range(51):
        of.fake.place_order([{"sku": "T", "quantity": 1}])
    first = await of.connector.read("order", None, None)
    of.fake.shop.orders.popitem()
    last = await of.connector.read("order", None, first.next)
    assert (last.items, last.next, last.since) == ([], None, "2026-11-20T12:00:00Z")


async def test_a_pass_that_finds_nothing_starts_there_again() -> None:
    of = bench()
    token = "2026-11-20T11:59:00Z eyJsYXN0X2lkIjogMTAsICJsYXN0X3ZhbHVlIjogInoifQ=="
    page = await of.connector.read("order", None, token)
    assert page.items == []
    assert page.since == "2026-11-20T11:59:00Z"
    assert (await of.connector.read("order", "2026-11-20T10:00:00Z", None)).since == (
        "2026-11-20T10:00:00Z"
    )


async def test_lines_beyond_the_first_page_are_fetched() -> None:
    of = bench()
    of.fake.add_product("T", price="1.00", stock=500)
    placed = of.fake.place_order([{"sku": "T", "quantity": 1}] * 120)
    item = await of.connector.fetch("order", placed["id"])
    assert item is not None
    assert len({line["id"] for line in item.body["lineItems"]["nodes"]}) == 120
    assert of.tap.names() == ["Order", "OrderLines", "OrderLines"]
    assert item.body["lineItems"]["pageInfo"]["hasNextPage"] is False


async def test_an_order_that_cannot_be_calculated_with_is_kept_as_it_came() -> None:
    """T7: one bad value holds its own order, where the mapping says which; the others go on."""
    of = bench()
    of.fake.add_product("T", price="10.00", stock=9)
    of.fake.place_order([{"sku": "T", "quantity": 2}])
    of.fake.place_order([{"sku": "T", "quantity": 1}])
    await of.connector.read("order", None, None)
    said = of.tap.exchanges[-1][2]
    bad, good = said["data"]["orders"]["nodes"]
    bad["lineItems"]["nodes"][0]["currentQuantity"] = "planted"
    page = await connector_over(Said(said)).read("order", None, None)
    assert [item.external_id for item in page.items] == [bad["id"], good["id"]]
    assert page.items[0].body == bad
    assert page.items[1].body == standing(good)


async def test_an_order_that_is_gone_is_none() -> None:
    of = bench()
    assert await of.connector.fetch("order", "gid://shopify/Order/5501") is None


async def test_what_the_search_does_not_know_yet_comes_with_the_overlap() -> None:
    of = bench()
    of.fake.add_product("T", stock=5)
    of.fake.lag_search(5)
    placed = of.fake.place_order([{"sku": "T", "quantity": 1}])
    assert (await of.connector.read("order", None, None)).items == []
    # By its id it is there at once: that is why a hint is re-read and not searched for.
    assert await of.connector.fetch("order", placed["id"]) is not None
    of.clock.advance(10)
    assert len((await of.connector.read("order", "2026-11-20T11:55:00Z", None)).items) == 1


async def test_a_listing_is_one_item_at_one_place() -> None:
    of = bench()
    of.fake.add_location("Shop")
    of.fake.add_product("00123", "Tee", "19.99", {"Main warehouse": 10, "Shop": 3})
    page = await of.connector.read("listing", None, None)
    shown = {
        (item.body["level"]["location"]["name"], item.body["available"]) for item in page.items
    }
    assert shown == {("Main warehouse", 10), ("Shop", 3)}
    assert len({item.external_id for item in page.items}) == 2
    assert page.next is None
    assert page.since is None


async def test_places_beyond_the_first_page_are_fetched() -> None:
    of = bench()
    places = ["Main warehouse"]
    for number in range(30):
        of.fake.add_location(f"place {number}")
        places.append(f"place {number}")
    of.fake.add_product("T", stock=dict.fromkeys(places, 1))
    page = await of.connector.read("listing", None, None)
    assert len(page.items) == 31


async def test_variants_are_paged() -> None:
    of = bench()
    for number in range(70):
        of.fake.add_product(f"SKU-{number}", stock=number)
    first = await of.connector.read("listing", None, None)
    second = await of.connector.read("listing", None, first.next)
    assert [len(first.items), len(second.items)] == [50, 20]
    assert second.next is None


async def test_what_is_left_of_an_order_ties_to_its_current_total() -> None:
    """Discounts and taxes of a line contain removed units; `now` has the share that is left."""
    of = bench()
    of.fake.add_product("A", price="10.00", stock=9)
    placed = of.fake.place_order([{"sku": "A", "quantity": 4}], discount="8.00", shipping="5.00")
    of.fake.remove_units(placed["name"], "A", 1)
    item = await of.connector.fetch("order", placed["id"])
    assert item is not None
    (line,) = item.body["lineItems"]["nodes"]
    assert line["discountAllocations"][0]["allocatedAmountSet"]["shopMoney"]["amount"] == "8.0"
    left = line["now"]["discountAllocations"][0]["allocatedAmountSet"]["shopMoney"]["amount"]
    assert left == "6.00"
    # 3 x 10.00 - 6.00 + 5.00
    assert item.body["now"]["total"] == "29.0"


def test_a_refunded_shipping_fee_is_no_fee() -> None:
    def money(amount: str) -> dict[str, dict[str, str]]:
        return {"shopMoney": {"amount": amount}}

    line = {
        "originalPriceSet": money("5.99"),
        "discountedPriceSet": money("4.99"),
        "currentDiscountedPriceSet": money("0.0"),
        "taxLines": [{"title": "VAT", "priceSet": money("0.80")}],
    }
    node = {
        "currencyCode": "EUR",
        "totalPriceSet": money("0.0"),
        "shippingLines": {"nodes": [line]},
        "lineItems": {"nodes": []},
    }
    shipping = standing(node)["now"]["shipping"]
    # fee - discount is what the buyer still pays: nothing, and no tax on it.
    assert (shipping["fee"], shipping["discount"]) == ("1.00", "1.00")
    assert shipping["taxLines"][0]["priceSet"]["shopMoney"]["amount"] == "0.00"


async def test_orders_older_than_sixty_days_are_hidden_and_the_doctor_says_so() -> None:
    of = bench()
    of.fake.add_product("T", stock=5)
    of.fake.place_order([{"sku": "T", "quantity": 1}])
    of.clock.advance(61 * 86400)
    assert (await of.connector.read("order", None, None)).items == []
    probe = await of.connector.probe()
    assert any("60 days" in problem for problem in probe.problems)
    assert of.clock.now() > NOON


async def test_the_doctor_names_a_missing_scope_and_an_expired_version() -> None:
    of = bench()
    of.fake.deny("write_inventory")
    of.fake.serve_version("2027-01")
    probe = await of.connector.probe()
    assert probe.missing == ("write_inventory",)
    assert (probe.version_asked, probe.version_served) == ("2026-07", "2027-01")
    assert any("write_inventory" in problem for problem in probe.problems)
    assert any("2026-07 has expired" in problem for problem in probe.problems)
    assert str(probe).startswith("Demo shop, EUR, version 2027-01; the app lacks write_inventory")


async def test_a_write_scope_includes_its_read() -> None:
    of = bench()
    of.fake.deny("read_inventory")
    assert (await of.connector.probe()).missing == ()
