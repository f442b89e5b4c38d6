"""Build one ready Tryton database: a small ledger (`erp`) or a small warehouse (`wms`).

Runs with the interpreter of Tryton's own environment, never with ours:

    python bootstrap.py --dir FOLDER --role erp|wms --currency USD

Everything goes through Tryton's own model layer (proteus); no table is written by
hand, so what the tests see is what a person at the desktop client would have made.
Leaves FOLDER/ROLE.sqlite and FOLDER/ROLE.json (ids, logins, the REST key).
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

MODULES = {
    "erp": ["sale", "account_invoice_stock", "account_stock_anglo_saxon"],
    "wms": ["stock", "stock_lot", "stock_package", "stock_package_shipping"],
}
PASSWORD = "truecount-test"
#: All the daemon's user needs. Sales Administrator, because only that group may press "process".
GROUPS = {"Accounting", "Sales", "Sales Administrator", "Stock", "Stock Force Assignment"}
#: code, list price, cost, units on the shelf. 00123: leading zeros must survive.
ITEMS = [
    ("SKU-0001", "49.90", "20.00", 100),
    ("SKU-0002", "19.99", "8.00", 100),
    ("SKU-0003", "129.00", "61.50", 100),
    ("00123", "7.77", "3.10", 100),
]
COUNTRIES = [("US", "United States"), ("IN", "India"), ("DE", "Germany"), ("VN", "Viet Nam")]
#: name, rate: a mixed shop, and two halves that add up (CGST + SGST).
TAXES = [
    ("GST 18%", "0.18"),
    ("GST 5%", "0.05"),
    ("VAT 19%", "0.19"),
    ("CGST 9%", "0.09"),
    ("SGST 9%", "0.09"),
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", required=True, type=Path)
    parser.add_argument("--role", choices=MODULES, required=True)
    parser.add_argument("--currency", default="USD")
    args = parser.parse_args()
    folder = args.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    activate(folder, args.role)

    from proteus import config  # only now: it reads the environment at import

    config.set_trytond(database=args.role, user="admin", config_file=str(folder / "trytond.conf"))
    facts = build(args.role, args.currency)
    facts["db"] = args.role
    facts["admin"] = {"login": "admin", "password": PASSWORD}
    (folder / f"{args.role}.json").write_text(json.dumps(facts, indent=1))
    sys.stdout.flush()
    os._exit(0)  # proteus keeps threads of its pool alive


def activate(folder: Path, role: str) -> None:
    """An empty SQLite file becomes a database with the role's modules."""
    (folder / f"{role}.sqlite").touch()  # trytond wants the file to exist
    (folder / "passfile").write_text(PASSWORD + "\n")
    conf = folder / "trytond.conf"
    conf.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n")
    os.environ.update(
        TRYTOND_DATABASE__URI="sqlite://",
        TRYTOND_DATABASE__PATH=str(folder),
        TRYTONPASSFILE=str(folder / "passfile"),
    )
    admin = Path(sys.executable).with_name("trytond-admin")
    command = [str(admin), "-c", str(conf), "-d", role, "--email", "admin@example.com"]
    command += ["-u", "ir", *MODULES[role], "--activate-dependencies"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=os.environ.copy())


def build(role: str, code: str) -> dict:
    from proteus import Model
    from trytond.modules.company.tests.tools import create_company, get_company

    create_company(currency=currency(code))
    company = get_company()
    for alpha, name in COUNTRIES:
        Model.get("country.country")(code=alpha, name=name).save()
    facts = {"company": company.id, "currency": code, "robot": robot(company)}
    category = accounting(company, facts) if role == "erp" else None
    facts["products"] = products(category)
    facts["locations"] = locations()
    if role == "erp":
        services(category, facts)
    else:
        facts["carrier"] = carrier()
    opening_stock(facts)
    return facts


def currency(code: str):
    from proteus import Model

    made = Model.get("currency.currency")(
        name=code, symbol=code, code=code, rounding=Decimal("0.01"), digits=2
    )
    made.rates.new(date=dt.date(2000, 1, 1), rate=Decimal(1))
    made.save()
    return made


def robot(company) -> dict:
    """The user of the daemon: a REST key, and no right to administer."""
    from proteus import Model

    group_model = Model.get("res.group")
    groups = [g for g in group_model.find([]) if g.name in GROUPS]
    user = Model.get("res.user")(name="truecount", login="truecount")
    user.password = PASSWORD + "-robot"
    user.companies.append(company)
    user.company = company
    for group in groups:
        user.groups.append(group_model(group.id))
    user.save()
    key = Model.get("res.user.application")(user=user, application="rest", state="validated")
    key.save()
    return {
        "login": "truecount",
        "password": PASSWORD + "-robot",
        "user": user.id,
        "rest_key": key.key,
        "groups": [group.name for group in groups],
    }


