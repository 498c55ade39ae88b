"""How long the Dockerfile language takes by itself, and how that grows; needs nothing but dockersim.

The aims: a file of 5,000 lines is parsed and checked in under a second; ten times the variables in a word take ten
times as long, not a hundred times.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from dockersim.dockerfile import IgnoreRules, check, expand_word, expand_words, parse

LINES = 5_000
_STAGE = """\
FROM {base} AS stage{n}
ARG VERSION_{n}=1.{n}
# The name and what it is made of.
ENV NAME_{n}=name-$VERSION_{n} \\
    TITLE_{n}="two words"
WORKDIR /app/$NAME_{n}
RUN --mount=type=cache,target=/root/.cache \\
    apt-get update && \\
    apt-get install -y package-{n}
COPY --from=stage{before} --chown=1:1 built{n} ./
COPY <<EOF settings.toml
name = "$NAME_{n}"
EOF
LABEL org.example.n{n}="${{NAME_{n}:-none}}"
CMD ["serve"]
"""


def dockerfile(lines: int = LINES) -> str:
    """Write a file of so many lines in many stages, with nothing for the checks to find."""
    body = _STAGE.format(base="busybox", n=0, before=0).replace("COPY --from=stage0", "COPY")
    number = 0
    while body.count("\n") < lines:
        number += 1
        body += _STAGE.format(base=f"stage{number - 1}" if number % 40 else "busybox", n=number, before=number - 1)
    return "".join(body.splitlines(keepends=True)[:lines])


def with_findings(lines: int = LINES) -> str:
    """Write one in which every line has something to find."""
    return "FROM busybox\n" + "".join(f"ENV A{n} $B{n}\n" for n in range(lines - 1))


def word(variables: int) -> tuple[str, dict[str, str]]:
    """Write a word of so many variables, every second of them set."""
    text = "".join(f"${{V{n}:-none}}-$V{n}%" for n in range(variables // 2))
    return text, {f"V{n}": f"value {n}" for n in range(0, variables // 2, 2)}


def _read(text: str) -> object:
    return parse(text).stages


GROWTH: dict[str, tuple[Callable[[int], Any], Callable[[Any], object]]] = {
    "expand_word, variables": (word, lambda made: expand_word(*made)),
    "expand_words, variables": (word, lambda made: expand_words(*made)),
    "parse, lines": (dockerfile, _read),
    "check, lines": (dockerfile, check),
    "check, stages": (lambda n: "FROM x AS a\n" + "".join(f"FROM a AS a{i}\n" for i in range(n)), check),
    "ignore rules, depth of the path": (lambda n: "a/" * n, IgnoreRules.of(["a**b**c**d"]).decide),
}
"""What is measured: how the input is made, and what is done with it."""


def best_of(work: Callable[[], object], times: int) -> float:
    """Measure so many times; return the least number of seconds of computing, which a busy machine leaves alone."""
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def main(times: int = 5) -> None:
    """Print the seconds of a large file, then how much longer ten times the input takes."""
    for title, text in (("nothing to find", dockerfile()), ("a finding on every line", with_findings())):
        findings = check(text)
        print(f"{text.count(chr(10)):,} lines, {title} ({len(findings):,} findings)")
        print(f"  parse            {best_of(partial(_read, text), times):6.3f} s")
        print(f"  parse and check  {best_of(partial(check, text), times):6.3f} s")
    print("\n1,000 and 10,000 of them; 10 is linear, 100 quadratic")
    for title, (make, work) in GROWTH.items():
        few, many = (best_of(partial(work, make(size)), times) for size in (1_000, 10_000))
        print(f"  {title:32} {few * 1000:8.1f} ms {many * 1000:8.1f} ms   {many / few:5.1f} x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
