"""The README's table of deviations, made from the marks in the code: ``python -m tests.deviations --write``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.sections import rewritten

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
MARK = "Deviation: "
_BEGIN, _END = "<!-- deviations: written by `python -m tests.deviations --write` -->", "<!-- end of deviations -->"


def deviations() -> list[tuple[str, str]]:
    """List every mark as (path of the module, the sentence)."""
    files = sorted((ROOT / "dockersim").rglob("*.py"))
    return [(str(file.relative_to(ROOT)), text) for file in files for text in _marks(file.read_text())]


def marked(module: str, words: str) -> str:
    """Give the deviation that ``module`` marks with these words. Raises LookupError if it marks no such one."""
    for path, text in deviations():
        if path == f"dockersim/{module}" and words in text:
            return text
    raise LookupError(f"dockersim/{module} marks no deviation that says {words!r}")


def table() -> str:
    """Write the table in Markdown."""
    rows = [f"| [{path.removeprefix('dockersim/')}]({path}) | {text} |" for path, text in deviations()]
    return "\n".join(["| where | what differs from BuildKit or Docker |", "|---|---|", *rows])


def written(readme: str) -> str:
    """Return the README with the table as it should be."""
    return rewritten(readme, _BEGIN, _END, table())


def _marks(source: str) -> Iterator[str]:
    """Read each mark to the end of its comment, or of its paragraph in a docstring."""
    lines = source.split("\n")
    for number, line in enumerate(lines):
        if MARK not in line or re.search(r"""["'`]Deviation""", line):
            continue
        lead, _, text = line.partition(MARK)
        yield _cleaned([text, *_following(lines[number + 1 :], comment=lead.strip().startswith("#"))])


def _following(lines: Sequence[str], *, comment: bool) -> Iterator[str]:
    for line in lines:
        text = line.strip()
        if not text or MARK in text or text.startswith('"""') or (comment and not text.startswith("#")):
            return
        yield text.lstrip("# ") if comment else text


def _cleaned(pieces: list[str]) -> str:
    text = " ".join(piece.strip() for piece in pieces).partition('"""')[0].strip()
    text = re.sub(r"\s+", " ", text).replace("``", "`").replace("|", "\\|")
    return text[0].upper() + text[1:]


if __name__ == "__main__":
    if "--write" in sys.argv:
        README.write_text(written(README.read_text()))
    else:
        print(table())
