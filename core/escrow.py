"""Stop 6, decided: dividing a pool between channels, so that no unit is shown twice. Pure.

A channel sells from its own copy of a number, and we hear of it later. Under
`split` each outlet (one listing at one place of one channel) is given a *quota*,
a part of the pool that is nobody else's: escrow. Whatever the delays, two
channels then cannot sell the same unit, as long as each refuses to sell beyond
its own number.

Under `adaptive`, while units are few, some outlets *share* what is left: those
whose sales we see within seconds (`core.scarcity`). They are counted with what they
can sell before a cut stops them, and show a few units more than their own part.

Everything rests on one bound per outlet, its *ceiling*: the most units it can
still bring us in orders we have not seen, those it has sold already included.

    shown 3, sells 1 (unseen)  ceiling 3: one order is coming, two may still be sold
    that order is captured     ceiling 2: a claim stands for the unit now
    we cut 2 to 1              ceiling 1, when the cut is acknowledged and not before
    we raise 1 to 4            ceiling 4 from the moment the write leaves us

A raise needs slack: units of the pool that no ceiling stands for. So a cut is
acknowledged before the raise it pays for is sent, with no further bookkeeping.

What a write does to the ceiling depends on its kind. A *conditional* write
(compare and set) moves it by exactly the difference, because the channel was
seen at the compared number. A *relative* write does too, if its answer tells
the number that came of it. An *absolute* write re-opens what was sold unseen:
it shows 3, sells 3, we write 2, it sells 2 more. There a change goes by *zero,
drain, raise*: write 0, which re-opens nothing; capture the orders up to that
acknowledgment; only then is the ceiling 0 and the rest may be written (H19).
In a *gross* field, which still contains what was sold, nothing written is sold
again; a raise counts at once, and a cut when its orders are in, for it may have
taken away what was sold already.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Literal

from core.division import Fit, Sellable, shares

Write = Literal["conditional", "relative", "absolute", "gross"]
Direction = Literal["free", "only_up", "frozen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one outlet may still sell. None is not known, and is treated as without limit.

    `pending` is what a write in flight may add to the ceiling. `anchor` is the most
    the outlet could still sell at `anchor_at`: once every order placed until then
    is captured, the ceiling can be no higher. `back_at` is when we last heard that
    units went back: a number seen on the way then may be from before or after it.
    `known_at` is when its number was last known, or a write of ours may last have
    changed it: a number seen before says nothing, however late it comes.
    """

    shown: int | None = None
    ceiling: int | None = None
    pending: int = 0
    anchor: int | None = None
    anchor_at: datetime | None = None
    back_at: datetime | None = None
    known_at: datetime | None = None

    @property
    def exposure(self) -> int | None:
        """Units of the pool that have to stay this outlet's own."""
        return None if self.ceiling is None else self.ceiling + self.pending


# ------------------------------------------------------------------ what happens to a quota


def sold(quota: Quota, units: int) -> Quota:
    """An order of this outlet was captured: a claim stands for its units now.

    What was known to be on its way comes first; only what is beyond it can have
    been sold from the number shown. It may even have been sold from a write that
    is still in flight: the ceiling is below 0 until that is acknowledged.
    """
    if quota.ceiling is None:
        return quota
    ceiling = max(-quota.pending, quota.ceiling - units)
    shown = None if quota.shown is None else min(quota.shown, max(0, ceiling))
    return replace(quota, shown=shown, ceiling=ceiling)


def given_back(quota: Quota, units: int, at: datetime) -> Quota:
    """An order was cancelled; the channel may have put its units back by itself (S16).

    It may have done so after the anchor, so no drain may take them away again; and after
    a number that is on its way to us now, so that makes no anchor.
    """
    return replace(
        quota,
        back_at=at,
        shown=None if quota.shown is None else quota.shown + units,
        ceiling=None if quota.ceiling is None else quota.ceiling + units,
        anchor=None if quota.anchor is None else quota.anchor + units,
    )


