"""What the daemon says: one line per stop of the walk, and only words that are on a list.

    order.claimed source=shopify order=1001 sku=A location=east units=2

A buyer or a secret gets into a log by an extra key, a library's debug line or a
traceback with its locals. So unknown keys are dropped and counted, values are
scrubbed and short, tracebacks are plain, and httpx, which prints URLs with
tokens in them, is heard only when it warns (T13).
"""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from core.seal import scrub
from core.strict import dump_json

VALUE_MAX = 300
_TRACE_MAX = 8000
_DROPPED_MAX = 200

#: The words a line may carry: ids, names, counts and times. Nothing a buyer wrote.
KEYS = frozenset(
    """
    event level timestamp exception logger
    stop source system channel warehouse erp courier order order_id line sku location place
    listing shipment parcel tracking return_id refund invoice credit_note payout reference revision
    units quantity shown claimed short consumed cancelled on_hand available offer amount currency
    kind command key lane attempt generation topic resource identity seq via mapping version
    state was reason cause next_step words what fix error file step
    count new seen rows pages page batch waiting pending held dead applied ignored received
    status method path host port budget urgency after_s wait_s pause_s ms seconds bytes
    breaker clock_offset_s epoch run day window zone since until due at started finished
    name label policy bound exposure drift owner copy field explained pid instance signal
    document claim custody money part_of basis as_of began evidence number scope active by doubt
    """.split()
)

#: Loggers of others, and from which level they are heard.
_QUIET = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "hpack": logging.WARNING,
    "asyncio": logging.WARNING,
    "uvicorn.access": logging.ERROR,  # a hook's secret path is in its lines
    "sqlalchemy": logging.WARNING,  # echoes parameters
    "apscheduler": logging.WARNING,
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_dropped: Counter[str] = Counter()


def set_up(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["text", "json"] = "text",
    stream: TextIO | None = None,
) -> None:
    """Every line of the process, ours and libraries', goes through one filter. Call once."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                allow_listed,
                _renderer(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, root.level))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # uvicorn hangs up handlers of its own, which know no filter.
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True
    logging.captureWarnings(capture=True)
    # A line that cannot be written is lost; by default logging prints its values to stderr (T13).
    logging.raiseExceptions = False


def get_logger() -> FilteringBoundLogger:
    """`get_logger().info("order.claimed", source=…, order=…, sku=…, units=…)`"""
    return cast(FilteringBoundLogger, structlog.get_logger("truecount"))


def allow_listed(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop and count what is not on the list; shorten and scrub what is (T13)."""
    kept: EventDict = {}
    for key, value in event.items():
        if key in KEYS:
            limit = _TRACE_MAX if key == "exception" else VALUE_MAX
            kept[key] = _plain(value, limit, lines=key == "exception")
        elif key in _dropped or len(_dropped) < _DROPPED_MAX:
            _dropped[key] += 1
    return kept


def dropped() -> Mapping[str, int]:
    """Keys that were dropped, and how often: for /metrics and for us, who forgot them."""
    return dict(_dropped)


def _plain(value: Any, limit: int, *, lines: bool = False) -> Any:
    """Numbers stay. The rest becomes one short line, so that no value can forge a second (T13)."""
    if value is None or isinstance(value, float) or _is_small(value):
        return value
    text = scrub(str(value)).encode("utf-8", "backslashreplace").decode()
    if not lines:
        text = _CONTROL.sub(" ", text)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _is_small(value: Any) -> bool:
    """A whole number JSON readers agree on; a larger one becomes text."""
    return isinstance(value, int) and abs(value) < 2**63


def _renderer(form: str) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(serializer=_dump)
    # Its default prints tracebacks with every local variable.
    return structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def _dump(value: Any, **_: Any) -> str:
    return dump_json(value).decode()
