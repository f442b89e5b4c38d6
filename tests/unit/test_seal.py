"""Sealing, erasing by key, and blotting out (T13, T14, T15)."""

import base64
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.seal import (
    BLOT,
    Seal,
    Unreadable,
    generate_key_file,
    hide,
    key_from_text,
    new_key,
    scrub,
)


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_was_sealed_opens_where_it_was_put(data, place):
    seal = Seal(new_key())
    assert seal.open(seal.seal(data, place), place) == data


def test_sealed_bytes_do_not_hold_the_data_and_differ_each_time():
    seal = Seal(new_key())
    one, two = seal.seal(b"Jane Canary", b"x"), seal.seal(b"Jane Canary", b"x")
    assert b"Canary" not in one
    assert one != two


def test_a_wrong_key_says_which_key_is_missing():
    sealed = Seal(new_key()).seal(b"buyer", b"orders:1")
    with pytest.raises(Unreadable, match=f"key {sealed[1:5].hex()}.*restore the key"):
        Seal(new_key()).open(sealed, b"orders:1")


def test_sealed_bytes_moved_to_another_row_do_not_open():
    seal = Seal(new_key())
    with pytest.raises(Unreadable, match="moved from another place"):
        seal.open(seal.seal(b"buyer", b"orders:1"), b"orders:2")


@pytest.mark.parametrize("index", [0, 1, 5, 17, 40, -1])
def test_every_changed_byte_is_noticed(index):
    seal = Seal(new_key())
    sealed = bytearray(seal.seal(b"a buyer's name and address", b"x"))
    sealed[index] ^= 1
    with pytest.raises(Unreadable):
        seal.open(bytes(sealed), b"x")


@pytest.mark.parametrize(
    "junk", [b"", b"\x01", b"\x02" + b"0" * 60, b"plain text of an old row" * 3]
)
def test_bytes_of_another_origin_are_refused(junk):
    with pytest.raises(Unreadable):
        Seal(new_key()).open(junk, b"x")


def test_an_old_key_opens_but_no_longer_seals():
    old, new = new_key(), new_key()
    before = Seal(old).seal(b"buyer", b"x")
    rotated = Seal(new, old)
    assert rotated.open(before, b"x") == b"buyer"
    assert rotated.is_old(before)
    after = rotated.seal(b"buyer", b"x")
    assert not rotated.is_old(after)
    assert Seal(new).open(after, b"x") == b"buyer"
    with pytest.raises(Unreadable):
        Seal(old).open(after, b"x")


def test_erasing_the_wrapped_key_erases_the_order():
    seal = Seal(new_key())
    plain, wrapped = seal.new_data_key(b"order:1")
    sealed = Seal(plain).seal(b"Jane Canary", b"order:1")
    assert seal.open_data_key(wrapped, b"order:1").open(sealed, b"order:1") == b"Jane Canary"
    assert plain not in wrapped
    with pytest.raises(Unreadable):
        seal.open_data_key(wrapped, b"order:2")
    with pytest.raises(Unreadable):
        seal.open(sealed, b"order:1")  # the master key alone is not enough


def test_the_key_file_is_ours_alone_and_never_overwritten(tmp_path):
    path = tmp_path / "seal.key"
    before = os.umask(0)
    try:
        generate_key_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key_from_text(path.read_text())) == 32
    with pytest.raises(FileExistsError):
        generate_key_file(path)


@pytest.mark.parametrize(
    "text", ["", "canary-not-base64!", base64.b64encode(b"short").decode(), "é"]
)
def test_a_bad_key_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match="32 bytes in base64") as caught:
        key_from_text(text)
    assert caught.value.__cause__ is None
    if text:
        assert text not in str(caught.value)


def test_a_key_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes, not 5"):
        Seal(b"short")


def test_a_hidden_secret_is_blotted_out_in_every_spelling():
    hide("canary/secret+1")
    for spelling in ("canary/secret+1", "canary%2Fsecret%2B1", "Y2FuYXJ5L3NlY3JldCsx"):
        assert scrub(f"token={spelling}&x=1") == f"token={BLOT}&x=1"


def test_the_longest_secret_goes_first_so_that_no_tail_remains():
    hide("canary-a", "canary-a-longer")
    assert scrub("canary-a-longer") == BLOT


def test_a_very_short_secret_does_not_eat_the_text():
    hide("", "a", "abc")
    assert scrub("abc a") == "abc a"


@pytest.mark.parametrize(
    "text",
    ["jane.canary+x@mail.example.co.uk", "+91 98765 43210", "(212) 555-0187", "00442071838750"],
)
def test_buyers_are_blotted_out(text):
    assert text not in scrub(f"Invalid contact {text} given")
    assert not any(part in scrub(text) for part in ("canary", "43210", "0187", "8750"))


@pytest.mark.parametrize(
    "text",
    [
        "quantity must be between 1 and 99999",
        "order 114-1234567-1234567 is unknown",
        "gid://shopify/Order/5512345678901",
        "SKU-12345678 has no listing",
        "after 2026-11-25 only",
        "no answer from 192.168.100.200",
        "amount 1234.50",
    ],
)
def test_ids_dates_and_numbers_stay_readable(text):
    assert scrub(text) == text


@given(st.text(max_size=400))
def test_scrub_takes_any_text(text):
    assert isinstance(scrub(text), str)
