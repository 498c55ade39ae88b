"""Traces that are none, or damaged: one clear error, whatever they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dockersim import replay
from dockersim.dockerfile import NO_RULES
from dockersim.engine.build import Build
from dockersim.errors import ContentError, RunFailed
from dockersim.trace import SCHEMA, build_document, read

from ..views.example import Command, Workshop


def engine_document(build: Build) -> dict[str, Any]:
    """Write a build as the engine does, without its changes."""
    return build_document(
        file=build.file,
        text=build.text,
        options=build.options,
        plan=build.plan,
        steps=[step.event for step in build.steps],
        finished=build.finished,
        error=build.error,
        recording=build.recording,
        diff_of=lambda _: None,
        findings=build.findings,
    )


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": 3}', '{"schema": "dockersim.trace/v0"}', b"\xff", "[Infinity]"]
)
def test_what_is_no_trace_is_refused(text: str | bytes) -> None:
    with pytest.raises(ContentError, match="not a dockersim trace"):
        read(text)


def test_findings_come_back_as_they_were_and_older_traces_have_none() -> None:
    build = Workshop().build("FROM ubuntu:latest AS a\nWORKDIR b\nCMD echo \\\n  hi\n")
    build.finish()
    document = engine_document(build)
    assert [(row["rule"], row["line"], row["last_line"]) for row in document["findings"]] == [
        ("WorkdirRelativePath", 2, 2),
        ("JSONArgsRecommended", 3, 4),
    ]
    assert read(json.dumps(document)).findings == build.findings
    del document["findings"]
    assert read(json.dumps(document)).findings is None


@pytest.mark.parametrize("rules", [3, [1], [[1]], [["one", "*"]], [[1, "!"]], [[1, "[a"]]], ids=str)
def test_damaged_ignore_rules_are_refused_in_words(rules: object) -> None:
    build = Workshop().build()
    build.finish()
    document = engine_document(build)
    assert read(json.dumps(document)).ignore == NO_RULES
    with pytest.raises(ContentError, match="damaged"):
        read(json.dumps({**document, "ignore": rules}))
    del document["ignore"]
    assert replay(document).ignore == NO_RULES


@pytest.mark.parametrize("findings", [3, [1], [{}], [{"rule": "A"}], {"a": 1}])
def test_damaged_findings_are_refused_in_words(findings: object) -> None:
    build = Workshop().build()
    build.finish()
    with pytest.raises(ContentError, match="damaged"):
        read(json.dumps({**engine_document(build), "findings": findings}))


def test_a_replay_shows_the_findings_of_its_time() -> None:
    build = Workshop().build("FROM ubuntu:latest\nCMD echo hi\n")
    build.finish()
    document = engine_document(build)
    document["findings"][0]["message"] = "as it was then"
    assert [finding.message for finding in replay(json.dumps(document)).findings] == ["as it was then"]
    del document["findings"]
    again = replay(json.dumps(document))
    assert again.findings == ()
    again.finish()
    assert [finding.rule for finding in again.findings] == ["JSONArgsRecommended"]


@pytest.mark.parametrize(
    "fields",
    [
        {"contexts": {"n": 5}},
        {"contexts": [["n", "v"]]},
        {"no_cache_filter": [5]},
        {"no_cache_filter": "made"},
        {"add_hosts": [["host", 5]]},
        {"add_hosts": [["host"]]},
        {"network": 5},
        {"network": "bridge"},
        {"build_platform": 5},
        {"build_args": {"A": None}},
        {"platform": None},
        {"epoch": "now"},
    ],
    ids=str,
)
def test_damaged_options_are_refused_in_words(fields: dict[str, object]) -> None:
    build = Workshop().build()
    build.finish()
    document = engine_document(build)
    with pytest.raises(ContentError, match=rf"a damaged dockersim trace: .* `\$\.{next(iter(fields))}"):
        replay(json.dumps({**document, "options": {**document["options"], **fields}}))


def test_options_that_older_traces_do_not_have_are_as_they_were_then() -> None:
    build = Workshop().build()
    build.finish()
    document = engine_document(build)
    for name in ("add_hosts", "no_cache_filter", "network", "contexts", "build_platform"):
        del document["options"][name]
    document["options"]["platform"] = "linux/arm64"
    options = read(json.dumps(document)).options
    assert options == replace(build.options, platform="linux/arm64", build_platform="linux/arm64")


def test_no_password_of_a_context_gets_into_a_trace() -> None:
    build = Workshop().build("FROM ubuntu:latest\n")
    build.finish()
    contexts = (("web", "http://me:SECRET@host/x.tar"), ("git", "https://SECRET@host/x.git#main"), ("here", "../src"))
    build.options = replace(build.options, contexts=contexts)
    document = json.dumps(engine_document(build))
    assert "SECRET" not in document
    again = replay(document)
    assert again.options.contexts == (
        ("web", "http://xxxxx@host/x.tar"),
        ("git", "https://xxxxx@host/x.git#main"),
        ("here", "../src"),
    )
    assert again.finish().ok


def test_no_password_of_the_dockerfile_gets_into_a_trace() -> None:
    text = "FROM ubuntu:latest\nRUN pip install https://me:SECRET@host/x.git\nENV A=https://SECRET@host/\nRUN false\n"
    runs = {"*pip install*": Command(output=("from https://me:SECRET@host/x\n",)), "*false*": Command(exit_code=1)}
    build = Workshop(runs).build(text)
    with pytest.raises(RunFailed):
        build.finish()
    document = json.dumps(engine_document(build))
    assert "SECRET" not in document and document.count("https://xxxxx@host/x") > 3
    again = replay(document)
    with pytest.raises(RunFailed):
        again.finish()
    assert [step.event.state for step in again.steps] == [step.event.state for step in build.steps]
    assert [step.output for step in again.steps][1] == "from https://xxxxx@host/x\n"


@given(st.dictionaries(st.sampled_from(["steps", "recording", "options", "dockerfile"]), _json))
def test_a_damaged_trace_is_refused_in_words(fields: dict[str, object]) -> None:
    with pytest.raises(ContentError):
        read(json.dumps({"schema": SCHEMA, **fields}))
