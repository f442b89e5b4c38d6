"""Every kind of difference that is planted: what is done, when, and what has to be said of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.reconciling.town import STOCK, Case, Planted

Act = Callable[[Case], Awaitable[None]]
Expects = Callable[[Case], Sequence[Planted]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """When each is done: `booked` before the ledger was read with its sales order, `shipped` before
    it was read with delivery and invoice, `credited` so with the credit note; `later` once all was
    read; `last` with one more read to come; `frozen` when no time passes any more. `late`: its
    parcel leaves in another day of UTC than of the company.
    """

    name: str
    expects: Expects
    sells: bool = True
    ships: bool = False
    late: bool = False
    refund: int = 0
    booked: Act | None = None
    read: Act | None = None
    shipped: Act | None = None
    credited: Act | None = None
    later: Act | None = None
    last: Act | None = None
    frozen: Act | None = None


def _in_books(document: str, cause: str) -> Expects:
    return lambda c: [Planted(f"{document} in books", c.key, cause)]


def _parcel(what: str, cause: str) -> Expects:
    return lambda c: [Planted(what, f"{c.key} parcel {c.parcel}", cause)]


def _credit(cause: str) -> Expects:
    return lambda c: [Planted("credit note in books", f"{c.key} refund {c.refund}", cause)]


def _copy(cause: str) -> Expects:
    return lambda c: [Planted("on-hand in books", c.sku, cause)]


def _shown(cause: str) -> Expects:
    return lambda c: [Planted(f"stock shown on {c.channel}", c.sku, cause)]


def _day(document: str, cause: str, of: Callable[[Case], str]) -> Expects:
    return lambda c: [Planted(f"day of {document} in books", f"{c.key} {of(c)}", cause)]


def _spoils(document: str, **words: object) -> Act:
    async def act(c: Case) -> None:
        c.spoil(document, **words)

    return act


def _loses(document: str) -> Act:
    async def act(c: Case) -> None:
        c.lost(document)

    return act


def _doubles(document: str) -> Act:
    async def act(c: Case) -> None:
        c.twice(document)

    return act


def _forgets(command: str, document: str = "") -> Act:
    async def act(c: Case) -> None:
        await c.forgotten(command, document)

    return act


def _raises(document: str, *names: str, by: str = "1.00") -> Act:
    """So much more in these amounts of a document."""

    async def act(c: Case) -> None:
        row = c.document(document)
        c.spoil(document, **{name: str(Decimal(row[name]) + Decimal(by)) for name in names})

    return act


async def _one_unit_more(c: Case) -> None:
    c.spoil("sales_order", quantity=c.units + 1)


async def _one_unit_less(c: Case) -> None:
    c.spoil("delivery", quantity=c.units - 1)


async def _cancels(c: Case) -> None:
    await c.shop.cancel(c.order["id"])


async def _cancel_forgotten(c: Case) -> None:
    await c.forgotten("cancel_order")


async def _revived(c: Case) -> None:
    c.spoil("sales_order", state="open")


async def _books_a_strangers(c: Case) -> None:
    c.books._book("sales_order", "SO", f"truecount:shop:{c.kind}:book_order:1", total="5.00")


def _strangers(c: Case) -> list[Planted]:
    reference = f"shop:{c.kind}:book_order:1"
    [row] = c.books.documents(f"truecount:{reference}")
    return [Planted("sales order in books", f"{row['number']} of {reference}", "unknown_here")]


async def _dated_by_utc(c: Case) -> None:
    row = c.document("invoice")
    c.spoil("invoice", dated=f"{row['dated'][:10]}T00:00:00.000000Z")


async def _done_by_hand(c: Case) -> None:
    await c.forgotten("book_order", "sales_order")
    await c.town.h.write(
        f"INSERT INTO handovers VALUES ({c.row}, 'by_hand', 'Ann', 'x', '2026-11-25T09:00:00Z')"
    )


async def _sells_what_nobody_knows(c: Case) -> None:
    c.shop.list_item(f"GHOST-{c.sku}", price="5.00", quantity=9)
    c.order = await c.shop.place_order(sku=f"GHOST-{c.sku}", quantity=1)


async def _gives_too_much_back(c: Case) -> None:
    await c.town.refunds(c, units=0, adjustment="999.00")


async def _warehouse_does_not_know(c: Case) -> None:
    """It takes every SKU but this."""
    every = {case.sku for case in (*c.town.cases, *c.town.noise)} | {"KIT-PART"}
    c.town.h.depot._world.settings["known_skus"] = ",".join(sorted(every - {c.sku}))


def _refused_delivery(c: Case) -> list[Planted]:
    return [
        *_parcel("delivery in books", "refused")(c),
        Planted("invoice in books", c.key, "refused"),
        Planted("on-hand in books", c.sku, "delivery_refused"),
    ]


def _given_up_delivery(c: Case) -> list[Planted]:
    return [
        *_parcel("delivery in books", "given_up")(c),
        Planted("invoice in books", c.key, "given_up"),
        Planted("on-hand in books", c.sku, "delivery_refused"),
    ]


async def _gives_up(c: Case) -> None:
    for _ in range(2):
        sql = "SELECT id FROM outbox WHERE order_id = ? AND state = 'dead'"
        numbers = [row[0] for row in c.town.h.rows(sql, c.row)]
        await c.town.h.operate("discard", ids=numbers, by="Ann", reason="booked by hand")
        await c.town.h.settle(40)


async def _setting(c: Case, name: str) -> None:
    settings = c.shop._world.settings
    settings[name] = ",".join([*settings.get(name, "").split(","), c.sku])


async def _refuses_number(c: Case) -> None:
    await _setting(c, "refuses")
    c.town.h.depot.receive(c.sku, "EAST", 3)
    c.books.set_stock(c.sku, "MAIN", STOCK + 3)


async def _keeps_number(c: Case) -> None:
    await _setting(c, "keeps")
    c.town.h.depot.receive(c.sku, "EAST", 3)
    c.books.set_stock(c.sku, "MAIN", STOCK + 3)


async def _somebody_keeps_editing(c: Case) -> None:
    for _ in range(5):
        c.shop._listings[c.sku]["quantity"] = 5
        await c.town.jump(601)
        await c.town.jump(5)


async def _edits_listing(c: Case) -> None:
    c.shop._listings[c.sku]["quantity"] -= 7


def _sql(statement: str) -> Act:
    async def act(c: Case) -> None:
        await c.town.h.write(statement.format(sku=c.sku, channel=c.channel))

    return act


async def _miscounts(c: Case) -> None:
    c.books.set_stock(c.sku, "MAIN", STOCK - 3)


async def _comes_back(c: Case) -> None:
    lines = [{"sku": c.sku, "quantity": 1, "condition": "resellable"}]
    c.town.h.depot.take_back(c.reference("fulfill_order"), lines)


async def _comes_back_and_is_miscounted(c: Case) -> None:
    """One unit is a return's; of the rest nothing is known, and so of neither."""
    await _comes_back(c)
    c.books.set_stock(c.sku, "MAIN", STOCK - c.units - 5)


