"""References: the recorded cases of distribution/reference, and docker's rules for short names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dockersim.digest import Digest
from dockersim.errors import InvalidReference
from dockersim.oci.reference import Reference, parse_any, parse_reference, parse_strict
from tests.recorded import cases, kinds

FILE = "image-references.json"


def refusal(call: Any) -> str:
    with pytest.raises(InvalidReference) as caught:
        call()
    return caught.value.message


@cases(FILE, "parse", "normalize", "any", "docker_ref", having="observed")
def test_agrees_with_what_the_go_library_was_seen_to_do(case: dict[str, Any]) -> None:
    text, seen = case["input"], case["observed"]
    if seen.get("parse_error"):
        assert refusal(lambda: parse_strict(text)) == seen["parse_error"]
    elif "parse" in seen:
        parts = parse_strict(text)
        wanted = seen["parse"]
        # A text that is a digest alone ("sha256:<hex>") has no other parts.
        assert (parts.domain, parts.path, parts.tag, parts.digest) == (
            wanted["domain"], wanted["path"], wanted.get("tag", ""), wanted.get("digest", ""),
        )  # fmt: skip
    if seen.get("normalized_error"):
        assert refusal(lambda: parse_reference(text)) == seen["normalized_error"]
        return
    bare = parse_reference(text, default_tag="")
    assert bare.canonical() == seen["normalized"]["string"]
    assert (bare.registry, bare.repository) == (seen["normalized"]["domain"], seen["normalized"]["path"])
    assert (bare.familiar(), bare.familiar_name) == (seen["familiar"], seen["familiar_name"])
    assert bare.with_default_tag().canonical() == seen["tag_name_only"]
    assert bare.resolvable().canonical() == seen["docker_ref"]


@cases(FILE, "any", "normalize", "parse", having="any")
def test_a_name_or_an_id(case: dict[str, Any]) -> None:
    found = parse_any(case["input"])
    assert (found.canonical() if isinstance(found, Reference) else found) == case["observed"]["any"]


@cases(FILE, "parse")
def test_strict_parse(case: dict[str, Any]) -> None:
    if "sha512" in case["input"]:
        # Upstream's test binary does not link sha512 and refuses it; the real programs accept it.
        assert parse_strict(case["input"]).digest == case["input"].partition("@")[2]
    elif "expected_error" in case:
        assert refusal(lambda: parse_strict(case["input"])) == case["expected_error_text"]
    else:
        parts = parse_strict(case["input"])
        name = f"{parts.domain}/{parts.path}" if parts.domain else parts.path
        found = {"name": name, "domain": parts.domain, "tag": parts.tag, "digest": parts.digest}
        assert found == case["expected"]


@cases(FILE, "normalize")
def test_normalise(case: dict[str, Any]) -> None:
    wanted = case["expected"]
    if wanted == "invalid":
        assert refusal(lambda: parse_reference(case["input"]))
        return
    reference = parse_reference(case["input"], default_tag="")
    if wanted != "valid":
        answers = {
            "familiar": reference.familiar(),
            "full": reference.name,
            "domain": reference.registry,
            "path": reference.repository,
        }
        assert answers | wanted == answers


@cases(FILE, "docker_ref")
def test_docker_reference(case: dict[str, Any]) -> None:
    assert parse_reference(case["input"]).resolvable().canonical() == case["expected"]


@cases(FILE, "parse_named")
def test_is_the_text_canonical_already(case: dict[str, Any]) -> None:
    is_canonical = parse_reference(case["input"], default_tag="").canonical() == case["input"]
    assert is_canonical == (case["expected_error"] is None)


@cases(FILE, "domain_path")
def test_domain_and_path(case: dict[str, Any]) -> None:
    parts = parse_strict(case["input"])
    assert {"domain": parts.domain, "path": parts.path} == case["expected"]


@cases(FILE, "name_only")
def test_not_a_bare_name(case: dict[str, Any]) -> None:
    try:
        parts = parse_strict(case["input"])
    except InvalidReference:
        return
    assert parts.tag or parts.digest


@cases(FILE, "combine")
def test_combine(case: dict[str, Any]) -> None:
    named = parse_reference(case["name_"], default_tag="")
    combined = replace(named, tag=case["tag"], digest=case["digest"] or "")
    assert combined.canonical() == case["expected"]


@cases(FILE, "familiar_match")
def test_pattern(case: dict[str, Any]) -> None:
    reference = parse_reference(case["reference"], default_tag="")
    assert reference.matches(case["pattern"]) is case["expected"]


def matches(text: str) -> bool:
    try:
        parse_strict(text)
    except InvalidReference:
        return False
    return True


@cases(FILE, "domain_regexp")
def test_domain(case: dict[str, Any]) -> None:
    text = f"{case['input']}/name"
    assert (matches(text) and parse_strict(text).domain == case["input"]) is case["expected_match"]


@cases(FILE, "name_regexp")
def test_name(case: dict[str, Any]) -> None:
    parts = parse_strict(case["input"]) if matches(case["input"]) else None
    assert (parts is not None and not parts.tag) is case["expected_match"]
    if parts and case["expected_subs"]:
        assert [parts.domain, parts.path] == case["expected_subs"]


@cases(FILE, "reference_regexp")
def test_reference(case: dict[str, Any]) -> None:
    assert matches(case["input"]) is case["expected_match"]
    if case["expected_match"]:
        parts = parse_strict(case["input"])
        name = f"{parts.domain}/{parts.path}" if parts.domain else parts.path
        assert [name, parts.tag, parts.digest] == case["expected_subs"]


@cases(FILE, "identifier_regexp")
def test_identifier(case: dict[str, Any]) -> None:
    try:
        is_id = not isinstance(parse_any(case["input"]), Reference)
    except InvalidReference:
        is_id = False
    assert is_id is case["expected_match"]


def test_every_kind_of_case_is_run() -> None:
    assert kinds(FILE) <= {
        "parse", "normalize", "any", "docker_ref", "parse_named", "domain_path", "name_only", "combine",
        "familiar_match", "domain_regexp", "name_regexp", "reference_regexp", "identifier_regexp",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "repository name must have at least one component"),
        ("Ubuntu", "invalid reference format: repository name (library/Ubuntu) must be lowercase"),
        ("my app", "invalid reference format"),
        ("app:la/test", "invalid reference format"),
        ("app\n", "invalid reference format"),
        ("app:" + "t" * 129, "invalid reference format"),
        ("app@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("app@sha256:" + "a" * 40, "invalid checksum digest length"),
        ("../../etc/passwd", "invalid reference format"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_refuses_in_dockers_words(text: str, because: str) -> None:
    if text == "":
        assert refusal(lambda: parse_strict(text)) == because
    assert refusal(lambda: parse_reference(text)) in (because, "invalid reference format")


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [("ubu*", True), ("ubuntu:22.*", True), ("ubunt?", True), ("[^a]buntu", True), ("[t-v]buntu", True),
     ("*", True), ("debian", False), ("ubu", False), ("u\\buntu", True)],
)  # fmt: skip
def test_patterns(pattern: str, fits: bool) -> None:
    assert parse_reference("ubuntu:22.04").matches(pattern) is fits


@pytest.mark.parametrize("pattern", ["[", "a\\", "[z-a]"])
def test_patterns_that_are_none(pattern: str) -> None:
    assert refusal(lambda: parse_reference("ubuntu").matches(pattern))


COMPONENT = st.from_regex(r"[a-z0-9]{1,9}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,9})?", fullmatch=True)


@given(
    registry=st.sampled_from(["docker.io", "localhost", "localhost:5000", "ghcr.io", "[::1]:80"]),
    path=st.lists(COMPONENT, min_size=1, max_size=4).map("/".join),
    tag=st.sampled_from(["", "latest", "v1.0-rc_2"]),
    digest=st.sampled_from(["", Digest("sha256:" + "ab" * 32)]),
)
def test_canonical_and_mostly_familiar_read_back(registry: str, path: str, tag: str, digest: str) -> None:
    suffix = (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    reference = parse_reference(f"{registry}/{path}{suffix}")
    assert parse_reference(reference.canonical()) == reference
    first, slash, _ = path.partition("/")
    # The familiar form of docker.io/a.b/c is a.b/c, which names a registry a.b: so in docker, and so here.
    if not (registry == "docker.io" and slash and ("." in first or first == "localhost")):
        assert parse_reference(reference.familiar()) == reference


def test_a_first_part_that_looks_like_a_registry_and_cannot_be_one_is_part_of_the_name() -> None:
    reference = parse_reference("my_host.example/app")
    assert (reference.registry, reference.canonical()) == ("", "my_host.example/app:latest")
