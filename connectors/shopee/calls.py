"""One call to Shopee: its path, and the no inside its 200."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from connectors.shopee.forms import Answered
from connectors.shopee.signing import API, code_of, words_of
from core.agreed import agreed
from core.answers import http_date
from core.contract import Answer, Api
from core.errors import InDoubt, Rejected

Form = TypeVar("Form")
Params = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Shopee understood and says no: the code without blanks, and its words."""

    code: str
    words: str


class Calls:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def ask(self, call: str, form: type[Form], params: Params | None = None) -> Form:
        """The `response` of a read, as what it was agreed to be. Raises Rejected for a no."""
        answer = await self._get(call, params)
        _refuse(call, answer)
        return _response(call, answer, form)

    async def dated(
        self, call: str, form: type[Form], params: Params
    ) -> tuple[Form, datetime | None]:
        """The same, with what time it was there when it answered."""
        answer = await self._get(call, params)
        _refuse(call, answer)
        return _response(call, answer, form), http_date(answer.headers.get("date", ""))

    async def ask_if_there(
        self, call: str, form: type[Form], params: Params, absent: frozenset[str] | None
    ) -> Form | None:
        """The same; None where it answers with one of the codes of `absent` (None: any code)."""
        answer = await self._get(call, params)
        code = code_of(answer.body)
        if code and (absent is None or code in absent):
            return None
        _refuse(call, answer)
        return _response(call, answer, form)

    async def bare(self, call: str, form: type[Form]) -> Form:
        """Of the few answers that are not wrapped in `response`."""
        answer = await self._get(call, None)
        _refuse(call, answer)
        return agreed(answer, form, call)

    async def tell(self, call: str, json: Mapping[str, Any]) -> Answer | Refusal:
        """A write. An answer without `error` at all is somebody else's: InDoubt."""
        answer = await self._api.call("POST", API + call, json=json, writes=True)
        code = code_of(answer.body)
        if code:
            return Refusal(code, words_of(answer.body))
        if not isinstance(answer.body, dict) or "error" not in answer.body:
            raise InDoubt(f"Shopee says neither yes nor no to {call}")
        return answer

    def written(self, call: str, answer: Answer, form: type[Form]) -> Form:
        """What a write came to, row by row."""
        return _response(call, answer, form, writes=True)

    async def _get(self, call: str, params: Params | None) -> Answer:
        return await self._api.call("GET", API + call, params=params)


def _refuse(call: str, answer: Answer) -> None:
    if code_of(answer.body):
        raise Rejected(f"Shopee refuses {call}", words=words_of(answer.body))


def _response(call: str, answer: Answer, form: type[Form], *, writes: bool = False) -> Form:
    wrapped: Any = Answered[form]  # type: ignore[valid-type]
    return cast(Form, agreed(answer, wrapped, call, writes=writes)["response"])
