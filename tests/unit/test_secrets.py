"""T13, T14: a secret comes from a safe place and is never shown."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from pathlib import Path

import pytest

from core.secrets import Secret, SecretRefused, from_environment, from_file


@dataclasses.dataclass
class Holder:
    secret: Secret


def test_t13_no_way_of_printing_shows_it() -> None:
    secret = Secret("canary-1234")
    shown = [
        str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{secret:>20}",
        repr([secret]), repr(Holder(secret)), repr(dataclasses.asdict(Holder(secret))),
        repr(copy.deepcopy({"a": secret})),
    ]  # fmt: skip
    assert not [text for text in shown if "canary" in text]
    assert secret.reveal() == "canary-1234"
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(secret)


def test_secrets_are_compared_by_what_they_hold() -> None:
    assert Secret("é") == Secret("é")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_the_environment_gives_it() -> None:
    assert from_environment("${TOKEN}", {"TOKEN": "abc"}).reveal() == "abc"


ENVIRONMENT_REFUSED = {
    "in the open": ("shpat_1234", "a secret does not stand in this file"),
    "half of it": ("Bearer ${TOKEN}", "a secret does not stand in this file"),
    "no braces": ("$TOKEN", "a secret does not stand in this file"),
    "missing": ("${NOWHERE}", "the environment has no NOWHERE"),
    "empty": ("${EMPTY}", "the environment variable EMPTY is empty"),
    "blank": ("${BLANK}", "the environment variable BLANK is empty"),
    "pasted": (
        "${PASTED}",
        "the environment variable PASTED has a space or a line break around or inside it",
    ),
}


@pytest.mark.parametrize("case", ENVIRONMENT_REFUSED)
def test_t14_what_is_no_secret_is_refused_and_not_repeated(case: str) -> None:
    text, what = ENVIRONMENT_REFUSED[case]
    env = {"TOKEN": "abc", "EMPTY": "", "BLANK": "  ", "PASTED": "abc\n"}
    with pytest.raises(SecretRefused) as caught:
        from_environment(text, env)
    assert caught.value.what == what
    assert "shpat" not in f"{caught.value}{caught.value.fix}"


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_file_gives_it_without_its_last_newline(tmp_path: Path) -> None:
    assert from_file(secret_file(tmp_path, b"abc\n")).reveal() == "abc"
    assert from_file(secret_file(tmp_path, b"abc\r\n")).reveal() == "abc"
    assert from_file(secret_file(tmp_path, b"abc", 0o400)).reveal() == "abc"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_t14_a_file_others_can_use_is_refused(mode: int, tmp_path: Path) -> None:
    path = secret_file(tmp_path, b"abc", mode)
    with pytest.raises(SecretRefused) as caught:
        from_file(path)
    assert caught.value.what == f"the secret file {path} can be used by others (mode {mode:o})"
    assert caught.value.fix == f"chmod 600 {path}"


FILES_REFUSED = {
    "empty": (b"\n", "is empty"),
    "not text": (b"\xff\xfe", "is not text"),
    "too long": (b"a" * 70_000, "is larger than 64 KiB"),
    "two lines": (b"a\nb\n", "has a space or a line break around or inside it"),
}


@pytest.mark.parametrize("case", FILES_REFUSED)
def test_a_file_that_holds_no_secret_is_refused(case: str, tmp_path: Path) -> None:
    content, what = FILES_REFUSED[case]
    path = secret_file(tmp_path, content)
    with pytest.raises(SecretRefused) as caught:
        from_file(path)
    assert caught.value.what == f"the secret file {path} {what}"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, what in [
        (tmp_path / "nowhere", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / ("n" * 300), "cannot be read: File name too long"),
        (Path("/dev/null"), "is not a file"),
    ]:
        with pytest.raises(SecretRefused) as caught:
            from_file(path)
        assert caught.value.what == f"the secret file {path} {what}"
    with pytest.raises(SecretRefused, match="the path is not one"):
        from_file(Path("a\0b"))