async def _counted_while_not_read(c: Case) -> None:
    """The books know the count of the shelf; we cannot read the shelf."""
    c.town.h.depot.count(c.sku, "EAST", STOCK - 4)
    c.books.set_stock(c.sku, "MAIN", STOCK - 4)


DATED = "2026-11-20T10:00:00.000000Z"
DEEDS = (
    # ------------------------------------------------------------- missing
    Deed(name="order missing in the books", booked=_loses("sales_order"),
         expects=_in_books("sales order", "missing_there")),
    Deed(name="delivery missing in the books", ships=True, shipped=_loses("delivery"),
         expects=_parcel("delivery in books", "missing_there")),
    Deed(name="invoice missing in the books", ships=True, shipped=_loses("invoice"),
         expects=_in_books("invoice", "missing_there")),
    Deed(name="credit note missing in the books", ships=True, refund=1,
         credited=_loses("credit_note"), expects=_credit("missing_there")),
    Deed(name="order never booked", later=_forgets("book_order", "sales_order"),
         expects=_in_books("sales order", "never_asked")),
    Deed(name="invoice never asked for", ships=True, later=_forgets("book_invoice", "invoice"),
         expects=_in_books("invoice", "never_asked")),
    Deed(name="delivery never booked", ships=True, later=_forgets("book_shipment", "delivery"),
         expects=_parcel("delivery in books", "never_asked")),
    Deed(name="refund never credited", ships=True, refund=1,
         later=_forgets("book_credit_note", "credit_note"), expects=_credit("never_asked")),
    Deed(name="parcel never told to the channel", ships=True, later=_forgets("confirm_shipment"),
         expects=lambda c: _parcel(f"shipment on {c.channel}", "never_asked")(c)),
    Deed(name="document of nobody's order", sells=False, later=_books_a_strangers,
         expects=_strangers),
    # ------------------------------------------------------------- another amount
    Deed(name="order of another amount", later=_raises("sales_order", "total"),
         expects=_in_books("sales order", "amount_differs")),
    Deed(name="invoice of another amount", ships=True, later=_raises("invoice", "total"),
         expects=_in_books("invoice", "amount_differs")),
    Deed(name="credit note of another amount", ships=True, refund=1,
         later=_raises("credit_note", "total", by="-0.01"), expects=_credit("amount_differs")),
    Deed(name="wrong tax rate, the same total", later=_raises("sales_order", "tax"),
         expects=_in_books("sales order", "tax_differs")),
    Deed(name="wrong tax rate on an invoice", ships=True, later=_raises("invoice", "tax", by="-1"),
         expects=_in_books("invoice", "tax_differs")),
    Deed(name="wrong tax rate, on top", ships=True, later=_raises("invoice", "tax", "total"),
         expects=_in_books("invoice", "tax_differs")),
    Deed(name="invoice in another currency", ships=True, later=_spoils("invoice", currency="USD"),
         expects=_in_books("invoice", "other_currency")),
    Deed(name="order in another currency", later=_spoils("sales_order", currency="CHF"),
         expects=_in_books("sales order", "other_currency")),
    Deed(name="order with another unit", later=_one_unit_more,
         expects=_in_books("sales order", "units_differ")),
    Deed(name="delivery with another unit", ships=True, later=_one_unit_less,
         expects=_parcel("delivery in books", "units_differ")),
    # ------------------------------------------------------------- twice
    Deed(name="order booked twice", later=_doubles("sales_order"),
         expects=_in_books("sales order", "booked_twice")),
    Deed(name="delivery booked twice", ships=True, later=_doubles("delivery"),
         expects=_parcel("delivery in books", "booked_twice")),
    Deed(name="invoice booked twice", ships=True, later=_doubles("invoice"),
         expects=_in_books("invoice", "booked_twice")),
    Deed(name="double credit", ships=True, refund=1, later=_doubles("credit_note"),
         expects=_credit("booked_twice")),
    # ------------------------------------------------------------- state
    Deed(name="invoice left as a draft", ships=True, later=_spoils("invoice", posted=False),
         expects=_in_books("invoice", "not_posted")),
    Deed(name="order cancelled in the books", later=_spoils("sales_order", state="cancelled"),
         expects=_in_books("sales order", "cancelled_there")),
    Deed(name="invoice cancelled in the books", ships=True,
         later=_spoils("invoice", state="cancelled"),
         expects=_in_books("invoice", "cancelled_there")),
    Deed(name="credit note cancelled in the books", ships=True, refund=1,
         later=_spoils("credit_note", state="cancelled"), expects=_credit("cancelled_there")),
    Deed(name="delivery cancelled in the books", ships=True,
         later=_spoils("delivery", state="cancelled"),
         expects=_parcel("delivery in books", "cancelled_there")),
    Deed(name="cancelled on the channel, nobody told", read=_cancels, later=_cancel_forgotten,
         expects=_in_books("sales order", "cancel_not_told")),
    Deed(name="cancelled on the channel, kept in the books", read=_cancels, later=_revived,
         expects=_in_books("sales order", "not_cancelled_there")),
    # ------------------------------------------------------------- days
    Deed(name="invoice moved by time zone", ships=True, late=True, later=_dated_by_utc,
         expects=_day("invoice", "moved_by_time_zone", lambda _: "1")),
    Deed(name="invoice of another day", ships=True, later=_spoils("invoice", dated=DATED),
         expects=_day("invoice", "dated_otherwise", lambda _: "1")),
    Deed(name="credit note of another day", ships=True, refund=1,
         later=_spoils("credit_note", dated=DATED),
         expects=_day("credit note", "dated_otherwise", lambda c: c.refund)),
    # ------------------------------------------------------------- somebody said no, or did it
    Deed(name="delivery refused by the books", ships=True, read=_loses("sales_order"),
         expects=_refused_delivery),
    Deed(name="delivery given up", ships=True, read=_loses("sales_order"), later=_gives_up,
         expects=_given_up_delivery),
    Deed(name="order refused by the warehouse", booked=None,
         expects=lambda c: [Planted("order in depot", c.key, "refused")]),
    Deed(name="order done by hand", later=_done_by_hand,
         expects=lambda c: [*_in_books("sales order", "done_by_hand")(c),
                            *_in_books("invoice", "done_by_hand")(c)]),
    Deed(name="order held for a SKU nobody knows", sells=False, booked=_sells_what_nobody_knows,
         expects=_in_books("sales order", "held")),
    Deed(name="refund larger than its invoice", ships=True, later=_gives_too_much_back,
         expects=_credit("held")),
    # ------------------------------------------------------------- stock
    Deed(name="rejected write", sells=False, later=_refuses_number,
         expects=_shown("rejected_write")),
    Deed(name="write acknowledged and never kept", sells=False, later=_keeps_number,
         expects=_shown("not_kept")),
    Deed(name="write not kept, and not noticed yet", sells=False,
         frozen=_sql("UPDATE listings SET shown = 13, shown_at = '2026-11-25T09:00:00.000000Z'"
                     " WHERE sku = '{sku}' AND system = '{channel}'"),
         expects=_shown("write_not_kept")),
    Deed(name="another writer of the listing", sells=False, later=_somebody_keeps_editing,
         expects=_shown("not_kept")),
    Deed(name="manual listing edit", sells=False, last=_edits_listing,
         expects=_shown("being_corrected")),
    Deed(name="listing changed unseen by the read", sells=False,
         frozen=_sql("UPDATE listings SET shown = 13, shown_at = '2026-11-26T00:00:00.000000Z'"
                     " WHERE sku = '{sku}' AND system = '{channel}'"),
         expects=_shown("changed_there")),
    Deed(name="number never told", sells=False,
         frozen=_sql("UPDATE published SET quantity = 4 WHERE sku = '{sku}'"
                     " AND system = '{channel}'"),
         expects=_shown("never_told")),
    Deed(name="ledger miscounted", sells=False, later=_miscounts, expects=_copy("stock_differs")),
    Deed(name="unposted return", ships=True, later=_comes_back, expects=_copy("unposted_return")),
    Deed(name="unposted return, credited", ships=True, refund=1, later=_comes_back,
         expects=_copy("unposted_return")),
    Deed(name="unposted return and a miscount", ships=True, later=_comes_back_and_is_miscounted,
         expects=_copy("stock_differs")),
    Deed(name="kit mismatch", ships=True,
         expects=lambda _: [Planted("on-hand in books", "KIT-PART", "kit_booked_whole")]),
    Deed(name="ledger copy that is no number", sells=False,
         later=_sql("UPDATE copies SET value = 'many' WHERE key = '{sku}'"),
         expects=_copy("no_number")),
    Deed(name="item deleted in the warehouse", sells=False,
         later=_sql("INSERT INTO seen SELECT system, 'stock_reading', 'gone', '', read_at, read_at"
                    " FROM stock WHERE sku = '{sku}'"),
         last=_sql("UPDATE stock SET item = 'gone' WHERE sku = '{sku}'"),
         expects=lambda c: [Planted("stock of depot", f"{c.sku} main", "unlisted")]),
    Deed(name="late feed", sells=False, last=_counted_while_not_read, expects=_copy("late_feed")),
    Deed(name="price of another system", sells=False,
         later=_sql("INSERT INTO copies VALUES ('shop', 'list_price', '{sku}', '', '0.01 EUR',"
                    " '2026-11-25T10:00:00.000000Z')"),
         expects=lambda c: [Planted("list price in shop", c.sku, "price_differs")]),
)  # fmt: skip
BY_NAME: Mapping[str, Deed] = {deed.name: deed for deed in DEEDS}
#: The one whose SKU is a kit, and its component.
KIT, PART = "kit mismatch", "KIT-PART"
#: The one whose SKU the warehouse does not take.
NOT_TAKEN = "order refused by the warehouse"