def intended(quota: Quota, write: Write, quantity: int) -> Quota:
    """A write leaves us: what it may add counts from now."""
    if write == "absolute" or quota.shown is None:
        return replace(quota, pending=quantity)
    return replace(quota, pending=max(0, quantity - quota.shown))


def acknowledged(
    quota: Quota,
    write: Write,
    quantity: int,
    at: datetime,
    *,
    sent_at: datetime,
    expected: int | None,
    after: int | None = None,
) -> Quota:
    """The channel took the write. `expected` is what we believed it showed when we wrote.

    `after` is the number the channel says came of it, for relative writes.
    """
    if write == "gross" and expected is not None:
        return _gross(quota, quantity - expected, at, sent_at)
    if write == "relative" and expected is not None:
        return _moved(quota, quantity - expected, at, sent_at, after)
    done = _anchored(replace(quota, shown=quantity, pending=0), quantity, at, sent_at)
    if quota.ceiling is None:
        return done
    if write == "absolute" or expected is None:
        return replace(done, ceiling=quota.ceiling + quantity)
    return replace(done, ceiling=max(0, quota.ceiling + quantity - expected))


def _anchored(quota: Quota, shown: int | None, at: datetime, since: datetime) -> Quota:
    """It showed `shown` at some moment between `since` and `at`.

    What was put back meanwhile may have come after that moment: no drain may take it away.
    """
    if quota.back_at is not None and quota.back_at >= since:
        return replace(quota, anchor=None, anchor_at=None, known_at=at)
    return replace(quota, anchor=shown, anchor_at=at, known_at=at)


def _moved(quota: Quota, delta: int, at: datetime, sent_at: datetime, after: int | None) -> Quota:
    """A relative write. One that takes more than there was takes only what there was."""
    believed = None if quota.shown is None else max(0, quota.shown + delta)
    shown = believed if after is None else max(0, after)
    done = _anchored(replace(quota, shown=shown, pending=0), shown, at, sent_at)
    if quota.ceiling is None:
        return done
    if delta >= 0:
        return replace(done, ceiling=quota.ceiling + delta)
    if after is None or after == 0:
        return done  # perhaps less was there than we took: only a drain can tell
    taken = -delta if after > 0 else max(0, after - delta)
    return replace(done, ceiling=max(0, quota.ceiling - taken))


def _gross(quota: Quota, delta: int, at: datetime, sent_at: datetime) -> Quota:
    """A raise counts at once; a cut may have taken what was sold already.

    What was sold and captured while the write was in flight is in the field once more,
    so less may be left than we wrote: believing more would raise it by the difference.
    """
    ceiling = None if quota.ceiling is None else quota.ceiling + max(0, delta)
    shown = None if quota.shown is None else max(0, quota.shown + delta)
    if shown is not None and ceiling is not None:
        shown = min(shown, ceiling)
    done = replace(quota, shown=shown, ceiling=ceiling, pending=0)
    return _anchored(done, shown, at, sent_at)


def not_taken(quota: Quota, at: datetime, *, sent_at: datetime, shown: int | None = None) -> Quota:
    """The channel refused the write and changed nothing; `shown` is what it shows, if it said."""
    ceiling = None if quota.ceiling is None else max(0, quota.ceiling)
    if shown is None:
        return replace(quota, pending=0, ceiling=ceiling)
    return _seen(replace(quota, pending=0, ceiling=ceiling), shown, at, sent_at)


def lost(quota: Quota, at: datetime) -> Quota:
    """No answer: it may have happened, so it is counted, and what is shown is not known."""
    ceiling = None if quota.ceiling is None else quota.ceiling + quota.pending
    return Quota(ceiling=ceiling, back_at=quota.back_at, known_at=at)


def read_back(quota: Quota, shown: int, began_at: datetime, at: datetime) -> Quota:
    """The channel's number was read, begun after it was last known, no write in flight.

    After a lost answer it has to begin when that write can no longer happen. A reading that
    began before and came after was once believed, because by then nothing was an anchor.
    """
    if quota.pending or (quota.known_at is not None and began_at <= quota.known_at):
        return quota
    return _seen(quota, shown, at, began_at)


