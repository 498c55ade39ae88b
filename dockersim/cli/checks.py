"""``dockersim build --check``, and what a build says of the checks at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.session import Session
from dockersim.views.findings import check_failure, check_words, findings_expanded, findings_summary

if TYPE_CHECKING:
    from dockersim.dockerfile import CheckReport
    from dockersim.engine import Build


def show_report(session: Session, report: CheckReport) -> None:
    """Print what the checks found; end with 1 if they found anything, as buildx does."""
    if words := check_words(report):
        click.echo(words)
    if failure := check_failure(report):
        session.note(f"\n{failure}" if words else failure)
    if report.findings or report.error:
        raise Ended(FAILED)


def show_findings(session: Session, build: Build) -> None:
    """Print below a build what the checks found, if they found anything."""
    if not build.findings:
        return
    if session.debug:
        session.note(f"\n{findings_expanded(build.findings, build.text, build.file)}")
    else:
        session.note(f"\n{findings_summary(build.findings)}")
