"""macOS and Windows: what imports there, what works there, and what a RUN says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.portable.pretend import ROOT, environment

PLATFORMS: Final = ("darwin", "win32")

LINUX_ONLY: Final = {
    "dockersim.bases.debian",
    "dockersim.bases.standin",
    "dockersim.sandbox.attach",
    "dockersim.sandbox.dialer",
    "dockersim.sandbox.launch",
    "dockersim.sandbox.pump",
    "dockersim.sandbox.runner",
}
"""What need not be importable elsewhere, beside ``dockersim.sandbox.inside``, which is a program of its own."""

PURE: Final = ("analysis", "dockerfile", "filesystem", "oci", "solver", "trace", "views")

_IMPORT_ALL: Final = """
import importlib, pkgutil, dockersim
for _, name, _ in pkgutil.walk_packages(dockersim.__path__, "dockersim."):
    if not name.startswith("dockersim.sandbox.inside.") and not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except ImportError:
            print(name)
"""

_TRAPS: Final = {
    "a name that is not there": ("from dockersim.content import disk; disk.os.geteuid()", "no attribute 'geteuid'"),
    "a module that is not there": ("import dockersim.sandbox.attach", "No module named 'fcntl'"),
    "a directory opened": ("from dockersim.content import disk; disk.os.open('.', 0)", "Permission denied"),
    "an open file deleted": ("import dockersim, os; f = open(PLACE, 'w'); os.unlink(PLACE)", "used by a process"),
    "an open file replaced": (
        "import dockersim, os; f = open(PLACE, 'w'); os.replace(PLACE, '/x')",
        "used by a process",
    ),
    "a read-only file deleted": ("import os; os.close(os.open(PLACE, 65, 0o444)); os.unlink(PLACE)", "read-only"),
}


def _run(platform: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], env=environment(platform), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("trap", _TRAPS)
def test_the_pretence_bites(trap: str, tmp_path: Path) -> None:
    """It is no proof that something works where everything would."""
    code, complaint = _TRAPS[trap]
    assert complaint in _run("win32", "-c", f"PLACE = {str(tmp_path / 'file')!r}; {code}").stderr


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_module_can_be_imported_but_those_that_are_for_linux(platform: str) -> None:
    done = _run(platform, "-c", _IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == (LINUX_ONLY if platform == "win32" else set())


def test_the_pure_packages_hold_on_windows() -> None:
    """Their own tests, less what only takes its time: speed, and laws that are tried on many examples."""
    some = " and ".join(f"not {word}" for word in ("speed", "quick", "time_is", "thousands", "law", "fuzz", "damage"))
    words = ("-m", "pytest", "-p", "no:cacheprovider", "--hypothesis-profile=few", "-k", some)
    done = _run("win32", *words, *(f"tests/{name}" for name in PURE))
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.fixture(scope="module", params=PLATFORMS)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What each command printed on one of the platforms, and its exit code. Of two alike the last one counts."""
    done = _run(request.param, "-m", "tests.portable.story", tmp_path_factory.mktemp(request.param))
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"^\$ (?:dockersim )?(.*)\n((?s:.*?))^= (\d+)$", done.stdout, re.MULTILINE)
    return {command: (output, code) for command, output, code in told}


def test_what_needs_no_command_works(story: dict[str, tuple[str, str]]) -> None:
    refused = {command: told for command, told in story.items() if told[1] != "0"}
    assert set(refused) == {"build .", "run learner/mine:1", "base add dockersim/starter:shell"}, refused
    assert "no warnings" in story["build --check ."][0]
    assert re.search(r"COPY .* never built before|1 step would be run", story["plan ."][0])
    assert re.search(r"a\.log .* no ", story["context ."][0])
    assert "hällo" in story["history mine"][0]
    assert "Pushed" in story["push learner/mine:1"][0]
    assert "Downloaded newer image" in story["pull learner/mine:1"][0]
    assert "GREETING=hällo" in story["inspect learner/mine:1"][0]
    assert any(command.startswith("replay 1:FROM 2:COPY 3:WORKDIR") for command in story), list(story)
    assert not any("Traceback" in output or "bug in dockersim" in output for output, _ in story.values())


@pytest.mark.parametrize("command", ["build .", "run learner/mine:1"])
def test_a_command_that_cannot_be_run_says_what_to_do_instead(story: dict[str, tuple[str, str]], command: str) -> None:
    last = story[command][0].splitlines()[-1]
    assert "commands cannot be run on this machine: " in last
    assert re.search(r"; build in (WSL2|a Linux virtual machine), open the lessons on Binder, or replay", last)


def test_info_says_it_too(story: dict[str, tuple[str, str]]) -> None:
    output = story["info"][0]
    assert re.search(r"\* none +works\n +build in .* or replay a recorded build\n", output), output
    assert output.count("this is not Linux") == 4