def _seen(quota: Quota, shown: int, at: datetime, since: datetime) -> Quota:
    """Less than we believed: it sold, the orders are coming. More: somebody put units
    there, and they can be sold."""
    ceiling = quota.ceiling
    if ceiling is not None:
        more = 0 if quota.shown is None else max(0, shown - quota.shown)
        ceiling = max(ceiling + more, shown)
    return _anchored(replace(quota, shown=shown, ceiling=ceiling), shown, at, since)


def drained(quota: Quota) -> Quota:
    """Every order placed until the anchor is captured."""
    if quota.anchor is None:
        return quota
    ceiling = quota.anchor if quota.ceiling is None else min(quota.ceiling, quota.anchor)
    return replace(quota, ceiling=ceiling, anchor=None, anchor_at=None)


# ------------------------------------------------------------------ the division


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """One number on one channel, and what it draws on.

    `needs` says how many units of which item one sold unit takes: {sku: 1} for a
    plain item, several for a kit, a factor for a pack. `weight` is its part of
    the sales, `most` what the offer rules let it show. `risk` is for one that shares:
    the most it sells before a cut that is decided now can stop it. `drain` is how many
    units it does not sell while it shows 0 and its orders are awaited.
    """

    key: Hashable
    write: Write
    serves: frozenset[str]
    needs: Mapping[str, int]
    quota: Quota = Quota()
    weight: Fraction = Fraction(1)
    most: int | None = None
    direction: Direction = "free"
    risk: int | None = None
    drain: float = 0.0

    @property
    def promised(self) -> int | None:
        """Units of the pool that nobody else may be given."""
        exposure = self.quota.exposure
        if self.risk is None:
            return exposure
        return self.risk if exposure is None else min(exposure, self.risk)


#: What an outlet that shares may show of the others' parts, beyond its own.
SHARED = 5


def divide(outlets: Sequence[Outlet], sellable: Sellable) -> dict[Hashable, int]:
    """What each outlet should be able to sell: in proportion to weight, every unit once.

    A quota that may not be cut keeps what it has, and what was sold and is on its
    way stays with its outlet; the others divide the rest.
    """
    fit = Fit(outlets, sellable)
    own = _own(outlets, fit)
    return own | _shared(outlets, own, fit)


def _own(outlets: Sequence[Outlet], fit: Fit) -> dict[Hashable, int]:
    """The part of each, every unit once."""
    kept = {outlet.key: _kept(outlet) for outlet in outlets}
    return shares([one for one in outlets if one.direction != "frozen"], kept, fit)


def _kept(outlet: Outlet) -> int:
    quota = outlet.quota
    if outlet.direction != "free":
        return outlet.promised or 0
    if outlet.risk is not None or quota.ceiling is None or quota.shown is None:
        return 0
    return max(0, quota.ceiling - quota.shown)


def _shared(
    outlets: Sequence[Outlet], own: Mapping[Hashable, int], fit: Fit
) -> dict[Hashable, int]:
    """What those that share may show: their part and some of each other's.

    Never what another outlet may still sell from a quota of its own, were it long
    since told to give it up: it may be selling it just now.
    """
    sharing = [one for one in outlets if one.risk is not None and one.direction != "frozen"]
    if not sharing:
        return {}
    others = _promised(outlets)
    for key, units in others.items():
        others[key] = None if units is None else max(units, own[key])
    others |= {one.key: 0 for one in sharing}
    found: dict[Hashable, int] = {}
    for outlet in sharing:
        left = max(0, fit.spare(outlet, others) or 0)
        units = min(left, max(own[outlet.key], SHARED))
        found[outlet.key] = units if outlet.most is None else min(units, outlet.most)
    return found


def beyond(outlets: Sequence[Outlet], sellable: Sellable) -> int:
    """Units that can be sold though they are not there, if every outlet sells all it is
    counted with: all it can, or, where it has a risk, that."""
    return Fit(outlets, sellable).beyond(_promised(outlets))


