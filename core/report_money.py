"""The mail's tables of money: the channels against each ledger, and what was given back."""

from __future__ import annotations

from core.layout import Section
from core.money import Money
from core.reconcile import Reconciliation
from core.report_words import money_words


def sections(found: Reconciliation) -> list[Section]:
    """One table for each ledger. It may leave out the tax a marketplace remits itself."""
    names = ("captured", "channel_tax", "sales_orders", "shipped", "invoiced", "cost")
    heads = (
        "channel",
        "sold",
        "tax by channel",
        "booked",
        "shipped",
        "invoiced",
        "cost",
        "tie-out",
    )
    made = []
    for ledger in sorted({row["ledger"] for row in found.money}):
        own = [row for row in found.money if row["ledger"] == ledger]
        rows = tuple(
            (
                f"{row['channel']} {row['currency']}",
                *(f"{Money(row[name], row['currency']).amount:,}" for name in names),
                row["tie_out"].replace("_", " "),
            )
            for row in own
        )
        made.append(
            Section(
                title=f"Money: the channels against {ledger}",
                columns=heads,
                rows=rows,
                numbers=frozenset(range(1, 7)),
                alarm=any(row["tie_out"] == "unexplained" for row in own),
                toned=7,
            )
        )
    return made


def refunds(found: Reconciliation) -> Section | None:
    """What was given back of what was invoiced; not there on a day without any."""
    if not found.refunds:
        return None
    rows = tuple(
        (
            f"{row['channel']} {row['currency']}",
            row["ledger"],
            f"{row['refunds']:,}",
            *(
                f"{Money(row[name], row['currency']).amount:,}"
                for name in ("refunded", "channel_tax", "credited")
            ),
            row["tie_out"].replace("_", " "),
        )
        for row in found.refunds
    )
    return Section(
        title="Refunds: the channels against the books",
        columns=(
            "channel", "ledger", "refunds", "given back", "tax by channel", "credited", "tie-out",
        ),
        rows=rows,
        numbers=frozenset(range(2, 6)),
        alarm=any(row["tie_out"] == "unexplained" for row in found.refunds),
        toned=6,
    )  # fmt: skip


def sold(found: Reconciliation) -> str:
    """Every channel once, however many ledgers it is compared with."""
    totals: dict[str, int] = {}
    for row in {(r["channel"], r["currency"]): r for r in found.money}.values():
        totals[row["currency"]] = totals.get(row["currency"], 0) + row["captured"]
    words = " + ".join(money_words(v, c) for c, v in sorted(totals.items()))
    return words or money_words(0, found.currency)
