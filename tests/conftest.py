"""What holds for all tests: in CI nothing may be skipped, since CI installs what the tests need."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.browser import browser
from tests.peers import dockerd, podman

__all__ = ["browser", "dockerd", "podman"]  # one of each for all tests

# How long an example takes says what else the machine is doing; speed has benchmarks of its own.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", settings.get_profile("untimed"), max_examples=5)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C as usual again: who starts the tests in the background of a script has told us to ignore it.

    Programs that tests start inherit that, and would not hear the Ctrl-C that a test sends them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests, so that no worker is alone with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


ALWAYS_ALLOWED = ("Windows", "by design: ")
"""A reason with one of these words may skip in CI as well: no tool is missing, there is nothing to test."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI."""
    report = yield
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if _forbidden(report.skipped and not hasattr(report, "wasxfail"), reason):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped in CI, which installs what tests need: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    if _forbidden(report.outcome == "skipped", str(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skipped in CI: {report.longrepr}"
    return report


def _forbidden(skipped: bool, reason: str) -> bool:
    # CI is root. Who is not runs a part of the tests again as an ordinary user, and cannot do what root can.
    in_ci = bool(os.environ.get("CI")) and os.geteuid() == 0
    return skipped and in_ci and not any(word in reason for word in ALWAYS_ALLOWED)