def slack(outlet: Outlet, outlets: Sequence[Outlet], sellable: Sellable) -> int | None:
    """Units this outlet may be raised by at once; below 0, units promised twice. None: unknown."""
    return Fit(outlets, sellable).spare(outlet, _promised(outlets))


def places(outlet: Outlet, outlets: Sequence[Outlet], sellable: Sellable) -> list[str]:
    """Where a sold unit of this outlet is claimed, best first: where the others miss it least.

    A unit taken where another outlet's promise needs it would be sold twice after all.
    """
    promised = _promised(outlets)

    def missed(place: str) -> int:
        left = dict(sellable)
        for item, factor in outlet.needs.items():
            left[item, place] = left.get((item, place), 0) - factor
        return Fit(outlets, left).lacking(promised)

    whole = [
        place
        for place in sorted(outlet.serves)
        if all(sellable.get((item, place), 0) >= units for item, units in outlet.needs.items())
    ]
    return sorted(whole, key=missed)


def _promised(outlets: Iterable[Outlet]) -> dict[Hashable, int | None]:
    return {outlet.key: outlet.promised for outlet in outlets}


# ------------------------------------------------------------------ the next writes


def plan(outlets: Sequence[Outlet], sellable: Sellable) -> dict[Hashable, int]:
    """The writes that may leave now, all of them together: {outlet key: quantity}.

    Nobody is cut for tidiness: only when units are promised twice, or when an
    outlet starves that should sell. Calling it again is harmless.
    """
    fit, promised = Fit(outlets, sellable), _promised(outlets)
    own = _own(outlets, fit)
    target = own | _shared(outlets, own, fit)
    cuts = _cuts(outlets, own, target, fit)
    writes: dict[Hashable, int] = {}
    for outlet in sorted(outlets, key=lambda one: _need(one, target[one.key])):
        free = fit.spare(outlet, promised) or 0
        quantity = _write(outlet, target[outlet.key], free, cuts.get(outlet.key, 0))
        if quantity is not None:
            writes[outlet.key] = quantity
            after = intended(outlet.quota, outlet.write, quantity)
            promised[outlet.key] = replace(outlet, quota=after).promised
    return writes


def _need(outlet: Outlet, target: int) -> tuple[Fraction, str]:
    """Who has least of what it should have is raised first."""
    has = outlet.promised or 0
    return (Fraction(has, target) if target else Fraction(has + 1), str(outlet.key))


def _cuts(
    outlets: Sequence[Outlet],
    own: Mapping[Hashable, int],
    target: Mapping[Hashable, int],
    fit: Fit,
) -> dict[Hashable, int]:
    """Who gives how much up, so that what is promised twice and who starves find their units.

    Only who stands in the way: whose own promise does not fit beside all that is wanted. And
    who shows more than an offer rule lets it, whether or not anybody else wants the units.
    What can be cut exactly is cut first. An absolute outlet sells nothing while it
    drains, so it is cut for others only if that brings them more than it costs: one
    that is live after a quarter of an hour was once stopped for three units.
    """
    cuts: dict[Hashable, int] = {}
    promised = _promised(outlets)
    wanted = _wanted(outlets, own, target)
    for outlet in sorted(outlets, key=lambda one: _dearness(one, own[one.key])):
        surplus = _surplus(outlet, own[outlet.key])
        if over := _over(outlet):
            cuts[outlet.key] = max(surplus, over)
            wanted[outlet.key] = own[outlet.key]
            continue
        if surplus <= 0 or not fit.in_the_way(outlet, wanted):
            continue
        lacks = -(fit.spare(outlet, wanted) or 0)
        is_worth_it = outlet.write != "absolute" or min(surplus, lacks) >= outlet.drain
        if is_worth_it or fit.in_the_way(outlet, promised):
            cuts[outlet.key] = surplus
            wanted[outlet.key] = own[outlet.key]
    return cuts


