"""The main job: an order becomes a claim, a parcel, a confirmation and a sale in the books."""

from __future__ import annotations

from pathlib import Path

from house import house


async def test_an_order_walks_all_eight_stops_to_the_cent(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10, MUG=4)
        assert (h.shop.shown("TEA"), h.market.shown("MUG")) == (10, 4)
        order = await h.shop.place_order(
            lines=[{"sku": "TEA", "quantity": 2}, {"sku": "MUG", "quantity": 1}], shipping="4.90"
        )
        await h.now()
        assert h.state("shop", order) == "released"
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (8, 8)
        await h.depot.ship(h.waiting(), tracking="PP1")
        await h.settle()
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order, "1") == (2, 0, 0, 2, 0)
        [told] = h.shop.shipments()
        assert (told["tracking"], told["complete"]) == ("PP1", True)
        kinds = [d["kind"] for d in h.books.documents()]
        assert kinds == ["sales_order", "delivery", "invoice"]
        sale, delivery, invoice = h.books.documents()
        assert (sale["total"], invoice["total"], delivery["cost"]) == ("34.90", "34.90", "12.00")
        assert [row["state"] for row in h.commands()] == ["done"] * 5
        assert h.causes() == []
        assert (h.shop.shown("TEA"), h.sellable("TEA"), h.depot.on_hand("TEA")) == (8, 8, 8)
