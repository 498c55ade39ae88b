"""What a build's steps did, as text: the table of steps, and one step's changes, cache decision and config."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

from msgspec import Struct

from dockersim.digest import short
from dockersim.filesystem import Change, Entry, Kind, What
from dockersim.oci import ImageConfig
from dockersim.printable import printable
from dockersim.solver import CacheDecision, CacheKey, State, StepFinished, StepPlan, Verdict
from dockersim.views.tables import ellipsis, table
from dockersim.views.units import human_size

HEADER: Final = ("LINE", "INSTRUCTION", "RESULT", "SIZE", "SECONDS", "WHY")

MARKS: Final = {What.ADDED: "A", What.MODIFIED: "M", What.DELETED: "D"}
"""The letters that ``docker diff`` would write, but for its C (changed), which is M as in git."""

_RESULTS: Final = {State.DONE: "DONE", State.CACHED: "CACHED", State.ERROR: "ERROR", State.NOT_RUN: "NOT RUN"}
_LETTERS: Final = {
    Kind.FILE: "-",
    Kind.DIRECTORY: "d",
    Kind.SYMLINK: "l",
    Kind.HARDLINK: "-",
    Kind.FIFO: "p",
    Kind.CHARACTER: "c",
    Kind.BLOCK: "b",
}


class StepRow(Struct, frozen=True):
    """One row of the table of steps, as words."""

    line: str
    instruction: str
    result: str
    size: str
    seconds: str
    why: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The words in the order of HEADER."""
        return (self.line, self.instruction, self.result, self.size, self.seconds, self.why)


def step_rows(steps: Iterable[StepFinished], unreached: Iterable[StepPlan] = ()) -> tuple[StepRow, ...]:
    """Write each step as a row; ``unreached`` are the planned steps that the build never came to."""
    rows = [_row(event) for event in steps]
    return (*rows, *(StepRow(str(step.at.line), _one_line(step), "NOT RUN", "", "", "") for step in unreached))


def step_table(
    steps: Iterable[StepFinished],
    unreached: Iterable[StepPlan] = (),
    *,
    instruction_width: int = 44,
    why_width: int = 72,
) -> str:
    """Lay the steps out in columns, long cells cut."""
    cells = []
    for row in step_rows(steps, unreached):
        line, instruction, result, size, seconds, why = row.cells
        cells.append((line, ellipsis(instruction, instruction_width), result, size, seconds, ellipsis(why, why_width)))
    return "\n".join(line.rstrip() for line in table(HEADER, cells).split("\n"))


def steps_html(steps: Iterable[StepFinished], unreached: Iterable[StepPlan] = ()) -> str:
    """Lay the steps out as an HTML table, in the notebook's own style."""
    head = "".join(f'<th scope="col" style="text-align:left">{name.capitalize()}</th>' for name in HEADER)
    body = "".join(f"<tr>{_html_cells(row)}</tr>" for row in step_rows(steps, unreached))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def diff_lines(changes: Iterable[Change]) -> Iterator[str]:
    """Write each change on a line: ``A etc/motd  -rw-r--r-- 0:0 12B``, and what differs of what was modified."""
    for change in changes:
        yield printable(f"{MARKS[change.what]} /{change.path}  {_change_words(change)}".rstrip())


def ls_line(entry: Entry) -> str:
    """Write type, mode, owner and size of what stands at a path: ``-rw-r--r-- 0:0 12B``."""
    size = f" {human_size(entry.size)}" if entry.kind is Kind.FILE else ""
    link = f" -> {printable(entry.link)}" if entry.link else ""
    return f"{mode_words(entry)} {entry.uid}:{entry.gid}{size}{link}"


def mode_words(entry: Entry) -> str:
    """Write type and permissions as ``ls -l`` does."""
    letters = [letter if entry.mode & (0o400 >> at) else "-" for at, letter in enumerate("rwxrwxrwx")]
    for bit, at, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if entry.mode & bit:
            letters[at] = letter if letters[at] == "x" else letter.upper()
    return _LETTERS[entry.kind] + "".join(letters)


def cache_lines(decision: CacheDecision) -> Iterator[str]:
    """Explain a cache decision: the verdict and why, then what differs, then what the key is made of."""
    yield printable(f"{_VERDICTS[decision.verdict]}: {decision.because}")
    if decision.differences:
        yield f"  differs from the earlier build {short(decision.compared_with)}:"
        yield from (printable(f"    {difference.words()}") for difference in decision.differences)
    if decision.key is not None:
        yield f"  the key {short(decision.key.digest)} is made of:"
        yield from (printable(f"    {name:<12} {value}") for name, value in _key_fields(decision.key))


