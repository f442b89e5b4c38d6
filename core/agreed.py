"""Whether an answer has the form we agreed on, before a connector reads it (T7, H47).

A connector says as types what it is going to touch, no more: what a mapping reads is the
mapping's to check, one record at a time. An answer of another form is no bug of ours and no
word about what happened: a read is tried again, a write is in doubt. The message names the
place and never a value, which may be a buyer's.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec

from core.answers import words_in
from core.contract import Answer
from core.errors import InDoubt, Retry

Form = TypeVar("Form")


def agreed(answer: Answer, form: type[Form], what: str, *, writes: bool = False) -> Form:
    """The body of `answer`, untouched, as what it was seen to be. `form`: a TypedDict.

    Raises Retry, or InDoubt where it `writes`; `what` is the vendor's name of the call.
    """
    return agreed_part(answer.body, form, what, writes=writes, beside=answer)


def agreed_part(
    body: Any, form: type[Form], what: str, *, writes: bool = False, beside: Answer
) -> Form:
    """The same for a part of an answer; the whole may hold the vendor's words."""
    why = unlike(body, form)
    if why:
        words = "; ".join(filter(None, (why, words_in(beside.body))))
        unclear = InDoubt if writes else Retry
        raise unclear(
            f"{what} was answered in another form than agreed", words=words, status=beside.status
        )
    return cast(Form, body)


def unlike(body: Any, form: Any) -> str:
    """Where and how `body` differs from `form`; "" if it does not."""
    try:
        msgspec.convert(body, form)
    except msgspec.ValidationError as error:
        return str(error).replace("`", "")
    return ""
