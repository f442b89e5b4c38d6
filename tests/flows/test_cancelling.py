"""An order ends on its channel because a person wants it, or because its buyer asks (S15)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from house import House, Killed, house

from core.codec import from_json
from core.commands import aad
from core.model import CancelOrder
from core.prove import prove
from core.verbs import Unknown

CANCEL, ANSWER = "POST /orders/S000001/cancellations", "POST /orders/S000001/answers"
WHO: dict[str, Any] = {"order": "shop:#000001", "by": "Ann"}


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as it:
        await it.sells(TEA=20, MUG=1)
        yield it


def told(h: House) -> list[str]:
    """What was written to the shop about its order, in this order."""
    return [one for one in h.wires["shop"].sent if one in (CANCEL, ANSWER)]


async def cancelled(h: House, order: Any) -> None:
    """It ended everywhere, once, and its units are free."""
    assert (h.state("shop", order), h.shop.orders()[0]["state"]) == ("cancelled", "cancelled")
    assert (h.causes(), h.sellable()) == ([], 20)
    with h.app.store.snapshot() as connection:
        assert prove(connection, h.app.network, h.clock.now()).findings == []


async def packed(h: House, units: int = 2) -> Any:
    order = await h.shop.place_order("TEA", units)
    await h.settle(30)
    return order


# ------------------------------------------------------------------ a person cancels


async def test_before_release_its_channel_is_asked_at_once_and_ends_it(h: House) -> None:
    order = await h.shop.place_order("TEA", 2, payment="pending")
    await h.settle(5)
    done = await h.operate("cancel", reason="Bo phoned", because="buyer", **WHO)
    assert done["now"] == "shop is told now; it ends here when shop says so"
    await h.settle(120)
    await cancelled(h, order)
    assert (told(h), h.asked()) == ([CANCEL], [])
    assert h.shop.orders()[0]["cancel_reason"] == "buyer"  # and not what Ann wrote


async def test_after_release_it_is_asked_only_when_the_warehouse_let_it_be(h: House) -> None:
    order = await packed(h)
    h.faults("depot", down=True)
    await h.operate("cancel", reason="fraud", because="fraud", **WHO)
    await h.settle(60)
    assert told(h) == []
    assert "shop is asked once no warehouse has it" in h.one("SELECT next_step FROM holds")
    h.faults("depot")
    await h.settle(700)
    await cancelled(h, order)
    assert told(h) == [CANCEL]


async def test_what_a_warehouse_has_shipped_is_never_cancelled_on_its_channel(h: House) -> None:
    order = await packed(h)
    h.lost_pushes.add("depot")
    await h.depot.ship(h.waiting())
    await h.operate("cancel", reason="fraud", **WHO)
    await h.settle(400)
    assert (told(h), h.state("shop", order)) == ([], "shipped")


async def test_of_what_left_in_part_only_the_rest_is_cancelled(h: House) -> None:
    order = await packed(h, 3)
    await h.depot.ship(h.waiting(), [{"sku": "TEA", "quantity": 1}], complete=False)
    await h.settle(60)
    await h.operate("cancel", reason="no more", **WHO)
    await h.settle(120)
    assert told(h) == [CANCEL]
    assert [line["quantity"] for line in h.shop.orders()[0]["lines"]] == [1]
    assert h.line("shop", order) == (3, 0, 0, 1, 2)
    assert h.state("shop", order) == "shipped"


async def test_a_lost_answer_is_looked_up_and_it_is_cancelled_once(h: House) -> None:
    order = await packed(h)
    await h.operate("cancel", reason="fraud", **WHO)
    h.wires["shop"].kill_after = CANCEL
    with pytest.raises(Killed):
        await h.settle(60)
    await h.restart()
    await h.settle(120)
    await cancelled(h, order)
    assert len(h.shop.orders()[0]["cancellations"]) == 1


async def test_while_it_may_be_hearing_it_nothing_is_released(h: House) -> None:
    order = await packed(h)
    h.faults("shop", status=500)
    await h.operate("cancel", reason="fraud", **WHO)
    await h.settle(60)
    assert told(h)
    with pytest.raises(Unknown, match="may be hearing right now that shop:#000001 is to end"):
        await h.operate("release", reason="it was not", **WHO)
    h.faults("shop")
    await h.settle(900)
    await cancelled(h, order)


async def test_one_that_is_released_before_it_was_told_is_told_nothing(h: House) -> None:
    order = await packed(h)
    h.faults("depot", down=True)
    await h.operate("cancel", reason="fraud", **WHO)
    await h.operate("release", reason="it was not", **WHO)
    h.faults("depot")
    await h.settle(900)
    assert told(h) == []
    assert h.state("shop", order) == "released"
    assert [one["state"] for one in h.asked()] == ["cancelled", "open"]


async def test_what_the_channel_refuses_is_a_persons_and_the_order_can_go_on(h: House) -> None:
    order = await packed(h)
    h.shop._orders[order["id"]]["lines"][0]["quantity"] = 2
    await h.depot.ship(h.waiting(), [{"sku": "TEA", "quantity": 1}], complete=False)
    await h.settle(60)
    h.shop._orders[order["id"]]["state"] = "shipped"  # as it takes a part for all
    await h.operate("cancel", reason="no more", **WHO)
    await h.settle(30)
    assert [cause for cause in h.causes() if cause.startswith("refused:shop:cancel_order")]
    await h.operate("release", reason="then not", **WHO)
    await h.settle(60)
    assert h.causes() == []
    assert h.one("SELECT state FROM outbox WHERE kind = 'cancel_order'") == "discarded"


async def test_units_that_no_stock_covers_are_cancelled_and_the_rest_goes_on(h: House) -> None:
    h.shop.list_item("MUG", quantity=5)  # it oversells
    order = await h.shop.place_order(
        "", lines=[{"sku": "TEA", "quantity": 1}, {"sku": "MUG", "quantity": 3}]
    )
    await h.settle(5)
    assert h.state("shop", order) == "held"
    done = await h.operate("cancel", short=True, reason="sold out", **WHO)
    assert done["asked to cancel"] == "2 units"
    with pytest.raises(Unknown, match="or shop was asked already"):
        await h.operate("cancel", short=True, reason="sold out", **WHO)
    await h.settle(120)
    assert h.line("shop", order, "2") == (3, 1, 0, 0, 2)
    assert (h.state("shop", order), h.causes()) == ("released", [])
    [row] = [one for one in h.commands("cancel_order") if one["system"] == "shop"]
    record = from_json(CancelOrder, h.app.seal.open(row["record"], aad(row["key"])))
    assert [(one.line, one.quantity) for one in record.lines] == [("2", 2)]
    with pytest.raises(Unknown, match="no unit of shop:#000001 is short"):
        await h.operate("cancel", short=True, reason="sold out", **WHO)


# ------------------------------------------------------------------ its buyer asks


async def test_a_wish_cancels_nothing_until_a_person_grants_it(h: House) -> None:
    order = await packed(h)
    await h.shop.wish(order["id"])
    await h.settle(60)
    assert (told(h), h.state("shop", order)) == ([], "released")
    assert h.causes() == [f"late:cancel_requested:shop:{order['id']}"]
    await h.operate("grant", reason="as asked", **WHO)
    await h.settle(120)
    await cancelled(h, order)
    assert told(h) == [ANSWER]


async def test_what_the_warehouse_has_shipped_meanwhile_is_refused_with_that_word(
    h: House,
) -> None:
    order = await packed(h)
    await h.shop.wish(order["id"])
    await h.settle(30)
    h.lost_pushes.add("depot")
    await h.depot.ship(h.waiting())
    await h.operate("grant", reason="as asked", **WHO)
    await h.settle(400)
    assert h.state("shop", order) == "shipped"
    assert h.shop.orders()[0]["cancellations"][0]["state"] == "refused"
    assert [one["shipped"] for one in h.shop._answers[order["id"]]] == [True]


async def test_a_refused_wish_is_answered_and_the_order_goes_on(h: House) -> None:
    order = await packed(h)
    await h.shop.wish(order["id"], hours=1)
    await h.settle(30)
    await h.operate("refuse", reason="it is engraved", **WHO)
    await h.settle(3700)
    assert (told(h), h.state("shop", order), h.causes()) == ([ANSWER], "released", [])
    assert h.shop.orders()[0]["cancellations"][0]["state"] == "refused"
    assert h.one("SELECT state FROM deadlines WHERE kind = 'cancel_decision'") == "met"
    with pytest.raises(Unknown, match="no buyer asks to cancel shop:#000001"):
        await h.operate("refuse", reason="again", **WHO)


async def test_a_wish_for_some_units_takes_them_out_and_the_rest_is_packed_again(
    h: House,
) -> None:
    order = await packed(h, 3)
    await h.shop.wish(order["id"], {"1": 2})
    await h.settle(30)
    await h.operate("grant", reason="as asked", **WHO)
    await h.settle(180)
    assert h.line("shop", order) == (3, 1, 0, 0, 2)
    assert (h.state("shop", order), h.causes()) == ("released", [])
    assert [one["state"] for one in h.asked()] == ["cancelled", "open"]


async def test_a_buyer_who_wants_it_after_all_is_sent_it(h: House) -> None:
    order = await packed(h)
    await h.shop.wish(order["id"])
    await h.settle(30)
    h.faults("depot", down=True)
    await h.operate("grant", reason="as asked", **WHO)
    await h.shop.withdraw(order["id"])
    await h.settle(30)
    h.faults("depot")
    await h.settle(900)
    assert (told(h), h.state("shop", order), h.causes()) == ([], "released", [])
    assert [one["state"] for one in h.asked()] == ["cancelled", "open"]


@pytest.mark.parametrize("heard", [True, False])
async def test_an_answer_that_comes_too_late_stops_nothing(h: House, heard: bool) -> None:
    """Found by the machine of lives: the parcel was told to nobody behind a refused answer."""
    order = await packed(h)
    await h.shop.wish(order["id"])
    await h.settle(30)
    if not heard:
        h.lost_pushes.add("shop")
    await h.operate("refuse", reason="it is engraved", **WHO)
    await h.shop.withdraw(order["id"])
    await h.settle(150)
    assert h.causes() == []
    await h.depot.ship(h.waiting())
    await h.settle(150)
    assert (h.state("shop", order), h.shop.orders()[0]["state"]) == ("shipped", "shipped")


async def test_a_stop_that_comes_too_late_is_one_exception_and_ends_with_the_order(
    h: House,
) -> None:
    order = await packed(h)
    h.depot.begin(h.waiting())
    await h.operate("hold", reason="fraud?", **WHO)
    await h.settle(30)
    [cause] = h.causes()
    assert cause.startswith("late:operator:")
    await h.depot.ship(h.waiting())
    await h.settle(150)
    assert (h.state("shop", order), h.causes()) == ("shipped", [])


async def test_a_wish_that_nobody_answers_is_granted_by_the_channel(h: House) -> None:
    order = await packed(h)
    await h.shop.wish(order["id"], hours=1)
    await h.settle(3700)
    await cancelled(h, order)
    assert told(h) == []


async def test_hold_says_nothing_to_the_channel_and_cancel_after_it_does(h: House) -> None:
    order = await packed(h)
    done = await h.operate("hold", reason="fraud?", **WHO)
    assert done["now"] == "it waits for `truecount release` or `truecount cancel`"
    await h.settle(120)
    assert (told(h), h.state("shop", order)) == ([], "held")
    await h.operate("cancel", reason="fraud!", because="fraud", **WHO)
    await h.settle(120)
    await cancelled(h, order)


async def test_wrong_words_are_named(h: House) -> None:
    order = await packed(h)
    with pytest.raises(Unknown, match="--because is one of out_of_stock, .*, not 'spite'"):
        await h.operate("cancel", reason="x", because="spite", **WHO)
    with pytest.raises(Unknown, match="no buyer asks to cancel shop:#000001"):
        await h.operate("grant", reason="x", **WHO)
    assert h.state("shop", order) == "released"
