"""The uplink is gone: a till goes on posting to us. Accepted, claimed, kept, drained in order."""

from __future__ import annotations

from pathlib import Path

from house import House, house

#: A till in the shop beside us, a channel in the world, and the systems behind them.
TILL, SHOP = "kiosk", "shop"
SYSTEMS = (TILL, SHOP, "depot", "books")


async def uplink(h: House, *, up: bool) -> None:
    """Without it no call of ours arrives anywhere, and no push but the till's arrives here."""
    for system in SYSTEMS:
        h.faults(system, down=not up)
    if up:
        h.lost_pushes.clear()
    else:
        h.lost_pushes |= {SHOP, "depot"}


async def test_a_till_goes_on_selling_while_the_uplink_is_gone(tmp_path: Path) -> None:
    async with house(tmp_path, channels=(SHOP, TILL)) as h:
        till, shop = h.fake(TILL), h.fake(SHOP)
        h.depot.receive("TEA", "EAST", 10)
        h.books.set_item("TEA", "10.00", "4.00")
        for channel in (till, shop):
            channel.list_item("TEA", price="10.00")
        await h.settle(1)
        await uplink(h, up=False)
        await h.settle(120)
        orders = []
        for count in (1, 2, 3):
            orders.append(await till.place_order("TEA", count))  # its push is answered with 2xx
            await h.settle(1800)
        assert [h.state(TILL, order) for order in orders] == ["released"] * 3
        assert [h.line(TILL, order)[1] for order in orders] == [1, 2, 3]
        assert h.sellable("TEA") == 4
        await h.restart()  # a power cut in the shop, of all times
        await h.settle(1800)
        assert [h.line(TILL, order)[1] for order in orders] == [1, 2, 3]
        assert (h.asked(), h.books.documents()) == ([], [])
        await uplink(h, up=True)
        await h.settle(900)
        assert {row["state"] for row in h.commands()} == {"done"}
        assert len(h.asked()) == len(h.books.documents()) == 3
        assert (h.books.duplicates(), h.causes()) == ([], [])
        assert shop.shown("TEA") == 4
        writes = [write["quantity"] for write in shop.stock_writes()]
        assert writes == [10, 4]  # of all that happened, the newest number alone


async def test_an_order_that_changed_while_we_were_offline_reaches_the_others_as_it_is(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, channels=(SHOP, TILL)) as h:
        till = h.fake(TILL)
        h.depot.receive("TEA", "EAST", 10)
        h.books.set_item("TEA", "10.00", "4.00")
        till.list_item("TEA", price="10.00")
        await h.settle(1)
        await uplink(h, up=False)
        await h.settle(120)
        gone, more = await till.place_order("TEA", 2), await till.place_order("TEA", 1)
        await h.now()
        await till.cancel(gone["id"])
        await h.edit(TILL, more, 4)
        await h.settle(3600)
        assert h.sellable("TEA") == 6
        await uplink(h, up=True)
        await h.settle(900)
        [asked] = h.asked()
        assert [line["quantity"] for line in asked["lines"]] == [4]
        [document] = h.books.documents()
        assert (document["kind"], document["total"]) == ("sales_order", "40.00")
        assert h.state(TILL, gone) == "cancelled"


async def test_when_both_sold_the_last_unit_the_owners_decide(tmp_path: Path) -> None:
    async with house(tmp_path, channels=(SHOP, TILL)) as h:
        till, shop = h.fake(TILL), h.fake(SHOP)
        h.depot.receive("TEA", "EAST", 3)
        h.books.set_item("TEA", "10.00", "4.00")
        for channel in (till, shop):
            channel.list_item("TEA", price="10.00")
        await h.settle(1)
        await uplink(h, up=False)
        await h.settle(120)
        here = await till.place_order("TEA", 2)
        there = await shop.place_order("TEA", 2)  # we cannot know of it yet
        h.depot.count("TEA", "EAST", 2)  # and one had been damaged all the time
        await h.settle(3600)
        assert h.line(TILL, here) == (2, 2, 0, 0, 0)
        await uplink(h, up=True)
        await h.settle(900)
        # Each channel is believed about its own order, the warehouse about its shelf.
        assert h.line(SHOP, there) == (2, 0, 2, 0, 0)
        assert h.state(SHOP, there) == "held"
        assert (shop.shown("TEA"), till.shown("TEA"), h.sellable("TEA")) == (0, 0, 0)
        assert len(h.asked()) == 1
        await h.depot.ship(h.waiting())
        await h.settle()
        assert h.state(TILL, here) == "shipped"


async def test_what_is_only_a_hint_waits_for_the_uplink_and_is_not_lost(tmp_path: Path) -> None:
    async with house(tmp_path, boutique=True) as h:
        boutique = h.fake("boutique")
        boutique.add_product("TEA", "Tea", "10.00", stock=0)
        await h.sells(TEA=9)
        await h.settle()
        h.faults("boutique", down=True)  # its pushes still arrive, and must be asked about
        order = boutique.place_order([{"sku": "TEA", "quantity": 2}])
        await h.settle(600)
        assert h.rows("SELECT * FROM orders WHERE system = 'boutique'") == []
        await h.restart()
        h.faults("boutique")
        await h.settle(900)
        assert h.state("boutique", order) == "released"
        assert len(h.rows("SELECT * FROM orders WHERE system = 'boutique'")) == 1
