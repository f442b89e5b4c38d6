"""Stop 7, closed: what comes back of an order, kept as one row for each return.

After every fact about an order its returns are folded anew (`core.coming_back`). They expect
units and change no number: goods are in stock again by the warehouse's next number and nothing
else (S16). What is missing of which, and since when, is asked by `core.return_views`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from core import coming_back, credit_notes, holds, kit_lines, order_rows
from core.clock import stamp
from core.codec import from_json
from core.coming_back import WAITING, Case, Custody, Facts, Given, Paid, Parcel, Sold, Unsold
from core.credit_notes import EXCHANGED, UNPAID, RefundState
from core.lifecycle import State
from core.model import ParcelEvent, Payment, Refund, RefundLine, RequestState, Return
from core.money import Money
from core.store.schema import claims, facts, outbox, refunds, return_lines, returns, shipments
from core.wording import plural
from core.work import Work

#: A refund that was never money, or never will be.
_NO_MONEY = (RefundState.ANNOUNCED, RefundState.WITHDRAWN)


def aad(system: str, external_id: str) -> bytes:
    """What ties a sealed fact to its row."""
    return f"fact:{system}:{external_id}".encode()


def order_of(work: Work, system: str, said: Return) -> Row[Any] | None:
    """The order a return is of: a channel says its own id, a warehouse what it was told."""
    own = order_rows.find(work, system, said.order)
    if own is not None or system in work.network.channels:
        return own
    order_id = work.connection.execute(
        select(outbox.c.order_id).where(outbox.c.key == said.order)
    ).scalar_one_or_none()
    if order_id is not None:
        return order_rows.by_id(work, order_id)
    return order_rows.named(work, said.order)


def parcel_moved(work: Work, tracking: str) -> None:
    """A courier said something of a parcel: of an order that left in it, or comes back in it."""
    for order_id in _orders_of(work, tracking):
        look(work, order_id)


def _orders_of(work: Work, tracking: str) -> list[int]:
    left = select(shipments.c.order_id).where(shipments.c.tracking == tracking)
    back = select(returns.c.order_id).where(returns.c.tracking == tracking)
    return sorted(set(work.connection.execute(left.union(back)).scalars())) if tracking else []


# ------------------------------------------------------------------ all that was said


def look(work: Work, order_id: int) -> None:
    """Fold everything that was said of an order into its returns. Safe to call again."""
    said = _of_order(work, order_id)
    if not said and not _known(work, order_id) and not _scanned(work, order_id):
        return  # an ordinary order: nothing comes back
    row = order_rows.by_id(work, order_id)
    gathered = _gather(work, row, said)
    cases, unsold = coming_back.fold(gathered)
    _keep(work, row, gathered, cases)
    _show_unsold(work, row, unsold)
    _settle_too_late(work, row, gathered, cases)
    _credit_unpaid(work, row, gathered, cases)
    _credit_exchanged(work, row, gathered, cases)


def _of_order(work: Work, order_id: int) -> Sequence[Row[Any]]:
    return work.connection.execute(
        select(facts).where(facts.c.order_id == order_id, facts.c.resource == "return")
    ).all()


def _known(work: Work, order_id: int) -> Sequence[Row[Any]]:
    return work.connection.execute(select(returns).where(returns.c.order_id == order_id)).all()


def _scanned(work: Work, order_id: int) -> bool:
    own = select(shipments.c.tracking).where(
        shipments.c.order_id == order_id, shipments.c.tracking != ""
    )
    found = select(facts.c.external_id).where(facts.c.tracking.in_(own)).limit(1)
    return work.connection.execute(found).first() is not None


def _gather(work: Work, row: Row[Any], said: Sequence[Row[Any]]) -> Facts:
    own = order_rows.lines_of(work, row.id)
    left = kit_lines.left_of(work, own)
    records = [(one.system, _open(work, one, Return)) for one in said]
    asked = [record for system, record in records if system == row.system]
    parcels = _parcels(work, row)
    trackings = {one.tracking for one in [*parcels, *asked] if one.tracking}
    scans = scans_of(work, trackings)
    order = order_rows.read(work, row)
    return Facts(
        sold=[
            Sold(
                key=one.key, line=kit_lines.key_of(one), sku=one.sku, factor=one.factor or 1,
                units=left.get(one.id, 0),
            )
            for one in own
        ],
        parcels=parcels,
        asked=asked,
        receipts=[record for system, record in records if system != row.system],
        scans=scans,
        paid=_paid(work, row),
        prepaid=order.payment is not Payment.COD or any(one.cod_collected for one in scans),
    )  # fmt: skip


def _open(work: Work, fact: Row[Any], kind: type[Any]) -> Any:
    return from_json(kind, work.seal.open(fact.doc, aad(fact.system, fact.external_id)))


def _parcels(work: Work, row: Row[Any]) -> list[Parcel]:
    """Units of each row under each tracking number."""
    rows = work.connection.execute(
        select(shipments.c.tracking, claims.c.line_id, claims.c.units)
        .join(claims, claims.c.shipment_id == shipments.c.id)
        .where(shipments.c.order_id == row.id, shipments.c.tracking != "")
    )
    keys = {line.id: line.key for line in order_rows.lines_of(work, row.id)}
    found: dict[str, Counter[str]] = {}
    for one in rows:
        found.setdefault(one.tracking, Counter())[keys[one.line_id]] += one.units
    return [Parcel(tracking=tracking, units=units) for tracking, units in found.items()]


def scans_of(work: Work, trackings: set[str]) -> list[ParcelEvent]:
    """What couriers said of these parcels, in no order."""
    if not trackings:
        return []
    rows = work.connection.execute(select(facts).where(facts.c.tracking.in_(trackings)))
    return [_open(work, one, ParcelEvent) for one in rows]


def _paid(work: Work, row: Row[Any]) -> list[Paid]:
    found = []
    for one in credit_notes.of_order(work, row.id):
        if one.state in _NO_MONEY or one.external_id.startswith((UNPAID, EXCHANGED)):
            continue
        said = credit_notes.read(work, one)
        units: Counter[str] = Counter()
        for line in said.lines:
            units[line.line] += line.quantity
        found.append(Paid(key=said.key, returned=said.returned, units=+units))
    return found


# ------------------------------------------------------------------ kept


def _keep(work: Work, row: Row[Any], said: Facts, cases: Sequence[Case]) -> None:
    """The rows of an order's returns are those of its cases; one that is none any more goes."""
    known = {one.external_id: one for one in _known(work, row.id)}
    skus = {one.key: one.sku for one in said.sold}
    for case in cases:
        before = known.pop(case.key, None)
        return_id = _write(work, row, case, before)
        _write_lines(work, return_id, case, skus)
        work.connection.execute(
            update(refunds)
            .where(
                refunds.c.system == row.system,
                refunds.c.external_id.in_([*case.refunds, f"{EXCHANGED}{case.key}"]),
            )
            .values(return_id=return_id)
        )
    for gone in known.values():
        work.connection.execute(delete(return_lines).where(return_lines.c.return_id == gone.id))
        work.connection.execute(
            update(refunds).where(refunds.c.return_id == gone.id).values(return_id=None)
        )
        work.connection.execute(delete(returns).where(returns.c.id == gone.id))
        work.steps.add(
            7, "return.gone", system=row.system, order_id=row.id, return_id=gone.external_id
        )


