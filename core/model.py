"""The nouns: what systems say, in our words.

Every value is frozen. Ids are text (19 digits do not fit a float), instants are
aware UTC, money carries its currency, quantities are whole units. What a
mapping may fill is exactly the fields below; `extras` keeps the owner's own
words that we must be able to say back (a marketplace id, a fulfillment order).

Which vendor demands which field: `contracts-asia.md` 16, summed up in
docs/ARCHITECTURE.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.money import Money


class Payment(StrEnum):
    """What the channel says about the buyer's money."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    PART = "part"
    PAID = "paid"
    COD = "cod"  # the courier collects; safe to ship, not yet earned
    REFUNDED = "refunded"
    VOID = "void"


class Collector(StrEnum):
    """Who remits the tax: posting a marketplace's tax as ours is a wrong return."""

    SELLER = "seller"
    MARKETPLACE = "marketplace"


class Mask(StrEnum):
    """A masked value never overwrites a clear one."""

    CLEAR = "clear"
    MASKED = "masked"
    WITHHELD = "withheld"


class DeadlineKind(StrEnum):
    PAY = "pay"
    ACCEPT = "accept"
    PACK = "pack"
    SHIP = "ship"
    HANDOVER = "handover"
    DELIVER = "deliver"
    CANCEL_DECISION = "cancel_decision"
    RETURN_DECISION = "return_decision"
    RETURN_SHIP = "return_ship"
    RETURN_INSPECT = "return_inspect"
    NDR_DECISION = "ndr_decision"
    AUTO_CANCEL = "auto_cancel"


class Party(StrEnum):
    """Who started a cancellation."""

    BUYER = "buyer"
    SELLER = "seller"
    CHANNEL = "channel"
    WAREHOUSE = "warehouse"
    SYSTEM = "system"


class CancelReason(StrEnum):
    """Why a seller cancels, in the words that a channel's own are mapped from. What an operator
    writes besides never leaves: it may name the buyer."""

    OUT_OF_STOCK = "out_of_stock"
    BUYER = "buyer"
    ADDRESS = "address"
    PAYMENT = "payment"
    FRAUD = "fraud"
    OTHER = "other"


