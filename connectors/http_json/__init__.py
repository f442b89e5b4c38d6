"""Any plain REST system, by its manifest and mappings alone.

The manifest's `http:` block says where things are; this engine follows it. It
reads, fetches, sends, finds and publishes, and knows no vendor. What the block
may say is one page: README.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.http_json.answers import judge, words
from connectors.http_json.grammar import parse
from connectors.http_json.paging import Walk, apart, params_of, step
from connectors.http_json.plan import (
    Asking,
    Rows,
    Search,
    When,
)
from connectors.http_json.pointing import Sources, at, placed, text
from connectors.http_json.publishing import judged, untold, written
from connectors.http_json.pushing import events_of
from connectors.http_json.rows import fetched, item_of, latest, mark_after, rows_of, since_params
from connectors.http_json.sending import receipt_of, sent_body
from core.contract import (
    Answer,
    Api,
    Command,
    Event,
    Item,
    Json,
    Offer,
    OfferResult,
    Page,
    Push,
    Receipt,
    Setup,
)
from core.errors import InDoubt, Rejected, Retry

#: A search for one command that needs more pages than this is not a search.
FIND_PAGES_MAX = 50


def connect(setup: Setup) -> HttpJson:
    return HttpJson(setup)


class HttpJson:
    """One configured system, driven by the plan its manifest became."""

    def __init__(self, setup: Setup) -> None:
        self._plan = parse(setup.manifest)
        self._api: Api = setup.api
        self._settings = setup.settings

    # ------------------------------------------------------------------ reading

    async def read(self, resource: str, since: str | None, page: str | None) -> Page:
        source = self._plan.reads[resource]
        walk = Walk.of(page)
        # A keyset moves its own start; every other list keeps the one of the pass.
        keyset = source.rows.paging.kind == "keyset" and walk.at
        params = since_params(source.since, walk.at if keyset else since)
        answer = await self._ask_page(source.asking, source.rows, walk, params, {})
        past_end = source.rows.paging.past_end
        if past_end is not None and past_end.of(answer):
            return Page(items=[], since=latest(source.since, walk.mark, since))
        judge(self._plan.errors, answer, f"reading {resource}", writes=False)
        rows = rows_of(answer, source.rows, resource)
        walk = Walk(
            at=walk.at,
            mark=mark_after(source.since, walk, answer, rows),
            seen=walk.seen,
            pages=walk.pages,
        )
        following = self._step(
            source.asking, source.rows, walk, answer=answer, there=rows, sources={}
        )
        return Page(
            items=[item_of(source, row) for row in rows],
            next=None if following is None else following.token(),
            since=latest(source.since, walk.mark, since),
        )

    async def fetch(self, resource: str, external_id: str) -> Item | None:
        source = self._plan.reads[resource]
        if source.fetch is None:
            raise Rejected(f"one {resource} cannot be read by its id")
        answer = await self._ask(
            source.fetch.asking,
            {"settings": self._settings, "id": external_id},
            expect=source.fetch.missing.statuses,
        )
        if source.fetch.missing.of(answer):
            return None
        judge(self._plan.errors, answer, f"reading {resource}", writes=False)
        return fetched(source, source.fetch, answer, external_id)

    # ------------------------------------------------------------------ commands

    async def send(self, command: Command) -> Receipt:
        sending = self._plan.sends[command.kind]
        answer = await self._ask(
            sending.asking,
            self._sources(command),
            body=sent_body(sending, command),
            writes=True,
            expect=sending.already.statuses if sending.already else frozenset(),
        )
        if sending.already is not None and sending.already.of(answer):
            return await self._already(command, answer)
        if sending.already is not None and sending.already.is_hidden_by(answer):
            what = "its refusal cannot be read: it may say that it had been done"
            raise InDoubt(command.kind, words=what, status=answer.status)
        judge(self._plan.errors, answer, command.kind, writes=True)
        if sending.success is not None and not sending.success.of(answer):
            raise InDoubt(command.kind, words="the answer says neither yes nor no")
        return receipt_of(sending.proof, answer.body, command)

    async def find(self, command: Command) -> Receipt | None:
        search = self._plan.sends[command.kind].search
        if search is None:
            raise Rejected(f"{command.kind} cannot be looked up in this system")
        found = await self._found(search, command)
        if not found:
            return None
        receipt = receipt_of(search.proof, found[0], command)
        note = f"{len(found)} of them are there" if len(found) > 1 else ""
        return Receipt(
            reference=receipt.reference,
            already=True,
            counter=receipt.counter,
            as_of=receipt.as_of,
            note=note,
        )

    async def _already(self, command: Command, answer: Answer) -> Receipt:
        """They say it had been done. Believed only after it was seen."""
        receipt = await self.find(command)
        if receipt is None:
            raise Rejected(command.kind, words=words(answer.body), status=answer.status)
        return receipt

    async def _found(self, search: Search, command: Command) -> list[Json]:
        sources = self._sources(command)
        wanted = {path: template.fill(sources) for path, template in search.where.items()}
        walk: Walk | None = Walk()
        found: list[Json] = []
        for _ in range(FIND_PAGES_MAX):
            assert walk is not None
            answer = await self._ask_page(
                search.asking, search.rows, walk, {}, sources, missing=search.missing
            )
            if search.missing is not None and search.missing.of(answer):
                return found
            judge(self._plan.errors, answer, f"looking up {command.kind}", writes=False)
            rows = rows_of(answer, search.rows, command.kind)
            found += [row for row in rows if _is_wanted(row, wanted)]
            walk = self._step(
                search.asking, search.rows, walk, answer=answer, there=rows, sources=sources
            )
            if walk is None:
                return found
        raise Retry(f"looking up {command.kind}", words="the answer has no end")

    # ------------------------------------------------------------------ stock and pushes

    async def publish(self, offers: Sequence[Offer]) -> Sequence[OfferResult]:
        writing = self._plan.publish
        if writing is None:
            raise Rejected("this system takes no stock")
        results = untold(writing, offers)
        for sources, body, told in written(writing, offers, self._settings):
            answer = await self._ask(writing.asking, sources, body=body, writes=True)
            judge(self._plan.errors, answer, "publishing stock", writes=True)
            results += judged(writing, told, answer.body)
        return results

    def events(self, push: Push) -> Sequence[Event]:
        hook = self._plan.hooks.get(push.topic)
        if hook is None:
            return []
        return events_of(hook, self._plan.reads.get(hook.resource), push)

    # ------------------------------------------------------------------ one call

    def _sources(self, command: Command) -> Sources:
        return {
            "key": command.key,
            "record": command.record,
            "body": command.body,
            "settings": self._settings,
        }

    def _step(
        self,
        asking: Asking,
        rows: Rows,
        walk: Walk,
        *,
        answer: Answer,
        there: Sequence[Json],
        sources: Sources,
    ) -> Walk | None:
        return step(
            rows.paging,
            walk,
            answer,
            there,
            base_url=self._settings.get("base_url", ""),
            path=asking.path.fill_path({"settings": self._settings, **sources}),
        )

    async def _ask_page(
        self,
        asking: Asking,
        rows: Rows,
        walk: Walk,
        params: Mapping[str, str],
        sources: Sources,
        *,
        missing: When | None = None,
    ) -> Answer:
        judged_here = [when for when in (rows.paging.past_end, missing) if when is not None]
        expect = frozenset[int]().union(*(when.statuses for when in judged_here))
        if rows.paging.kind == "link" and walk.at:
            path, query = apart(walk.at)
            return await self._api.call(
                "GET",
                path,
                params=query,
                headers=self._headers(asking, sources),
                budget=asking.budget,
                expect=self._plan.expected | expect,
            )
        alone = rows.paging.alone and walk.at
        return await self._ask(
            asking,
            {"settings": self._settings, **sources},
            params={**({} if alone else params), **params_of(rows.paging, walk)},
            own_params=not alone,
            expect=expect,
        )

    async def _ask(
        self,
        asking: Asking,
        sources: Sources,
        *,
        params: Mapping[str, str] | None = None,
        own_params: bool = True,
        body: Json = None,
        writes: bool = False,
        expect: frozenset[int] = frozenset(),
    ) -> Answer:
        asked = (
            {name: made.fill(sources) for name, made in asking.params.items()} if own_params else {}
        )
        asked.update(params or {})
        if not writes and asking.method == "POST":
            # A search by POST has its parameters in the body; dots nest.
            body = {}
            for name, value in asked.items():
                placed(name, value, body)
            asked = {}
        return await self._api.call(
            asking.method,
            asking.path.fill_path(sources),
            params=asked or None,
            json=body,
            headers=self._headers(asking, sources),
            writes=writes,
            budget=asking.budget,
            expect=self._plan.expected | expect,
        )

    def _headers(self, asking: Asking, sources: Sources) -> dict[str, str] | None:
        known = {"settings": self._settings, **sources}
        headers = {name: made.fill(known) for name, made in asking.headers.items()}
        for name, value in headers.items():
            if not value.isprintable():
                raise Rejected("a call cannot be made", words=f"the header {name} is not one line")
        return headers or None


def _is_wanted(row: Json, wanted: Mapping[str, str]) -> bool:
    """A row that cannot be read is no proof that nothing is there: what is asked for a second
    time is made a second time (G3)."""
    for path, value in wanted.items():
        said = at(row, path)
        if not isinstance(row, Mapping) or isinstance(said, Mapping | list):
            raise Retry("looking up", words=f"a row of the answer has no {path} that can be read")
        if text(said) != value:
            return False
    return True
