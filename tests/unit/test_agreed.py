"""An answer of another form than agreed: no value of it in the message, nothing believed."""

from decimal import Decimal
from typing import Any, NotRequired, TypedDict

import pytest

from core.agreed import agreed, agreed_part, unlike
from core.contract import Answer
from core.errors import ConnectorError, InDoubt, Retry


class Row(TypedDict):
    id: str
    units: NotRequired[int | None]
    rate: NotRequired[int | Decimal]


class Rows(TypedDict):
    rows: list[Row]


def answer(body: Any) -> Answer:
    return Answer(status=200, headers={}, body=body)


def test_what_has_the_form_comes_back_untouched() -> None:
    body = {"rows": [{"id": "a", "rate": Decimal("1.10"), "more": [1]}], "more": {"x": None}}
    assert agreed(answer(body), Rows, "list") is body


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (None, "Expected object, got null"),
        ([], "Expected object, got array"),
        ({}, "Object missing required field rows"),
        ({"rows": None}, "Expected array, got null - at $.rows"),
        ({"rows": {"id": "a"}}, "Expected array, got object - at $.rows"),
        ({"rows": [{"id": 7}]}, "Expected str, got int - at $.rows[0].id"),
        ({"rows": [{"id": "a"}, {"id": ["Mara Lind"]}]}, "got array - at $.rows[1].id"),
        ({"rows": [{"id": "a", "units": "4"}]}, "Expected int | null, got str - at $.rows[0].u"),
        ({"rows": [{"id": "a", "units": Decimal("1.5")}]}, "Expected int | null, got decimal"),
    ],
)
@pytest.mark.parametrize(("writes", "error"), [(False, Retry), (True, InDoubt)])
def test_what_has_not_says_where_and_what_next(
    body: Any, where: str, writes: bool, error: type[ConnectorError]
) -> None:
    with pytest.raises(error, match="list was answered in another form than agreed") as caught:
        agreed(answer(body), Rows, "list", writes=writes)
    assert where in caught.value.words
    assert "Mara" not in str(caught.value)
    assert caught.value.status == 200


def test_the_vendors_own_words_are_beside_it() -> None:
    """A 200 with an error inside (H47)."""
    said = answer({"errors": [{"message": "try later"}]})
    with pytest.raises(Retry) as caught:
        agreed(said, Rows, "list")
    assert caught.value.words == "Object missing required field rows; try later"
    with pytest.raises(Retry):
        agreed_part({"rows": 1}, Rows, "list", beside=said)
    assert unlike({"rows": []}, Rows) == ""
