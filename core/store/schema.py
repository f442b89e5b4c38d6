"""The tables, in the order of the eight stops. Read this to know what Truecount remembers.

Instants are sortable UTC text (`core.clock.stamp`), money is minor units beside
its currency, and everything a buyer wrote is inside a sealed column (G20).
States are words of the glossary; each table says its own.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

#: Raised by one with every change of a table, beside a revision in `migrations/versions`; a
#: newer database refuses an older program.
SCHEMA_VERSION = 4
#: The oldest schema a state is brought up from.
SCHEMA_OLDEST = 1
#: Keys of `meta` that only a backup has: when it was taken, and which key sealed it.
BACKUP_TAKEN_AT = "backup_taken_at"
BACKUP_KEY = "backup_key"

metadata = MetaData()


def _instant(name: str, *, nullable: bool = True) -> Column[str]:
    return Column(name, String(27), nullable=nullable)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _word(name: str, default: str | None = None) -> Column[str]:
    if default is None:
        return Column(name, String, nullable=False)
    return Column(name, String, nullable=False, server_default=text(f"'{default}'"))


meta = Table("meta", metadata, Column("key", String, primary_key=True), _word("value"))

# ------------------------------------------------------------- 1-2 arrives, kept

#: state: pending | applied | held | ignored. One row per thing that arrived, however often.
inbox = Table(
    "inbox",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    _word("system"),
    _word("via"),  # hook | sweep | fetch | absence: how it came the first time
    _word("topic"),
    _word("identity"),
    _word("resource", ""),
    _word("external_id", ""),
    _word("revision", ""),
    Column("headers", LargeBinary),  # sealed
    Column("body", LargeBinary),  # sealed; emptied when retention ends
    _instant("received_at", nullable=False),
    _instant("read_began_at"),  # for owners without a counter or an as-of time (G4)
    _instant("seen_at"),  # when it last came, in exactly this form
    Column("since", String),  # the watermark its pass began at
    _word("state", "pending"),
    _count("pushes"),
    _count("polls"),
    _count("accepted"),  # 1: a person says that it is true (S38)
    _word("mapping", ""),  # which version understood it (G15)
    _word("reason", ""),
    _instant("done_at"),
    UniqueConstraint("system", "topic", "identity", name="inbox_once"),
    sqlite_autoincrement=True,
)
Index("inbox_pending", inbox.c.seq, sqlite_where=inbox.c.state == "pending")
Index("inbox_pending_of", inbox.c.system, inbox.c.seq, sqlite_where=inbox.c.state == "pending")
Index(
    "inbox_held",
    inbox.c.system,
    inbox.c.resource,
    inbox.c.external_id,
    sqlite_where=inbox.c.state == "held",
)

#: Objects a push only hinted at: re-read from their owner first. Newest wish wins.
fetches = Table(
    "fetches",
    metadata,
    Column("system", String, primary_key=True),
    Column("resource", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    _instant("asked_at", nullable=False),
    _instant("due_at", nullable=False),
    _count("attempts"),
    _word("words", ""),
)

#: Where each sweep stands. Moves only in the transaction that stores the rows it covers (G2).
cursors = Table(
    "cursors",
    metadata,
    Column("system", String, primary_key=True),
    Column("resource", String, primary_key=True),
    Column("since", String),
    Column("page", String),
    _instant("began_at"),  # of the pass now running, or of the last complete one
    _instant("complete_began_at"),
    _instant("complete_at"),
    _instant("due_at", nullable=False),
    _instant("full_at"),  # when a pass from the beginning last began and came to its end
    _count("rows"),
    _count("failures"),
    _word("words", ""),
)

#: How each system is heard of: when something last came, when it was last pushed, and how many
#: passes of a sweep brought news since that nobody had pushed (core/hearing.py).
heard = Table(
    "heard",
    metadata,
    Column("system", String, primary_key=True),
    _instant("came_at", nullable=False),
    _instant("pushed_at"),
    _count("pushed_seq"),
    _count("passes"),
)

#: How many events of a system came in an hour of UTC ("2026-11-25T09"), pushed or as news.
heard_hours = Table(
    "heard_hours",
    metadata,
    Column("system", String, primary_key=True),
    Column("hour", String(13), primary_key=True),
    _count("value"),
)

#: For how many seconds of an hour we were there to hear of anything.
listened = Table(
    "listened",
    metadata,
    Column("hour", String(13), primary_key=True),
    Column("value", Float, nullable=False),
)

#: Last seen content of each object of a resource that has no revision of its own.
seen = Table(
    "seen",
    metadata,
    Column("system", String, primary_key=True),
    Column("resource", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    _word("hash"),
    _instant("pass_began_at", nullable=False),  # the last pass that showed it
    _instant("missing_since"),  # the first complete pass that no longer did
    sqlite_with_rowid=False,
)

# ------------------------------------------------------------- 3-4 understood, decided

#: state: captured | held | released | shipped | cancelled. `doc` is the sealed Order.
orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True),
    _word("system"),
    _word("external_id"),
    _word("number"),
    _word("revision"),
    _word("state"),
    _word("payment"),
    _word("currency"),
    Column("total_minor", Integer, nullable=False),
    # Tax inside the total that the marketplace remits itself: never posted as ours.
    Column("channel_tax_minor", Integer, nullable=False, server_default=text("0")),
    Column("tax_minor", Integer),  # all tax inside the total; null in rows from before 0004
    Column("units", Integer),  # of all its lines, as the channel counts them
    _instant("cancelled_at"),  # on its channel; a warehouse may have it still
    _instant("placed_at", nullable=False),
    _instant("captured_at", nullable=False),
    _instant("changed_at", nullable=False),
    _instant("ship_by"),
    Column("location", String),
    _word("booked", ""),  # the key of its BookOrder command, "" if not asked yet
    _word("asked", ""),  # the key of its FulfillOrder command
    Column("doc", LargeBinary),
    _word("doc_hash", ""),
    UniqueConstraint("system", "external_id", name="order_once"),
)
Index("orders_placed", orders.c.placed_at)
Index("orders_number", orders.c.number)
Index("orders_open", orders.c.id, sqlite_where=orders.c.state.in_(["held", "released"]))

#: ordered = claimed + short + consumed + cancelled, all >= 0, at every commit (G6). A line of
#: a kit has one row for each component: `kit` is its SKU, `parent` the key of the channel's
#: line, and `factor` how many units of this row one of the line takes; 0: none any more.
lines = Table(
    "lines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False),
    _word("key"),
    _word("sku"),
    _count("ordered"),
    _count("claimed"),
    _count("short"),
    _count("consumed"),
    _count("cancelled"),
    Column("shippable", Integer, nullable=False, server_default=text("1")),
    _word("parent", ""),
    _word("kit", ""),
    Column("factor", Integer, nullable=False, server_default=text("1")),
    UniqueConstraint("order_id", "key", name="line_once"),
)

Index("lines_short", lines.c.sku, sqlite_where=lines.c.short > 0)

#: state: open -> shipped -> ended, or open -> released, or open -> missing -> released: units
#: the warehouse could not find, subtracted until its number says so. `evidence`: why (G7).
claims = Table(
    "claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False),
    Column("line_id", Integer, nullable=False),
    _word("sku"),
    _word("location"),
    Column("units", Integer, nullable=False),
    _word("state", "open"),
    _instant("opened_at", nullable=False),
    _instant("accepted_at"),  # the warehouse took the order: our clock, when we saw it
    Column("accepted_counter", Integer),
    _instant("accepted_as_of"),
    Column("shipment_id", Integer),
    _instant("shipped_seen_at"),
    Column("shipped_counter", Integer),
    _instant("shipped_as_of"),
    _instant("ended_at"),
    _word("evidence", ""),
)
#: Covers the sum that every new order of a SKU asks for.
Index(
    "claims_of_sku",
    claims.c.sku,
    claims.c.location,
    claims.c.state,
    claims.c.shipped_seen_at,
    claims.c.accepted_at,
    claims.c.units,
)
Index("claims_of_order", claims.c.order_id)
Index("claims_missing", claims.c.line_id, sqlite_where=claims.c.state == "missing")

#: The owner's number in force for one SKU at one location.
stock = Table(
    "stock",
    metadata,
    Column("sku", String, primary_key=True),
    Column("location", String, primary_key=True),
    _word("system"),
    Column("on_hand", Integer),
    Column("available", Integer),
    Column("allocated", Integer),
    Column("counter", Integer),
    _instant("as_of"),
    _instant("began_at", nullable=False),
    _instant("read_at", nullable=False),
    _word("item", ""),  # the owner's object it was read from, where a sweep read it
    _instant("confirmed_at"),  # a complete pass begun then found it unchanged, and it mattered
    _count("moved"),  # units of its number that came of later movements
    _count("waiting"),  # units of falls that came out of turn: not sold until put in order
    _count("doubt"),  # units that another place of the same owner may still count
    _instant("doubted_at"),  # … until a complete pass that began after this
)

Index("stock_of_item", stock.c.system, stock.c.item)
Index("stock_in_doubt", stock.c.system, sqlite_where=stock.c.doubt > 0)

#: Movements later than the number in force that are not (or not for good) inside it.
movements = Table(
    "movements",
    metadata,
    Column("system", String, primary_key=True),
    Column("key", String, primary_key=True),
    _word("sku"),
    _word("location"),
    Column("units", Integer, nullable=False),
    Column("counter", Integer),
    _instant("as_of"),
    _instant("seen_at", nullable=False),
)
Index("movements_of_sku", movements.c.sku, movements.c.location)

#: Of a source that counts its movements without a hole: the runs we know. Two are a hole.
movement_runs = Table(
    "movement_runs",
    metadata,
    Column("system", String, primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
)

#: How many SKUs the running pass of a source has brought to zero, of how many that had units.
falls = Table(
    "falls",
    metadata,
    Column("system", String, primary_key=True),
    _instant("pass_began_at", nullable=False),
    _count("fell"),
    _count("known"),
)

#: SKUs promised beyond the owner's number. `confirmed_at`: no parcel we had not heard of yet.
oversold = Table(
    "oversold",
    metadata,
    Column("sku", String, primary_key=True),
    Column("location", String, primary_key=True),
    Column("units", Integer, nullable=False),
    _instant("since", nullable=False),
    _instant("confirmed_at"),
)

#: What systems that do not own a number say it is: compared, never adopted (G5).
copies = Table(
    "copies",
    metadata,
    Column("system", String, primary_key=True),
    Column("number", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("place", String, primary_key=True),
    _word("value"),
    _instant("read_at", nullable=False),
)
#: Whether an object is not for sale is looked up with every number it says.
Index(
    "copies_not_for_sale",
    copies.c.system,
    copies.c.number,
    copies.c.place,
    sqlite_where=copies.c.number == "not_for_sale",
)

items = Table(
    "items",
    metadata,
    Column("sku", String, primary_key=True),
    _word("source"),
    _instant("first_seen_at", nullable=False),
)

#: SKUs by how they are spelled without case and blanks: two of one spelling are shown (S30).
spellings = Table(
    "spellings",
    metadata,
    Column("sku", String, primary_key=True),
    _word("spelling"),
)
Index("spellings_alike", spellings.c.spelling)

#: What owners say of single lots: data, and no number of the item (S35).
lots = Table(
    "lots",
    metadata,
    Column("system", String, primary_key=True),
    Column("sku", String, primary_key=True),
    Column("place", String, primary_key=True),
    Column("lot", String, primary_key=True),
    _word("expires_on", ""),
    Column("units", Integer, nullable=False),
    _instant("read_at", nullable=False),
)

#: Every list of aliases, kits and tags that came into force, and the step that tells of it.
item_lists = Table(
    "item_lists",
    metadata,
    Column("seq", Integer, primary_key=True),
    _word("digest"),
    Column("doc", LargeBinary, nullable=False),  # JSON, compressed
)

#: Every text of a mapping that came into force; a row of the inbox names the one it was read by.
mapping_texts = Table(
    "mapping_texts",
    metadata,
    Column("seq", Integer, primary_key=True),
    _word("connector"),
    _word("stem"),  # the file's name without .yaml
    _word("version"),  # "shopify.order v3 1f2e3d4c"
    _word("hash"),
    Column("doc", LargeBinary, nullable=False),  # compressed
    _instant("since", nullable=False),
)
Index("mapping_text_of", mapping_texts.c.connector, mapping_texts.c.stem)

#: Which fields their documents have, of which kinds, and since when: never a value (H27).
#: `documents` counts those that had it, `last` is the number of the last one that did.
shapes = Table(
    "shapes",
    metadata,
    Column("system", String, primary_key=True),
    Column("resource", String, primary_key=True),
    Column("path", String, primary_key=True),
    _word("kinds"),
    _count("documents"),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
)

#: How many documents of each resource were looked at, and up to which row of the inbox.
shapes_seen = Table(
    "shapes_seen",
    metadata,
    Column("system", String, primary_key=True),
    Column("resource", String, primary_key=True),
    _count("documents"),
    _count("seq"),
)

#: What a vendor changed. what: new | vanished | retyped. `example`: where it was first seen.
drifts = Table(
    "drifts",
    metadata,
    Column("system", String, primary_key=True),
    Column("resource", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("what", String, primary_key=True),
    _word("detail"),
    _word("example"),
    _count("documents"),
    _instant("since", nullable=False),
    _instant("until", nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("sku", String, primary_key=True),
    _word("system"),
    Column("doc", LargeBinary, nullable=False),
    _instant("read_at", nullable=False),
)

#: What left a location. `parcel` counts from 1 within the order.
shipments = Table(
    "shipments",
    metadata,
    Column("id", Integer, primary_key=True),
    _word("system"),
    _word("external_id"),
    Column("order_id", Integer, nullable=False),
    _word("location"),
    _word("state"),
    _word("revision", ""),
    Column("parcel", Integer, nullable=False),
    _instant("shipped_at"),
    _instant("seen_at", nullable=False),
    _word("tracking", ""),
    Column("doc", LargeBinary, nullable=False),
    UniqueConstraint("system", "external_id", name="shipment_once"),
)

#: Cancellations, returns, parcel events: facts by their owner, kept whole.
facts = Table(
    "facts",
    metadata,
    Column("system", String, primary_key=True),
    Column("resource", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    _word("revision", ""),
    Column("order_id", Integer),
    Column("doc", LargeBinary, nullable=False),
    _instant("seen_at", nullable=False),
    _word("tracking", ""),  # of a courier's scan
)
Index("facts_of_order", facts.c.order_id)
Index("facts_of_tracking", facts.c.tracking, sqlite_where=facts.c.tracking != "")

#: What a ledger holds about our references.
documents = Table(
    "documents",
    metadata,
    Column("system", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    _word("kind"),
    _word("reference"),
    _word("number", ""),
    _word("state", ""),
    _count("posted"),
    Column("order_id", Integer),
    _word("currency", ""),
    Column("total_minor", Integer),
    Column("tax_minor", Integer),
    Column("cost_minor", Integer),
    Column("quantity", Integer),
    _count("cancelled"),
    _instant("dated"),
    _instant("first_at"),  # when it was first read
    _instant("seen_at", nullable=False),
)
Index("documents_of_order", documents.c.order_id)

#: An order as the ledgers were asked to invoice it: what refunds are credited of.
invoiced = Table(
    "invoiced",
    metadata,
    Column("order_id", Integer, primary_key=True),
    _instant("at", nullable=False),
    Column("doc", LargeBinary, nullable=False),  # the sealed Order, without its buyer
)

#: Money a channel gave back. state: announced | waiting (for the invoice) | credited |
#: not_owed (nothing was invoiced of it). `note`: the key of its credit note in every ledger.
refunds = Table(
    "refunds",
    metadata,
    Column("id", Integer, primary_key=True),
    _word("system"),
    _word("external_id"),
    Column("order_id", Integer, nullable=False),
    _word("returned", ""),
    _word("revision", ""),
    _word("state"),
    _word("currency"),
    Column("total_minor", Integer, nullable=False),
    _count("channel_tax_minor"),  # of its credit note: tax that the marketplace remits itself
    _instant("refunded_at", nullable=False),
    _instant("seen_at", nullable=False),
    _word("note", ""),
    Column("doc", LargeBinary, nullable=False),  # the sealed Refund
    _word("doc_hash"),
    Column("credit", LargeBinary),  # the sealed BookCreditNote
    Column("return_id", Integer),  # the return it belongs to
    UniqueConstraint("system", "external_id", name="refund_once"),
)
Index("refunds_of_order", refunds.c.order_id)

#: By when a channel or courier wants what of an order (core/deadlines.py). `subject`: the
#: cancellation, return or parcel it is about, "" for the order itself. state: open | met | over.
#: told: "" | near | missed, what was said of it. `at` is by the clock of whoever states it.
deadlines = Table(
    "deadlines",
    metadata,
    Column("order_id", Integer, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("subject", String, primary_key=True),
    _word("system"),
    _word("source"),  # stated | agreed
    _instant("at", nullable=False),
    _word("state", "open"),
    _word("told", ""),
    _instant("met_at"),
    sqlite_with_rowid=False,
)
Index("deadlines_open", deadlines.c.at, sqlite_where=deadlines.c.state == "open")
Index("deadlines_met", deadlines.c.met_at, sqlite_where=deadlines.c.state == "met")

#: Returns as core/coming_back.py folds them from the facts. `external_id`: the channel's, or
#: "parcel:TRACKING" and "order" where it has none. The custody and money words are its own;
#: the books are those of its refunds. `closed_at`: nothing of it is missing any more.
returns = Table(
    "returns",
    metadata,
    Column("id", Integer, primary_key=True),
    _word("system"),
    _word("external_id"),
    Column("order_id", Integer, nullable=False),
    _word("kind"),
    _word("state"),  # as the channel says
    _word("tracking", ""),
    _word("custody"),
    _instant("custody_at", nullable=False),
    _word("money"),
    _instant("money_at", nullable=False),
    _instant("opened_at", nullable=False),
    _instant("closed_at"),
    UniqueConstraint("system", "external_id", "order_id", name="return_once"),
)
Index("returns_of_order", returns.c.order_id)
Index("returns_open", returns.c.opened_at, sqlite_where=returns.c.closed_at.is_(None))

#: Units of a return, by the row of its order, and what a warehouse received of them.
return_lines = Table(
    "return_lines",
    metadata,
    Column("return_id", Integer, primary_key=True),
    Column("line", String, primary_key=True),
    _word("sku"),
    _count("expected"),
    _count("resellable"),
    _count("damaged"),
    _count("missing"),
    _count("unknown"),
)

#: One open row per cause; 400 members of one cause are one exception.
holds = Table(
    "holds",
    metadata,
    Column("id", Integer, primary_key=True),
    _word("cause"),
    _word("system"),
    _word("reason"),
    _word("next_step"),
    _instant("opened_at", nullable=False),
    _instant("closed_at"),
    _word("assignee", ""),  # who is on it
    _word("note", ""),
    _instant("snoozed_until"),  # it does not alarm before that
)
Index("hold_open", holds.c.cause, unique=True, sqlite_where=holds.c.closed_at.is_(None))

#: member: inbox | order | command | sku | listing | pass | system
hold_members = Table(
    "hold_members",
    metadata,
    Column("hold_id", Integer, primary_key=True),
    Column("member", String, primary_key=True),
    Column("ref", String, primary_key=True),
    _word("label"),
    _instant("since", nullable=False),
    _instant("closed_at"),
)
Index("holds_of_member", hold_members.c.member, hold_members.c.ref)

#: A cause that a person has decided about for one order: it keeps the order back no more.
waivers = Table(
    "waivers",
    metadata,
    Column("order_id", Integer, primary_key=True),
    Column("cause", String, primary_key=True),
    _word("about"),  # what the exception said: if it says something else, it is another decision
    _word("by"),
    _word("reason"),
    _instant("at", nullable=False),
)

#: What was said of an order from before its systems were live. how: ours | by_hand
handovers = Table(
    "handovers",
    metadata,
    Column("order_id", Integer, primary_key=True),
    _word("how"),
    _word("by"),
    _word("reason"),
    _instant("at", nullable=False),
)

# ------------------------------------------------------------- 5 told

#: A command that is over: done; never left and not wanted any more; given up for good.
ENDED = ("done", "taken_back", "discarded")

#: state: queued | planned | sending | waiting | in_doubt | dead, or ended. FIFO within a lane.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _word("system"),
    _word("kind"),
    _word("lane"),
    _word("key"),
    _count("generation"),
    Column("order_id", Integer),
    Column("record", LargeBinary, nullable=False),  # sealed, our words
    Column("body", LargeBinary),  # sealed, their words; fixed by the first attempt
    _word("state", "queued"),
    _word("safe_by"),
    Column("urgency", Integer, nullable=False, server_default=text("2")),
    _count("attempts"),
    _count("lookups"),  # negative lookups in a row (H22)
    _instant("queued_at", nullable=False),
    _instant("due_at", nullable=False),
    _instant("first_sent_at"),
    _instant("done_at"),
    _word("reference", ""),
    _word("words", ""),
    UniqueConstraint("system", "key", name="command_once"),
    sqlite_autoincrement=True,
)
Index(
    "outbox_live",
    outbox.c.system,
    outbox.c.lane,
    outbox.c.id,
    sqlite_where=outbox.c.state != "done",
)
Index(
    "outbox_due",
    outbox.c.system,
    outbox.c.urgency,
    outbox.c.due_at,
    outbox.c.id,
    sqlite_where=outbox.c.state.in_(["queued", "waiting", "in_doubt"]),
)
Index("outbox_of_order", outbox.c.order_id)
Index("outbox_dead", outbox.c.system, outbox.c.lane, sqlite_where=outbox.c.state == "dead")

#: Systems that were away, and how what had waited was drained. `since` until `back_at` it did not
#: answer; until `ended_at` the drain went on. `per_second`: as allowed, then as measured.
outages = Table(
    "outages",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _word("system"),
    _instant("since", nullable=False),
    _instant("back_at"),
    _instant("ended_at"),
    _count("upto"),  # the last command there was when it was back: later ones are no drain
    _count("commands"),  # that waited then
    _count("skus"),
    _count("left_over"),  # that were still there when the drain counted as over
    Column("per_second", Float, nullable=False),
    _word("words", ""),
    sqlite_autoincrement=True,
)
Index("outages_open", outages.c.system, sqlite_where=outages.c.ended_at.is_(None))

#: Committed before the first byte leaves. A row without `ended_at` is a lost answer.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("outbox_id", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    _word("verb"),  # send | find
    _instant("began_at", nullable=False),
    _instant("ended_at"),
    _word("result", ""),
    _word("words", ""),
    Column("said", LargeBinary),  # sealed: request and answer of one that went wrong
)
Index("attempts_of_command", attempts.c.outbox_id)

# ------------------------------------------------------------- 6 published

listings = Table(
    "listings",
    metadata,
    Column("system", String, primary_key=True),
    Column("listing", String, primary_key=True),
    Column("place", String, primary_key=True),
    _word("sku"),
    _word("their_sku", ""),  # the channel's word for it, where an alias made `sku` of it
    _word("title", ""),
    _word("item", ""),  # the channel's object it was read from
    _word("extras", "{}"),
    Column("active", Integer, nullable=False, server_default=text("1")),
    Column("shown", Integer),  # the channel's own copy, last read
    _instant("shown_at"),
)
Index("listings_of_sku", listings.c.sku, listings.c.system)

#: Every text of offer rules that came into force, and the step that tells of it.
offer_rules = Table(
    "offer_rules",
    metadata,
    Column("seq", Integer, primary_key=True),
    _word("digest"),  # of the text and of the tags it was read with
    _word("doc"),
)

#: An operator stopped the sale of a SKU, on one channel or on all (""): who, why, until when.
overrides = Table(
    "overrides",
    metadata,
    Column("id", Integer, primary_key=True),
    _word("sku"),
    _word("channel", ""),
    _word("by"),
    _word("reason"),
    _instant("since", nullable=False),
    _instant("until"),
    _instant("ended_at"),
    _word("ended_by", ""),
)
Index(
    "override_open",
    overrides.c.sku,
    overrides.c.channel,
    unique=True,
    sqlite_where=overrides.c.ended_at.is_(None),
)

#: The change feed: one row per SKU, `seq` rises with every change. Cursors are per channel.
feed = Table(
    "feed",
    metadata,
    Column("sku", String, primary_key=True),
    Column("seq", Integer, nullable=False),
    _word("why"),
    _instant("changed_at", nullable=False),
)
Index("feed_seq", feed.c.seq)

publish_cursors = Table(
    "publish_cursors",
    metadata,
    Column("system", String, primary_key=True),
    _count("seq"),
)

#: SKUs of one channel to be told again, for a reason.
republish = Table(
    "republish",
    metadata,
    Column("system", String, primary_key=True),
    Column("sku", String, primary_key=True),
    _instant("due_at", nullable=False),
    _count("attempts"),
    _word("why"),
)

#: What each channel last acknowledged.
published = Table(
    "published",
    metadata,
    Column("system", String, primary_key=True),
    Column("listing", String, primary_key=True),
    Column("place", String, primary_key=True),
    _word("sku"),
    Column("quantity", Integer),
    _instant("acked_at"),
    _word("words", ""),  # why it differs from what we want, if it does
    _word("differs", ""),  # what was read back last, if it was another number
    _count("corrections"),  # how often in a row it was just this (S25)
)
Index("published_of_sku", published.c.sku, published.c.system)

#: What each outlet may still sell, where a pool is or may be divided (core/escrow.py).
#: `pending`: what a write in flight may add. A null ceiling is not known yet.
quotas = Table(
    "quotas",
    metadata,
    Column("system", String, primary_key=True),
    Column("listing", String, primary_key=True),
    Column("place", String, primary_key=True),
    _word("sku"),
    Column("shown", Integer),
    Column("ceiling", Integer),
    _count("pending"),
    Column("anchor", Integer),
    _instant("anchor_at"),
    _instant("back_at"),
    _instant("known_at"),
)
Index("quotas_of_sku", quotas.c.sku, quotas.c.system)

#: Items whose pool `adaptive` divides now.
divided = Table(
    "divided",
    metadata,
    Column("sku", String, primary_key=True),
    _instant("since", nullable=False),
)

#: How fast an item sells on a channel, units a second, as two averages that forget.
paces = Table(
    "paces",
    metadata,
    Column("sku", String, primary_key=True),
    Column("system", String, primary_key=True),
    Column("quick", Float, nullable=False),
    Column("slow", Float, nullable=False),
    _instant("at", nullable=False),
)

#: How late we are on a channel. kind: seen (sold until captured) | told (changed until acked).
delays = Table(
    "delays",
    metadata,
    Column("system", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("seconds", Float, nullable=False),
    _instant("at", nullable=False),
)

#: One row per publishing call: what was told, when, and what the channel said.
told = Table(
    "told",
    metadata,
    Column("id", Integer, primary_key=True),
    _word("system"),
    _word("key"),
    _instant("began_at", nullable=False),
    _instant("ended_at"),
    _word("result", ""),
    Column("position", Integer),  # the last step the quantities were computed after
    _word("offers"),  # JSON, one for each offer: core.offers.Computed.kept, outcome, now
)
Index("told_open", told.c.system, sqlite_where=told.c.ended_at.is_(None))

# ------------------------------------------------------------- 7-8 closed, proven

#: The walk of every order and SKU; append only. `truecount trace` prints it.
steps = Table(
    "steps",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    _instant("at", nullable=False),
    Column("stop", Integer, nullable=False),  # 1-8
    _word("name"),
    _word("system", ""),
    Column("order_id", Integer),
    _word("sku", ""),
    _word("data", "{}"),
    sqlite_autoincrement=True,
)
Index("steps_of_order", steps.c.order_id)
Index("steps_of_sku", steps.c.sku)
Index("steps_at", steps.c.at)

#: What the steps after `seq` are judged by: the network with its owners, and where the
#: counters of a system began anew. `doc` of kind network: core/in_force.py.
in_force = Table(
    "in_force",
    metadata,
    Column("seq", Integer, primary_key=True),  # the step that tells of it
    _word("kind"),  # network | counters
    _word("system", ""),
    _word("doc", "{}"),
)

#: One row per company and day; never mailed twice.
reports = Table(
    "reports",
    metadata,
    Column("company", String, primary_key=True),
    Column("day", String, primary_key=True),
    _word("state"),  # due | sending | sent | failed
    _word("message_id", ""),
    _instant("made_at"),
    _instant("sent_at"),
    _count("attempts"),
    _word("words", ""),
)

#: Differences as the daemon saw them, by their id. state: open | resolved (by a fact, `ended_at`).
#: `said` is what of it was written off, by whom and why: another amount is another matter.
differences = Table(
    "differences",
    metadata,
    Column("id", String, primary_key=True),
    _word("what"),
    _word("key"),
    _word("cause"),
    _count("units"),
    _count("minor"),
    _word("currency", ""),
    _instant("first_at", nullable=False),
    _instant("last_at", nullable=False),
    _instant("ended_at"),
    _word("assignee", ""),
    _word("said", ""),
    _word("written_by", ""),
    _word("reason", ""),
    _instant("written_at"),
    sqlite_with_rowid=False,
)
Index("differences_open", differences.c.first_at, sqlite_where=differences.c.ended_at.is_(None))

#: Last run of everything the scheduler wakes: a dead scheduler is noticed.
ticks = Table(
    "ticks",
    metadata,
    Column("name", String, primary_key=True),
    _instant("began_at"),
    _instant("ok_at"),
    _word("words", ""),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("label", String, primary_key=True),
    Column("day", String, primary_key=True),
    _count("value"),
)

#: Rate budgets and breakers: a restart loop must not eat Amazon's burst.
health = Table(
    "health",
    metadata,
    Column("system", String, primary_key=True),
    Column("kind", String, primary_key=True),  # budget | breaker | login
    _word("state"),
    _instant("at", nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("system", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),  # sealed
    _instant("stored_at", nullable=False),
)
