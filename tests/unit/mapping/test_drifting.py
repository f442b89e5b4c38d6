"""What counts as news about the shape of a document, and what does not."""

from __future__ import annotations

from typing import Any

from core.mapping.drifting import GONE_AFTER, LEARNED, Learner, News
from core.mapping.shapes import shape_of, written


def feed(learner: Learner, document: Any, times: int = 1) -> list[News]:
    found: list[News] = []
    for at in range(times):
        shape = {written(place): kinds for place, kinds in shape_of(document).items()}
        found += learner.learn(shape, f"no {at}")
    return found


PLAIN = {"id": "1", "lines": [{"sku": "A", "price": 10}], "note": None}


def learned() -> Learner:
    learner = Learner()
    assert feed(learner, PLAIN, LEARNED) == []
    return learner


def test_everything_is_learned_before_anything_is_news() -> None:
    learner = Learner()
    assert feed(learner, {"a": 1}, LEARNED - 1) == []
    assert feed(learner, {"a": "x", "b": 1}) == []


def test_a_new_field_is_told_once_with_its_example() -> None:
    learner = learned()
    document = {**PLAIN, "gift": True}
    assert feed(learner, document) == [News("new", "gift", "true or false", "no 0")]
    assert feed(learner, document, 5) == []


def test_a_field_of_another_kind_is_told_once() -> None:
    learner = learned()
    assert feed(learner, {**PLAIN, "id": 1}, 3) == [
        News("retyped", "id", "text became whole number", "no 0")
    ]


def test_null_an_empty_list_and_decimals_are_no_news() -> None:
    learner = learned()
    assert feed(learner, {**PLAIN, "id": None}) == []
    assert feed(learner, {**PLAIN, "lines": []}) == []
    from decimal import Decimal

    assert feed(learner, {**PLAIN, "lines": [{"sku": "A", "price": Decimal("10.5")}]}) == []


def test_what_used_to_be_null_may_turn_out_to_be_anything() -> None:
    learner = learned()
    assert feed(learner, {**PLAIN, "note": {"text": "x", "by": {"id": 1}}}) == []


def test_a_field_that_nearly_all_had_and_none_of_the_last_is_gone_once() -> None:
    learner = learned()
    less = {"id": "1", "note": None}
    assert feed(learner, less, GONE_AFTER - 1) == []
    gone = feed(learner, less)
    assert [(one.what, one.path) for one in gone] == [
        ("vanished", "lines[].sku"), ("vanished", "lines[].price"),
    ]  # fmt: skip
    assert gone[0].detail == "50 of the 50 documents before had it"
    assert feed(learner, less, 100) == []


def test_a_field_that_only_some_have_does_not_vanish() -> None:
    learner = Learner()
    for _ in range(40):
        feed(learner, {**PLAIN, "coupon": "x"})
        feed(learner, PLAIN, 2)
    assert feed(learner, PLAIN, 200) == []
