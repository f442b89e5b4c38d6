"""Which of Tryton's own taxes a channel's tax is. Tryton computes with its own records only.

A rate that Tryton does not have is refused with both numbers: a sale taxed at a
neighboring rate is a wrong tax return. What a marketplace collects and remits is its
own and is never posted as ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from connectors.tryton.facts import Facts, percent
from connectors.tryton.values import Row
from core.errors import Rejected
from core.model import Collector, Tax


@dataclass(frozen=True, slots=True, kw_only=True)
class ErpTax:
    id: int
    name: str
    rates: tuple[Decimal, ...]  # a group of taxes has one rate per member


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxes:
    """The sales taxes of the company, and the operator's words for the channel's."""

    known: tuple[ErpTax, ...]
    words: Mapping[str, str]

    def of(self, taxes: Sequence[Tax], net_minor: int, where: str) -> tuple[ErpTax, ...]:
        """The ERP's taxes for one line. `where` names the line for a person."""
        ours = [tax for tax in taxes if tax.collected_by is Collector.SELLER and _charges(tax)]
        together = "+".join(sorted(_digits(tax.rate) for tax in ours if tax.rate is not None))
        if len(ours) > 1 and together in self.words:
            return (self._named(self.words[together]),)
        chosen = [self._one(tax, net_minor, where) for tax in ours]
        if len({tax.id for tax in chosen}) != len(chosen):
            raise Rejected(
                f"two taxes of {where} are the same tax in Tryton ({chosen[0].name}); "
                "map them apart in settings.taxes"
            )
        return tuple(chosen)

    def _one(self, tax: Tax, net_minor: int, where: str) -> ErpTax:
        if tax.rate is None:
            return self._guessed(tax, net_minor, where)
        rate = _digits(tax.rate)
        for word in (f"{tax.title} {rate}", rate):
            if word in self.words:
                return self._named(self.words[word])
        found = [known for known in self.known if known.rates == (tax.rate,)]
        if len(found) > 1 and tax.title:
            title = tax.title.casefold()
            found = [known for known in found if title in known.name.casefold()] or found
        if len(found) == 1:
            return found[0]
        have = ", ".join(f"{known.name} ({_shown(known)})" for known in self.known)
        raise Rejected(
            f"the channel charged {percent(tax.rate)} ({tax.amount}) on {where}; Tryton has "
            f"{'several taxes of that rate' if found else 'no such sales tax'}: {have}. "
            f'Say which in settings.taxes, for example "{rate}=NAME"'
        )

    def _guessed(self, tax: Tax, net_minor: int, where: str) -> ErpTax:
        """Some marketplaces (Amazon) give an amount and no rate: only one rate may explain it."""
        found = [
            known
            for known in self.known
            if abs(_part(net_minor, sum(known.rates, Decimal(0))) - tax.amount.minor) <= 1
        ]
        if len(found) == 1:
            return found[0]
        have = ", ".join(f"{known.name} ({_shown(known)})" for known in self.known)
        raise Rejected(
            f"the channel charged {tax.amount} of tax on {where} and names no rate; "
            f"{'several' if found else 'none'} of Tryton's sales taxes give that amount: {have}"
        )

    def _named(self, name: str) -> ErpTax:
        found = [known for known in self.known if known.name == name]
        if len(found) != 1:
            raise Rejected(f"settings.taxes names {name!r}, which is not one sales tax in Tryton")
        return found[0]


async def load(facts: Facts) -> Taxes:
    company = await facts.company()
    domain = [["company", "=", company.id], ["parent", "=", None]]
    fields = ("name", "type", "rate", "childs.type", "childs.rate", "group.kind")
    rows = await facts.rest.search("account.tax", domain, fields)
    known = [_tax(row) for row in rows if _for_sales(row)]
    return Taxes(
        known=tuple(tax for tax in known if tax.rates),
        words=words(facts.settings.get("taxes", "")),
    )


async def of_products(facts: Facts, taxes: Taxes, categories: set[int]) -> dict[int, list[ErpTax]]:
    """The taxes each accounting category prescribes, for channels that name none."""
    if not categories:
        return {}
    domain = [["id", "in", sorted(categories)]]
    rows = await facts.rest.search("product.category", domain, ("customer_taxes",))
    by_id = {tax.id: tax for tax in taxes.known}
    return {
        row["id"]: [by_id[tax] for tax in row["customer_taxes"] or [] if tax in by_id]
        for row in rows
    }


def words(text: str) -> dict[str, str]:
    """`0.18=GST 18%; CGST 0.09=CGST 9%` as the operator writes it."""
    pairs = [pair.partition("=") for pair in text.split(";") if pair.strip()]
    return {_key(left.strip()): right.strip() for left, _, right in pairs}


def _key(word: str) -> str:
    """0.180 and 0.18 are the same rate."""
    title, _, rate = word.rpartition(" ")
    numbers = "+".join(sorted(_digits(Decimal(part)) for part in rate.split("+")))
    return f"{title} {numbers}" if title else numbers


def _digits(rate: Decimal | None) -> str:
    return f"{(rate or Decimal(0)).normalize():f}"


def _charges(tax: Tax) -> bool:
    """A line of 0 % is a remark, not a tax."""
    return bool(tax.amount) or bool(tax.rate)


def _part(net_minor: int, rate: Decimal) -> int:
    return int((net_minor * rate).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _shown(tax: ErpTax) -> str:
    return " + ".join(percent(rate) for rate in tax.rates)


def _for_sales(row: Row) -> bool:
    return row["group"] is None or row["group"]["kind"] in ("sale", "both")


def _tax(row: Row) -> ErpTax:
    """Fixed amounts per piece (eco fees) are not rates; such a tax cannot be chosen by one."""
    members = row["childs"] if row["type"] == "none" else [row]
    usable = bool(members) and all(member["type"] == "percentage" for member in members)
    rates = tuple(member["rate"] for member in members) if usable else ()
    return ErpTax(id=row["id"], name=row["name"], rates=rates)
