"""Why two systems differ: a closed list. docs/reconciliation.md prints it, a test compares.

`kind` says who is asked: nobody, while what carries the number is on its way
(*in flight*) or events account for every unit and cent (*explained*); a person
where nothing does (*unexplained*). A cause says which of the three it is, so that
no difference can be called explained without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

IN_FLIGHT: Final = "in_flight"
EXPLAINED: Final = "explained"
UNEXPLAINED: Final = "unexplained"
#: The kinds of differences, the worst first.
KINDS: Final = (UNEXPLAINED, EXPLAINED, IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class Cause:
    """`code` is what CSV, JSON and the mail say; `next_step` is empty where nobody has to act."""

    code: str
    kind: str
    meaning: str
    next_step: str = ""


_ALL = (
    # ------------------------------------------------------------- in flight
    Cause("command_on_its_way", IN_FLIGHT, "the command that makes them equal is not answered yet"),
    Cause("not_read_back_yet", IN_FLIGHT, "acknowledged, and its own list was not read since"),
    Cause("offer_on_its_way", IN_FLIGHT, "the channel is still to be told the new number"),
    Cause("being_corrected", IN_FLIGHT, "the channel shows another number, and is told ours again"),
    Cause("orders_not_read", IN_FLIGHT, "its orders were not read since; it may have sold"),
    Cause("delivery_not_booked", IN_FLIGHT, "units left, and the ledger was read before"),
    Cause("read_before_change", IN_FLIGHT, "the copy was read before the owner's number changed"),
    Cause("late_feed", IN_FLIGHT, "the owner itself was not read for longer than it should be"),
    # ------------------------------------------------------------- explained
    Cause("held", EXPLAINED, "an exception holds it back", "truecount holds"),
    Cause("refused", EXPLAINED, "the other side refuses the command", "truecount dead"),
    Cause("given_up", EXPLAINED, "a person, or its end, gave the command up"),
    Cause("done_by_hand", EXPLAINED, "somebody did it by hand before we were live"),
    Cause("rejected_write", EXPLAINED, "the channel refuses our number", "truecount holds"),
    Cause("not_kept", EXPLAINED, "told again three times, the channel still shows another number",
          "truecount holds"),
    Cause("unposted_return", EXPLAINED, "units came back that the ledger was not told of",
          "Book what came back in the ledger."),
    Cause("kit_booked_whole", EXPLAINED, "the ledger took a kit off, the shelf its components",
          "Let the ledger take the kit apart, or count its components."),
    Cause("delivery_refused", EXPLAINED, "units left, and the ledger refuses the delivery",
          "truecount dead"),
    Cause("moved_by_time_zone", EXPLAINED, "the ledger dated it by another zone than the company's",
          "Say the zone in its mapping."),
    Cause("written_off", EXPLAINED, "a person wrote it off, with a reason"),
    # ------------------------------------------------------------- unexplained
    Cause("never_asked", UNEXPLAINED, "nothing was asked of it", "truecount trace"),
    Cause("missing_there", UNEXPLAINED, "acknowledged, and its own list does not have it",
          "Look for it there; it was deleted, or never kept."),
    Cause("amount_differs", UNEXPLAINED, "another amount", "Compare both documents."),
    Cause("tax_differs", UNEXPLAINED, "another tax, and all of the difference is tax",
          "Compare rate and tax class in both systems."),
    Cause("units_differ", UNEXPLAINED, "the same money, and another number of units",
          "Compare the lines of both documents."),
    Cause("booked_twice", UNEXPLAINED, "the same document more than once",
          "Cancel one of them there."),
    Cause("other_currency", UNEXPLAINED, "another currency", "Compare both documents."),
    Cause("not_posted", UNEXPLAINED, "it stands there as a draft", "Post it there."),
    Cause("dated_otherwise", UNEXPLAINED, "another day than the one it belongs to",
          "Compare the day in both systems."),
    Cause("cancelled_there", UNEXPLAINED, "the ledger cancelled it, the channel did not",
          "Book it again, or cancel the order."),
    Cause("cancel_not_told", UNEXPLAINED, "cancelled, and the ledger was not told",
          "Cancel it there."),
    Cause("not_cancelled_there", UNEXPLAINED, "the ledger took the cancel, and kept the document",
          "Cancel it there."),
    Cause("unknown_here", UNEXPLAINED, "the ledger has a document of ours that we never asked for",
          "Look who booked it; after a restore it is asked for again by itself."),
    Cause("never_told", UNEXPLAINED, "it was told another number, and nothing is on its way",
          "truecount why"),
    Cause("changed_there", UNEXPLAINED, "somebody changed the number on the channel",
          "Look who else writes it."),
    Cause("write_not_kept", UNEXPLAINED, "the channel took our number and still shows the old one",
          "Look who else writes it."),
    Cause("stock_differs", UNEXPLAINED, "the ledger has other units, and no event says why",
          "Count the shelf, then correct the ledger."),
    Cause("no_number", UNEXPLAINED, "what it says is no whole number of units",
          "Correct it there, or its mapping."),
    Cause("unlisted", UNEXPLAINED, "the owner no longer shows a number that is still in force",
          "Say `missing_is_zero`, or correct it there."),
    Cause("price_differs", UNEXPLAINED, "another system has another price, cost or tax",
          "Correct the copy; the owner's counts."),
)  # fmt: skip

CAUSES: Mapping[str, Cause] = {cause.code: cause for cause in _ALL}
assert len(CAUSES) == len(_ALL), "a cause is there twice"
