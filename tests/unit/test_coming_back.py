"""Returns, folded: any order of what was said, no unit twice, and each facet its owner's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.coming_back import NEXT, Case, Custody, Facts, Given, Paid, Parcel, Sold, fold
from core.model import ParcelEvent, RequestState, Return, ReturnLine

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
TEA = Sold(key="1", line="1", sku="TEA", units=3)
MUG = Sold(key="2", line="2", sku="MUG", units=2)


def asked(key: str, units: int, **words: object) -> Return:
    plain = Return(
        key=key,
        order="P1",
        state=RequestState.ACCEPTED,
        lines=(ReturnLine(line="1", sku="TEA", quantity=units),),
    )
    return replace(plain, **words)  # type: ignore[arg-type]


def receipt(key: str, units: int, condition: str = "resellable", **words: object) -> Return:
    plain = Return(
        key=key,
        order="P1",
        state=RequestState.COMPLETED,
        received_at=AT,
        lines=(ReturnLine(sku="TEA", quantity=units, condition=condition),),
    )
    return replace(plain, **words)  # type: ignore[arg-type]


def scan(state: str, minutes: int = 0, tracking: str = "PX1", leg: str = "rto") -> ParcelEvent:
    at = AT + timedelta(minutes=minutes)
    return ParcelEvent(
        key=f"{tracking}{state}{minutes}", tracking=tracking, state=state, at=at, leg=leg
    )


def one(facts: Facts) -> Case:
    cases, unsold = fold(facts)
    assert unsold == []
    assert len(cases) == 1, cases
    return cases[0]


def test_a_kit_comes_back_as_its_components() -> None:
    kit = [
        Sold(key="1/CUP", line="1", sku="CUP", factor=2, units=4),
        Sold(key="1/POT", line="1", sku="POT", factor=1, units=2),
    ]
    wish = replace(asked("T1", 1), lines=(ReturnLine(line="1", sku="SET", quantity=1),))
    case = one(Facts(sold=kit, asked=[wish]))
    assert +case.expected == {"1/CUP": 2, "1/POT": 1}
    cups = replace(receipt("RT1", 0), lines=(ReturnLine(sku="CUP", quantity=2),))
    assert one(Facts(sold=kit, asked=[wish], receipts=[cups])).custody is Custody.PART
    pot = replace(receipt("RT2", 0), lines=(ReturnLine(sku="POT", quantity=1),))
    assert one(Facts(sold=kit, asked=[wish], receipts=[cups, pot])).custody is Custody.RECEIVED


def test_goods_go_to_the_return_they_name_and_the_rest_to_one_that_waits() -> None:
    wishes = [asked("T1", 1), asked("T2", 2)]
    cases, _ = fold(
        Facts(sold=[TEA], asked=wishes, receipts=[receipt("RT", 3, authorization="T2")])
    )
    assert [(case.key, case.received("1")) for case in cases] == [("T1", 1), ("T2", 2)]


def test_goods_that_name_their_return_come_first() -> None:
    came = [receipt("RT1", 1), receipt("RT2", 1, authorization="T1")]
    cases, _ = fold(Facts(sold=[TEA], asked=[asked("T1", 1), asked("T2", 1)], receipts=came))
    assert [(case.key, case.received("1")) for case in cases] == [("T1", 1), ("T2", 1)]


def test_a_refund_of_fewer_units_is_a_part_of_the_money() -> None:
    paid = Paid(key="R1", units={"1": 1})
    assert one(Facts(sold=[TEA], asked=[asked("T1", 2)], paid=[paid])).money is Given.PART
    rest = Paid(key="R2", returned="T1", units={"1": 1})
    assert one(Facts(sold=[TEA], asked=[asked("T1", 2)], paid=[paid, rest])).money is Given.GIVEN


@pytest.mark.parametrize(
    ("kind", "prepaid", "money"),
    [
        ("return_refund", True, Given.AWAITED),
        ("refund_only", True, Given.AWAITED),
        ("exchange", True, Given.NONE),
        ("replacement", True, Given.NONE),
        ("rto", True, Given.AWAITED),
        ("rto", False, Given.NONE),
        ("return_refund", False, Given.NONE),
    ],
)
def test_who_is_owed_money(kind: str, prepaid: bool, money: Given) -> None:
    wish = asked("T1", 1, kind=kind)
    assert one(Facts(sold=[TEA], asked=[wish], prepaid=prepaid)).money is money


def test_a_parcel_that_goes_on_after_all_is_no_return() -> None:
    parcel = [Parcel(tracking="PX1", units={"1": 3})]
    scans = [scan("returning", 10), scan("out_for_delivery", 20, leg="forward")]
    assert one(Facts(sold=[TEA], parcels=parcel, scans=scans[:1])).custody is Custody.ON_THE_WAY
    assert fold(Facts(sold=[TEA], parcels=parcel, scans=scans)) == ([], [])


def test_heard_in_the_order_it_happened_custody_goes_on_as_it_is_drawn() -> None:
    """Every path of what a return can live through, from its first word to its last."""
    open_state, over = RequestState.ACCEPTED, RequestState.WITHDRAWN
    back = [
        scan(state, n, tracking="B1", leg="reverse")
        for n, state in enumerate(("moving", "delivered"))
    ]
    gone = [*back[:1], scan("lost", 5, tracking="B1", leg="reverse")]
    half, rest = receipt("RT1", 1), receipt("RT2", 1)
    ways = [
        [("asked", RequestState.REQUESTED), ("asked", open_state), *(("scan", s) for s in back),
         ("receipt", half), ("receipt", rest)],
        [("asked", RequestState.REQUESTED), ("asked", over), ("receipt", half), ("receipt", rest)],
        [("asked", open_state), *(("scan", s) for s in gone), ("receipt", half)],
        [("asked", RequestState.REQUESTED), ("receipt", half), ("receipt", rest)],
        [("asked", open_state), ("asked", over)],
    ]  # fmt: skip
    walked = set()
    for way in ways:
        facts, before = Facts(sold=[TEA]), None
        for what, word in way:
            if what == "asked":
                facts = replace(facts, asked=[asked("T1", 2, state=word, tracking="B1")])
            elif what == "scan":
                facts = replace(facts, scans=[*facts.scans, word])
            else:
                facts = replace(facts, receipts=[*facts.receipts, word])
            now = next(case.custody for case in fold(facts)[0] if case.key == "T1")
            if before not in (None, now):
                assert now in NEXT[before], f"{before} became {now}"
                walked.add((before, now))
            before = now
    assert len(walked) >= 8


# ------------------------------------------------------------------ any order; no unit twice

states = st.sampled_from(list(RequestState))
keys = st.sampled_from(["T1", "T2", "T3"])
wishes = st.builds(
    asked,
    keys,
    st.integers(0, 4),
    state=states,
    kind=st.sampled_from(["return_refund", "refund_only", "exchange", "rto"]),
    previous=st.sampled_from(["", "", "T1"]),
)
receipts = st.builds(
    receipt,
    st.sampled_from(["RT1", "RT2", "RT3"]),
    st.integers(0, 3),
    st.sampled_from(["resellable", "damaged", "missing"]),
    authorization=st.sampled_from(["", "", "T1", "T2"]),
)
scans = st.builds(
    scan,
    st.sampled_from(["moving", "delivered", "returning", "returned", "lost"]),
    st.integers(0, 4),
)
paid = st.builds(
    Paid,
    key=st.sampled_from(["R1", "R2"]),
    returned=st.sampled_from(["", "T1", "T2"]),
    units=st.sampled_from([{}, {"1": 1}, {"1": 2}]),
)


def unique(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(strategy, max_size=3, unique_by=lambda one: one.key)  # type: ignore[attr-defined]


@st.composite
def told(draw: st.DrawFn) -> Facts:
    return Facts(
        sold=[TEA, MUG],
        parcels=draw(st.sampled_from([[], [Parcel(tracking="PX1", units={"1": 3, "2": 2})]])),
        asked=draw(unique(wishes)),  # type: ignore[arg-type]
        receipts=draw(unique(receipts)),  # type: ignore[arg-type]
        scans=draw(unique(scans)),  # type: ignore[arg-type]
        paid=draw(unique(paid)),  # type: ignore[arg-type]
        prepaid=draw(st.booleans()),
    )


@given(facts=told(), data=st.data())
def test_s10_the_order_in_which_it_was_told_does_not_matter(
    facts: Facts, data: st.DataObject
) -> None:
    mixed = replace(
        facts,
        **{
            name: data.draw(st.permutations(getattr(facts, name)))
            for name in ("sold", "parcels", "asked", "receipts", "scans", "paid")
        },
    )
    assert _plain(fold(mixed)) == _plain(fold(facts))


def _plain(found: tuple[list[Case], list[object]]) -> object:
    cases, unsold = found
    return (
        {
            case.key: (
                case.custody, case.money, +case.expected,
                {row: +got for row, got in case.got.items() if +got}, case.refunds,
            )
            for case in cases
        },
        sorted(map(repr, unsold)),
    )  # fmt: skip


@given(facts=told())
def test_no_unit_comes_back_twice_and_none_is_forgotten(facts: Facts) -> None:
    """A dumb count: what was received is somewhere, or nobody was ever sold it."""
    cases, unsold = fold(facts)
    came = Counter[str]()
    for case in cases:
        for row in case.got:
            came[row] += case.received(row)
    said = sum(line.quantity for one in facts.receipts for line in one.lines)
    lost = sum(one.units for one in unsold if one.key.startswith("RT"))
    assert sum(came.values()) + lost == said
    assert all(came[row.key] <= row.units for row in facts.sold)
    by_channel = Counter[str]()
    for case in cases:
        if not case.key.startswith("parcel:"):
            by_channel.update(case.expected)
    assert all(by_channel[row.key] <= row.units for row in facts.sold)


@given(facts=told())
def test_a_dumb_model_says_the_same_of_each_return(facts: Facts) -> None:
    """One return, all that is received is its own: the words by counting alone."""
    first = [replace(one, previous="") for one in facts.asked[:1]]
    alone = replace(facts, asked=first, parcels=[], scans=[])
    cases, _ = fold(alone)
    for case in cases[: len(first)]:
        wish = first[0]
        over = wish.state in (RequestState.REFUSED, RequestState.WITHDRAWN)
        # A wish for nothing in particular is for all of it; one that is over is for nothing.
        wanted = 0 if over or wish.kind == "refund_only" else min(wish.lines[0].quantity, TEA.units)
        sent = min(sum(line.quantity for one in alone.receipts for line in one.lines), TEA.units)
        named = sum(
            line.quantity
            for one in alone.receipts
            if one.authorization == case.key
            for line in one.lines
        )
        came = case.received("1")
        assert min(wanted, sent) <= came <= max(min(wanted, sent), min(named, TEA.units))
        if came:
            expected = Custody.RECEIVED if came >= wanted else Custody.PART
        elif wish.kind == "refund_only":
            expected = Custody.NONE
        elif over:
            expected = Custody.CALLED_OFF
        elif wish.state is RequestState.REQUESTED:
            expected = Custody.ASKED
        else:
            expected = Custody.EXPECTED
        assert case.custody is expected
