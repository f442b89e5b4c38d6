"""`truecount mapping sample`: documents that came as fixtures, with the same shapes and no buyer.

What may stay is said, everything else is replaced: plain types, small numbers,
amounts, and what the mapping reads into a field that cannot be a buyer's. The
same value becomes the same fake everywhere in one run, so that two documents of
one buyer, or an id that stands twice, still belong together (G20).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from core.mapping.incoming import Plan
from core.mapping.places import is_country
from core.mapping.reads import EVERY, Place, reads_of
from core.mapping.shape import is_buyers
from core.strict import dump_json

#: Fields of ours whose values are a seller's or a vendor's words, never a buyer's. The last
#: word of the name counts: `lines.sku` is `sku`.
_KEPT = frozenset(
    "sku title quantity unit_price amount total currency payment placed_at updated_at"
    " cancelled_at rate tax_included shippable reservable complete test fulfilled_by_channel"
    " kind at place status on_hand available allocated counter as_of units state code leg attempt"
    " shipping_fee shipping_discount other_fees shown channel_open active list_price unit_cost"
    " tip rounding gift_cards"
    " tax_class tax_rate hsn_code carrier shipping_service channel_state collected_by funded_by"
    " jurisdiction initiator condition refund shipped_at received_at posted dated tax cost"
    " fulfilled lot expires_on measured condition cod_collected skip_when".split()
)
#: Names of theirs under which everything is a buyer's, whatever reads it.
_BUYERS = re.compile(
    r"buyer|customer|recipient|consignee|receiver|address|billing|person|client_detail|contact"
    r"|e-?mail|phone|mobile|telephone|zip|post_?code|postal|street|first_?name|last_?name|full_?name"
    r"|company|note|message|remark|comment|instruction|gift|latitude|longitude|^lat$|^lng$|^lon$"
    r"|(^|_)ip($|_)|birth|gender|tax_?id|vat_?number|passport|signature",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_AMOUNT = re.compile(r"-?\d{1,7}(\.\d{1,4})?")
_WORD = re.compile(r"[A-Z]{1,3}|[A-Z]+(_[A-Z]+)+")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+")
_KEY = re.compile(r"\d{5}|@")
_SMALL = 9999
_VOWELS, _OTHERS = "aeiou", "bcdfghklmnprstvz"


@dataclass(slots=True)
class _Scrubber:
    key: bytes
    kept: frozenset[Place]
    countries: frozenset[Place]
    fakes: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any, place: Place, *, buyers: bool) -> Any:
        if type(value) is dict:
            return {
                self._name(name): each
                if _is_country(name, each)
                else self.value(each, (*place, name), buyers=buyers or bool(_BUYERS.search(name)))
                for name, each in value.items()
            }
        if type(value) is list:
            return [self.value(each, (*place, EVERY), buyers=buyers) for each in value]
        if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
            return value
        if place in self.countries and _is_country("country", value):
            return value
        if place in self.kept and not buyers:
            return self._hidden_inside(value)
        if isinstance(value, str):
            return self._text(value, buyers=buyers)
        return self._number(value, buyers=buyers)

    def _name(self, name: str) -> str:
        """A key may be an id or an e-mail address itself."""
        return self.fake(name) if _KEY.search(name) else name

    def _hidden_inside(self, value: Any) -> Any:
        """What stays is still no place for an e-mail address."""
        return _MAIL.sub("somebody@example.com", value) if isinstance(value, str) else value

    def _text(self, value: str, *, buyers: bool) -> str:
        if not buyers and (_AMOUNT.fullmatch(value) or _WORD.fullmatch(value)):
            return value
        if _TIME.fullmatch(value):
            return "2026-01-02" + value[10:] if not buyers else "2026-01-02" + _zeroed(value[10:])
        if _MAIL.fullmatch(value):
            return f"{self.fake(value.partition('@')[0])}@example.com"
        return self.fake(value)

    def _number(self, value: int | Decimal, *, buyers: bool) -> Any:
        if not buyers and (-_SMALL <= value <= _SMALL or isinstance(value, Decimal)):
            return value
        faked = self.fake(format(value, "f") if isinstance(value, Decimal) else str(value))
        return Decimal(faked) if isinstance(value, Decimal) else int(faked)

    def fake(self, text: str) -> str:
        """Letters for letters, digits for digits, signs as they are: the shape stays."""
        if text not in self.fakes:
            made = text
            for salt in range(4):  # a fake that is the original by chance is none
                stream = _Stream(self.key, f"{salt}:{text}")
                made = "".join(_sign(sign, stream, first=at == 0) for at, sign in enumerate(text))
                if made != text:
                    break
            self.fakes[text] = made
        return self.fakes[text]


def _is_country(name: str, value: Any) -> bool:
    """A country is no buyer, and a mapping may refuse one that does not exist."""
    if "country" not in name.lower() or not isinstance(value, str):
        return False
    return len(value) <= 3 or is_country(value)


class _Stream:
    """Bytes that depend on the key and the text and on nothing else."""

    def __init__(self, key: bytes, text: str) -> None:
        self._key, self._text, self._count, self._left = (
            key,
            text.encode("utf-8", "replace"),
            0,
            b"",
        )

    def next(self) -> int:
        if not self._left:
            block = self._count.to_bytes(4, "big") + self._text
            self._left = hmac.new(self._key, block, hashlib.sha256).digest()
            self._count += 1
        byte, self._left = self._left[0], self._left[1:]
        return byte


def _sign(sign: str, stream: _Stream, *, first: bool) -> str:
    if sign.isdigit():
        return str(1 + stream.next() % 9) if first else str(stream.next() % 10)
    if not sign.isalpha():
        return sign
    letters = _VOWELS if sign.lower() in _VOWELS else _OTHERS
    made = letters[stream.next() % len(letters)]
    return made.upper() if sign.isupper() else made


def _zeroed(text: str) -> str:
    return re.sub(r"\d", "0", text)


def scrub(documents: Sequence[Any], plan: Plan | None, *, key: bytes) -> list[Any]:
    """The same documents of nobody. `plan`: the mapping that reads them, where there is one.

    `key` decides the fakes; a random one that is thrown away makes them impossible to undo.
    """
    scrubber = _Scrubber(key, _kept(plan), _countries(plan))
    faked = [scrubber.value(document, (), buyers=False) for document in documents]
    hidden = sorted((word for word in _buyers_words(documents) if len(word) > 2), key=len)
    return [_without(each, hidden[::-1], scrubber) for each in faked]


def _kept(plan: Plan | None) -> frozenset[Place]:
    if plan is None:
        return frozenset()
    return frozenset(
        place
        for place, ours in reads_of(plan).items()
        if any((our.rpartition(".")[2] or "skip_when") in _KEPT for our in ours)
        and not any(is_buyers(our) for our in ours)
    )


def _countries(plan: Plan | None) -> frozenset[Place]:
    """Where a mapping reads a country, whatever they call it: `recipient_address.region_code`."""
    places = reads_of(plan).items() if plan is not None else ()
    return frozenset(
        place for place, ours in places if any(our.endswith(".country") for our in ours)
    )


def _buyers_words(documents: Sequence[Any]) -> set[str]:
    """Every text under a buyer's name, and its words: they may stand in a title too."""
    found: set[str] = set()
    waiting: list[tuple[Any, bool]] = [(document, False) for document in documents]
    while waiting:
        here, buyers = waiting.pop()
        if type(here) is dict:
            waiting += [
                (value, buyers or bool(_BUYERS.search(name)))
                for name, value in here.items()
                if not _is_country(name, value)
            ]
        elif type(here) is list:
            waiting += [(each, buyers) for each in here]
        elif buyers and isinstance(here, str):
            found |= {here, *(word for word in here.split() if not word.isupper() or len(word) > 3)}
    return found


def _without(value: Any, hidden: Sequence[str], scrubber: _Scrubber) -> Any:
    """A buyer's words replaced wherever they were left standing."""
    if type(value) is dict:
        return {name: _without(each, hidden, scrubber) for name, each in value.items()}
    if type(value) is list:
        return [_without(each, hidden, scrubber) for each in value]
    if isinstance(value, str):
        for word in hidden:
            if word in value and not _AMOUNT.fullmatch(value):
                value = value.replace(word, scrubber.fake(word))
    return value


def as_file(document: Any) -> bytes:
    """Indented, one value a line, exact numbers."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        return orjson.dumps(document, default=_exact, option=option)
    except orjson.JSONEncodeError:  # a whole number beyond 64 bits
        return dump_json(document) + b"\n"


def _exact(value: object) -> orjson.Fragment:
    assert isinstance(value, Decimal)
    return orjson.Fragment(format(value, "f"))
