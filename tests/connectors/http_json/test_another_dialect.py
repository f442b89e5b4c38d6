"""A second, invented system of very different manners proves that the grammar is not one vendor's.

Everything is a 200, errors are inside, lists are offsets below data.result, numbers
are text, searches are POSTs, documents ride in an envelope, stock is one call per row.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import pytest

from connectors.http_json import HttpJson, connect
from core.clock import ManualClock
from core.contract import Answer, Command, Offer, Push, Setup
from core.errors import InDoubt, LoginNeeded, Rejected, Retry
from core.login import LoginSpec
from core.model import BookInvoice, BookShipment
from core.money import Money
from tests.connectors.http_json.kit import NOW, a_door, a_pass

BASE = "https://odd.example/rpc/v2"
MANIFEST: dict[str, Any] = {
    "name": "odd",
    "reads": {"document": {"fetch": "true"}, "stock_reading": {}, "price": {}},
    "accepts": {"book_invoice": {"safe_by": "lookup"}, "book_shipment": {"safe_by": "key"}},
    "stock_write": {"batch": "1"},
    "hooks": {"topics": ["doc"]},
    "budgets": {"slow": {}},
    "http": {
        "headers": {"X-Company": "{settings.company}"},
        "errors": [
            {"path": "status_code", "in": ["401"], "then": "login"},
            {"path": "error.data.name", "in": ["LockNotAvailable"], "then": "retry"},
            {"path": "error", "present": "true", "then": "reject", "words": "error.data.message"},
            {"path": "status_code", "in": [500, "503"], "then": "in_doubt", "words": "detail"},
        ],
        "reads": {
            "document": {
                "method": "POST",
                "path": "/search/{settings.company}/documents",
                "params": {"params.model": "doc"},
                "items": "data.result",
                "absent_is_empty": "true",
                "id": "doc_id",
                "revision": "rev",
                "paging": {
                    "kind": "offset",
                    "param": "params.offset",
                    "size_param": "params.limit",
                    "size": "3",
                    "repeat": "1",
                },
                "since": {"param": "params.from", "format": "epoch_ms", "item": "touched"},
                "fetch": {
                    "path": "/doc/{id}",
                    "item": "data.result",
                    "missing": {"path": "gone", "present": True},
                },
            },
            "stock_reading": {
                "path": "/stock",
                "items": ".",
                "id": ["sku", "bin"],
                "paging": {"kind": "page", "param": "p", "first": 0, "past_end": {"status": 404}},
            },
            "price": {
                "path": "/prices",
                "items": "rows",
                "id": "sku",
                "budget": "slow",
                "since": {"param": "from", "format": "sql", "answer": "read_at"},
                "paging": {"kind": "token", "param": "next", "path": "more", "alone": True},
            },
        },
        "sends": {
            "book_invoice": {
                "path": "/call",
                "at": "params.values",
                "constants": {"jsonrpc": "2.0", "method": "invoice.create", "params": {"v": 1}},
                "success": {"path": "ok", "in": ["1"]},
                "reference": "data.result.doc_id",
                "find": {
                    "path": "/search/x/documents",
                    "method": "POST",
                    "params": {"params.ref": "{record.reference}"},
                    "items": "data.result",
                    "where": {"ref": "{key}", "kind": "invoice"},
                    "paging": {"kind": "offset", "param": "params.offset"},
                    "reference": "doc_id",
                },
            },
            "book_shipment": {
                "method": "PUT",
                "path": "/orders/{record.order_reference}/shipments/{body.no}",
                "headers": {"Idempotency-Key": "{key}"},
            },
        },
        "publish": {
            "method": "PUT",
            "path": "/articles/{listing}/level",
            "row": {"level": {"qty": "{quantity}", "was": "{shown}", "note": "of {sku}"}},
        },
        "events": {"doc": {"resource": "document", "items": "docs"}},
    },
}


class Odd:
    """A scripted system: what is asked is kept, what is answered is set."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, Any]] = []
        self.docs: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        sent = json.loads(body) if body else None
        path = scope["raw_path"].decode().removeprefix("/rpc/v2")
        query = dict(httpx.QueryParams(scope["query_string"].decode()))
        self.asked.append((scope["method"], path, query, sent))
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        status, answer = self.answers.pop(0) if self.answers else (200, self._search(sent))
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = b"text/html" if content.startswith(b"<") else b"application/json"
        start = {"type": "http.response.start", "status": status}
        await send({**start, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": content})

    def _search(self, sent: Any) -> Any:
        asked = sent["params"]
        start = int(asked.get("offset", "0"))
        limit = min(int(asked.get("limit", "2")), 3)
        rows = [doc for doc in self.docs if int(doc["touched"]) >= int(asked.get("from", "0"))]
        return {
            "status_code": "200",
            "error": None,
            "data": {"result": rows[start : start + limit]},
        }


@pytest.fixture
def odd() -> Odd:
    return Odd()


def a_connector(odd: Odd, manifest: Any = MANIFEST) -> HttpJson:
    door = a_door(odd, ManualClock(NOW), LoginSpec(kind="none"), BASE)
    settings = {"company": "A & Co", "base_url": BASE}
    return connect(Setup(system="it", api=door, settings=settings, manifest=manifest))


def a_doc(number: int, **words: Any) -> dict[str, Any]:
    return {"doc_id": number, "rev": "1", "touched": str(1_764_057_600_000 + number), **words}


def an_invoice() -> Command:
    record = BookInvoice(
        reference="tc:1",
        order_reference="tc:0",
        channel="c",
        number="1",
        dated=NOW,
        total=Money(4397, "EUR"),
    )
    return Command(key="tc:1", kind="book_invoice", record=record, body={"total": "43.97"})


async def test_offsets_step_by_what_came_and_repeat_a_row(odd: Odd) -> None:
    odd.docs = [a_doc(number) for number in range(7)]
    items, since = await a_pass(a_connector(odd), "document")
    assert {item.external_id for item in items} == {str(number) for number in range(7)}
    assert since == "2025-11-25T08:00:00.006000Z"
    assert [call[3]["params"]["offset"] for call in odd.asked] == ["0", "2", "4", "6"]
    assert odd.asked[0][1] == "/search/A%20%26%20Co/documents"
    assert odd.asked[0][3] == {"params": {"model": "doc", "offset": "0", "limit": "3"}}


async def test_a_row_that_moves_away_between_two_pages_is_not_lost(odd: Odd) -> None:
    """H8: the first row is touched and moves to the end, all others move up by one."""
    odd.docs = [a_doc(number) for number in range(6)]
    connector = a_connector(odd)
    page = await connector.read("document", None, None)
    seen = {item.external_id for item in page.items}
    odd.docs.append(odd.docs.pop(0))
    while page.next:
        page = await connector.read("document", None, page.next)
        seen |= {item.external_id for item in page.items}
    assert seen == {str(number) for number in range(6)}


async def test_the_next_pass_asks_in_their_own_spelling_of_time(odd: Odd) -> None:
    odd.docs = [a_doc(1)]
    items, since = await a_pass(a_connector(odd), "document", "2025-11-25T08:00:00.001500Z")
    assert odd.asked[0][3]["params"]["from"] == "1764057600001"
    assert len(items) == 1
    assert since == "2025-11-25T08:00:00.001500Z"  # never back
    odd.docs = []
    assert await a_pass(a_connector(odd), "document", since) == ([], None)


async def test_a_list_that_is_missing_is_no_empty_list(odd: Odd) -> None:
    odd.answers = [(200, {"data": {}})]
    assert await a_pass(a_connector(odd), "document") == ([], None)  # this one may be absent
    odd.answers = [(200, {"data": {}})]
    with pytest.raises(Retry, match="no list at rows"):
        await a_pass(a_connector(odd), "price")


async def test_a_page_beyond_the_end_ends_the_pass_in_either_manner(odd: Odd) -> None:
    rows = [{"sku": "A", "bin": "1"}]
    odd.answers = [(200, rows), (404, b"<html>no such page</html>")]
    items, _ = await a_pass(a_connector(odd), "stock_reading")
    assert [item.external_id for item in items] == ["A:1"]
    # Or the last page again, for ever.
    odd.answers = [(200, rows), (200, rows), (200, rows)]
    items, _ = await a_pass(a_connector(odd), "stock_reading")
    assert [item.external_id for item in items] == ["A:1", "A:1"]
    assert [call[2] for call in odd.asked] == [{"p": "0"}, {"p": "1"}, {"p": "0"}, {"p": "1"}]


async def test_an_empty_page_with_a_token_is_not_the_end(odd: Odd) -> None:
    """H47. And the watermark is the first page's: what changed meanwhile is read next time."""
    odd.answers = [
        (200, {"rows": [], "more": "t1", "read_at": "2026-11-25 08:00:00"}),
        (200, {"rows": [{"sku": "A"}], "more": "t2", "read_at": "2026-11-25 08:00:05"}),
        (200, {"rows": [], "more": "", "read_at": "2026-11-25 08:00:09"}),
    ]
    items, since = await a_pass(a_connector(odd), "price", "2026-11-25T07:00:00Z")
    assert [item.external_id for item in items] == ["A"]
    assert since == "2026-11-25T08:00:00.000000Z"
    assert [call[2] for call in odd.asked] == [
        {"from": "2026-11-25 07:00:00"},
        {"next": "t1"},
        {"next": "t2"},
    ]


async def test_a_list_that_does_not_move_is_refused(odd: Odd) -> None:
    answer = (200, {"rows": [{"sku": "A"}], "more": "t1", "read_at": "2026-11-25 08:00:00"})
    odd.answers = [answer, answer, answer]
    with pytest.raises(Retry, match="does not move on"):
        await a_pass(a_connector(odd), "price")


async def test_a_row_without_an_id_is_kept_for_a_person(odd: Odd) -> None:
    odd.docs = [{"touched": "1", "rev": None}]
    (item,), _ = await a_pass(a_connector(odd), "document")
    assert item.external_id.startswith("no-id-")
    assert item.revision == ""


async def test_one_object_may_come_as_a_list_of_one_or_of_none(odd: Odd) -> None:
    connector = a_connector(odd)
    odd.answers = [
        (200, {"data": {"result": [a_doc(7)]}}),
        (200, {"data": {"result": []}}),
        (200, {"gone": {"since": "today"}}),
        (404, b"<html>404</html>"),
        (200, {"data": {"result": a_doc(8)}}),
    ]
    item = await connector.fetch("document", "7")
    assert item is not None
    assert item.body == a_doc(7)
    assert await connector.fetch("document", "7") is None
    assert await connector.fetch("document", "7") is None
    with pytest.raises(Rejected):  # this manifest says what missing looks like, and it is not 404
        await connector.fetch("document", "7")
    with pytest.raises(Retry, match="about another id"):
        await connector.fetch("document", "7")


async def test_an_envelope_is_put_around_the_document_and_never_changed(odd: Odd) -> None:
    connector = a_connector(odd)
    for _ in range(2):
        odd.answers = [(200, {"ok": "1", "data": {"result": {"doc_id": 99}}})]
        receipt = await connector.send(an_invoice())
    assert receipt.reference == "99"
    assert odd.asked[0][3] == odd.asked[1][3]
    assert odd.asked[0][3] == {
        "jsonrpc": "2.0",
        "method": "invoice.create",
        "params": {"v": 1, "values": {"total": "43.97"}},
    }
    assert MANIFEST["http"]["sends"]["book_invoice"]["constants"]["params"] == {"v": 1}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": {"data": {"message": "No customer", "name": "UserError"}}}, Rejected),
        ({"error": {"data": {"name": "LockNotAvailable"}}}, Retry),
        ({"status_code": 500, "detail": "oops"}, InDoubt),
        ({"status_code": "401"}, LoginNeeded),
        ({"ok": "0", "data": {"result": {"doc_id": 9}}}, InDoubt),
        ({"ok": 1, "data": {"result": {}}}, InDoubt),
        ({}, InDoubt),
    ],
)
async def test_a_failure_inside_a_200_is_what_the_manifest_says(
    odd: Odd, answer: Any, error: type[Exception]
) -> None:
    odd.answers = [(200, answer)]
    with pytest.raises(error) as caught:
        await a_connector(odd).send(an_invoice())
    assert type(caught.value) is error
    if error is Rejected:
        assert "No customer" in str(caught.value)


