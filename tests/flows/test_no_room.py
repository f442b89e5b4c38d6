"""The disk is full just when an answer arrives: it is written down once there is room (G13, H3).

Found by simulation: what had been sent stayed `sending`, and its lane stood still until the
next start of the daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from house import House, house

from core import mappings_in_force
from core.errors import Busy


def read_only(h: House, on: str) -> None:
    """What the writing connection says on a full disk, for every statement and at will."""
    connection = h.app.store._connection
    assert connection is not None
    connection.exec_driver_sql(f"PRAGMA query_only = {on}")


def fills_up(h: House, at: str) -> Callable[[httpx.Request], None]:
    def look(request: httpx.Request) -> None:
        if f"{request.method} {request.url.path}".startswith(at):
            read_only(h, "ON")

    return look


async def test_h3_a_command_that_was_answered_on_a_full_disk_ends_when_there_is_room(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.wires["books"].on_request.append(fills_up(h, "POST /books/sales-orders"))
        with pytest.raises(Busy):
            await h.shop.place_order("TEA")
            await h.now()
        with pytest.raises(Busy):
            await h.now()
        assert h.command("book_order")["state"] == "sending"
        h.wires["books"].on_request.clear()
        read_only(h, "OFF")
        await h.settle()
        row = h.command("book_order")
        assert (row["state"], row["attempts"], row["reference"]) == ("done", 1, "SO1")
        assert len(h.books.documents()) == 1


@pytest.mark.parametrize("lost", [0, 1], ids=["answered", "lost"])
async def test_h3_a_number_that_was_told_on_a_full_disk_counts_when_there_is_room(
    tmp_path: Path, lost: int
) -> None:
    async with house(tmp_path, policy="split") as h:
        await h.sells(TEA=0)
        await h.settle(120)
        h.wires["shop"].on_request.append(fills_up(h, "PUT /shop/stock"))
        h.faults("shop", lose_answers=lost, only="PUT /stock")
        h.depot.receive("TEA", "EAST", 6)
        with pytest.raises(Busy):
            await h.settle(60)
        h.wires["shop"].on_request.clear()
        read_only(h, "OFF")
        await h.settle(600)
        assert h.shop.shown("TEA") + h.market.shown("TEA") == 6
        assert h.one("SELECT count(*) FROM told WHERE ended_at IS NULL") == 0
        assert h.one("SELECT sum(pending) FROM quotas") == 0


async def test_h3_a_mapping_saved_on_a_full_disk_is_taken_when_there_is_room(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, mappings=True) as h:
        desk = mappings_in_force.OnSave(h.app)
        file = h.folder / "mappings" / "generic_channel" / "order.yaml"
        file.write_text(file.read_text().replace("version: 1", "version: 2"))
        read_only(h, "ON")
        for _ in range(3):
            await desk.look()
        read_only(h, "OFF")
        await desk.look()
        kept = "SELECT version FROM mapping_texts WHERE stem = 'order' ORDER BY seq DESC LIMIT 1"
        assert h.one(kept).startswith("generic_channel.order v2 ")
