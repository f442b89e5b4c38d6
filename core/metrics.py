"""Every number the daemon shows on /metrics, declared here and nowhere else.

Labels are systems of config.yaml and closed lists of words. Never a SKU, an
order, a buyer, an address or anything else a stranger chooses: labels are kept
for the life of the process, and outsiders read them (T13, T25).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import exposition as _exposition

CONTENT_TYPE = _exposition.CONTENT_TYPE_PLAIN_0_0_4

#: What the label `system` says of a push to a system that is not configured.
UNKNOWN_SYSTEM = "unknown"

#: The strictest vendor gives us 500 ms (Lazada), most 1 to 5 s; p99 is to stay below 250 ms.
_ANSWER_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 5.0, 10.0)
_PUBLISH_BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)

#: Values of truecount_breaker_state.
BREAKER_STATES = {"closed": 0, "ramp": 1, "half_open": 1, "open": 2}


class Metrics:
    """One set for one daemon. A registry of its own, so that tests do not share counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._receiving()
        self._working()
        self._telling()
        self._being()
        self._due()

    def _receiving(self) -> None:
        """Stops 1 and 2: arrives, kept."""
        self.received = Counter(
            "truecount_received",
            "Pushes by what became of them: kept, duplicate, unknown_topic, forged, busy, ...",
            ["system", "verdict"],
            registry=self.registry,
        )
        self.forged = Counter(
            "truecount_forged",
            "Pushes refused as not genuine, by reason. Their bodies are not kept.",
            ["system", "reason"],
            registry=self.registry,
        )
        self.old_secret = Counter(
            "truecount_old_secret",
            "Pushes signed with the old secret: the rotation is not finished at the sender (T3).",
            ["system"],
            registry=self.registry,
        )
        self.duplicates = Counter(
            "truecount_duplicates",
            "Arrivals seen before, by the way they came: hook, sweep or fetch (S8).",
            ["system", "via"],
            registry=self.registry,
        )
        self.answer_seconds = Histogram(
            "truecount_answer_seconds",
            "From a push complete with headers to its row on the disk.",
            registry=self.registry,
            buckets=_ANSWER_BUCKETS,
        )
        self.cut_off = Counter(
            "truecount_cut_off",
            "Connections ended by us: late, too_big, turned_away, not_reading, ... (T4, T5).",
            ["port", "reason"],
            registry=self.registry,
        )
        self.connections = Gauge(
            "truecount_connections",
            "Open connections by port.",
            ["port"],
            registry=self.registry,
        )

    def _working(self) -> None:
        """Stops 3 and 4: understood, decided."""
        self.settled = Counter(
            "truecount_settled",
            "Kept arrivals by outcome: applied, held or ignored (G14).",
            ["system", "outcome"],
            registry=self.registry,
        )
        self.pending = Gauge(
            "truecount_pending",
            "Kept arrivals that wait to be applied.",
            registry=self.registry,
        )
        self.sweep_age = Gauge(
            "truecount_sweep_age_seconds",
            "Since the last complete and successful sweep of a resource.",
            ["system", "resource"],
            registry=self.registry,
        )

    def _telling(self) -> None:
        """Stops 5 and 6: told, published."""
        self.outbox = Gauge(
            "truecount_outbox",
            "Commands by state: queued, sending, in_doubt, dead.",
            ["system", "state"],
            registry=self.registry,
        )
        self.calls = Counter(
            "truecount_calls",
            "Calls to systems by method and status; 0 is no answer.",
            ["system", "method", "status"],
            registry=self.registry,
        )
        self.call_seconds = Histogram(
            "truecount_call_seconds",
            "How long systems take to answer.",
            ["system"],
            registry=self.registry,
            buckets=_PUBLISH_BUCKETS,
        )
        self.breaker = Gauge(
            "truecount_breaker_state",
            "0 closed (all is well), 1 probing, 2 open (the system is left alone).",
            ["system"],
            registry=self.registry,
        )
        self.publish_seconds = Histogram(
            "truecount_publish_seconds",
            "From a change of stock to the acknowledgment of the channel.",
            ["system"],
            registry=self.registry,
            buckets=_PUBLISH_BUCKETS,
        )

    def _due(self) -> None:
        """Stop 8: how close we run to what channels want by when."""
        self.deadlines = Gauge(
            "truecount_deadlines",
            "Deadlines that wait for their fact: overdue, or due within 1h, 4h or 24h of now.",
            ["system", "kind", "within"],
            registry=self.registry,
        )
        self.deadlines_missed = Gauge(
            "truecount_deadlines_missed",
            "Deadlines of the last 24 h whose fact came late or has not come.",
            ["system", "kind"],
            registry=self.registry,
        )
        self.deadline_left = Gauge(
            "truecount_deadline_left_seconds",
            "Time left when the fact came, of the last 24 h: the least and the median.",
            ["system", "kind", "which"],
            registry=self.registry,
        )

    def deadlines_are(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """`core.deadline_views.numbers`, all of it anew."""
        for gauge in (self.deadlines, self.deadlines_missed, self.deadline_left):
            gauge.clear()
        for row in rows:
            own = (row["system"], row["kind"])
            for within in ("overdue", "1h", "4h", "24h"):
                name = within if within == "overdue" else f"due_{within}"
                self.deadlines.labels(*own, within).set(row[name])
            self.deadlines_missed.labels(*own).set(row["missed"])
            for which in ("least", "median"):
                if row["came"]:
                    self.deadline_left.labels(*own, which).set(row[f"{which}_left_s"])

    def observe_call(
        self, system: str, method: str, path: str, status: int, seconds: float
    ) -> None:
        """One call to a system. The path stays out: a SKU of letters may be part of it."""
        del path
        self.calls.labels(system, method, str(status)).inc()
        self.call_seconds.labels(system).observe(seconds)

    def _being(self) -> None:
        """The process itself."""
        self.loop_lag = Gauge(
            "truecount_loop_lag_seconds",
            "How late the event loop last woke us; above 0.1 something blocks it.",
            registry=self.registry,
        )
        self.commits = Gauge(
            "truecount_store_commits",
            "Transactions made durable since start.",
            registry=self.registry,
        )
        self.units = Gauge(
            "truecount_store_units",
            "Units of work in those transactions; units/commits is the group commit.",
            registry=self.registry,
        )
        self.store_waiting = Gauge(
            "truecount_store_waiting",
            "Units of work that wait for the writer.",
            registry=self.registry,
        )

    def sweep_succeeded(self, system: str, resource: str, age_s: Callable[[], float]) -> None:
        """`age_s` is asked at every scrape, so a sweep that stopped is seen to age."""
        self.sweep_age.labels(system, resource).set_function(age_s)

    def text(self) -> bytes:
        return generate_latest(self.registry)
