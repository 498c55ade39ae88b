"""What the build checks found, in buildx's words.

buildx prints it in two ways: after a build as a short list (commands/build.go, ``printWarnings``), and for ``--check``
each with the lines it is about (frontend/subrequests/lint, ``PrintTo``).

>>> from dockersim.dockerfile import check_report
>>> print(findings_summary(check_report("FROM scratch as base\\n").findings))
 1 warning found (use docker --debug to expand):
 - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dockersim.dockerfile import CheckReport, Finding
from dockersim.source import At, excerpt


def findings_summary(findings: Sequence[Finding]) -> str:
    """List what was found, one line each, as it stands below a build."""
    rows = (f" - {_short(finding)}" for finding in findings)
    return "\n".join([f" {_count(len(findings))} found (use docker --debug to expand):", *rows])


def findings_expanded(findings: Sequence[Finding], text: str, file: str) -> str:
    """List what was found with the reasons, the pages and the lines: what ``--debug`` shows."""
    return "\n".join([f" {_count(len(findings))} found:", *(_expanded(finding, text, file) for finding in findings)])


def check_words(report: CheckReport) -> str:
    """Write what ``--check`` prints of the findings; its error is not among it."""
    if not report.findings:
        return "" if report.error else "Check complete, no warnings found."
    verb = "has" if len(report.findings) == 1 else "have"
    head = f"Check complete, {_count(len(report.findings))} {verb} been found!"
    return "\n".join([head, *("\n".join(_whole(one, report)) for one in report.findings)])


def check_failure(report: CheckReport) -> str:
    """Write what stops a build, with its place where it has one; "" if nothing does."""
    error = report.error
    if error is None:
        return ""
    lines = [f"ERROR: {error}"]
    return "\n".join([*lines, excerpt(report.text, error.at)] if error.at else lines)


def _whole(finding: Finding, report: CheckReport) -> Iterator[str]:
    page = f" - {finding.url}" if finding.url else ""
    yield f"\nWARNING: {finding.rule}{page}"
    yield finding.message
    yield excerpt(report.text, _place(finding, report.file))


def _expanded(finding: Finding, text: str, file: str) -> str:
    page = [f"More info: {finding.url}"] if finding.url else []
    place = excerpt(text, _place(finding, file))
    return "\n".join([f" - {_short(finding)}", finding.description, *page, place, ""])


def _short(finding: Finding) -> str:
    return f"{finding.rule}: {finding.message} (line {finding.line})"


def _place(finding: Finding, file: str) -> At:
    return At(file, finding.line, finding.last_line)


def _count(number: int) -> str:
    return "1 warning" if number == 1 else f"{number} warnings"
