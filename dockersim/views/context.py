"""A build context as a table: every file, whether it is sent, which line decided, and which instruction uses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from dockersim.analysis import Caution, ContextFile, ContextXray, Missing, Total, Use
from dockersim.dockerfile import Decision
from dockersim.filesystem import Kind
from dockersim.printable import printable
from dockersim.views.tables import table
from dockersim.views.units import human_size

HEADER: Final = {
    "Path": "FILE",
    "Type": "TYPE",
    "Size": "SIZE",
    "Files": "FILES",
    "Sent": "SENT",
    "Pattern": "PATTERN",
    "Line": "LINE",
    "DecidedBy": "DECIDED BY",
    "Uses": "USES",
    "UsedBy": "USED BY",
}
"""The fields that --format knows, with the titles of their columns."""

_SHOWN: Final = ("Path", "Size", "Sent", "DecidedBy", "UsedBy")


def context_table(xray: ContextXray) -> str:
    """Lay a context out in columns, one row a file or left-out directory."""
    rows = ([str(fields[name]) for name in _SHOWN] for fields in context_fields(xray, human=True))
    return "\n".join(line.rstrip() for line in table([HEADER[name] for name in _SHOWN], rows).split("\n"))


def context_fields(xray: ContextXray, *, human: bool = False) -> Iterator[dict[str, Any]]:
    """Give each row by the names of its fields: for people, or for programs with sizes in bytes."""
    for file in xray.files:
        yield {
            "Path": _name(file) if human else file.path,
            "Type": file.kind.value,
            "Size": _size(file) if human else file.size,
            "Files": file.files,
            "Sent": ("yes" if file.kept else "no") if human else file.kept,
            "Pattern": file.decision.pattern,
            "Line": file.decision.line,
            "DecidedBy": decided_by(file.decision, xray.ignore_file),
            "Uses": [{"Line": use.line, "Instruction": use.keyword} for use in file.uses],
            "UsedBy": "?" if xray.uses_unknown else _uses(file.uses),
        }


def context_summary(xray: ContextXray) -> str:
    """Sum a context up: what is in it, what of that is sent and used."""
    kept, out = xray.kept, xray.left_out
    whole = Total(kept.files + out.files, kept.size + out.size)
    lines = [f"{_count(whole)}: {_words(kept)} sent, {_words(out)} left out."]
    if not xray.uses_unknown:
        lines.append(f"Instructions use {_words(xray.used)}; BuildKit transfers no more than these.")
    return "\n".join(lines)


def decided_by(decision: Decision, ignore_file: str) -> str:
    """Name the line that decided, as ``.dockerignore:3 *.log``; "-" where none did."""
    return f"{ignore_file}:{decision.line} {printable(decision.pattern)}" if decision.line else "-"


def missing_line(missing: Missing, ignore_file: str) -> str:
    """Tell that an instruction looks for a file in vain, and whether the ignore file is why."""
    because = f"; {decided_by(missing.decision, ignore_file)} leaves it out" if missing.decision.excluded else ""
    return f"line {missing.use.line} ({missing.use.keyword}): {missing.message}{because}"


def caution_line(caution: Caution, ignore_file: str, *, uses_known: bool) -> str:
    """Warn of one file: what it is, whether it gets into the image, and what to do."""
    name = printable(caution.path) + ("/" if caution.is_directory else "")
    size = _count(Total(caution.files, caution.size)) if caution.is_directory else human_size(caution.size)
    fate = f"{_uses(caution.uses)} takes it along" if caution.uses else "no instruction uses it yet"
    told = f"; {fate}" if uses_known else ""
    return f"{name} is sent ({size}): {caution.because}{told}; to leave it out write {name} into {ignore_file}"


def _name(file: ContextFile) -> str:
    if file.kind is not Kind.DIRECTORY:
        return printable(file.path)
    return f"{printable(file.path)}/ ({_files(file.files)})"


def _size(file: ContextFile) -> str:
    return human_size(file.size) if file.kind in (Kind.FILE, Kind.DIRECTORY) else file.kind.value


def _uses(uses: Iterable[Use]) -> str:
    return ", ".join(f"{use.keyword} line {use.line}" for use in uses) or "-"


def _words(total: Total) -> str:
    return f"{total.files} ({human_size(total.size)})"


def _count(total: Total) -> str:
    return f"{_files(total.files)}, {human_size(total.size)}"


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
