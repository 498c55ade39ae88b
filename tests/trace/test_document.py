"""Traces that are none, or damaged: one clear error, whatever they hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockersim.errors import ContentError
from dockersim.trace import SCHEMA, read

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 3}', '{"schema": "dockersim.trace/v0"}', b"\xff"])
def test_what_is_no_trace_is_refused(text: str | bytes) -> None:
    with pytest.raises(ContentError, match="not a dockersim trace"):
        read(text)


@given(st.dictionaries(st.sampled_from(["steps", "recording", "options", "dockerfile"]), _json))
def test_a_damaged_trace_is_refused_in_words(fields: dict[str, object]) -> None:
    with pytest.raises(ContentError):
        read(json.dumps({"schema": SCHEMA, **fields}))
