"""Stop 6: a call that is refused whole is told in halves, until the guilty offer stands alone.

Some channels judge no row: one listing that is gone makes them refuse a hundred numbers,
cuts among them, and name nobody. The innocent halves are told at once; the offer that is
refused alone is refused (S6, H20, H26). Where nothing at all is taken, the channel refuses
us and not an offer, and the refusal is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.contract import Offer, OfferResult, Outcome, Publishes
from core.errors import ConnectorError, InDoubt, Rejected

#: Calls for one batch. Two guilty offers of a hundred are found with this many; what is
#: not reached then waits a turn.
CALLS_MAX = 24


async def tell(connector: Publishes, offers: Sequence[Offer]) -> list[OfferResult]:
    """One result for each offer that was reached, in their order: lower numbers stay first.

    Raises what the call raises while nothing is known of any offer yet. After that what
    was learned is returned: an offer it does not mention was not sent.
    """
    parts, results = [list(offers)], list[OfferResult]()
    refusal: Rejected | None = None
    taken = False
    for _ in range(CALLS_MAX):
        if not parts:
            break
        part = parts.pop()
        try:
            results += await _one_call(connector, part)
            taken = True
        except Rejected as error:
            refusal = refusal or error
            middle = len(part) // 2
            if middle:
                parts += [part[middle:], part[:middle]]
            else:
                results += _all(part, "rejected", str(error))
        except ConnectorError as error:
            if not taken:
                raise
            doubtful = isinstance(error, InDoubt)
            return results + (_all(part, "unknown", str(error)) if doubtful else [])
    if refusal is not None and not taken and len(offers) > 1:
        raise refusal
    return results


async def _one_call(connector: Publishes, part: Sequence[Offer]) -> list[OfferResult]:
    try:
        return list(await connector.publish(part))
    except ConnectorError:
        raise
    except Exception as error:  # a bug of a connector: what it has sent is not known
        structlog.get_logger().exception("connector.failed", offer=part[0].listing)
        what = f"the connector failed ({type(error).__name__}); it may have happened"
        raise InDoubt(what) from error


def _all(part: Sequence[Offer], outcome: Outcome, words: str) -> list[OfferResult]:
    return [
        OfferResult(listing=one.listing, place=one.place, outcome=outcome, words=words)
        for one in part
    ]
