"""What holds for every text: it is read or refused with a DockerfileError, and in time in proportion to it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dockersim.dockerfile import (
    STEP_NAME,
    IgnoreRules,
    MountFlag,
    check,
    check_report,
    detect_syntax,
    expand,
    expand_word,
    expand_words,
    match_pattern,
    parse,
    parse_ports,
)
from dockersim.dockerfile.arguments import KEYWORDS
from dockersim.dockerfile.gotext import clean_path, parse_duration
from dockersim.dockerfile.heredoc import parse_heredoc
from dockersim.dockerfile.mounts import parse_device
from dockersim.errors import DockerfileError

# Pieces that mean something to one of the parsers, so that random texts reach their corners.
PIECES = [
    *KEYWORDS, *(word.lower() for word in KEYWORDS),
    " ", "\t", "\n", "\r\n", "\\", "`", "\\\n", "`\n", "#", "\n# ",
    "$", "${", "}", ":-", "-", "+", ":?", "##", "%", "/", "//", "'", '"', "<<EOF", "<<-", "<<'a b'", "\nEOF\n", "[",
    "]", '["a", "b"]', '["\\ud800"]', "[1e999]", ",", "=", "a=b", "--from=x", "--mount=type=cache,target=/x", "--link",
    "--", "AS", "NONE", "escape=`", "syntax=x", "check=skip=all", "*", "**", "?", "!", "[a-z]", "[^", "é", "\x00",
    "\ufeff", "\ud800", "\x1c",
]  # fmt: skip
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
names = st.text("ab/.*", max_size=12)
environments = st.dictionaries(st.sampled_from(["a", "b", "EOF", "1", "x"]), texts, max_size=4)

READERS: dict[str, Callable[[str], object]] = {
    "parse": lambda text: parse(text).stages,
    "parse in a stage": lambda text: (dockerfile := parse(f"FROM x\n{text}"), dockerfile.dump(), dockerfile.stages),
    "expand_word": lambda text: expand_word(text, {"a": "1", "b": "x y"}),
    "expand_word with backtick": lambda text: expand_word(text, {"a": "1"}, "`"),
    "expand_words": lambda text: expand_words(text, {"a": "1 2", "b": ""}),
    "step name": lambda text: expand(text, {"a": "1"}, lexing=STEP_NAME),
    "value": lambda text: expand_word("${a#$a}${a%%$a}${a/$a/$a}${a//$a/x}", {"a": text}),
    "checks": lambda text: check(f"FROM x\n{text}"),
    "ignore rules": lambda text: IgnoreRules.parse(text).decide(text),
    "prune": lambda text: IgnoreRules.parse(text).may_prune("a/b"),
    "pattern": lambda text: match_pattern(text, text),
    "ports": parse_ports,
    "mount": lambda text: MountFlag(text).resolve(lambda word: word),
    "device": parse_device,
    "heredoc": parse_heredoc,
    "syntax": detect_syntax,
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@settings(max_examples=150, deadline=None)
@given(text=texts)
def test_read_or_refused(reader: Callable[[str], object], text: str) -> None:
    try:
        reader(text)
    except DockerfileError as error:
        assert error.message


@given(texts)
def test_every_error_of_a_dockerfile_has_a_place(text: str) -> None:
    try:
        assert parse(text).stages is not None
    except DockerfileError as error:
        assert error.at is not None
        assert 1 <= error.at.line <= error.at.last_line <= max(1, text.count("\n") + 1)


@given(texts)
def test_nodes_stand_one_below_the_other(text: str) -> None:
    try:
        nodes = parse(text).nodes
    except DockerfileError:
        return
    rows = [line for node in nodes for line in node.at.lines]
    assert rows == sorted(set(rows))


@given(st.text(st.characters(exclude_characters="$'\"\\<", exclude_categories=["Cs"])))
def test_text_without_special_characters_stays(text: str) -> None:
    assert expand_word(text, {}) == text.removeprefix("\ufeff")


@given(st.text(st.characters(exclude_characters="'", exclude_categories=["Cs"])))
def test_single_quotes_keep_everything(text: str) -> None:
    assert expand_word(f"'{text}'", {"a": "1"}) == text


@given(environments, texts)
def test_every_name_is_either_used_or_unset(env: dict[str, str], word: str) -> None:
    try:
        expansion = expand(word, env)
    except DockerfileError:
        return
    assert set(expansion.used) <= set(env)
    assert not set(expansion.unset) & set(env)


@given(st.text("abc./", max_size=12))
def test_cleaning_a_path_twice_changes_nothing(path: str) -> None:
    assert clean_path(clean_path(path)) == clean_path(path)


@given(st.integers(0, 10**15))
def test_durations_are_whole_nanoseconds(nanoseconds: int) -> None:
    assert parse_duration(f"{nanoseconds}ns") == nanoseconds


@given(st.lists(st.tuples(st.booleans(), names), max_size=6), names, names)
def test_what_is_pruned_holds_nothing_that_is_kept(rules: list[tuple[bool, str]], above: str, below: str) -> None:
    """The law a walk of the context relies on."""
    try:
        ignore = IgnoreRules.of(f"!{pattern}" if exception else pattern for exception, pattern in rules)
    except DockerfileError:
        return
    above, below = clean_path(f"/{above}")[1:], clean_path(f"/{below}")[1:]
    if above and below and ignore.may_prune(above):
        assert ignore.decide(f"{above}/{below}").excluded


@given(st.lists(st.text("!a/.*[]b? \n#", max_size=8), max_size=5).map("\n".join), st.text("ab/!", max_size=6))
def test_rules_that_were_written_line_by_line_decide_as_before(text: str, path: str) -> None:
    """The law that a trace relies on."""
    try:
        ignore = IgnoreRules.parse(text)
    except DockerfileError:
        return
    assert IgnoreRules.numbered(ignore.lines).decide(path) == ignore.decide(path)


pieces_of_patterns = st.sampled_from(["a", "b", "*", "**", "/", "?", "[^a]", "[ab]"])


@given(st.lists(pieces_of_patterns, min_size=1, max_size=8).map("".join), st.text("ab/", max_size=8))
@example("a**b**b*a", "a/b/ba")
@example("*[^a]b*a", "bb/ba")
def test_ignore_pattern_matches_as_one_plain_regular_expression(pattern: str, path: str) -> None:
    import re

    pattern, path = clean_path(f"/{pattern}")[1:], clean_path(f"/{path}")[1:]
    if not pattern or not path or pattern.endswith("**") or pattern.startswith("**"):
        return  # BuildKit has tests of its own for these; they are among the recorded cases
    spelt = {"*": "[^/]*", "?": "[^/]"}
    rest = re.sub(r"\*\*/?|[*?]", lambda star: spelt.get(star[0], "(.*/)?"), pattern)
    plain = any(
        re.fullmatch(rest, path[:end]) for end in [*range(len(path)), len(path)] if path[end : end + 1] in ("/", "")
    )
    assert IgnoreRules.of([pattern]).decide(path).excluded is plain


def test_a_word_grows_within_bounds() -> None:
    """Twenty lines that each double a variable would else fill the memory."""
    doubling = "FROM x\nARG A=aaaaaaaa\n" + "ARG A=$A$A\n" * 30
    error = check_report(doubling).error
    assert error is not None and error.at is not None and error.at.line == 17
    assert error.message == 'failed to process "$A$A": the word grows by more than 131072 characters'
    for word in ("${A//a/$B}", "${A//*/$B}", '"$A$A$A"'):
        with pytest.raises(DockerfileError, match="grows"):
            expand_word(word, {"A": "a" * 70_000, "B": "$0$0$0bbbb"})
    assert expand_word("$A", {"A": "a" * 70_000}) == "a" * 70_000


def ratio_of_times(work: Callable[[int], object], small: int) -> float:
    """Compare the time for eight times the input; 8 is linear, 64 would be quadratic."""

    def best(size: int) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            work(size)
            times.append(time.perf_counter() - start)
        return min(times)

    return best(8 * small) / best(small)


WORK: dict[str, Callable[[int], object]] = {
    "many variables in a word": lambda n: expand_word("$a${b:-x}" * n, {"a": "1"}),
    "a long value under a pattern": lambda n: expand_word("${a#*b*b*b*c}${a%%b*c*d}${a//a*c/x}", {"a": "ab" * n}),
    "many checks": lambda n: check("FROM x\n" + "ENV a=$b\nCOPY $a /\n" * n),
    "many stages": lambda n: check("FROM x AS a\n" + "".join(f"FROM a AS a{i}\n" for i in range(n))),
    "many misspelt names": lambda n: check("FROM x\n" + "".join(f"ENV A_{i}=$B_{i}\n" for i in range(n))),
    "many instructions": lambda n: parse("FROM x\n" + "RUN echo $HOME\n" * n).stages,
    "one long instruction": lambda n: parse("FROM x\nRUN a" + " \\\n b" * n).stages,
    "a long here-document": lambda n: parse("FROM x\nRUN <<E\n" + "line\n" * n + "E\n").stages,
    "blanks in a here-document's name": lambda n: parse("FROM x\nRUN <<" + " " * n + "<x"),
    "many comments": lambda n: parse("FROM x\n" + "# text\n" * n + "RUN a").stages,
    "many flags": lambda n: parse("FROM x\nCOPY " + "--exclude=a \\\n" * n + " a b").stages,
    "a hostile ignore pattern": lambda n: IgnoreRules.of(["*a*a*a*a*b"]).decide("a" * n),
    "a pattern with many loose ends": lambda n: IgnoreRules.of(["a**a**a**a**b"]).decide("a/" * n),
    "a deep path": lambda n: IgnoreRules.of(["**/*b", "**b", "b*/c", "b"]).decide("a/" * n),
    "a long ignore pattern": lambda n: IgnoreRules.of(["?" * n]),
    "a hostile wildcard": lambda n: match_pattern("*a*a*a*a*b", "a" * n),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_time_is_in_proportion_to_the_input(work: Callable[[int], object]) -> None:
    """A loose bound, far from quadratic, so that a busy machine does not fail it."""
    assert min(ratio_of_times(work, 200) for _ in range(2)) < 30
