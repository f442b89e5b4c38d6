"""What is kept sealed, and what is blotted out before anybody reads it (T13, T15).

`Seal` is AES-256-GCM: a sealed value opens only with its key and only where it
was put (`aad` names the place). A per-order data key makes erasing exact: delete
the wrapped key, and what it sealed is noise, in backups too.

`scrub` blots every secret `hide` was told of, e-mail addresses and telephone
numbers out of a text that goes into an error or a log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import os
import re
import secrets
from collections import OrderedDict
from pathlib import Path
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import TruecountError

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEAD_BYTES = 1 + _ID_BYTES + _NONCE_BYTES
_DATA_KEY_PLACE = b"truecount:data-key:"

BLOT = "***"
#: A secret shorter than this would blot out ordinary words.
SECRET_CHARS_MIN = 4
#: Refreshed tokens pile up over months; the oldest are long dead.
HIDDEN_MAX = 4096


class Unreadable(TruecountError):
    """Sealed bytes that do not open: the wrong key, the wrong place, or damage."""


class Seal:
    """Seals with `key`; opens with it or any of `old`, so that a key can be changed.

    Nonces are random, which is safe for 2^32 values under one key: at a million
    values a day, change the key within ten years.
    """

    __slots__ = ("_ciphers", "_key_id")

    def __init__(self, key: bytes, *old: bytes) -> None:
        self._ciphers = {key_id(one): AESGCM(_checked(one)) for one in (*old, key)}
        self._key_id = key_id(key)

    @property
    def key_id(self) -> str:
        """Of the key that seals."""
        return self._key_id.hex()

    def knows(self, key_id: str) -> bool:
        """Whether what that key sealed opens here."""
        return bytes.fromhex(key_id) in self._ciphers

    def seal(self, data: bytes, aad: bytes) -> bytes:
        head = _VERSION + self._key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._key_id].encrypt(nonce, data, head + aad)
        return head + nonce + sealed

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        if len(sealed) < _HEAD_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise Unreadable("these bytes were not sealed by this version of Truecount")
        head, nonce = sealed[: 1 + _ID_BYTES], sealed[1 + _ID_BYTES : _HEAD_BYTES]
        cipher = self._ciphers.get(head[1:])
        if cipher is None:
            raise Unreadable(
                f"sealed with key {head[1:].hex()}, and that key is not here:"
                " add the old seal key, or restore the key that belongs to this database"
            )
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES:], head + aad)
        except InvalidTag:
            pass  # raised below, so that the cipher's error is not dragged along
        raise Unreadable(
            f"sealed with key {head[1:].hex()}, but damaged or moved from another place"
        )

    def is_old(self, sealed: bytes) -> bool:
        """Sealed with a key that only opens: worth sealing again."""
        return sealed[1 : 1 + _ID_BYTES] != self._key_id

    def new_data_key(self, aad: bytes = b"") -> tuple[bytes, bytes]:
        """A fresh key for one order, plain and wrapped. Keep only the wrapped one."""
        plain = new_key()
        return plain, self.seal(plain, _DATA_KEY_PLACE + aad)

    def open_data_key(self, wrapped: bytes, aad: bytes = b"") -> Seal:
        """The seal of one order. Without `wrapped` nothing of it can be read again (T15)."""
        return Seal(self.open(wrapped, _DATA_KEY_PLACE + aad))


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def key_id(key: bytes) -> bytes:
    """Tells keys apart without telling anything of them."""
    return hashlib.sha256(b"truecount:key-id:" + key).digest()[:_ID_BYTES]


def key_from_text(text: str) -> bytes:
    """The key in base64, as `openssl rand -base64 32` prints it. Raises ValueError."""
    try:
        return _checked(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError):
        pass  # raised below: the error would quote the key
    raise ValueError(
        f"the seal key is not {KEY_BYTES} bytes in base64; `openssl rand -base64 32` makes one"
    )


def generate_key_file(path: Path) -> None:
    """Write a new key that only we can read (T14). Never over an existing one."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask
        file.write(base64.b64encode(new_key()) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a seal key has {KEY_BYTES} bytes, not {len(key)}")
    return key


# What `scrub` blots out. One list for the process: a secret is secret everywhere.
_hidden: OrderedDict[str, None] = OrderedDict()

_EMAIL = re.compile(r"[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# Digits as people write telephone numbers. Not after a letter, a slash or a #: those are ids.
_NUMBER = re.compile(r"(?<![\w/#=.-])\+?\(?\d[\d ().-]{6,24}\d(?![\w-])")
_NUMBER_LEAST = 8  # characters of the shortest one
_DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d)?")


def hide(*values: str) -> None:
    """From now on these values are blotted out, also percent-encoded and in base64."""
    for value in values:
        if len(value) < SECRET_CHARS_MIN:
            continue
        encoded = base64.b64encode(value.encode()).decode()
        for form in (value, quote(value, safe=""), encoded, encoded.rstrip("=")):
            _hidden[form] = None
            _hidden.move_to_end(form)
    while len(_hidden) > HIDDEN_MAX:
        _hidden.popitem(last=False)


def without_secrets(text: str) -> str:
    """The text without known secrets; what a buyer wrote stays, so keep it sealed."""
    for secret in sorted((one for one in _hidden if one in text), key=len, reverse=True):
        text = text.replace(secret, BLOT)
    return text


def scrub(text: str) -> str:
    """The text without known secrets, e-mail addresses and telephone numbers (T13)."""
    text = without_secrets(text)
    if "@" in text:
        text = _EMAIL.sub(BLOT, text)
    return _NUMBER.sub(_blot_number, text) if len(text) >= _NUMBER_LEAST else text


def _blot_number(match: re.Match[str]) -> str:
    """E.164 has 8 to 15 digits; a date and an IPv4 address are not a telephone."""
    text = match.group()
    if not 8 <= sum(letter.isdigit() for letter in text) <= 15 or _DATE.fullmatch(text):
        return text
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return BLOT
    return text