def _write(work: Work, row: Row[Any], case: Case, before: Row[Any] | None) -> int:
    now = stamp(work.now)
    over = case.custody not in (*WAITING, Custody.ASKED) and case.money not in (
        Given.AWAITED,
        Given.PART,
    )
    values: dict[str, Any] = {
        "kind": case.kind,
        "state": case.state.value,
        "tracking": case.tracking,
        "custody": case.custody.value,
        "money": case.money.value,
        "closed_at": (before.closed_at if before is not None else None) or now if over else None,
    }
    if before is None or before.custody != case.custody:
        values["custody_at"] = now
    if before is None or before.money != case.money:
        values["money_at"] = now
    if before is None:
        key = {"system": row.system, "external_id": case.key, "order_id": row.id}
        new = insert(returns).values(**key, **values, opened_at=now).returning(returns.c.id)
        return_id = work.connection.execute(new).scalar_one()
    else:
        return_id = before.id
        if all(getattr(before, name) == value for name, value in values.items()):
            return int(return_id)
        work.connection.execute(update(returns).where(returns.c.id == return_id).values(**values))
    work.steps.add(
        7, "return.told" if before is not None else "return.opened", system=row.system,
        order_id=row.id, return_id=case.key, kind=case.kind, custody=case.custody.value,
        money=case.money.value, units=sum(case.expected.values()),
    )  # fmt: skip
    return int(return_id)


def _write_lines(work: Work, return_id: int, case: Case, skus: dict[str, str]) -> None:
    work.connection.execute(delete(return_lines).where(return_lines.c.return_id == return_id))
    for key in sorted({*(+case.expected), *case.got}):
        work.connection.execute(
            insert(return_lines).values(
                return_id=return_id,
                line=key,
                sku=skus[key],
                expected=case.expected[key],
                **{word: case.got.get(key, Counter())[word] for word in coming_back.CONDITIONS},
            )
        )


# ------------------------------------------------------------------ what follows


