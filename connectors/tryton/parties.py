"""The buyer as a party of Tryton: found again, never mixed with a stranger.

One party per e-mail address, because it is the one thing two orders of the same
person share exactly; without one, a party per order, remembered by our reference.
Names and addresses never decide: two people called Nguyen Van A are two people.
"""

from __future__ import annotations

from connectors.tryton.facts import Facts
from connectors.tryton.values import Row
from core.errors import Rejected
from core.model import Address

#: Fields in which two addresses of one party must agree to be the same address.
_SAME = ("street", "city", "postal_code", "country")
_PARTY = ("name", "addresses.street", "addresses.city", "addresses.postal_code",
          "addresses.country", "addresses.party_name")  # fmt: skip


async def customer(facts: Facts, address: Address, email: str, reference: str) -> tuple[int, int]:
    """(party, address) for one order; both are created where they are not there yet.

    A lost answer leaves at most a party without orders, and the next try finds it.
    """
    wanted = await _address(facts, address)
    kind, value = _mark(email or address.email, reference)
    # "=" and not "ilike": an underscore in an address would match any letter, and a
    # stranger's order would land on somebody else's account.
    mark = [["type", "=", kind], ["value", "=", value]]
    domain = [["contact_mechanisms", "where", mark]]
    found = await facts.rest.search("party.party", domain, _PARTY, limit=2)
    if len(found) > 1:
        raise Rejected("Tryton has two parties with this buyer's e-mail address; merge them there")
    party = found[0] if found else await _create(facts, address, wanted, (kind, value))
    for known in party["addresses"]:
        if _looks(known) == _looks(wanted):
            return party["id"], known["id"]
    fields = {"party": party["id"], **wanted}
    made = await facts.rest.create("party.address", fields, ("id",))
    return party["id"], made["id"]


async def named(facts: Facts, code: str) -> tuple[int, int]:
    """One collective customer for all orders, for sellers who keep buyers out of the ledger."""
    fields = ("addresses",)
    row = await facts.rest.only("party.party", [["code", "=", code]], fields, f"party {code!r}")
    if not row["addresses"]:
        raise Rejected(f"the party {code!r} of settings.customer has no address in Tryton")
    return row["id"], row["addresses"][0]


def _mark(email: str, reference: str) -> tuple[str, str]:
    return ("email", email.strip().lower()) if email.strip() else ("other", reference)


async def _address(facts: Facts, address: Address) -> Row:
    street = "\n".join(filter(None, (address.street, address.street2)))
    wanted: Row = {
        "street": street,
        "city": address.city,
        "postal_code": address.postcode,
        "country": await facts.country(address.country),
    }
    if address.name:
        wanted["party_name"] = address.name  # a gift goes to another name than the buyer's
    return wanted


async def _create(facts: Facts, address: Address, wanted: Row, mark: tuple[str, str]) -> Row:
    kind, value = mark
    contacts = [{"type": kind, "value": value}]
    if address.phone:
        contacts.append({"type": "other", "value": address.phone})
    values = {
        "name": address.company or address.name or value,
        "addresses": [["create", [wanted]]],
        "contact_mechanisms": [["create", contacts]],
    }
    return await facts.rest.create("party.party", values, _PARTY)


def _looks(address: Row) -> tuple[str, ...]:
    """What decides whether it is the same place; spaces and capitals do not."""
    words = [address.get(name) for name in (*_SAME, "party_name")]
    return tuple(" ".join(str(word or "").casefold().split()) for word in words)
