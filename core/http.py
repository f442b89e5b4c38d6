"""The one door to an outside system; implements core.contract.Api.

A call waits for its turn (core.limiter), asks whether the system is there at all
(core.breaker), logs in (core.login), goes out (core.wire), and comes back as an
Answer or as an error named by what the caller does next (core.answers). So a
connector has no retry, no limit, no login and no try/except.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import tenacity

from core import exchanges
from core.addresses import why_not_url
from core.answers import Gone, Sorted, sort_status, words_of
from core.breaker import Breaker, Pass
from core.clock import Clock
from core.contract import Answer, Json, Verdict
from core.errors import (
    ConfigError,
    ConnectorError,
    InDoubt,
    LoginNeeded,
    Problem,
    RateLimited,
    Rejected,
    Retry,
)
from core.limiter import Gate, Limiter, urgency
from core.login import Login
from core.logs import get_logger
from core.request import Ask, Due, Params, body_of, decode, lenient, url_below
from core.strict import Malformed
from core.wire import Lost, Raw, Wire

#: (system, method, path with ids taken out, status or 0, seconds)
Observer = Callable[[str, str, str, int, float], None]

#: What a read may be asked with. A search may need a body (GraphQL); its connector says of each
#: POST whether it writes, and is believed as it is about lost answers.
_READING = frozenset({"GET", "HEAD", "POST"})
#: A read is asked again within one attempt, so that a hiccup does not become a queue row.
READ_TRIES = 3
READ_TRIES_S = 10.0
_READ_PAUSE_S = 0.25
#: So many refused logins in a row, and the system is left alone: a key that is tried by every
#: lane gets an account locked. One call asks again after this, doubled, at most five minutes.
LOGINS_REFUSED = 2
LOGIN_PAUSE_S = 30.0
LOGIN_PAUSE_MAX_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSpec:
    """What the door must know of one system. `wait_max_s`: longer waits are the outbox's affair."""

    system: str
    base_url: str
    private: bool = False
    answers: Mapping[int, str] = field(default_factory=dict)
    at_once: int = 4
    wait_max_s: float = 30.0
    plans: bool = False  # nothing that changes anything there goes out (mode: plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """A call that did not end well, as a value. `momentary`: worth asking again at once."""

    error: ConnectorError
    gone: Gone = ""
    momentary: bool = False
    login: bool = False
    clock: bool = False


@dataclass(slots=True)
class _RefusedLogins:
    """How often in a row our login was refused, and until when nobody asks again."""

    count: int = 0
    until: float = -math.inf
    error: LoginNeeded | None = None

    def admit(self, now: float) -> None:
        """Raises the same refusal while the system is left alone; lets one call ask after that."""
        if self.error is None or self.count < LOGINS_REFUSED:
            return
        if now < self.until:
            raise LoginNeeded(self.error.what, words=self.error.words, status=self.error.status)
        self._leave_alone(now)  # the others wait for the one that asks

    def again(self, error: LoginNeeded, now: float) -> None:
        self.error = error
        self.count += 1
        if self.count >= LOGINS_REFUSED:
            self._leave_alone(now)

    def _leave_alone(self, now: float) -> None:
        doublings = min(self.count - LOGINS_REFUSED, 8)
        self.until = now + min(LOGIN_PAUSE_MAX_S, LOGIN_PAUSE_S * float(2**doublings))