def accounting(company, facts: dict):
    """Chart, fiscal year with anglo-saxon stock accounting, taxes, one product category."""
    from proteus import Model
    from trytond.modules.account.tests.tools import (
        create_chart,
        create_fiscalyear,
        create_tax,
        get_accounts,
    )
    from trytond.modules.account_invoice.tests.tools import (
        create_payment_term,
        set_fiscalyear_invoice_sequences,
    )
    from trytond.modules.account_stock_anglo_saxon.tests.tools import add_cogs_accounts
    from trytond.modules.account_stock_continental.tests.tools import add_stock_accounts

    create_chart(company)
    year = set_fiscalyear_invoice_sequences(create_fiscalyear(company))
    year.account_stock_method = "anglo_saxon"
    year.click("create_period")
    accounts = add_cogs_accounts(add_stock_accounts(get_accounts(company), company), company)
    taxes = {}
    for name, rate in TAXES:
        tax = create_tax(Decimal(rate))
        tax.name = tax.description = name
        tax.save()
        taxes[name] = tax
    create_payment_term().save()
    category = Model.get("product.category")(name="Merchandise", accounting=True)
    category.account_expense = accounts["expense"]
    category.account_revenue = accounts["revenue"]
    category.account_stock = accounts["stock"]
    category.account_stock_in = category.account_stock_out = accounts["stock_expense"]
    category.account_cogs = accounts["cogs"]
    category.customer_taxes.append(taxes["GST 18%"])
    category.save()
    facts["taxes"] = {name: tax.id for name, tax in taxes.items()}
    facts["accounts"] = {name: account.id for name, account in accounts.items()}
    return category


def products(category) -> dict[str, int]:
    from proteus import Model

    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    made = {}
    for code, price, cost, _ in ITEMS:
        template = Model.get("product.template")(name=f"Item {code}", type="goods")
        template.default_uom = unit
        template.cost_price_method = "average"
        template.list_price = Decimal(price)
        if category:
            template.salable = True
            template.account_category = category
        (product,) = template.products
        product.suffix_code = code  # "code" itself is computed from this
        product.cost_price = Decimal(cost)
        template.save()
        made[code] = template.products[0].id
    return made


def services(category, facts: dict) -> None:
    """What a sale needs beside goods: shipping, fees, and the one named rounding line."""
    from proteus import Model

    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    plain = Model.get("product.category")(name="Services", accounting=True)
    plain.account_expense = category.account_expense
    plain.account_revenue = category.account_revenue
    plain.save()
    for code in ("SHIPPING", "FEES", "TIP", "ROUNDING"):
        template = Model.get("product.template")(name=code.title(), type="service")
        template.default_uom = unit
        template.salable = True
        template.list_price = Decimal(0)
        template.account_category = plain
        template.products[0].suffix_code = code
        template.save()
        facts["products"][code] = template.products[0].id


def locations() -> dict:
    from proteus import Model

    location = Model.get("stock.location")
    (warehouse,) = location.find([("type", "=", "warehouse")])
    bins = {}
    for code in ("A-01", "A-02"):
        made = location(name=code, code=code, type="storage", parent=warehouse.storage_location)
        made.save()
        bins[code] = made.id
    return {
        "warehouse": warehouse.id,
        "warehouse_code": warehouse.code or warehouse.name,
        "storage": warehouse.storage_location.id,
        "output": warehouse.output_location.id,
        "bins": bins,
    }


def carrier() -> int:
    """A carrier the packers can choose; without one, packing asks a question."""
    from proteus import Model

    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    template = Model.get("product.template")(name="Courier", type="service", default_uom=unit)
    template.list_price = Decimal(0)
    template.save()
    party = Model.get("party.party")(name="Delhivery")
    party.save()
    made = Model.get("carrier")(party=party, carrier_product=template.products[0])
    made.save()
    return made.id


def opening_stock(facts: dict) -> None:
    """An inventory count of bin A-01."""
    from proteus import Model

    product = Model.get("product.product")
    inventory = Model.get("stock.inventory")()
    inventory.location = Model.get("stock.location")(facts["locations"]["bins"]["A-01"])
    inventory.empty_quantity = "keep"
    for code, _, _, units in ITEMS:
        line = inventory.lines.new(product=product(facts["products"][code]))
        line.quantity = float(units)
    inventory.click("confirm")


if __name__ == "__main__":
    main()
