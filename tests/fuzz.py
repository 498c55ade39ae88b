"""Hostile texts, a million at a time: ``python -m tests.fuzz parse|words|ignore|check [--count N] [--hypothesis]``.

Each input is made of recorded texts of the real tools, spliced and mutated with pieces that mean something to a parser.
What is fed must be read or refused with a DockerfileError, and take time in proportion to its length; anything else is
printed, with the number that ``--only`` makes the same input from again. Prints counts and the slowest input.

A million inputs each, of seed 1, on a busy machine with two cores, November 2026: parse 462 s, words 383 s,
check 363 s, ignore 495 s. A million each drawn by hypothesis (tests/fuzz_hypothesis.py), two at a time beside other
work: parse 921 s, words 873 s, ignore 3,382 s, check 2,975 s. With atheris (tests/fuzz_atheris.py), four minutes
each: parse 139,566 runs, words 324,030, ignore 145,184, check 156,817. Nothing found.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from dockersim.dockerfile import IgnoreRules, check, expand_word, expand_words, parse
from dockersim.errors import DockerfileError
from tests.recorded import read

_PIECES = r"""
ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME
WORKDIR from onbuild AS NONE --from= --mount=type=bind,from=x,target=/y --mount=type=cache --link --parents --exclude=**
-- --chown=$A --chmod=u+x --checksum= --platform=$TARGETPLATFORM --interval=1m --network=none <<EOF <<-'E' <<"a <<A<<B
EOF escape=` syntax=x check=skip=all;error=true # // $ ${ } ${A:-$B} ${A#*b} ${A%%?} ${A/b/$A} ${A//*/x} ${A?}
${A:?no} $1 $@ :- :+ ## %% ? * ** **/ ! [a-z] [^ ] [] \ ` ' " = , ; / . .. 80-90/tcp 1e999 ["a","b"] [" \ud800 é 한
"""
_CHARACTERS = (" ", "\t", "\n", "\r\n", "\\\n", "`\n", "\n\n", "\n#", "\nEOF\n", "\\ \n",
               "\x00", "\x1c", "\x85", "\ufeff", "\ud800", "\U0010ffff")  # fmt: skip
PIECES = (*_PIECES.split(), *_CHARACTERS, *_CHARACTERS)
"""What means something to one of the parsers, and letters that are hard to handle."""
SECONDS = 20
"""No input may take longer, whatever its length."""


@dataclass
class Slowest:
    """The input that took longest for its length, of which at least this many characters count."""

    least: int
    per_kib: float = 0.0
    seconds: float = 0.0
    number: int = 0
    text: str = ""

    def see(self, number: int, text: str, seconds: float, feed: Callable[[str], None]) -> None:
        """Remember the input if none was slower; measured again, since the machine may have done something else."""
        kib = max(len(text), self.least) / 1024
        if seconds / kib > self.per_kib:
            seconds = min(seconds, _timed(feed, text)[0], _timed(feed, text)[0])
            if seconds / kib > self.per_kib:
                self.per_kib, self.seconds, self.number, self.text = seconds / kib, seconds, number, text


@dataclass
class Report:
    """What came of a run."""

    inputs: int = 0
    refused: int = 0
    characters: int = 0
    seconds: float = 0.0
    found: dict[str, int] = field(default_factory=dict)
    short: Slowest = field(default_factory=lambda: Slowest(256))
    long: Slowest = field(default_factory=lambda: Slowest(4096))


def feed_parse(text: str) -> None:
    """Parse; read the instructions; dump."""
    dockerfile = parse(text)
    dockerfile.dump()
    _ = dockerfile.syntax, dockerfile.check, dockerfile.stages


def feed_words(text: str) -> None:
    """Expand the first line with the others as values of variables, with either escape character."""
    word, *values = text.split("\n")
    values += ["", "a b", "x.tar.gz"]
    env = dict(zip("ABCDEFGHIJKLM", values, strict=False)) | {"1": word, "@": values[0]}
    try:
        expand_word(word, env)
    finally:
        expand_words(text, env, "`")


def feed_ignore(text: str) -> None:
    """Read an ignore file and decide about a path, and about its own first and last line, as if they were paths."""
    rules = IgnoreRules.parse(text)
    for path in ("a/b/c.txt", text.partition("\n")[0], text.rpartition("\n")[2]):
        rules.decide(path)
        rules.may_prune(path)


def feed_check(text: str) -> None:
    """Check all stages, or what the last one needs, with a build argument and rules of the context."""
    if len(text) % 2:
        check(text)
    else:
        check(text, target="", build_args={"A": text[:50]}, ignore=_IGNORE)


_IGNORE = IgnoreRules.of(["**/*.log", "!a*", "b"])


def dockerfiles() -> list[str]:
    """List the recorded Dockerfiles."""
    files = ("dockerfile-parser.json", "instructions.json", "build-checks.json", "oracle.json", "builds-buildkit.json")
    texts = [(case.get("case") or case).get("dockerfile") for file in files for case in read(file)]
    return sorted({text for text in texts if text}) or ["FROM busybox AS a\nRUN echo $A \\\n  b\nCOPY --from=a b c\n"]


def words() -> list[str]:
    """List the recorded words, with what their variables are set to on lines of their own."""
    texts = {"\n".join([case["word"], *case["env"]]) for case in read("word-expansion.json") if "word" in case}
    return sorted(texts) or ["${A:-$B}\nA=1"]


def patterns() -> list[str]:
    """List the recorded ignore files and patterns, with the paths they are asked about."""
    found = {
        "\n".join([*case.get("patterns", []), case.get("pattern", ""), case.get("path", ""), case.get("content", "")])
        for case in read("dockerignore.json")
    }
    return sorted(found) or ["**/*.py[co]\n!a/b\na**b"]


TARGETS: dict[str, tuple[Callable[[str], None], Callable[[], list[str]]]] = {
    "parse": (feed_parse, dockerfiles),
    "words": (feed_words, words),
    "ignore": (feed_ignore, patterns),
    "check": (feed_check, dockerfiles),
}
"""What can be fuzzed: what is fed, and the texts to begin with."""


class Generator:
    """Makes the same input from the same seed and number, whatever came before."""

    def __init__(self, seeds: Sequence[str], seed: int) -> None:
        self.seeds = seeds
        self.seed = seed

    def make(self, number: int) -> str:
        """Make one input: a recorded text, or a part of one, mutated one to five times."""
        chance = random.Random(self.seed << 40 | number)
        text = chance.choice(self.seeds)
        if len(text) > 400 and chance.random() < 0.9:
            start = chance.randrange(len(text) - 200)
            text = text[start : start + chance.randrange(400)]
        for _ in range(chance.randint(1, 5)):
            text = chance.choice(MUTATIONS)(text, chance, self.seeds)
        return text[:20_000]


Mutation = Callable[[str, random.Random, Sequence[str]], str]


def _insert(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + "".join(chance.choices(PIECES, k=chance.randint(1, 4))) + text[at:]


def _delete(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    start, end = _span(text, chance)
    return text[:start] + text[end:]


def _replace(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    start, end = _span(text, chance)
    return text[:start] + chance.choice(PIECES) + text[end:]


def _repeat(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    start, end = _span(text, chance)
    times = chance.choice((1, 2, 2, 3, 5, 8, 60)) if end - start < 40 else 2
    return text[:start] + text[start:end] * times + text[end:]


def _splice(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    other = chance.choice(seeds)
    start, end = _span(other, chance)
    at = chance.randint(0, len(text))
    return text[:at] + other[start:end] + text[at:]


def _line(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    lines = text.split("\n")
    lines.insert(chance.randint(0, len(lines)), chance.choice(chance.choice(seeds).split("\n")))
    return "\n".join(lines)


def _swap(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    lines = text.split("\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _nest(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    start, end = _span(text, chance)
    before, after = chance.choice((("${A:-", "}"), ("'", "'"), ('"', '"'), ("[", "]"), ("**/", "*"), ("ONBUILD ", "")))
    times = chance.choice((1, 1, 2, 60))
    return text[:start] + before * times + text[start:end] + after * times + text[end:]


MUTATIONS: tuple[Mutation, ...] = (_insert, _insert, _delete, _replace, _repeat, _splice, _line, _swap, _nest)


def _span(text: str, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(text))
    return start, min(len(text), start + chance.choice((1, 2, 4, 8, 20, 60)))


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def run(feed: Callable[[str], None], inputs: Iterator[tuple[int, str]]) -> Report:
    """Feed every input; note what is neither read nor refused, once for each place where it happens."""
    report = Report()
    signal.signal(signal.SIGALRM, _too_long)
    started = time.perf_counter()
    for number, text in inputs:
        signal.alarm(SECONDS)
        seconds, raised = _timed(feed, text)
        signal.alarm(0)  # making the next input may take its time
        report.inputs += 1
        report.characters += len(text)
        if raised is not None and not isinstance(raised, DockerfileError):
            report.found.setdefault(_place(raised), number)
            continue
        report.refused += raised is not None
        report.short.see(number, text, seconds, feed)
        report.long.see(number, text, seconds, feed)
    report.seconds = time.perf_counter() - started
    return report


def _timed(feed: Callable[[str], None], text: str) -> tuple[float, Exception | None]:
    """Feed one text; return the seconds that took, and what was raised."""
    raised: Exception | None = None
    began = time.process_time()
    try:
        feed(text)
    except Exception as error:  # noqa: BLE001  that is what is looked for
        raised = error
    return time.process_time() - began, raised


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def show(target: str, report: Report) -> None:
    """Print what came of a run."""
    rate = report.inputs / report.seconds
    mean = report.characters / max(1, report.inputs)
    print(
        f"{target}: {report.inputs:,} inputs in {report.seconds:,.0f} s ({rate:,.0f} a second), {mean:.0f} characters"
    )
    print(f"  refused with a DockerfileError: {report.refused:,}; read: {report.inputs - report.refused:,}")
    for slowest in (report.short, report.long):
        size = f"{slowest.seconds * 1000:.1f} ms for {len(slowest.text):,} characters"
        print(f"  slowest of {slowest.least:,} or more: {slowest.per_kib * 1000:.1f} ms per KiB ({size}, "
              f"--only {slowest.number})")  # fmt: skip
    for what, number in report.found.items():
        print(f"  FOUND {what} (--only {number})")
    print(f"  findings: {len(report.found)}", flush=True)


def _inputs(seeds: Sequence[str], seed: int, first: int, *, by_hypothesis: bool) -> Iterator[str]:
    """Make the inputs from the one with the number ``first`` on."""
    if not by_hypothesis:
        return map(Generator(seeds, seed).make, itertools.count(first))
    from tests.fuzz_hypothesis import drawn  # which takes its pieces from here

    return itertools.islice(drawn(seeds, seed), first, None)


def main(arguments: Sequence[str]) -> int:
    """Run one target, or print and feed one input of it."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("target", choices=TARGETS)
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--seconds", type=float, default=math.inf, help="end after so many, whatever the count")
    options.add_argument("--hypothesis", action="store_true", help="let hypothesis draw the inputs")
    options.add_argument("--only", type=int, help="make this one input, print it and feed it")
    chosen = options.parse_args(arguments)
    feed, seeds = TARGETS[chosen.target]
    inputs = _inputs(seeds(), chosen.seed, chosen.only or 0, by_hypothesis=chosen.hypothesis)
    if chosen.only is not None:
        text = next(inputs)
        print(repr(text))
        feed(text)
        return 0
    until = time.monotonic() + chosen.seconds
    numbered = enumerate(itertools.islice(inputs, chosen.count))
    report = run(feed, takewhile(lambda _: time.monotonic() < until, numbered))
    show(chosen.target, report)
    return 1 if report.found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
