"""How we log in to one system, and how a token that expires is renewed (S24, H28).

One refresh at a time, whoever asks; a new refresh token is stored before it is
used, and the one before it is kept for one retry, because the answer that
carried the new one may have been lost. A refusal pauses the system and is not
repeated for a while: hammering a token endpoint gets accounts locked.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlencode, urlsplit

import tenacity

from core.addresses import why_not_url
from core.answers import retry_after_s, words_of
from core.clock import Clock, stamp, unstamp
from core.contract import Dialect, Unsigned, Verdict
from core.crash import crash_point
from core.errors import ConfigError, ConnectorError, LoginNeeded, Problem, RateLimited, Retry
from core.request import Ask
from core.seal import hide, scrub
from core.secrets import Secret
from core.strict import Malformed, dump_json, load_json
from core.their_clock import TheirClock
from core.wire import Lost, Raw

Kind = Literal["none", "header", "bearer", "basic", "refresh_token", "client_credentials", "signed"]

#: A token is renewed so long before it ends, so that it does not end under way.
EARLY_S = 60.0
#: A token endpoint that said no is asked again after so long, not by every lane.
REFUSED_FOR_S = 300.0
_LIFE_DEFAULT_S = 3600.0
_TRIES = 3
_TRIES_S = 10.0
#: A new token that is refused as well is not renewed over and over.
_FORCED_EVERY_S = 30.0
#: The one name under which the chain of refresh tokens is stored: one write, never half of it.
STORED = "refresh_tokens"
#: Under which a signed login keeps its access token: no header, it is part of each signature.
_ACCESS = "access_token"
_WORDS_MAX = 300


class Sends(Protocol):
    """What a login needs of core.wire.Wire."""

    async def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Raw | Lost: ...


Load = Callable[[str], Awaitable[str | None]]
Store = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSpec:
    """A manifest's login with the values behind its names. Prints no secret."""

    kind: Kind
    header: str = "authorization"
    prefix: str = ""
    secret_name: str = ""
    secret: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    url: str = ""
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    sends: Literal["form", "json"] = "form"
    rotates: bool = False
    expires_in: str = ""  # where its answer says how many seconds the login itself lives
    expires_at: datetime | None = None  # as the operator wrote it down
    private: bool = False  # the system's `network: private`

    @classmethod
    def of(
        cls,
        kind: str,
        words: Mapping[str, str],
        values: Mapping[str, str | Secret],
        *,
        private: bool = False,
        expires_at: datetime | None = None,
    ) -> LoginSpec:
        """`words`: the manifest's keys; `values`: the system's settings and secrets by name."""

        def value(key: str) -> str:
            name = words.get(key, "")
            found = values.get(name, name if "://" in name else "")
            return found.reveal() if isinstance(found, Secret) else found

        known: Kind = "none"  # a session is the connector's own affair
        match kind:
            case "header" | "bearer" | "basic":
                known = kind
            case "refresh_token" | "client_credentials" | "signed":
                known = kind
        return cls(
            kind=known,
            header=words.get("header", "authorization").lower(),
            prefix=words.get("prefix", ""),
            secret_name=words.get("secret", words.get("refresh_token", "client_secret")),
            secret=value("secret"),
            user=value("user"),
            url=value("url"),
            client_id=value("client_id"),
            client_secret=value("client_secret"),
            refresh_token=value("refresh_token"),
            sends="json" if words.get("sends") == "json" else "form",
            rotates=words.get("rotates", "") in ("true", "yes"),
            expires_in=words.get("expires_in", ""),
            expires_at=expires_at,
            private=private,
        )


@dataclass(frozen=True, slots=True)
class _Token:
    headers: Mapping[str, str] = field(repr=False)
    good_until: float


async def _nothing_stored(name: str) -> str | None:  # noqa: ARG001
    return None


async def _store_nothing(name: str, value: str) -> None:
    """For kinds without a refresh token."""


