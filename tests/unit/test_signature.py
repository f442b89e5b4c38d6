"""A push is genuine or it is not (T1, T3)."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Forged, InvariantBroken
from core.signature import verify, why_not_secrets

BODY = b'{"id": 1001,  "note": "caf\xc3\xa9"}'
NAME = "X-Shopify-Hmac-Sha256"
BASE64, HEX = "hmac_sha256_base64", "hmac_sha256_hex"


def signed(body=BODY, secret="current", scheme=BASE64):
    digest = hmac.new(secret.encode(), body, hashlib.sha256)
    if scheme == HEX:
        return digest.hexdigest().encode()
    return base64.b64encode(digest.digest())


def headers(value, name=b"x-shopify-hmac-sha256"):
    return [(b"host", b"x"), (name, value)]


def reason(*args, **kwargs):
    with pytest.raises(Forged) as caught:
        verify(*args, **kwargs)
    return caught.value.reason


@pytest.mark.parametrize("scheme", [BASE64, HEX])
def test_the_right_signature_is_accepted(scheme):
    assert verify(scheme, BODY, headers(signed(scheme=scheme)), ["current"], NAME) == 0


def test_a_hex_signature_may_be_in_capitals():
    assert verify(HEX, BODY, headers(signed(scheme=HEX).upper()), ["current"], NAME) == 0


def test_while_rotating_both_secrets_are_accepted_and_use_of_the_old_is_told():
    both = ["new", "old"]
    assert verify(BASE64, BODY, headers(signed(secret="new")), both, NAME) == 0
    assert verify(BASE64, BODY, headers(signed(secret="old")), both, NAME) == 1


def test_a_shared_header_is_compared_whole():
    assert verify("shared_header", BODY, headers(b"current"), ["current"], NAME) == 0
    assert reason("shared_header", BODY, headers(b"curren"), ["current"], NAME) == "wrong_signature"


@pytest.mark.parametrize(
    ("given_headers", "expected"),
    [
        ([], "no_signature"),
        (headers(signed(secret="wrong")), "wrong_signature"),
        (headers(b""), "wrong_signature"),
        (headers("é".encode()), "wrong_signature"),
        (headers(b"\xe9\x00\xff"), "wrong_signature"),
        (headers(signed(scheme=HEX)), "wrong_signature"),  # hex for base64
        (headers(signed()) + headers(signed()), "two_signatures"),
        (headers(signed()) + headers(signed(), b"X-SHOPIFY-HMAC-SHA256"), "two_signatures"),
    ],
)
def test_a_forged_push_is_refused_with_a_reason(given_headers, expected):
    assert reason(BASE64, BODY, given_headers, ["current"], NAME) == expected


def test_the_signature_is_over_the_raw_bytes_not_over_what_they_mean():
    again = json.dumps(json.loads(BODY)).encode()
    assert reason(BASE64, BODY, headers(signed(again)), ["current"], NAME) == "wrong_signature"


@pytest.mark.parametrize("secrets", [[], [""], ["  "], ["current", ""]])
def test_an_empty_secret_verifies_nothing(secrets):
    assert why_not_secrets(secrets)
    for secret in ("", "current"):
        given_headers = headers(signed(secret=secret))
        assert reason(BASE64, BODY, given_headers, secrets, NAME) == "no_secret"


def test_a_good_secret_is_accepted_at_start():
    assert why_not_secrets(["current", "old"]) is None


def test_an_unsigned_push_proves_nothing_and_passes():
    assert verify("unsigned", BODY, [], [], "") == 0


def test_an_unknown_scheme_is_our_own_bug():
    with pytest.raises(InvariantBroken):
        verify("md5", BODY, headers(b"x"), ["current"], NAME)


@given(st.binary(max_size=80), st.binary(max_size=80), st.text(min_size=1, max_size=20))
def test_no_bytes_of_a_stranger_crash_it(body, value, secret):
    for scheme in (BASE64, HEX, "shared_header"):
        try:
            assert verify(scheme, body, headers(value), [secret], NAME) == 0
        except Forged:
            continue
        assert scheme == "shared_header"


def test_what_a_sender_signs_before_the_body_is_part_of_it():
    url = b"https://ours.example/hooks/shop|"
    given_headers = headers(signed(url + BODY, scheme=HEX))
    assert verify(HEX, BODY, given_headers, ["current"], NAME, prefix=url) == 0
    assert reason(HEX, BODY, given_headers, ["current"], NAME) == "wrong_signature"
    other = b"https://theirs.example/hooks/shop|"
    assert reason(HEX, BODY, given_headers, ["current"], NAME, prefix=other) == "wrong_signature"
