"""The grammar of a manifest's `http:` block: small, closed, refused at start (README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.http_json.block import Block, nearest
from connectors.http_json.plan import (
    Asking,
    Fetch,
    Hook,
    Paging,
    Plan,
    Proof,
    Rows,
    Rule,
    Search,
    Sending,
    Since,
    Source,
    StockWrite,
    When,
)
from connectors.http_json.pointing import templates
from core.contract import Json, Offer
from core.errors import ConfigError, Problem
from core.model import COMMANDS, RECORDS

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PAGINGS = ("none", "page", "offset", "token", "link", "keyset")
FORMATS = ("iso", "sql", "epoch", "epoch_ms", "counter")
OUTCOMES = ("reject", "retry", "in_doubt", "login")
#: The door renews the login and reads Retry-After itself; a rule would take that away.
_DOORS_OWN = frozenset([401, 429, 503])

_Known = Mapping[str, Any]


def parse(manifest: Mapping[str, Any]) -> Plan:
    """The plan of a manifest, or ConfigError with everything that is wrong in it."""
    problems: list[str] = []
    plan = _plan(Block(manifest.get("http"), "http", problems), manifest)
    file = f"connectors/{manifest.get('name', 'unknown')}/manifest.yaml"
    if problems:
        fix = "The grammar is one page: connectors/http_json/README.md"
        raise ConfigError(
            [Problem(file=file, line=1, what=what, fix=fix) for what in sorted(problems)]
        )
    return plan


def _plan(http: Block, manifest: Mapping[str, Any]) -> Plan:
    settings: _Known = {"settings": None}
    shared = http.raw("headers") or {}
    errors = http.raw("errors") or []
    if not isinstance(errors, list):
        http.wrong("errors", "is not a list of rules")
        errors = []
    maker = _Maker(manifest, shared)
    plan = Plan(
        errors=tuple(
            _rule(Block(raw, f"http.errors.{index}", http.problems))
            for index, raw in enumerate(errors)
        ),
        reads={name: maker.source(name, block) for name, block in http.blocks("reads")},
        sends={name: maker.sending(name, block) for name, block in http.blocks("sends")},
        publish=maker.stock_write(http.block("publish")) if http.has("publish") else None,
        hooks={topic: _hook(block) for topic, block in http.blocks("events")},
    )
    http.templates("headers", settings)
    http.close()
    _agrees(http, manifest, plan)
    return plan


class _Maker:
    """Reads the parts that need to know the rest of the manifest."""

    def __init__(self, manifest: Mapping[str, Any], shared: Any) -> None:
        budgets = manifest.get("budgets")
        self._budgets = list(budgets) if isinstance(budgets, Mapping) else []
        self._shared = shared if isinstance(shared, Mapping) else {}

    def source(self, name: str, block: Block) -> Source:
        if name not in RECORDS:
            block.wrong("", f"is no record; {nearest(name, list(RECORDS))}")
        known: _Known = {"settings": None}
        made = Source(
            asking=self._asking(block, known, methods=("GET", "POST")),
            rows=_rows(block),
            id=_names(block, "id"),
            revision=block.path("revision"),
            since=_since(block.block("since")) if block.has("since") else None,
            fetch=self._fetch(block.block("fetch")) if block.has("fetch") else None,
        )
        if made.rows.paging.kind == "keyset" and (made.since is None or not made.since.item):
            block.wrong("paging", "keyset continues from the last row: it needs since.item")
        block.close()
        return made

    def _fetch(self, block: Block) -> Fetch:
        made = Fetch(
            asking=self._asking(block, {"settings": None, "id": None}, methods=("GET", "POST")),
            item=block.path("item", "."),
            missing=_when(block.block("missing"))
            if block.has("missing")
            else When(statuses=frozenset([404])),
        )
        block.close()
        return made

    def sending(self, name: str, block: Block) -> Sending:
        if name not in COMMANDS:
            block.wrong("", f"is no command; {nearest(name, list(COMMANDS))}")
        known: _Known = {
            "key": None,
            "record": COMMANDS.get(name),
            "body": None,
            "settings": None,
        }
        constants = block.raw("constants") or {}
        if not isinstance(constants, Mapping):
            block.wrong("constants", "is not a block")
            constants = {}
        made = Sending(
            asking=self._asking(block, known, default="POST"),
            body=block.choice("body", ("mapped", "none"), "mapped"),
            at=block.path("at", "."),
            constants=dict(constants),
            success=_maybe_when(block, "success"),
            already=_maybe_when(block, "already"),
            proof=_proof(block),
            search=self._search(block.block("find"), known) if block.has("find") else None,
        )
        if made.already is not None and made.search is None:
            block.wrong("already", "says it had been done; `find` must say what had been made")
        block.close()
        return made

    def _search(self, block: Block, known: _Known) -> Search:
        made = Search(
            asking=self._asking(block, known, methods=("GET", "POST")),
            rows=_rows(block),
            where=block.templates("where", known),
            proof=_proof(block),
            missing=_maybe_when(block, "missing"),
        )
        if not made.where:
            # Some systems ignore a filter they do not know and answer with everything.
            block.wrong("where", "is missing: how a row of the answer is known to be ours")
        block.close()
        return made

    def stock_write(self, block: Block) -> StockWrite:
        known: _Known = {"settings": None, **_offer_fields(), "change": None}
        result = block.block("result")
        row = block.tree("row", known)
        made = StockWrite(
            asking=self._asking(block, known if not block.has("rows") else {"settings": None}),
            row=row,
            relative="change" in fields_in(row),
            rows=block.path("rows"),
            results=block.path("results"),
            by=_matching(result),
            accepted=_maybe_when(result, "accepted"),
            stale=_maybe_when(result, "stale"),
            shown=result.path("shown"),
            words=result.path("words"),
        )
        if made.results and (made.accepted is None or not made.by):
            result.wrong(
                "", "needs `by` and `accepted`: whose result a row is, and when it is good"
            )
        if made.results and not made.rows:
            block.wrong("results", "belongs to a write with many `rows`")
        result.close()
        block.close()
        return made

    def _asking(
        self,
        block: Block,
        known: _Known,
        *,
        default: str = "GET",
        methods: tuple[str, ...] = METHODS,
    ) -> Asking:
        path = block.template("path", known)
        if not path.parts[0].startswith("/"):
            block.wrong("path", "does not begin with /; it is added to the system's base_url")
        budget = block.word("budget", "calls")
        if budget not in ("calls", *self._budgets):
            block.wrong("budget", f"is {budget!r}; {nearest(budget, ['calls', *self._budgets])}")
        shared = Block(dict(self._shared), "http.headers", [])
        return Asking(
            method=block.choice("method", methods, default),
            path=path,
            params=block.templates("params", known),
            headers={
                **{name: shared.template(name, known) for name in shared.names()},
                **block.templates("headers", known),
            },
            budget=budget,
        )


def _rows(block: Block) -> Rows:
    paging = block.block("paging")
    made = Paging(
        kind=paging.choice("kind", PAGINGS, "none"),
        param=paging.word("param"),
        size_param=paging.word("size_param"),
        size=paging.number("size", 0),
        first=paging.number("first", 1),
        path=paging.path("path"),
        alone=paging.flag("alone"),
        repeat=paging.number("repeat", 0),
        ends=paging.choice("ends", ("empty_page", "short_page"), "empty_page"),
        past_end=_maybe_when(paging, "past_end"),
    )
    if made.kind in ("page", "offset", "token") and not made.param:
        paging.wrong("param", f"is missing: {made.kind} goes into a parameter")
    if made.kind == "token" and not made.path:
        paging.wrong("path", "is missing: where the answer has the next token")
    if (made.ends == "short_page" or made.kind == "keyset") and not made.size:
        paging.wrong("size", "is missing: what a full page is")
    if made.size and made.repeat >= made.size:
        paging.wrong("repeat", "is not smaller than a page: it would never end")
    paging.close()
    return Rows(
        items=block.path("items", required=True),
        absent_is_empty=block.flag("absent_is_empty"),
        paging=made,
    )


def _since(block: Block) -> Since:
    made = Since(
        param=block.word("param", required=True),
        format=block.choice("format", FORMATS),
        item=block.path("item"),
        answer=block.path("answer"),
    )
    if bool(made.item) is bool(made.answer):
        block.wrong("", "needs either `item` (greatest of the rows) or `answer` (a path in it)")
    block.close()
    return made


def _when(block: Block) -> When:
    made = When(
        statuses=_statuses(block),
        path=block.path("path"),
        values=frozenset(_texts(block, "in")),
        present=block.flag("present") if block.has("present") else None,
    )
    if not made.statuses and not made.path:
        block.wrong("", "asks nothing: give `status`, or `path` with `in` or `present`")
    if made.path and bool(made.values) is (made.present is not None):
        block.wrong("path", "needs either `in` or `present` beside it")
    if not made.path and (made.values or made.present is not None):
        block.wrong("path", "is missing: what `in` or `present` look at")
    return made


def _maybe_when(block: Block, name: str) -> When | None:
    if not block.has(name):
        return None
    below = block.block(name)
    made = _when(below)
    below.close()
    return made


def _rule(block: Block) -> Rule:
    made = Rule(when=_when(block), then=block.choice("then", OUTCOMES), words=block.path("words"))
    if made.when.statuses & _DOORS_OWN:
        block.wrong("status", "401, 429 and 503 are the door's: use `answers:` of the manifest")
    block.close()
    return made


def _proof(block: Block) -> Proof:
    return Proof(
        reference=block.path("reference"),
        counter=block.path("counter"),
        as_of=block.path("as_of"),
    )


def _hook(block: Block) -> Hook:
    resource = block.choice("resource", list(RECORDS))
    made = Hook(resource=resource, items=block.path("items", "."), full=block.flag("full"))
    block.close()
    return made


def _matching(result: Block) -> tuple[tuple[str, str], ...]:
    below = result.block("by")
    names = list(_offer_fields())
    pairs = []
    for path in below.names():
        field = below.word(path)
        if field not in names:
            below.wrong(path, f"is {field!r}; {nearest(field, names)}")
        pairs.append((path, field))
    return tuple(pairs)


def _offer_fields() -> dict[str, Any]:
    return dict.fromkeys(Offer.__dataclass_fields__)


def _statuses(block: Block) -> frozenset[int]:
    seen = _texts(block, "status")
    if any(not (status.isdigit() and 200 <= int(status) <= 599) for status in seen):
        block.wrong("status", "is not a list of HTTP statuses")
        return frozenset()
    return frozenset(int(status) for status in seen)


def _texts(block: Block, name: str) -> list[str]:
    """One scalar or a list of them, as the text they are compared as."""
    raw = block.raw(name)
    values = raw if isinstance(raw, list) else [] if raw is None else [raw]
    texts = []
    for value in values:
        if isinstance(value, bool):
            texts.append("true" if value else "false")
        elif isinstance(value, str | int):
            texts.append(str(value))
        else:
            block.wrong(name, "is not a list of words")
    return texts


def _names(block: Block, name: str) -> tuple[str, ...]:
    paths = _texts(block, name)
    if not paths:
        block.wrong(name, "is missing: the path of the owner's id, or a list of paths")
    return tuple(paths)


def _agrees(http: Block, manifest: Mapping[str, Any], plan: Plan) -> None:
    """What the manifest promises to the core must be in the block, and nothing more."""
    reads, accepts = manifest.get("reads") or {}, manifest.get("accepts") or {}
    _same(http, "reads", list(reads), list(plan.reads))
    _same(http, "sends", list(accepts), list(plan.sends))
    for name, promise in reads.items():
        fetched = isinstance(promise, Mapping) and promise.get("fetch") in (True, "true")
        if name in plan.reads and fetched and plan.reads[name].fetch is None:
            http.wrong(f"reads.{name}.fetch", "is missing: the manifest promises `fetch: true`")
    for name, promise in accepts.items():
        safe_by = promise.get("safe_by") if isinstance(promise, Mapping) else None
        if safe_by == "lookup" and name in plan.sends and plan.sends[name].search is None:
            http.wrong(f"sends.{name}.find", "is missing: the manifest says `safe_by: lookup`")
    promised = manifest.get("stock_write") or {}
    if bool(promised) is (plan.publish is None):
        http.wrong("publish", "and the manifest's `stock_write` belong together")
    elif plan.publish and not plan.publish.rows and str(promised.get("batch", "1")) != "1":
        http.wrong("publish.rows", "is missing: a batch needs a place for its rows")
    if plan.publish:
        _writes_as_promised(http, str(promised.get("write")), plan.publish.row)
    hooks = manifest.get("hooks")
    topics = hooks.get("topics") if isinstance(hooks, Mapping) else None
    for topic in topics or []:
        if topic not in plan.hooks:
            http.wrong(f"events.{topic}", "is missing: the manifest's hooks list this topic")


def _writes_as_promised(http: Block, write: str, row: Json) -> None:
    """What a write does to units sold unseen rests on what really leaves (H19)."""
    fields = fields_in(row)
    if (write == "relative") is not ("change" in fields):
        http.wrong("publish.row", "and `write: relative` belong together with {change} in it")
    if write == "conditional" and "shown" not in fields:
        http.wrong("publish.row", "has no {shown}: `write: conditional` promises to compare")


def fields_in(row: Json) -> set[str]:
    return {field for template in templates(row) for field in template.fields}


def _same(http: Block, name: str, promised: list[str], there: list[str]) -> None:
    for word in promised:
        if word not in there:
            http.wrong(f"{name}.{word}", "is missing: the manifest promises it")
    for word in there:
        if word not in promised:
            http.wrong(f"{name}.{word}", "is not promised by the manifest")