def config_lines(before: ImageConfig, after: ImageConfig) -> Iterator[str]:
    """Write what changed in an image's config, as ``- `` and ``+ `` lines; nothing if it stayed the same."""
    old, new = (list(_config_words(config.config.as_json())) for config in (before, after))
    yield from (printable(f"- {line}") for line in old if line not in new)
    yield from (printable(f"+ {line}") for line in new if line not in old)


# ---------------------------------------------------------------- pieces

_VERDICTS: Final = {
    Verdict.HIT: "HIT",
    Verdict.MISS: "MISS",
    Verdict.UNKNOWN: "UNKNOWN",
    Verdict.DISABLED: "NOT ASKED",
    Verdict.NOT_NEEDED: "NOTHING TO LOOK UP",
}


def _row(event: StepFinished) -> StepRow:
    step, result = event.step, event.result
    ran = step.op is not None and step.keyword != "FROM" and event.state in (State.DONE, State.ERROR)
    size = human_size(result.added) if result.layer else ""
    if step.keyword == "FROM":
        size = human_size(event.image_size)
    why = event.error if event.state is State.ERROR else event.decision.because
    seconds = f"{result.seconds:.2f}" if ran else ""
    return StepRow(str(step.at.line), _one_line(step), _RESULTS[event.state], size, seconds, why)


def _one_line(step: StepPlan) -> str:
    return printable(" ".join(step.instruction.replace("\\\n", " ").split()))


def _html_cells(row: StepRow) -> str:
    line, instruction, result, size, seconds, why = (escape(cell) for cell in row.cells)
    code = f"<code>{instruction}</code>"
    strong = f"<strong>{result}</strong>"
    cells = (line, code, strong, size, seconds, why)
    return "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells)


def _change_words(change: Change) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        return "" if after is None else ls_line(after)
    return ", ".join(_differences(before, after))


def _differences(before: Entry, after: Entry) -> Iterator[str]:
    """Say in which facts two entries of one path differ; the time only where nothing else does."""
    if before.kind is not after.kind:
        yield f"type {before.kind.value} -> {after.kind.value}"
    if before.mode != after.mode:
        yield f"mode {before.mode:04o} -> {after.mode:04o}"
    if (before.uid, before.gid) != (after.uid, after.gid):
        yield f"owner {before.uid}:{before.gid} -> {after.uid}:{after.gid}"
    if before.size != after.size:
        yield f"size {human_size(before.size)} -> {human_size(after.size)}"
    if before.link != after.link:
        yield f"link {before.link or '(none)'} -> {after.link or '(none)'}"
    if before.digest and after.digest and before.digest != after.digest:
        yield f"sha256 {short(before.digest)[:4]}… -> {short(after.digest)[:4]}…"
    if before.mtime_ns != after.mtime_ns and _equal_but_for_time(before, after):
        yield "only its time"


def _equal_but_for_time(before: Entry, after: Entry) -> bool:
    def facts(entry: Entry) -> tuple[Any, ...]:
        return (entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.link, entry.digest)

    return facts(before) == facts(after)


def _key_fields(key: CacheKey) -> Iterator[tuple[str, str]]:
    yield "step below", short(key.parent) or "(none)"
    yield "instruction", key.instruction
    for name, value in key.environment:
        yield "environment", f"{name}={value}"
    for name, value in (("user", key.user), ("directory", key.directory)):
        if value:
            yield name, value
    for name, value in key.options:
        yield "flag", f"{name}={value}"
    for entry in key.inputs:
        facts = [entry.kind, short(entry.digest), f"{entry.mode:04o}", f"{entry.uid}:{entry.gid}", entry.link]
        yield "input", " ".join([entry.path or ".", *(fact for fact in facts if fact)])


def _config_words(config: dict[str, Any]) -> Iterator[str]:
    """Write a config as lines, one for each variable, label, port and volume, so that they can be compared."""
    for field, value in config.items():
        if field == "Env":
            yield from (f"Env {pair}" for pair in value)
        elif field == "Labels":
            yield from (f"Labels {name}={text}" for name, text in value.items())
        elif field in ("ExposedPorts", "Volumes"):
            yield from (f"{field} {name}" for name in value)
        else:
            yield f"{field} {value if isinstance(value, str) else _plain(value)}"


def _plain(value: Sequence[str] | dict[str, Any] | bool) -> str:
    return json.dumps(value, ensure_ascii=False)
