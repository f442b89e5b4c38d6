"""What an answer means: the vendor's habit of hiding failures, sorted into our errors."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.http_json.plan import Rule
from connectors.http_json.pointing import at, text
from core.contract import Answer, Json
from core.errors import ConnectorError, InDoubt, LoginNeeded, Rejected, Retry

#: Their words go into logs and mails: enough to understand, too short for a document.
WORDS_MAX = 200
_ERRORS: dict[str, type[ConnectorError]] = {
    "reject": Rejected,
    "retry": Retry,
    "in_doubt": InDoubt,
    "login": LoginNeeded,
}


def judge(rules: Sequence[Rule], answer: Answer, what: str, *, writes: bool) -> None:
    """Return if this answer is a success as far as anyone can see; else raise."""
    for rule in rules:
        if rule.when.of(answer):
            kind = _ERRORS[rule.then]
            if kind is InDoubt and not writes:
                kind = Retry
            raise kind(what, words=words(answer.body, rule.words), status=answer.status)
    if answer.status < 300:
        return
    # A rule asked the door for this status and then did not recognize the body.
    if answer.status in (408, 425) or (answer.status >= 500 and not writes):
        raise Retry(what, words=words(answer.body), status=answer.status)
    if answer.status >= 500:
        raise InDoubt(what, words=words(answer.body), status=answer.status)
    raise Rejected(what, words=words(answer.body), status=answer.status)


def words(body: Json, path: str = "") -> str:
    """The system's own words: where the rule says, else at the usual places."""
    for spot in (path,) if path else ("error.message", "message", "error", "detail", "errors.0"):
        found = at(body, spot)
        said = text(found) or text(at(found, "message"))
        if said:
            return " ".join(said.split())[:WORDS_MAX]
    return ""