class Login:
    """`headers()` for every call; `refresh(refused)` after a 401."""

    def __init__(
        self,
        system: str,
        spec: LoginSpec,
        *,
        clock: Clock,
        wire: Sends | None = None,
        load: Load = _nothing_stored,
        store: Store = _store_nothing,
        dialect: Dialect | None = None,
    ) -> None:
        self._system = system
        self._spec = spec
        self._clock = clock
        self._wire = wire
        self._load = load
        self._store = store
        self._dialect = dialect
        self.theirs = TheirClock(clock)
        self._token: _Token | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._refusal: LoginNeeded | None = None
        self._refused_until = 0.0
        self._forced_until = 0.0
        self._away = False  # nobody was there when the token endpoint was last asked
        hide(spec.secret, spec.client_secret, spec.refresh_token)
        if self.renews:
            self._check_url()
        else:
            self._fixed = _fixed(spec)

    @property
    def renews(self) -> bool:
        return self._spec.kind in ("refresh_token", "client_credentials", "signed")

    @property
    def where(self) -> str:
        """Where an operator finds the credential: never its value."""
        return f"systems.{self._system}.secrets.{self._spec.secret_name}"

    def good_for_s(self) -> float | None:
        """Seconds until the token ends; None where it does not, or none was fetched yet."""
        if self._token is None:
            return None
        return max(0.0, self._token.good_until - self._clock.monotonic())

    async def ends_at(self) -> datetime | None:
        """When the login itself ends and a person must renew it, as far as anybody has said.

        The system's own word, given with the last token, beats what the operator wrote down.
        """
        chain = await self._chain()
        said = chain.get("ends_at") if chain else None
        return unstamp(said) if said else self._spec.expires_at

    async def headers(self) -> Mapping[str, str]:
        """Headers that log in now. Raises LoginNeeded, or Retry where tokens cannot be had."""
        if not self.renews:
            return self._fixed
        token, now = self._token, self._clock.monotonic()
        if token is not None and now < token.good_until - EARLY_S:
            return token.headers
        try:
            await self._renew()
        except Retry:
            # Renewing early is a courtesy: the token in hand still works.
            if token is not None and now < token.good_until:
                return token.headers
            raise
        assert self._token is not None
        return self._token.headers

    def dressed(self, ask: Ask, login: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
        """The URL and headers of a call as it leaves now, logged in with what `headers` gave."""
        if self._dialect is None:
            return ask.url, {**ask.headers, **login}
        return self._signed(ask.method, ask.url, ask.content, login[_ACCESS]), ask.headers

    def verdict(self, raw: Raw) -> Verdict | None:
        """What the vendor's own words mean, where its statuses do not say it."""
        if self._dialect is None:
            return None
        try:
            body = load_json(raw.content) if raw.content.strip() else None
        except Malformed:
            return None
        found = self._dialect.verdict(body, self.theirs.now())
        # Scrubbed before it is cut: half a secret would not be recognized.
        return found and replace(found, words=" ".join(scrub(found.words).split())[:_WORDS_MAX])

    def _signed(self, method: str, url: str, content: bytes | None, token: str) -> str:
        assert self._dialect is not None
        parts = urlsplit(url)
        call = Unsigned(
            method=method,
            path=parts.path,
            query=parts.query,
            content=content,
            token=token,
            at=self.theirs.now(),
        )
        added = urlencode(self._dialect.sign(call), quote_via=quote)
        return f"{url}{'&' if parts.query else '?'}{added}"

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """The system refused these headers. False: there is nothing to renew."""
        if not self.renews:
            return False
        # Two callers refused with the same old token: the second finds a newer one here.
        if self._token is not None and self._token.headers is not refused:
            return True
        now = self._clock.monotonic()
        if now < self._forced_until:
            return False
        self._token = None
        await self._renew()
        self._forced_until = now + _FORCED_EVERY_S
        return True

    async def aclose(self) -> None:
        """Let a refresh under way finish: half of a rotation is a lost login."""
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

    async def _renew(self) -> None:
        """Single flight. A caller that is cancelled does not cancel the refresh (H28)."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew_once())
            self._renewing.add_done_callback(_seen)
        await asyncio.shield(self._renewing)

    async def _renew_once(self) -> None:
        if self._refusal is not None and self._clock.monotonic() < self._refused_until:
            raise LoginNeeded(
                self._refusal.what, words=self._refusal.words, status=self._refusal.status
            )
        try:
            answer = await self._new_token()
        except LoginNeeded as refusal:
            self._token = None
            self._refusal = refusal
            self._refused_until = self._clock.monotonic() + REFUSED_FOR_S
            raise
        self._refusal = None
        access = str(answer["access_token"])
        hide(access)
        life = _seconds(answer.get("expires_in"))
        # A token of two minutes is used for one; EARLY_S must not make it useless.
        good_until = self._clock.monotonic() + max(life, EARLY_S * 1.5)
        if self._dialect is not None:
            self._token = _Token({_ACCESS: access}, good_until)
            return
        prefix = self._spec.prefix
        if not prefix and self._spec.header == "authorization":
            prefix = "Bearer "
        self._token = _Token({self._spec.header: f"{prefix}{access}"}, good_until)

    async def _new_token(self) -> Mapping[str, Any]:
        if self._spec.kind == "client_credentials":
            return await self._ask({"grant_type": "client_credentials"})
        current, before = await self._refresh_tokens()
        used = current
        try:
            answer = await self._ask(_grant(current))
        except LoginNeeded:
            if not before:
                raise
            # The new token may never have become valid: the one before gets one chance (S24).
            used = before
            answer = await self._ask(_grant(used))
        given = answer.get("refresh_token")
        newer = given if isinstance(given, str) and given else used
        ends_at = self._ends_at(answer)
        if newer != current or _is_news(ends_at, await self.ends_at()):
            hide(newer)
            chain = {
                "current": newer,
                "before": used if used != newer else "",
                "seed": _fingerprint(self._spec.refresh_token),
                "ends_at": stamp(ends_at) if ends_at else "",
            }
            crash_point("token.answered", self._system)
            await self._store(STORED, dump_json(chain).decode())
            crash_point("token.stored", self._system)
        return answer

    async def _refresh_tokens(self) -> tuple[str, str]:
        """The newest one and the one before. A token newly set by the operator beats both."""
        chain = await self._chain()
        if chain is None:
            return self._spec.refresh_token, ""
        hide(chain["current"], chain["before"])
        return chain["current"], chain["before"]

    async def _chain(self) -> Mapping[str, str] | None:
        """What is stored of the refresh token that the operator has set; None: nothing yet."""
        rotating = self._spec.kind in ("refresh_token", "signed")
        stored = await self._load(STORED) if rotating else None
        chain: dict[str, str] = load_json(stored.encode()) if stored else {}
        return chain if chain.get("seed") == _fingerprint(self._spec.refresh_token) else None

    def _ends_at(self, answer: Mapping[str, Any]) -> datetime | None:
        """When the refresh token ends, where its answer says so."""
        said = answer.get(self._spec.expires_in) if self._spec.expires_in else None
        if said is None:
            return None
        return self._clock.now() + timedelta(seconds=_seconds(said))

    async def _ask(self, grant: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask the token endpoint, a few times where it was not there, once where it was not there
        the last time either: in a long outage whoever asks is a probe (G11). No secret in any
        error."""
        began = self._clock.monotonic()
        # Of a rotating token the second use may count as theft: one retry, not two.
        tries = 1 if self._away else 2 if self._spec.rotates else _TRIES

        def enough(state: tenacity.RetryCallState) -> bool:
            spent = self._clock.monotonic() - began + state.upcoming_sleep
            return state.attempt_number >= tries or spent > _TRIES_S

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(_was_not_there),
            stop=enough,
            wait=tenacity.wait_exponential(multiplier=0.5, max=2),
            sleep=self._clock.sleep,
            retry_error_callback=_last,
        )
        raw: Raw | Lost = await retrying(self._ask_once, grant)
        self._away = _was_not_there(raw)
        return self._judge(raw)

    async def _ask_once(self, grant: Mapping[str, str]) -> Raw | Lost:
        assert self._wire is not None
        if self._dialect is not None:
            return await self._ask_signed(grant["refresh_token"])
        fields = {
            **grant,
            "client_id": self._spec.client_id,
            "client_secret": self._spec.client_secret,
        }
        if self._spec.sends == "json":
            content, kind = dump_json(fields), "application/json"
        else:
            content, kind = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        return await self._wire.exchange(
            "POST", self._spec.url, headers={"content-type": kind}, content=content
        )

    async def _ask_signed(self, refresh_token: str) -> Raw | Lost:
        """The same with a signature; asked once more if our clock alone was refused."""
        assert self._wire is not None
        assert self._dialect is not None
        content = dump_json(self._dialect.refresh(refresh_token))
        for last in (False, True):
            url = self._signed("POST", self._spec.url, content, "")
            raw = await self._wire.exchange(
                "POST", url, headers={"content-type": "application/json"}, content=content
            )
            if isinstance(raw, Lost):
                break
            self.theirs.heard(raw.headers, raw.seconds)
            verdict = self.verdict(raw)
            if last or verdict is None or verdict.meaning != "clock":
                break
        return raw

    def _judge(self, raw: Raw | Lost) -> Mapping[str, Any]:
        what = f"{self._system}: the token endpoint"
        if isinstance(raw, Lost):
            raise Retry(f"{what} could not be asked", words=raw.why)
        verdict = self.verdict(raw)
        if verdict is not None:
            raise self._said_no(verdict, raw, what)
        if 200 <= raw.status < 300:
            return self._read_token(raw)
        raise self._refused(raw, what)

    def _said_no(self, verdict: Verdict, raw: Raw, what: str) -> ConnectorError:
        words = verdict.words
        if verdict.meaning == "limited":
            after_s = verdict.after_s or REFUSED_FOR_S
            told = f"{what} is asked too often"
            return RateLimited(told, after_s=after_s, words=words, status=raw.status)
        if verdict.meaning in ("login", "gone", "reject"):
            return self._needed(words, raw.status)
        return Retry(f"{what} gave no token", words=words, status=raw.status)

    def _needed(self, words: str, status: int) -> LoginNeeded:
        return LoginNeeded(
            f"{self._system} does not renew our login any more: authorize Truecount there"
            f" again and put the new credential where {self.where} points",
            words=words,
            status=status,
        )

    def _refused(self, raw: Raw, what: str) -> ConnectorError:
        words = words_of(raw.content)
        if raw.status in (408, 425, 429) or raw.status >= 500:
            after_s = retry_after_s(raw.headers, self._clock.now())
            if after_s is None:
                return Retry(f"{what} answered {raw.status}", words=words, status=raw.status)
            return RateLimited(
                f"{what} answered {raw.status}", after_s=after_s, words=words, status=raw.status
            )
        return self._needed(words, raw.status)

    def _read_token(self, raw: Raw) -> Mapping[str, Any]:
        try:
            answer = load_json(raw.content)
        except Malformed as error:
            problem = str(error)
        else:
            found: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
            if self._dialect is not None:
                found = self._dialect.tokens(answer, self.theirs.now())
            missing = _missing(found)
            if not missing:
                return found
            problem = words_of(raw.content) or f"no {missing} in its answer"
        what = f"{self._system}: the token endpoint gave no token"
        raise Retry(what, words=problem, status=raw.status)

    def _check_url(self) -> None:
        why = why_not_url(self._spec.url, private=self._spec.private)
        if why is not None:
            what = f"the token URL of {self._system} {why}"
            raise ConfigError([Problem(file=f"systems.{self._system}", line=1, what=what)])