def _show_unsold(work: Work, row: Row[Any], unsold: Sequence[Unsold]) -> None:
    """Units come back that were never sold in this order: a person's, and nothing waits for it."""
    causes = {f"{_NEVER_SOLD}{row.system}:{row.external_id}:{one.key}": one for one in unsold}
    ref = str(row.id)
    own = [cause for cause in holds.open_causes(work, "return", ref) if cause not in causes]
    for cause in own:
        holds.close_cause(work, cause, "return", ref)
    for cause, one in causes.items():
        if holds.times_closed(work, cause):
            continue  # a person has seen it
        holds.open_hold(
            work,
            cause=cause,
            system=row.system,
            reason=f"{plural(one.units, 'unit')} of {one.what} in return {one.key} of order "
            f"{row.number}, more than ever left in it",
            next_step="Compare the return with the order; correct it where it was entered. If it "
            "is right as it is: `truecount accept ID`.",
            member="return",
            ref=ref,
            label=f"{row.system}:{row.number} return {one.key}",
        )


_NEVER_SOLD = f"{holds.LATE}return_never_sold:"


def _settle_too_late(work: Work, row: Row[Any], said: Facts, cases: Sequence[Case]) -> None:
    """It was cancelled after it had left: all of it is back, so nobody has to expect it."""
    came: Counter[str] = Counter()
    for case in cases:
        for key in case.got:
            came[key] += case.received(key)
    if all(came[one.key] >= one.units for one in said.sold):
        cause = holds.late("cancelled", row)
        if holds.close_cause(work, cause, "order", str(row.id)):
            work.steps.add(7, "hold.closed", system=row.system, order_id=row.id, cause=cause)


def _credit_unpaid(work: Work, row: Row[Any], said: Facts, cases: Sequence[Case]) -> None:
    """Cash on delivery that nobody collected: the invoice of what came back, or is lost, is void.

    Only once the courier has given it up, or the warehouse has it.
    """
    if said.prepaid or row.state != State.SHIPPED:
        return
    over = [
        case
        for case in cases
        if case.kind in ("rto", "lost")
        and case.custody in (Custody.ARRIVED, Custody.RECEIVED, Custody.LOST)
    ]
    back: Counter[str] = Counter()
    for case in over:
        back.update(case.expected)
    if not over or any(back[one.key] < one.units for one in said.sold):
        return  # while a part of it may still be paid, its shipping and fees may be
    key = f"{UNPAID}{row.external_id}"
    if any(one.external_id == key for one in credit_notes.of_order(work, row.id)):
        return
    total = order_rows.read(work, row).total
    for one in credit_notes.of_order(work, row.id):
        if one.state == RefundState.CREDITED:
            total -= Money(one.total_minor, one.currency)
    refund = Refund(key=key, order=row.external_id, refunded_at=_moment(work, said), total=total)
    kept = credit_notes.keep(work, row.system, refund, row.id)
    work.steps.add(
        7, "refund.unpaid", system=row.system, order_id=row.id, refund=key, amount=str(total)
    )
    credit_notes.owe(work, kept)


def _credit_exchanged(work: Work, row: Row[Any], said: Facts, cases: Sequence[Case]) -> None:
    """Goods that are exchanged are credited whole, once they are here or the channel is done.

    What they are exchanged for is an order of the channel, invoiced like any other; the buyer's
    balance is then the difference of the two prices, whatever of it moved as money (S18).
    """
    for case in cases:
        done = case.custody is Custody.RECEIVED or (
            case.state is RequestState.COMPLETED and bool(+case.expected)
        )
        key = f"{EXCHANGED}{case.key}"
        known = [one.external_id for one in credit_notes.of_order(work, row.id)]
        if case.kind != "exchange" or not done or key in known:
            continue
        refund = Refund(
            key=key,
            order=row.external_id,
            returned=case.key,
            refunded_at=case.received_at or work.now,
            total=Money.zero(row.currency),
            lines=_lines_of(said, case),
        )
        kept = credit_notes.keep(work, row.system, refund, row.id)
        work.steps.add(7, "refund.exchanged", system=row.system, order_id=row.id, refund=key)
        credit_notes.owe(work, kept)


def _lines_of(said: Facts, case: Case) -> tuple[RefundLine, ...]:
    """Units of the channel's lines that come back in a return; a kit counts once."""
    units: dict[str, int] = {}
    for one in said.sold:
        count = max(case.expected[one.key], case.received(one.key)) // one.factor
        if count:
            units[one.line] = min(units.get(one.line, count), count)
    return tuple(RefundLine(line=line, quantity=count) for line, count in units.items())


def _moment(work: Work, said: Facts) -> datetime:
    """When it was over: the last word of courier or warehouse, as they date it."""
    times = [one.at for one in said.scans]
    times += [one.received_at for one in said.receipts if one.received_at is not None]
    return max(times, default=work.now)