def _wanted(
    outlets: Sequence[Outlet], own: Mapping[Hashable, int], target: Mapping[Hashable, int]
) -> dict[Hashable, int | None]:
    """What is promised, and the own part of each that starves."""
    wanted = _promised(outlets)
    for outlet in outlets:
        has = wanted[outlet.key] if outlet.risk is None else target[outlet.key]
        if has is not None and _starves(has, own[outlet.key]) and outlet.direction != "frozen":
            wanted[outlet.key] = own[outlet.key]
    return wanted


def _starves(has: int, own: int) -> bool:
    return own > 0 and has * 2 <= own


def _surplus(outlet: Outlet, own: int) -> int:
    """What a cut can take from it: nothing that is frozen, shared, sold, or not known."""
    quota = outlet.quota
    exposure, shown = quota.exposure, quota.shown
    if outlet.risk is not None or exposure is None or outlet.direction != "free" or shown == 0:
        return 0
    if outlet.write in ("relative", "gross") and quota.anchor is not None:
        exposure = min(exposure, quota.anchor + quota.pending)  # the last cut counts when it drains
    return exposure - own


def _over(outlet: Outlet) -> int:
    """Units it shows beyond what the offer rules allow: a stop, a cap, a reserve for others.

    An absolute number a little above a cap is left to its buyers, who bring it down sooner
    than it would be sold again after a drain; a sale that is stopped is never left.
    """
    shown, most = outlet.quota.shown, outlet.most
    if outlet.risk is not None or outlet.direction != "free" or shown is None or most is None:
        return 0
    over = max(0, shown - most)
    is_worth_it = outlet.write != "absolute" or most == 0 or over >= outlet.drain
    return over if is_worth_it else 0


def _dearness(outlet: Outlet, own: int) -> tuple[bool, float, str]:
    return (outlet.write == "absolute", outlet.drain - _surplus(outlet, own), str(outlet.key))


def _write(outlet: Outlet, target: int, free: int, cut: int) -> int | None:
    """The quantity to write at this outlet now, or None to leave it alone."""
    quota = outlet.quota
    if quota.pending or outlet.direction == "frozen":
        return None
    if outlet.risk is not None:
        return _share(outlet, target)
    if cut:
        return _cut(outlet, cut)
    if quota.ceiling is None:
        return _learn(outlet)
    if quota.anchor is None and (quota.shown is None or quota.ceiling > quota.shown):
        probe = _probe(outlet)
        if probe is not None:
            return probe
    if outlet.write == "absolute":
        return _anew(quota.ceiling, min(target, free), target)
    more = min(target - quota.ceiling, free)
    return None if more <= 0 or quota.shown is None else quota.shown + more


def _share(outlet: Outlet, target: int) -> int | None:
    """Written at once, as where nothing is divided: what it sells unseen is counted already."""
    shown = outlet.quota.shown
    if shown == target:
        return None
    if outlet.direction == "only_up" and shown is not None and target < shown:
        return None
    return target


def _learn(outlet: Outlet) -> int | None:
    """Nothing is known of it: an anchor only has to drain; without one, 0 makes an anchor."""
    if outlet.quota.anchor is not None or outlet.direction == "only_up":
        return None
    return 0


def _probe(outlet: Outlet) -> int | None:
    """More may come than it shows, and nothing says until when: a write that makes an anchor.

    After a lost answer, or a cancel whose units the channel may have put back. A
    comparison with what it shows changes nothing, nor does a gross number written
    again; where neither can be had, 0.
    """
    shown = outlet.quota.shown
    if outlet.write == "relative" or outlet.direction == "only_up":
        return None  # it has to be read
    if shown is None:
        return 0
    return shown if outlet.write in ("conditional", "gross") or shown == 0 else None


def _cut(outlet: Outlet, units: int) -> int:
    """An absolute write of anything but 0 would re-open what was sold unseen."""
    shown = outlet.quota.shown
    return 0 if outlet.write == "absolute" or shown is None else max(0, shown - units)


def _anew(ceiling: int, quantity: int, target: int) -> int | None:
    """An absolute number counts on top of the old one until it has drained, and all of it
    has to be free. So it is written seldom: when it brings much more than there is."""
    return quantity if quantity > ceiling and quantity * 2 >= target else None
