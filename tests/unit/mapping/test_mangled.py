"""Mapping files mangled at random: refused with lines, or loaded, never anything else."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MappingError
from tests.unit.mapping.mapped import ORDER, SEND, load


def test_the_unbroken_files_load():
    assert load(ORDER).direction == "incoming"
    assert load(SEND).direction == "outgoing"


SNIPPETS = st.sampled_from(
    "|;=;[;];{;};';\";`;&;*;@;#;:;\n;  ;- ;choose;default;money;time;each;skip_when: ; is ;lines.;"
    "otherwise: ".split(";")
)


@settings(max_examples=int(os.environ.get("TRUECOUNT_EXAMPLES") or 300), deadline=None)
@given(
    st.sampled_from([ORDER, SEND]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 12), SNIPPETS | st.text(max_size=4))),
)
def test_a_mangled_file_is_refused_with_lines_or_loads(text, edits):
    for at, cut, snippet in edits:
        text = text[:at] + snippet + text[at + cut :]
    try:
        load(text.encode(errors="replace").decode(), "shop.order")
    except MappingError as refused:
        assert refused.problems  # noqa: PT017