class Door:
    def __init__(
        self,
        spec: DoorSpec,
        wire: Wire,
        login: Login,
        *,
        limiter: Limiter,
        breaker: Breaker,
        clock: Clock,
        observer: Observer | None = None,
        rng: random.Random | None = None,
    ) -> None:
        why = why_not_url(spec.base_url, private=spec.private)
        if why is not None:
            what = f"the base URL of {spec.system} {why}"
            raise ConfigError([Problem(file=f"systems.{spec.system}", line=1, what=what)])
        self._spec = spec
        self._base = spec.base_url.rstrip("/")
        self._wire = wire
        self._login = login
        self._limiter = limiter
        self._breaker = breaker
        self._gate = Gate(spec.at_once, clock)
        self._clock = clock
        self._observer = observer
        self._theirs = login.theirs
        self._logins = _RefusedLogins()
        self._freed = asyncio.Event()
        # Spreads repeats; nothing secret depends on it.
        self._rng = rng or random.Random()  # noqa: S311

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params = None,
        json: Json = None,
        form: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        answer: Due = "json",
        headers: Mapping[str, str] | None = None,
        writes: bool = False,
        budget: str = "calls",
        cost: float = 1,
        expect: frozenset[int] = frozenset(),
    ) -> Answer:
        if self._spec.plans and (writes or method not in _READING):
            raise Retry(f"{self._spec.system} is connected in mode plan: nothing is sent to it")
        url = url_below(self._base, path, params, system=self._spec.system)
        content, kind = body_of(json, form, raw)
        ask = Ask(
            method=method,
            url=url,
            content=content,
            headers={**kind, **{key.lower(): value for key, value in (headers or {}).items()}},
            writes=writes,
            budget=budget,
            cost=cost,
            expect=expect,
            due=answer,
        )
        result = await (self._logged_in(ask) if writes else self._insist(ask))
        if isinstance(result, _Fault):
            raise result.error
        return result

    def observe(self, budget: str, *, left: float, per_second: float, size: float) -> None:
        self._limiter.observe(budget, left=left, per_second=per_second, size=size)

    @property
    def clock_offset_s(self) -> float:
        """Their clock minus ours, by the last Date header; whole seconds at best."""
        return self._theirs.offset_s

    def now(self) -> datetime:
        return self._theirs.now()

    @property
    def closed_for_s(self) -> float:
        """While it is known to be down (H30) or refuses our login, so long no lane need try."""
        now = self._clock.monotonic()
        return max(self._breaker.closed_for_s(now), self._logins.until - now, 0.0)

    @property
    def room(self) -> int:
        """Calls that would be let in now: one probe after an outage, then two, four …"""
        return min(self._spec.at_once, self._breaker.room(self._clock.monotonic()))

    @property
    def login_needed(self) -> LoginNeeded | None:
        """Why nobody gets in until a person renews the login; None while it works."""
        return self._logins.error if self._logins.count >= LOGINS_REFUSED else None

    async def aclose(self) -> None:
        await self._login.aclose()
        await self._wire.aclose()

    # ------------------------------------------------------------ one attempt

    async def _insist(self, ask: Ask) -> Answer | _Fault:
        """A read, repeated a little where nobody was there."""
        began = self._clock.monotonic()

        def enough(state: tenacity.RetryCallState) -> bool:
            spent = self._clock.monotonic() - began + state.upcoming_sleep
            return state.attempt_number >= READ_TRIES or spent > READ_TRIES_S

        def pause(state: tenacity.RetryCallState) -> float:
            return float(_READ_PAUSE_S * 2**state.attempt_number * (0.5 + self._rng.random()))

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(_is_momentary),
            stop=enough,
            wait=pause,
            sleep=self._clock.sleep,
            retry_error_callback=_last,
        )
        result: Answer | _Fault = await retrying(self._logged_in, ask)
        return result

    async def _logged_in(self, ask: Ask) -> Answer | _Fault:
        """A 401 is answered by one refresh and one repeat; a refused call did not happen (H28)."""
        self._logins.admit(self._clock.monotonic())
        try:
            result = await self._twice_at_most(ask)
        except LoginNeeded as error:
            self._logins.again(error, self._clock.monotonic())
            raise
        if isinstance(result, _Fault) and isinstance(result.error, LoginNeeded):
            self._logins.again(result.error, self._clock.monotonic())
        elif not (isinstance(result, _Fault) and result.gone):
            self._logins = _RefusedLogins()
        return result

    async def _twice_at_most(self, ask: Ask) -> Answer | _Fault:
        used: list[Mapping[str, str]] = []
        result = await self._admitted(ask, used)
        if isinstance(result, _Fault) and result.clock:
            # Its answer has told us what time it is there; a refused call did not happen.
            result = await self._admitted(ask, used)
        if not (isinstance(result, _Fault) and result.login):
            return result
        if not await self._login.refresh(used[0]):
            return result
        return await self._admitted(ask, used)

    async def _admitted(self, ask: Ask, used: list[Mapping[str, str]]) -> Answer | _Fault:
        """One exchange, of which the breaker hears in every case."""
        admitted = await self._admit()
        gone: Gone = ""
        try:
            try:
                login = await self._login.headers()
            except Retry as error:
                # Without tokens the system is as good as down.
                gone = "" if isinstance(error, RateLimited) else "hard"
                raise
            used[:] = [login]
            result = await self._limited(ask, login)
        except BaseException:
            if gone:
                self._breaker.failed(admitted, self._clock.monotonic())
            else:
                self._breaker.let_go(admitted)
            self._freed.set()
            raise
        self._tell_breaker(admitted, result)
        return result

    async def _admit(self) -> Pass:
        while not isinstance(leave := self._breaker.admit(self._clock.monotonic()), Pass):
            if leave.seconds:
                raise RateLimited(
                    f"{self._spec.system} does not answer; it is asked again in"
                    f" {leave.seconds:.0f} s",
                    after_s=leave.seconds,
                    status=None,
                )
            # The ramp lets in a few; the calls in flight have deadlines, so this ends.
            self._freed.clear()
            await self._freed.wait()
        return leave

    def _tell_breaker(self, admitted: Pass, result: Answer | _Fault) -> None:
        gone = result.gone if isinstance(result, _Fault) else ""
        if gone:
            self._breaker.failed(admitted, self._clock.monotonic(), soft=gone == "soft")
        else:
            self._breaker.succeeded(admitted)
        self._freed.set()

    async def _limited(self, ask: Ask, login: Mapping[str, str]) -> Answer | _Fault:
        level = urgency()
        await self._limiter.acquire(ask.budget, ask.cost, level, wait_max_s=self._spec.wait_max_s)
        limited = False
        try:
            await self._gate.enter(level)
            try:
                url, headers = self._login.dressed(ask, login)
                outcome = await self._wire.exchange(
                    ask.method, url, headers=headers, content=ask.content
                )
            finally:
                self._gate.leave()
            self._report(ask, outcome)
            exchanges.tell(ask, outcome)
            limited = isinstance(outcome, Raw) and outcome.status == 429
        finally:
            self._limiter.landed(ask.budget, ask.cost, limited=limited)
        return self._lost(ask, outcome) if isinstance(outcome, Lost) else self._heard(ask, outcome)

    # ------------------------------------------------------------ what came back

    def _report(self, ask: Ask, outcome: Raw | Lost) -> None:
        status = outcome.status if isinstance(outcome, Raw) else 0
        path = ask.template
        if self._observer is not None:
            self._observer(self._spec.system, ask.method, path, status, outcome.seconds)
        get_logger().debug(
            "call.answered" if status else "call.lost",
            system=self._spec.system,
            method=ask.method,
            path=path,
            status=status,
            ms=round(outcome.seconds * 1000),
        )
        if isinstance(outcome, Raw):
            self._theirs.heard(outcome.headers, outcome.seconds)

    def _lost(self, ask: Ask, lost: Lost) -> _Fault:
        what = f"{self._spec.system} did not answer {ask.where}"
        if lost.hopeless:
            return _Fault(error=Rejected(what, words=lost.why))
        if ask.writes and lost.sent:
            return _Fault(error=InDoubt(what, words=lost.why), gone="hard")
        return _Fault(error=Retry(what, words=lost.why), gone="hard", momentary=not lost.sent)

    def _heard(self, ask: Ask, raw: Raw) -> Answer | _Fault:
        verdict = self._login.verdict(raw)
        if verdict is not None:
            return self._said_no(ask, raw, verdict)
        if raw.status in ask.expect:
            return Answer(status=raw.status, headers=raw.headers, body=lenient(ask, raw))
        sorted_ = sort_status(
            raw.status,
            raw.headers,
            writes=ask.writes,
            now=self._clock.now(),
            exceptions=self._spec.answers,
        )
        if sorted_.meaning == "fine":
            return self._decoded(ask, raw)
        return self._refused(ask, raw, sorted_)

    def _decoded(self, ask: Ask, raw: Raw) -> Answer | _Fault:
        if raw.cut:
            what = f"{self._spec.system} answered {ask.where} with more than answer_max allows"
            # The same page will be as large next time; a write may have happened.
            error = InDoubt if ask.writes else Rejected
            return _Fault(error=error(what, status=raw.status))
        try:
            body = decode(ask, raw)
        except Malformed as problem:
            words = str(problem)
        else:
            return Answer(status=raw.status, headers=raw.headers, body=body)
        # As a 502: a proxy's page, or a system that is ill (docs/connectors.md).
        what = f"{self._spec.system} answered {ask.where} with what is not its own"
        kind = InDoubt if ask.writes else Retry
        page = "HTML" in words
        return _Fault(
            error=kind(what, words=words, status=raw.status),
            gone="hard" if page else "",
            momentary=page and not ask.writes,
        )

    def _said_no(self, ask: Ask, raw: Raw, verdict: Verdict) -> _Fault:
        """By the vendor's own words, whatever the status."""
        what = f"{self._spec.system} says no to {ask.where}"
        words = verdict.words
        match verdict.meaning:
            case "limited":
                after_s = self._limiter.pause(ask.budget, verdict.after_s)
                limited = RateLimited(what, after_s=after_s, words=words, status=raw.status)
                return _Fault(error=limited)
            case "login" | "gone":
                what = f"{self._spec.system} refuses our login; see {self._login.where}"
                refused = LoginNeeded(what, words=words, status=raw.status)
                return _Fault(error=refused, login=verdict.meaning == "login")
            case "in_doubt" if ask.writes:
                return _Fault(error=InDoubt(what, words=words, status=raw.status))
            case "reject":
                return _Fault(error=Rejected(what, words=words, status=raw.status))
        error = Retry(what, words=words, status=raw.status)
        return _Fault(error=error, clock=verdict.meaning == "clock")

    def _refused(self, ask: Ask, raw: Raw, how: Sorted) -> _Fault:
        what = f"{self._spec.system} answered {raw.status} to {ask.where}"
        words = words_of(raw.content)
        if how.limited:
            after_s = self._limiter.pause(ask.budget, how.after_s)
            limited = RateLimited(what, after_s=after_s, words=words, status=raw.status)
            return _Fault(error=limited, gone=how.gone)
        match how.meaning:
            case "login":
                what = f"{self._spec.system} refuses our login; see {self._login.where}"
                error: ConnectorError = LoginNeeded(what, words=words, status=raw.status)
                return _Fault(error=error, login=True)
            case "in_doubt" if ask.writes:
                error = InDoubt(what, words=words, status=raw.status)
            case "retry" | "in_doubt":
                error = Retry(what, words=words, status=raw.status)
            case _:
                redirect = 300 <= raw.status < 400
                words = "redirect refused" if redirect else words
                error = Rejected(what, words=words, status=raw.status)
        momentary = not ask.writes and raw.status in (502, 503)
        return _Fault(error=error, gone=how.gone, momentary=momentary)


def _is_momentary(result: Answer | _Fault) -> bool:
    return isinstance(result, _Fault) and result.momentary


def _last(state: tenacity.RetryCallState) -> Answer | _Fault:
    assert state.outcome is not None
    last: Answer | _Fault = state.outcome.result()
    return last