def _fixed(spec: LoginSpec) -> Mapping[str, str]:
    match spec.kind:
        case "header":
            return {spec.header: f"{spec.prefix}{spec.secret}"}
        case "bearer":
            return {"authorization": f"Bearer {spec.secret}"}
        case "basic":
            pair = base64.b64encode(f"{spec.user}:{spec.secret}".encode()).decode()
            hide(pair)
            return {"authorization": f"Basic {pair}"}
    return {}


def _grant(refresh_token: str) -> Mapping[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": refresh_token}


def _fingerprint(token: str) -> str:
    """Tells whether the operator has set another token, without keeping it twice."""
    return hashlib.sha256(b"truecount:seed:" + token.encode()).hexdigest()


def _was_not_there(raw: Raw | Lost) -> bool:
    return not raw.hopeless if isinstance(raw, Lost) else raw.status in (500, 502, 503, 504)


def _last(state: tenacity.RetryCallState) -> Raw | Lost:
    assert state.outcome is not None
    last: Raw | Lost = state.outcome.result()
    return last


def _missing(answer: Mapping[str, Any]) -> str:
    """What is no text in an answer with a token and has to be, or "".

    It may leave the refresh token out: then ours stays (RFC 6749, 6). But an access token
    is not used without the refresh token that came with it: with its first use ours may be
    worth nothing, and we are locked out (H28).
    """
    if not isinstance(answer.get("access_token"), str):
        return "access_token"
    return "" if isinstance(answer.get("refresh_token", ""), str) else "refresh_token"


def _seconds(value: Any) -> float:
    """How long a token lives; vendors write it as a number or as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return _LIFE_DEFAULT_S


def _is_news(said: datetime | None, known: datetime | None) -> bool:
    """Told in seconds, the same end comes out a moment later each time."""
    if said is None:
        return False
    return known is None or abs(said - known) > timedelta(seconds=_LIFE_DEFAULT_S)


def _seen(task: asyncio.Task[None]) -> None:
    """Nobody may be left to hear of a failure; asyncio would print it with its values."""
    if not task.cancelled():
        task.exception()