class RequestState(StrEnum):
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A buyer. Sealed at rest, gone 30 days after delivery, never in a log (G20)."""

    name: str = ""
    company: str = ""
    street: str = ""
    street2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""
    mask: Mask = Mask.CLEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """One tax on a line or on shipping. `rate` is a fraction (0.19); Amazon gives none."""

    title: str = ""
    rate: Decimal | None = None
    amount: Money
    jurisdiction: str = ""
    collected_by: Collector = Collector.SELLER


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """One discount, positive. `funded_by` seller or platform: it changes who owes whom."""

    title: str = ""
    amount: Money
    funded_by: str = "seller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    kind: DeadlineKind
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One line as the channel has it *now*: `quantity` is after edits and removals."""

    key: str
    sku: str
    title: str = ""
    quantity: int
    unit_price: Money
    discounts: tuple[Discount, ...] = ()  # this line's share of order discounts included
    taxes: tuple[Tax, ...] = ()
    shippable: bool = True  # a gift card never reaches a warehouse
    fulfilled: int = 0  # the channel's own count: only says what others have sent (core.by_hand)
    unit_keys: tuple[str, ...] = ()  # where the vendor tracks single units
    listing: str = ""
    their_sku: str = ""  # the channel's word for the item, where an alias made `sku` of it
    hsn_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """A wish or a fact about not shipping. Empty `lines` means the whole order."""

    key: str
    order: str
    initiator: Party = Party.BUYER
    state: RequestState = RequestState.REQUESTED
    reason: str = ""
    decide_by: datetime | None = None
    lines: tuple[QuantityLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityLine:
    """So many units of one order line (`line`, where known) or of one SKU."""

    line: str = ""
    sku: str = ""
    quantity: int
    lot: str = ""
    expires_on: str = ""  # as its system writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a buyer bought. Owned by the channel where it was placed."""

    key: str  # the channel's id, never changes
    number: str  # what the customer sees
    revision: str  # the channel's version; compared only with itself (G4)
    placed_at: datetime
    updated_at: datetime | None = None
    cancelled_at: datetime | None = None
    currency: str
    total: Money  # what the channel says the buyer owes; the document must tie to it
    shipping_fee: Money | None = None  # before its discount
    shipping_discount: Money | None = None
    shipping_taxes: tuple[Tax, ...] = ()
    other_fees: Money | None = None  # gift wrap, cash on delivery: named in extras
    fee_taxes: tuple[Tax, ...] = ()  # of `other_fees`
    tip: Money | None = None  # inside the total, and nobody's tax
    discounts: tuple[Discount, ...] = ()  # of the whole order: spread over its lines when captured
    rounding: Money | None = None  # what the channel rounded its total by; below zero: downwards
    gift_cards: Money | None = None  # so much of the total was paid with them: no discount
    tax_included: bool = False
    payment: Payment
    complete: bool = True  # False: the channel still withholds parts (price, address)
    reservable: bool = True
    shippable: bool = True  # False: hold from the warehouse, stock stays claimed
    accepted: bool = True  # False: the channel waits for the seller to take it on
    test: bool = False
    fulfilled_by_channel: bool = False  # FBA and the like: not our stock, not our parcel
    ship_to: Address = field(default_factory=Address)
    email: str = ""
    lines: tuple[OrderLine, ...]
    deadlines: tuple[Deadline, ...] = ()
    cancellations: tuple[Cancellation, ...] = ()
    shipping_service: str = ""
    presentment_total: Money | None = None  # the buyer's currency, a memo, never booked
    channel_state: str = ""  # the channel's own word, kept raw
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReading:
    """One system's number for one SKU at one of its places, and how old it is.

    Exactly one of `on_hand` (our orders still inside) and `available` (already
    net of the orders the system accepted) drives the arithmetic: the basis the
    source declared. `counter` and `as_of` are the owner's own order of readings.
    `measured` stands for that one where the system weighs or counts otherwise
    (2.5 kg): the factor of the item's alias makes whole units of it, or it is held.
    With a `lot` the number is that of one lot: kept, and no number of the item.
    """

    key: str
    sku: str
    place: str  # the system's word; config.yaml says which location it is
    on_hand: int | None = None
    available: int | None = None
    allocated: int | None = None
    counter: int | None = None
    as_of: datetime | None = None
    status: str = ""  # "damaged", "in_transit": the owner's word where it is not plainly for sale
    measured: Decimal | None = None
    lot: str = ""
    expires_on: str = ""  # as its system writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class StockMovement:
    """So many units of a SKU came to a place (or left it), with the owner's number for that.

    It is put in order among the readings by `counter` or `as_of`, whichever the source declared.
    """

    key: str
    sku: str
    place: str
    units: int  # negative: they left
    counter: int | None = None
    as_of: datetime | None = None
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """An offer on a channel: which SKU, where, and what the channel shows now."""

    key: str
    sku: str
    place: str = ""
    title: str = ""
    shown: int | None = None  # the channel's own copy of the number
    channel_open: int | None = None  # units in its own open orders, for gross fields
    active: bool = True
    extras: dict[str, str] = field(default_factory=dict)
    their_sku: str = ""  # the channel's word for the item, where an alias made `sku` of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What left a location, in which parcel: the warehouse's word.

    `reference` is what we called the order when we asked (our command key).
    `short` are units the warehouse could not find and will not ship.
    """

    key: str
    reference: str
    revision: str = ""
    place: str = ""
    state: str = "shipped"  # shipped | cancelled | waiting
    shipped_at: datetime | None = None
    counter: int | None = None  # the stock counter after this shipment left
    carrier: str = ""
    tracking: str = ""
    tracking_url: str = ""
    lines: tuple[QuantityLine, ...] = ()
    short: tuple[QuantityLine, ...] = ()
    complete: bool = True  # nothing more will follow for this order
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnLine:
    line: str = ""
    sku: str = ""
    quantity: int
    condition: str = "unknown"  # resellable | damaged | missing | unknown
    refund: Money | None = None
    lot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Goods on their way back, or money without goods. Three facts, three owners.

    A channel allows it, in its own key of the order. A warehouse receives it, at `received_at`
    and with a condition for each line, in our reference of the order or in its number. `refund`
    is a memo of the channel: money is a `Refund`.
    """

    key: str
    order: str
    kind: str = "return_refund"  # refund_only | return_refund | replacement | exchange | rto
    state: RequestState = RequestState.REQUESTED
    revision: str = ""
    received_at: datetime | None = None
    lines: tuple[ReturnLine, ...] = ()
    refund: Money | None = None
    previous: str = ""  # the return this one continues (an exchange chain)
    tracking: str = ""
    authorization: str = ""  # what a warehouse received: the channel's return it was told of
    decide_by: datetime | None = None  # the seller answers by then


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundLine:
    """Money given back for one line of an order (`line`, or `sku` where the channel names no line).

    `quantity`: units the money is for, whether they come back or not; 0 for money alone.
    `amount` counts as the order's own prices do: with the tax where `Order.tax_included`.
    Without it the line's own price is meant; without `taxes` their part of it.
    """

    line: str = ""
    sku: str = ""
    quantity: int = 0
    amount: Money | None = None
    taxes: tuple[Tax, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money a channel has given back (S17). All amounts are positive.

    `total` is what the buyer got, to the minor unit; `adjustment` the part of it that is for
    nothing in particular, tax included. With `total` alone all of it is that. `Order.total`
    stays what was bought: a refund is told here and nowhere else.
    """

    key: str
    order: str
    returned: str = ""  # the channel's return it belongs to, where it says so
    revision: str = ""
    state: RequestState = RequestState.COMPLETED  # only what is completed is money
    refunded_at: datetime
    total: Money
    lines: tuple[RefundLine, ...] = ()
    shipping: Money | None = None
    shipping_taxes: tuple[Tax, ...] = ()
    fees: Money | None = None  # of `Order.other_fees`
    fee_taxes: tuple[Tax, ...] = ()
    tip: Money | None = None
    adjustment: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the ERP owns about an item."""

    sku: str
    list_price: Money | None = None
    unit_cost: Money | None = None
    tax_class: str = ""
    tax_rate: Decimal | None = None
    hsn_code: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelEvent:
    """One scan of a courier. State is a fold over these; they come late, twice, backwards."""

    key: str
    tracking: str
    state: (
        str  # moving | out_for_delivery | delivered | failed_attempt | returning | returned | lost
    )
    code: str = ""  # the courier's raw codes, joined; unknown ones are reported, never dropped
    text: str = ""
    place: str = ""
    at: datetime
    leg: str = "forward"  # forward | rto | reverse
    attempt: int | None = None
    cod_collected: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a ledger holds about one of our references: read back, compared, never adopted."""

    key: str
    kind: str  # sales_order | shipment | invoice | credit_note
    reference: str
    number: str = ""
    state: str = ""
    posted: bool = False
    cancelled: bool = False  # it stands there, and counts no more
    dated: datetime | None = None
    total: Money | None = None
    tax: Money | None = None
    cost: Money | None = None
    quantity: int | None = None


Record = (
    Order
    | Cancellation
    | StockReading
    | StockMovement
    | Listing
    | Shipment
    | Return
    | Refund
    | Price
    | ParcelEvent
    | Document
)

#: What a mapping may become, by the word its `becomes:` line uses.
RECORDS: dict[str, type[Record]] = {
    "order": Order,
    "cancellation": Cancellation,
    "stock_reading": StockReading,
    "stock_movement": StockMovement,
    "listing": Listing,
    "shipment": Shipment,
    "return": Return,
    "refund": Refund,
    "price": Price,
    "parcel_event": ParcelEvent,
    "document": Document,
}


# ---------------------------------------------------------------- what we ask of systems


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOrder:
    """To a channel that demands it: we take this order on, and its units are there."""

    reference: str
    order: str
    number: str
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfillOrder:
    """To a warehouse: ship these units of this order from this place."""

    reference: str
    channel: str
    order: str
    number: str
    place: str  # the warehouse's own word for the location
    ship_to: Address
    lines: tuple[QuantityLine, ...]
    ship_by: datetime | None = None
    service: str = ""
    cash_to_collect: Money | None = None
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFulfillment:
    """To a warehouse: do not ship. Its answer decides the race (S15)."""

    reference: str
    target: str  # the reference of the FulfillOrder
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmShipment:
    """To a channel: this parcel left. `parcel` counts from 1 within the order."""

    reference: str
    order: str
    number: str
    shipment: str
    parcel: int
    shipped_at: datetime
    carrier: str = ""
    tracking: str = ""
    tracking_url: str = ""
    lines: tuple[QuantityLine, ...]
    complete: bool = True
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """To an ERP: the sale at capture, with the channel's own amounts.

    `order.rounding` is all that its total is beyond its parts: the channel's own and, within the
    company's limit, what they miss it by.
    """

    reference: str
    channel: str
    order: Order
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookShipment:
    """To an ERP: these units left; delivery and cost of goods follow."""

    reference: str
    order_reference: str  # the reference of the BookOrder
    channel: str
    number: str
    shipment: str
    shipped_at: datetime
    place: str = ""
    carrier: str = ""
    tracking: str = ""
    lines: tuple[QuantityLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookInvoice:
    """To an ERP: invoice what was shipped. `total` is the channel's, to the minor unit."""

    reference: str
    order_reference: str
    channel: str
    number: str
    dated: datetime
    total: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditLine:
    """What is credited of one line of the order; `quantity` 0: less money for the same goods.

    `amount` is for all units together, with the tax where the prices of the order have it.
    """

    line: str
    sku: str
    title: str = ""
    quantity: int = 0
    amount: Money
    taxes: tuple[Tax, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCreditNote:
    """To an ERP: so much of the invoice was given back. Goods are another document.

    Lines, shipping, fees, tip, `rounding`, and taxes on top where `tax_included` is False, come to
    exactly `total`. `day` is the ledger's date: of the refund, in the company's
    zone (S13).
    """

    reference: str
    order_reference: str  # of the BookOrder
    invoice_reference: str  # of the BookInvoice
    channel: str
    number: str
    refund: str  # the channel's key of it
    dated: datetime
    day: str  # 2026-03-31
    total: Money
    tax_included: bool = False
    lines: tuple[CreditLine, ...] = ()
    shipping: Money | None = None
    shipping_taxes: tuple[Tax, ...] = ()
    fees: Money | None = None
    fee_taxes: tuple[Tax, ...] = ()
    tip: Money | None = None
    rounding: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """To an ERP: the sale will not happen, or not these lines of it. To the order's channel: please
    cancel it; there `order_reference` is empty and `reason` one of `CancelReason`."""

    reference: str
    order_reference: str
    order: str
    number: str
    reason: str = ""
    lines: tuple[QuantityLine, ...] = ()
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCancellation:
    """To the order's channel: the buyer's wish is granted, or it is not (any more)."""

    reference: str
    order: str
    number: str
    request: str  # the channel's key of the wish
    granted: bool
    shipped: bool = False  # why it is not: its units have left
    extras: dict[str, str] = field(default_factory=dict)


Ask = (
    AcceptOrder
    | FulfillOrder
    | CancelFulfillment
    | ConfirmShipment
    | BookOrder
    | BookShipment
    | BookInvoice
    | BookCreditNote
    | CancelOrder
    | AnswerCancellation
)

#: Command kinds and the record each carries. A manifest's `accepts` uses these words.
COMMANDS: dict[str, type[Ask]] = {
    "accept_order": AcceptOrder,
    "fulfill_order": FulfillOrder,
    "cancel_fulfillment": CancelFulfillment,
    "confirm_shipment": ConfirmShipment,
    "book_order": BookOrder,
    "book_shipment": BookShipment,
    "book_invoice": BookInvoice,
    "book_credit_note": BookCreditNote,
    "cancel_order": CancelOrder,
    "answer_cancellation": AnswerCancellation,
}

#: The numbers of DESIGN section 1; each has exactly one owner per scope.
NUMBERS: dict[str, str] = {
    "order": "channel",
    "on_hand": "location",
    "shipment": "location",
    "available_to_sell": "channel",
    "claim": "company",
    "list_price": "company",
    "unit_cost": "company",
    "tax": "company",
    "invoice": "company",
    "parcel": "company",
    "payout": "channel",
}