async def test_the_same_failure_on_a_read_is_only_a_later(odd: Odd) -> None:
    odd.answers = [(200, {"status_code": 500, "detail": "oops"})]
    with pytest.raises(Retry, match="oops"):
        await a_pass(a_connector(odd), "document")


async def test_a_search_that_ignores_its_filter_finds_only_what_is_ours(odd: Odd) -> None:
    odd.docs = [a_doc(number, ref=f"other:{number}", kind="invoice") for number in range(5)]
    connector = a_connector(odd)
    assert await connector.find(an_invoice()) is None
    odd.docs.append(a_doc(5, ref="tc:1", kind="quotation"))
    assert await connector.find(an_invoice()) is None
    odd.docs.append(a_doc(6, ref="tc:1", kind="invoice"))
    found = await connector.find(an_invoice())
    assert found is not None
    assert (found.reference, found.already) == ("6", True)


@pytest.mark.parametrize(
    "row", ["planted", None, [], a_doc(6, ref={"planted": ["tc:1"]}, kind="invoice"), a_doc(
        6, ref="tc:1", kind=["invoice"]
    )]
)  # fmt: skip
async def test_g3_a_row_that_cannot_be_read_is_no_proof_that_nothing_is_there(
    odd: Odd, row: Any
) -> None:
    """An invoice was made twice: the lookup after a restore met one answer in a bad minute."""
    odd.answers = [(200, {"status_code": "200", "error": None, "data": {"result": [row]}})]
    with pytest.raises(Retry, match="can be read"):
        await a_connector(odd).find(an_invoice())


