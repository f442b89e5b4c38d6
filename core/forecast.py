"""How long what waits for a system will take, in words an operator can plan with. Pure."""

from __future__ import annotations

from dataclasses import dataclass

#: What one call takes where no budget says how many a second are allowed.
CALL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for one system: commands, and SKUs to be told, `batch` of them in one call."""

    commands: int
    skus: int = 0
    batch: int = 1

    @property
    def calls(self) -> int:
        return self.commands + -(-self.skus // self.batch)

    def words(self, system: str) -> str:
        """`1,240 commands and 300 SKUs waiting for wms`."""
        parts = [
            f"{count:,} {noun}" if count != 1 else f"1 {noun.removesuffix('s')}"
            for count, noun in ((self.commands, "commands"), (self.skus, "SKUs"))
            if count
        ]
        return f"{' and '.join(parts) or 'nothing'} waiting for {system}"


def rate(per_second: float | None, at_once: int) -> float:
    """Calls a second that a system will take: its budget, or what so many at once come to."""
    by_time = at_once / CALL_S
    return by_time if per_second is None else min(per_second, by_time)


def drain(system: str, waiting: Waiting, per_second: float) -> str:
    """`1,240 commands waiting for wms, at 10 calls a second done in about 2 minutes`."""
    said = waiting.words(system)
    if not waiting.calls:
        return said
    return f"{said}, at {_calls(per_second)} done in about {about(waiting.calls / per_second)}"


def about(seconds: float) -> str:
    """40 seconds, 2 minutes, 3 hours, 4 days."""
    for limit, unit, noun in (
        (90.0, 1.0, "second"),
        (5400.0, 60.0, "minute"),
        (172_800.0, 3600.0, "hour"),
    ):
        if seconds < limit:
            return _plural(max(1, round(seconds / unit)), noun)
    return _plural(round(seconds / 86_400), "day")


def _calls(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.0f} calls a second"
    if per_second * 60 >= 1:
        return f"{per_second * 60:.0f} calls a minute"
    return f"{per_second * 3600:.1f} calls an hour"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
