"""Laws of cache keys: equal fields if and only if equal digests, and differences that name every field."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dockersim.solver import CacheKey, Input, differences

_words = st.text(max_size=6)
_inputs = st.builds(
    Input, path=_words, kind=st.sampled_from(["file", "dir", "symlink"]), digest=_words,
    mode=st.integers(0, 0o7777), uid=st.integers(0, 9), gid=st.integers(0, 9), link=_words,
)  # fmt: skip
_pairs = st.lists(st.tuples(_words, _words), max_size=3, unique_by=lambda pair: pair[0]).map(tuple)
_keys = st.builds(
    CacheKey, parent=_words, instruction=_words, environment=_pairs, user=_words, directory=_words, options=_pairs,
    inputs=st.lists(_inputs, max_size=3, unique_by=lambda one: one.path).map(tuple),
)  # fmt: skip


@given(_keys, _keys)
def test_equal_keys_and_only_those_have_equal_digests(one: CacheKey, other: CacheKey) -> None:
    assert (one == other) == (one.digest == other.digest)


@given(_keys, _keys)
def test_there_are_differences_if_and_only_if_keys_differ(one: CacheKey, other: CacheKey) -> None:
    assert bool(differences(one, other)) == (one != other)
    assert all(difference.words() for difference in differences(one, other))


@given(_keys)
def test_a_key_survives_json(key: CacheKey) -> None:
    assert CacheKey.from_json(json.loads(json.dumps(key.to_json()))) == key


def test_the_order_of_the_environment_counts() -> None:
    key = CacheKey("", "RUN x", (("A", "1"), ("B", "2")))
    swapped = replace(key, environment=(("B", "2"), ("A", "1")))
    assert key.digest != swapped.digest
    assert [one.words() for one in differences(key, swapped)] == ["the same fields stand in another order"]