async def test_a_value_in_a_path_stays_one_part_of_it(odd: Odd) -> None:
    record = BookShipment(
        reference="tc:2",
        order_reference="a/b?x=1",
        channel="c",
        number="1",
        shipment="S",
        shipped_at=NOW,
        lines=(),
    )
    command = Command(key="tc:2", kind="book_shipment", record=record, body={"no": 7})
    odd.answers = [(200, b"")]
    receipt = await a_connector(odd).send(command)
    assert odd.asked[0][:2] == ("PUT", "/orders/a%2Fb%3Fx%3D1/shipments/7")
    assert odd.headers[0]["idempotency-key"] == "tc:2"
    assert receipt.reference == "tc:2"
    with pytest.raises(Rejected, match="has no body"):
        await a_connector(odd).send(
            Command(key="tc:2", kind="book_shipment", record=record, body={})
        )


async def test_one_call_per_row_keeps_numbers_numbers(odd: Odd) -> None:
    offer = Offer(listing="A 1", place="", sku="SKU", quantity=4, shown=None, key="k")
    odd.answers = [(200, {})]
    (result,) = await a_connector(odd).publish([offer])
    assert result.outcome == "accepted"
    assert odd.asked[0] == (
        "PUT",
        "/articles/A%201/level",
        {},
        {"level": {"qty": 4, "was": None, "note": "of SKU"}},
    )


