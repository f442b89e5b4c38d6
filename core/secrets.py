"""Secrets: where they may come from, and a type that does not show them (T13, T14).

A secret is `${NAME}` of the environment or the content of a `..._file` nobody
else can read. It is never written in config.yaml itself, and what it holds
appears in no repr, no log and no error message.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

#: A credential is short; a file longer than this is the wrong file.
SECRET_BYTES_MAX = 64 * 1024
_FROM_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class SecretRefused(ValueError):
    """Why there is no secret, and what to do; never what was found instead of one."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class Secret:
    """A value that prints as `***`. Say `.reveal()` where the other system must see it.

    Not a dataclass on purpose: `asdict` would unfold it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        # Bytes, because compare_digest raises on a text with letters like é (T1).
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def from_environment(text: str, env: Mapping[str, str]) -> Secret:
    """The secret that `${NAME}` stands for. Anything else is a secret in the open (T14)."""
    match = _FROM_ENVIRONMENT.fullmatch(text)
    if match is None:
        raise SecretRefused(
            "a secret does not stand in this file",
            "Write ${NAME} and set NAME in the environment, or use the same option with _file"
            " and a path.",
        )
    name = match.group(1)
    if name not in env:
        raise SecretRefused(
            f"the environment has no {name}",
            f"Set {name}, or use the same option with _file and a path.",
        )
    return _secret(env[name], f"the environment variable {name}")


def from_file(path: Path) -> Secret:
    """The secret in a file that only its owner may read; a last newline is not part of it."""
    try:
        with path.open("rb") as file:
            # The open file is asked, not the path: nobody can swap it in between.
            _check(path, os.fstat(file.fileno()).st_mode)
            content = file.read(SECRET_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, SecretRefused):
            raise
        words = error.strerror if isinstance(error, OSError) else "the path is not one"
        raise SecretRefused(
            f"the secret file {path} cannot be read: {words}",
            "Create it, and let the user of the daemon own it.",
        ) from None
    if len(content) > SECRET_BYTES_MAX:
        raise SecretRefused(
            f"the secret file {path} is larger than {SECRET_BYTES_MAX // 1024} KiB",
            "A secret is a short text; is this the right file?",
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretRefused(
            f"the secret file {path} is not text", "Store the secret as plain UTF-8 text."
        ) from None
    return _secret(text.removesuffix("\n").removesuffix("\r"), f"the secret file {path}")


def _check(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise SecretRefused(f"the secret file {path} is not a file", "Give the path of a file.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretRefused(
            f"the secret file {path} can be used by others (mode {stat.S_IMODE(mode):o})",
            f"chmod 600 {path}",
        )


def _secret(value: str, origin: str) -> Secret:
    if not value.strip():
        raise SecretRefused(f"{origin} is empty", "An empty secret protects nothing.")
    if value != value.strip() or any(ord(letter) < 32 for letter in value):
        # A pasted space or line break is the usual reason why "the token does not work",
        # and a line break would end the header it is sent in.
        raise SecretRefused(
            f"{origin} has a space or a line break around or inside it",
            "Store the bare secret, in one line.",
        )
    return Secret(value)
