"""What the reconciliation must see: each difference is planted, then looked for."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import orjson

from core import report
from core.clock import stamp
from core.differences import Grace
from core.reconcile import Difference, Reconciliation, compare
from tests.flows.house import House, house

TODAY = date(2026, 11, 25)


def compared(h: House, day: date = TODAY) -> Reconciliation:
    config = h.app.config
    every_s = {
        (name, resource): system.every_s.get(resource, spec.every_s)
        for name, system in config.systems.items()
        for resource, spec in system.manifest.reads.items()
    }
    with h.app.store.read() as connection:
        return compare(connection, h.app.network, day, h.clock.now(), every_s=every_s)


def those(h: House, what: str, day: date = TODAY) -> list[Difference]:
    return [one for one in compared(h, day).differences if one.what == what]


async def shipped(h: House) -> str:
    """One order all the way into the books. Its number."""
    await h.sells(TEA=10)
    h.books.set_stock("TEA", "MAIN", 10)
    order = await h.shop.place_order(lines=[{"sku": "TEA", "quantity": 2}])
    await h.now()
    await h.depot.ship(h.waiting(), tracking="PP1")
    await h.settle(200)
    return str(h.order("shop", order["id"])["number"])


async def test_a_day_that_went_well_is_balanced(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await shipped(h)
        await h.settle(700)  # the books are read once more
        found = compared(h)
        assert found.differences == []
        assert found.verdict == "BALANCED"
        [money] = found.money
        assert (money["captured"], money["sales_orders"], money["invoiced"]) == (2000, 2000, 2000)
        assert (money["cost"], money["tie_out"]) == (800, "ties")
        assert found.roll_forward == {
            "opening": 0, "new": 1, "shipped": 1, "cancelled": 0, "closing": 0
        }  # fmt: skip
        # A column's name is no plain str to orjson: `--json` failed on every busy day.
        said = orjson.loads(orjson.dumps(report.as_json(found)))
        assert [row["kind"] for row in said["commands"]] == [
            "book_invoice", "book_order", "book_shipment", "fulfill_order", "confirm_shipment"
        ]  # fmt: skip


async def test_a_document_that_is_there_twice_is_unexplained_and_does_not_stop_the_mail(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        number = await shipped(h)
        await h.write(
            "INSERT INTO documents (system, external_id, kind, reference, order_id, currency,"
            " total_minor, seen_at) SELECT system, 'copy', kind, reference, order_id, currency,"
            " total_minor, seen_at FROM documents WHERE kind = 'invoice'"
        )
        [one] = those(h, "invoice in books")
        assert (one.kind, one.key, one.minor) == ("unexplained", f"shop:{number}", -2000)
        assert one.detail == ("the channel says 20.00 EUR, books says 40.00 EUR in 2 documents")
        assert "ATTENTION" in report.subject(compared(h))


async def test_an_invoice_per_parcel_ties_by_its_sum(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await shipped(h)
        await h.write("UPDATE documents SET total_minor = 1200 WHERE kind = 'invoice'")
        [one] = those(h, "invoice in books")
        assert (one.kind, one.minor) == ("unexplained", 800)
        await h.write(
            "INSERT INTO documents (system, external_id, kind, reference, order_id, currency,"
            " total_minor, seen_at, posted) SELECT system, 'rest', kind, reference, order_id,"
            " currency, 800, seen_at, posted FROM documents WHERE kind = 'invoice'"
        )
        assert those(h, "invoice in books") == []


async def test_what_was_read_before_the_ledger_answered_may_be_half_made(tmp_path: Path) -> None:
    """Tryton posts an invoice a call after it made it: the draft that was read alarmed."""
    async with house(tmp_path) as h:
        await shipped(h)
        await h.settle(700)
        await h.write("UPDATE documents SET total_minor = 1200 WHERE kind = 'invoice'")
        [one] = those(h, "invoice in books")
        assert (one.kind, one.cause) == ("unexplained", "amount_differs")
        now = stamp(h.clock.now())
        await h.write(f"UPDATE outbox SET done_at = '{now}' WHERE kind = 'book_invoice'")
        [one] = those(h, "invoice in books")
        assert (one.kind, one.cause) == ("in_flight", "not_read_back_yet")
        assert one.expected > now


async def test_a_document_in_another_currency_is_unexplained(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await shipped(h)
        await h.write("UPDATE documents SET currency = 'USD' WHERE kind = 'invoice'")
        [one] = those(h, "invoice in books")
        assert one.detail == "the channel says 20.00 EUR, books says 20.00 USD"


async def test_a_forgotten_invoice_is_still_named_days_later(tmp_path: Path) -> None:
    """Only orders of the day itself were compared once: an old one could never be found."""
    async with house(tmp_path) as h:
        number = await shipped(h)
        await h.write("DELETE FROM documents WHERE kind = 'invoice'")
        await h.write("DELETE FROM outbox WHERE kind = 'book_invoice'")
        [one] = those(h, "invoice in books", TODAY + timedelta(days=9))
        assert (one.kind, one.key) == ("unexplained", f"shop:{number}")
        assert one.detail == "nothing was asked of the ledger"


async def test_an_acknowledged_document_missing_from_the_ledgers_own_list(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await shipped(h)
        await h.write("DELETE FROM documents WHERE kind = 'invoice'")
        [one] = those(h, "invoice in books")
        assert one.kind == "in_flight"
        await h.write(  # acknowledged four hours ago; and the list is read again
            "UPDATE outbox SET done_at = '2026-11-25T05:00:00.000000Z' WHERE kind = 'book_invoice'"
        )
        await h.settle(130)
        [one] = those(h, "invoice in books")
        assert one.kind == "unexplained"
        assert "its own list does not have it" in one.detail


async def test_a_channel_that_acknowledges_and_keeps_the_old_number(tmp_path: Path) -> None:
    """Nothing changes in what it lists, so no row of ours is renewed; it must be seen anyway."""
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.settle(700)
        assert compared(h).differences == []
        await h.write("UPDATE listings SET shown = 13 WHERE system = 'shop'")
        [one] = those(h, "stock shown on shop")
        assert (one.kind, one.units) == ("unexplained", 3)
        assert one.detail == "it acknowledged 10 and shows 13"


async def test_an_offer_nobody_will_ever_tell_is_not_in_flight(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        await h.write("UPDATE published SET quantity = 4 WHERE system = 'shop'")
        [one] = those(h, "stock shown on shop")
        assert (one.kind, one.units) == ("unexplained", 6)
        assert one.detail == "we offer 10, acknowledged 4, and nothing is on its way"
        at = stamp(h.clock.now())
        await h.write(
            f"INSERT INTO republish (system, sku, due_at, why) VALUES ('shop', 'TEA', '{at}', 'x')"
        )
        [one] = those(h, "stock shown on shop")
        assert (one.kind, one.detail) == ("in_flight", "we offer 10, acknowledged 4")


async def test_a_ledger_whose_on_hand_is_no_number_does_not_stop_the_mail(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        h.books.set_stock("TEA", "MAIN", 7)
        await h.settle(700)
        [one] = those(h, "on-hand in books")
        assert (one.kind, one.units, one.detail) == (
            "unexplained", -3, "depot has 10, books has 7"
        )  # fmt: skip
        await h.write("UPDATE copies SET value = 'many'")
        [one] = those(h, "on-hand in books")
        assert one.detail == "books says 'many', which is no whole number of units"


async def test_what_nobody_ever_read_is_red(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        assert compared(h).not_checked == []
        await h.write("DELETE FROM cursors WHERE system = 'books' AND resource = 'price'")
        found = compared(h)
        assert found.not_checked == ["price of books was never read completely"]
        assert found.verdict == "ATTENTION"
        await h.write("UPDATE cursors SET words = 'books does not answer' WHERE system = 'depot'")
        h.clock.advance(600)
        assert any(
            "stock reading of depot was last read 2026-11-25 09:0" in words
            and words.endswith("UTC (books does not answer)")
            for words in compared(h).not_checked
        )


async def test_an_order_cancelled_on_both_sides_is_balanced(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        order = await h.shop.place_order(lines=[{"sku": "TEA", "quantity": 2}])
        await h.now()
        await h.shop.cancel(order["id"])
        await h.settle(200)
        assert h.state("shop", order) == "cancelled"
        assert [d for d in compared(h).differences if "order" in d.what] == []
        await h.write("DELETE FROM outbox WHERE kind = 'cancel_order'")
        [one] = those(h, "sales order in books")
        assert (one.kind, one.detail) == ("unexplained", "cancelled, and the ledger was not told")


async def test_a_held_order_is_explained_by_its_reason(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        h.shop.list_item("GHOST", price="5.00", quantity=3)
        await h.shop.place_order(lines=[{"sku": "GHOST", "quantity": 1}])
        await h.settle()
        [one] = those(h, "sales order in books")
        assert one.kind == "explained"
        assert one.detail == "held: no warehouse and no ERP knows the SKU 'GHOST'"
        [money] = compared(h).money
        assert money["tie_out"] == "explained"


# ------------------------------------------------------------------ refunds against the books


async def refunded(h: House, amount: str = "5.00") -> None:
    await shipped(h)
    order = h.shop.orders()[0]
    await h.shop.refund(order["id"], adjustment=amount)
    await h.settle(700)  # credited, and the books are read once more


async def test_a_refund_that_was_credited_ties_to_the_cent(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await refunded(h)
        found = compared(h)
        assert (found.differences, found.verdict) == ([], "BALANCED")
        [row] = found.refunds
        assert (row["refunds"], row["refunded"], row["credited"]) == (1, 500, 500)
        assert row["tie_out"] == "ties"
        words = report.as_text(found).lower()
        assert "refunds: the channels against the books" in words
        assert orjson.loads(orjson.dumps(report.as_json(found)))["refunds"][0]["credited"] == 500


async def test_a_credit_note_of_another_amount_is_unexplained(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await refunded(h)
        await h.write("UPDATE documents SET total_minor = 400 WHERE kind = 'credit_note'")
        [one] = those(h, "credit note in books")
        assert (one.kind, one.minor) == ("unexplained", 100)
        found = compared(h)
        assert [row["tie_out"] for row in found.refunds] == ["unexplained"]
        assert [row["tie_out"] for row in found.money] == ["ties"]  # the sale does


async def test_a_credit_note_that_is_not_there_or_on_its_way(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await shipped(h)
        h.faults("books", status=503)
        await h.shop.refund(h.shop.orders()[0]["id"], adjustment="5.00")
        await h.settle(30)
        [one] = those(h, "credit note in books")
        assert (one.kind, one.minor) == ("in_flight", 500)
        await h.write("DELETE FROM outbox WHERE kind = 'book_credit_note'")
        [one] = those(h, "credit note in books")
        assert (one.kind, one.detail) == ("unexplained", "nothing was asked of it")


async def test_a_refund_that_is_held_is_explained(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await refunded(h, "20.01")
        [one] = those(h, "credit note in books")
        assert (one.kind, one.minor) == ("explained", 2001)


# ------------------------------------------------------------------ what stands beside it


async def test_what_is_in_flight_says_which_command_since_when_and_by_when(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10)
        h.faults("books", status=503)
        await h.shop.place_order(lines=[{"sku": "TEA", "quantity": 2}])
        await h.settle(30)
        [one] = those(h, "sales order in books")
        [row] = h.commands("book_order")
        assert (one.kind, one.cause) == ("in_flight", "command_on_its_way")
        assert (one.command, one.since, one.expected) == (
            row["id"],
            row["queued_at"],
            row["due_at"],
        )
        assert "expected by " in " ".join(report.as_text(compared(h)).split())


async def test_what_no_comparison_looks_at_is_counted_by_its_rule(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=10, MUG=5)
        assert compared(h).excluded == []
        h.books.set_stock("ROPE", "MAIN", 4)  # no warehouse has it
        h.books._book("invoice", "INV", "by hand 17", total="9.00")
        h.shop._listings["MUG"]["active"] = False
        await h.settle(700)
        found = {(one["system"], one["rule"]): one["count"] for one in compared(h).excluded}
        assert found == {
            ("shop", "listings that are not offered any more"): 1,
            ("books", "stock copies of which no warehouse has a number"): 1,
            ("books", "documents that carry no reference of ours"): 1,
        }
        assert "Not compared, by rule" in report.as_html(compared(h))
        before = compared(h, TODAY - timedelta(days=1))
        assert before.differences == compared(h).differences


async def test_how_long_a_ledger_takes_is_learned_from_what_it_showed(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        at = h.clock.now()

        def grace() -> Grace:
            with h.app.store.read() as connection:
                return Grace.of(connection, at)

        async def acknowledged(first: int, last: int, shown_after_s: int) -> None:
            done, shown = stamp(at), stamp(at + timedelta(seconds=shown_after_s))
            for n in range(first, last):
                await h.write(
                    "INSERT INTO outbox (system, kind, lane, key, record, safe_by, state,"
                    f" queued_at, due_at, done_at) VALUES ('books', 'book_invoice', 'x', 'k{n}',"
                    f" '', 'lookup', 'done', '{done}', '{done}', '{done}')"
                )
                await h.write(
                    "INSERT INTO documents (system, external_id, kind, reference, seen_at,"
                    f" first_at) VALUES ('books', '{n}', 'invoice', 'k{n}', '{shown}', '{shown}')"
                )

        await acknowledged(0, 29, 1200)
        assert grace().of_pair("books", "invoice") == timedelta(hours=3)  # too few have come
        await acknowledged(29, 30, 1200)
        assert grace().of_pair("books", "invoice") == timedelta(minutes=30)
        assert grace().of_pair("books", "credit_note") == timedelta(hours=3)
        await acknowledged(30, 200, 10)
        await acknowledged(200, 201, 90_000)  # one in 200 teaches nothing
        assert grace().of_pair("books", "invoice") == timedelta(minutes=30)
        await acknowledged(201, 220, 90_000)
        assert grace().of_pair("books", "invoice") == timedelta(hours=24)
