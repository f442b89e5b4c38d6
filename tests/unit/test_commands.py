"""Keys of commands say what they are about, and a stranger's word says nothing."""

from __future__ import annotations

import pytest

from core.commands import key_of, order_meant


@pytest.mark.parametrize("order", ["P000001", "gid://shopify/Order/1001", "a:b::c", "#7 x"])
def test_a_key_is_read_back_as_it_was_made(order: str) -> None:
    assert order_meant(key_of("web-shop", order, "fulfill_order", "2")) == ("web-shop", order)


@pytest.mark.parametrize(
    "word", ["", "W17", "truecount", "truecount:shop:P1", "truecount:shop:P1:picked:1", "x:s:o:k:1"]
)
def test_another_word_means_no_order(word: str) -> None:
    assert order_meant(word) is None