async def test_a_push_of_many_is_many_hints(odd: Odd) -> None:
    push = Push(topic="doc", headers={}, body=b'{"docs": [{"doc_id": 1}, {"doc_id": 2}]}')
    events = a_connector(odd).events(push)
    assert [(event.external_id, event.item) for event in events] == [("1", None), ("2", None)]


async def test_a_next_link_to_somebody_else_is_not_followed(odd: Odd) -> None:
    """T10: our login would travel with it."""
    manifest = copy.deepcopy(MANIFEST)
    manifest["http"]["reads"]["price"]["paging"] = {"kind": "link", "path": "more"}
    connector = a_connector(odd, manifest)
    for link in (
        "https://evil.example/rpc/v2/prices?page=2",
        "https://odd.example/other/prices",
        "/rpc/v2/../admin",
        "//evil.example/x",
    ):
        odd.answers = [(200, {"rows": [], "more": link})]
        with pytest.raises(Retry, match="not at this system"):
            await a_pass(connector, "price")
    odd.answers = [(200, {"rows": [], "more": f"{BASE}/prices?page=2"}), (200, {"rows": []})]
    await a_pass(connector, "price")
    assert odd.asked[-1][1:3] == ("/prices", {"page": "2"})


async def test_a_link_header_is_a_link_too() -> None:
    class Linked:
        async def call(self, method: str, path: str, **how: Any) -> Answer:
            query = dict(how["params"] or {})
            more = {
                "link": f'<{BASE}/prices?page=1>; rel="first", <{BASE}/prices?page=2>; rel="next"'
            }
            return Answer(
                status=200,
                headers={} if query.get("page") == "2" else more,
                body={"rows": [{"sku": query.get("page", "1")}]},
            )

        def observe(self, budget: str, *, left: float, per_second: float, size: float) -> None: ...

    manifest = copy.deepcopy(MANIFEST)
    manifest["http"]["reads"]["price"]["paging"] = {"kind": "link"}
    setup = Setup(
        system="it", api=Linked(), settings={"company": "x", "base_url": BASE}, manifest=manifest
    )
    items, _ = await a_pass(connect(setup), "price")
    assert [item.external_id for item in items] == ["1", "2"]
