"""What a Tryton company looks like: its currency, warehouses and items, asked once or per use.

The company, its warehouses and its countries are remembered for the life of the
connector: they change once in years. Items and taxes are read when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from connectors.tryton.rest import Rest
from connectors.tryton.values import Row
from core.errors import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    id: int
    currency: str
    currency_id: int
    digits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Warehouse:
    """`word` is how the outside calls it: its code, or its name where it has none."""

    id: int
    word: str
    name: str
    storage: int  # where pickers take from
    output: int
    inside: tuple[int, ...]  # every place where units of ours still are


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    id: int
    code: str
    unit: int
    goods: bool
    category: int | None
    salable: bool


class Facts:
    """`ledger`: this Tryton has sales and accounts; a plain warehouse has neither."""

    def __init__(self, rest: Rest, settings: Mapping[str, str], *, ledger: bool) -> None:
        self.rest = rest
        self.settings = settings
        self.ledger = ledger
        self._company: Company | None = None
        self._warehouses: tuple[Warehouse, ...] | None = None
        self._countries: dict[str, int] = {}

    async def company(self) -> Company:
        """The one company the key may see, or the one named in settings."""
        if self._company is None:
            name = self.settings.get("company", "")
            domain = [["party.name", "=", name]] if name else []
            fields = ("currency.code", "currency.digits")
            what = f"company called {name!r}" if name else "company: name one in settings.company"
            row = await self.rest.only("company.company", domain, fields, what)
            currency = row["currency"]
            self._company = Company(
                id=row["id"],
                currency=currency["code"],
                currency_id=currency["id"],
                digits=currency["digits"],
            )
            self.rest.context["company"] = row["id"]
        return self._company

    async def warehouses(self) -> tuple[Warehouse, ...]:
        if self._warehouses is None:
            await self.company()
            fields = ("code", "name", "storage_location", "output_location", "picking_location")
            domain = [["type", "=", "warehouse"]]
            rows = await self.rest.search("stock.location", domain, fields)
            self._warehouses = tuple(_warehouse(row) for row in rows)
        return self._warehouses

    async def warehouse(self, word: str) -> Warehouse:
        """By code or name; without a word, the only one there is."""
        known = await self.warehouses()
        found = [one for one in known if not word or word in (one.word, one.name)]
        if len(found) != 1:
            names = ", ".join(one.word for one in known)
            raise Rejected(f"Tryton has no single warehouse for {word!r}; it has: {names}")
        return found[0]

    async def items(self, codes: Iterable[str]) -> dict[str, Item]:
        """Items by our SKU. An unknown one is named: a person must create it (S2)."""
        await self.company()
        wanted = sorted(set(codes))
        fields = ["code", "type", "default_uom"]
        if self.ledger:
            fields += ["account_category", "salable"]
        rows = await self.rest.search("product.product", [["code", "in", wanted]], fields)
        found: dict[str, Item] = {}
        for row in rows:
            if row["code"] in found:
                raise Rejected(f"Tryton has two active products with the code {row['code']!r}")
            found[row["code"]] = _item(row)
        missing = [code for code in wanted if code not in found]
        if missing:
            raise Rejected("Tryton has no product with the code " + ", ".join(map(repr, missing)))
        return found

    async def country(self, code: str) -> int | None:
        """Countries are a data set an installation may not have loaded: then none is written."""
        if code and code not in self._countries:
            rows = await self.rest.search(
                "country.country", [["code", "=", code.upper()]], ("code",)
            )
            if not rows:
                return None
            self._countries[code] = rows[0]["id"]
        return self._countries.get(code)


def _warehouse(row: Row) -> Warehouse:
    storage, output = row["storage_location"], row["output_location"]
    return Warehouse(
        id=row["id"],
        word=row["code"] or row["name"],
        name=row["name"],
        storage=row["picking_location"] or storage,
        output=output,
        # Picking moves units from storage to output. They are still in the house and still
        # ours until the parcel leaves, so both count: storage alone would subtract a picked
        # order twice, once as missing stock and once as our own claim.
        inside=tuple(dict.fromkeys((storage, output))),
    )


def _item(row: Row) -> Item:
    return Item(
        id=row["id"],
        code=row["code"],
        unit=row["default_uom"],
        goods=row["type"] == "goods",
        category=row.get("account_category"),
        salable=bool(row.get("salable", True)),
    )


def percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f} %"
