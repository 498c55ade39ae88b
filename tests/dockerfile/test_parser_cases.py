"""Every case of dockerfile-parser.json: BuildKit's own parser tests and what its parser made of them."""

from __future__ import annotations

from typing import Any

import pytest

from dockersim.dockerfile import Dockerfile, Node, chomp, detect_syntax, parse, parse_heredoc
from dockersim.dockerfile.arguments import arguments_of, split_words
from dockersim.dockerfile.directives import find_directive, read_directives
from dockersim.dockerfile.heredoc import Heredoc, heredocs_in_line
from dockersim.errors import DockerfileError
from tests.recorded import cases, kinds

FILE = "dockerfile-parser.json"
Case = dict[str, Any]


def as_recorded(node: Node) -> Case:
    """Write a node the way the recorder wrote BuildKit's."""
    record: Case = {
        "value": node.keyword,
        "original": node.raw,
        "start_line": node.at.line,
        "end_line": node.at.last_line,
        "args": list(node.arguments),
        "flags": list(node.flags),
        "prev_comment": list(node.comments),
        "heredocs": [heredoc_as_recorded(heredoc) for heredoc in node.heredocs],
        "attributes": {"json": True} if node.json else {},
    }
    return {key: value for key, value in record.items() if value or key == "value"}


def heredoc_as_recorded(heredoc: Heredoc) -> Case:
    return {
        "name": heredoc.name,
        "fd": heredoc.descriptor,
        "expand": heredoc.expand,
        "chomp": heredoc.chomp,
        "content": heredoc.content,
    }


def tree(dockerfile: Dockerfile) -> Case:
    first, last = dockerfile.nodes[0].at.line, dockerfile.nodes[-1].at.last_line
    children = [as_recorded(node) for node in dockerfile.nodes]
    return {"value": "", "start_line": first, "end_line": last, "children": children}


@cases(FILE, "parse_dump")
def test_dump_and_tree(case: Case) -> None:
    dockerfile = parse(case["dockerfile"])
    assert dockerfile.dump() == case["expected_dump"]
    assert dockerfile.escape == case["observed"]["escape"]
    assert tree(dockerfile) == case["observed"]["ast"]
    warnings = [(warning.message, warning.line, warning.url) for warning in dockerfile.warnings]
    assert warnings == [(seen["short"], seen["line"], seen["url"]) for seen in case["observed"]["warnings"]]


@cases(FILE, "parse_error")
def test_error(case: Case) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(case["dockerfile"])
    assert caught.value.message == case["observed_error"]
    assert caught.value.at is not None


@cases(FILE, "parse_words")
def test_words_keep_their_quotes(case: Case) -> None:
    assert split_words(case["input"], "\\") == case["expected"]


@cases(FILE, "parse_heredocs")
def test_heredocs(case: Case) -> None:
    dockerfile = parse(case["dockerfile"])
    found = {node.raw: [heredoc_as_recorded(h) for h in node.heredocs] or None for node in dockerfile.nodes}
    for expected in case["expected"]:
        assert found[expected["instruction"]] == expected["heredocs"]
    assert tree(dockerfile) == case["observed"]


@cases(FILE, "heredoc_chomp")
def test_chomp(case: Case) -> None:
    assert chomp(case["content"]) == case["expected"]


@cases(FILE, "heredoc_word")
def test_heredoc_word(case: Case) -> None:
    if case["observed"]["error"]:
        with pytest.raises(DockerfileError) as caught:
            parse_heredoc(case["word"])
        assert caught.value.message == case["observed"]["error"]
        return
    heredoc = parse_heredoc(case["word"])
    seen = case["observed"]["heredoc"]
    assert (heredoc and heredoc_as_recorded(heredoc)) == (seen and {**seen, "content": ""})


@cases(FILE, "heredocs_from_line")
def test_heredocs_in_line(case: Case) -> None:
    assert [heredoc.name for heredoc in heredocs_in_line(case["line"])] == case["expected_names"]


@cases(FILE, "detect_syntax", "parse_directive")
def test_directive_behind_other_things(case: Case) -> None:
    text = case["dockerfile"]
    found = find_directive(text, case["directive"]) if "directive" in case else detect_syntax(text)
    assert (found is not None) is case["observed"]["ok"]
    if found:
        assert (found.value, found.line) == (case["observed"]["cmdline"], case["observed"]["line"])
        assert found.reference == case["observed"].get("ref", found.reference)


@cases(FILE, "parse_directives")
def test_directives(case: Case) -> None:
    found = read_directives(case["dockerfile"])
    assert [{"name": one.name, "value": one.value} for one in found] == case["expected"]


@cases(FILE, "json_array")
def test_json_array(case: Case) -> None:
    if isinstance(case["expected"], list):
        assert arguments_of("CMD", case["json"], "\\") == (tuple(case["expected"]), True)
        return
    with pytest.raises(DockerfileError) as caught:
        parse(f"FROM x\nCMD {case['json']}")
    assert caught.value.message == case["observed_as_CMD"]["error"]


@cases(FILE, "name_val")
def test_names_and_values(case: Case) -> None:
    assert arguments_of(case["instruction"], case["rest"], "\\") == (tuple(case["expected_args"]), False)


def test_every_kind_of_case_is_run() -> None:
    assert kinds(FILE) <= {
        "parse_dump", "parse_error", "parse_words", "parse_heredocs", "heredoc_chomp", "heredoc_word",
        "heredocs_from_line", "detect_syntax", "parse_directive", "parse_directives", "json_array", "name_val",
    }  # fmt: skip
