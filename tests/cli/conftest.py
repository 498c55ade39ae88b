"""The command line on real roots: in this process where that is enough, in one of its own where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dockersim.cli.main import main
from dockersim.registry import stop

Run = Callable[..., Result]


def environment(root: Path) -> dict[str, str]:
    """The environment of a command that works in ``root``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKERSIM_")}
    if "DOCKERSIM_SANDBOX" in os.environ:
        kept["DOCKERSIM_SANDBOX"] = os.environ["DOCKERSIM_SANDBOX"]
    return kept | {"DOCKERSIM_HOME": str(root)}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root of the test's own; its registry is stopped when the test is over."""
    folder = tmp_path / "root"
    yield folder
    stop(folder / "registry")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A build context with two files and a Dockerfile that copies them."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("print('hello')\n")
    (folder / "requirements.txt").write_text("flask\n")
    (folder / "Dockerfile").write_text('FROM scratch\nWORKDIR /app\nCOPY . /app\nENTRYPOINT ["python3", "app.py"]\n')
    (folder / ".dockerignore").write_text("Dockerfile*\n.dockerignore\n")
    return folder


@pytest.fixture
def run(root: Path) -> Run:
    """Run a command in this process: ``run("images", "-q")``."""

    def call(*words: str | Path, stdin: str | bytes = "", env: Mapping[str, str] | None = None) -> Result:
        settled = {"DOCKERSIM_HOME": str(root), "DOCKERSIM_HUB": None, "DOCKERSIM_DEBUG": None}
        runner = CliRunner(env={**settled, **(env or {})})
        return runner.invoke(main, [str(word) for word in words], input=stdin, prog_name="dockersim")

    return call


@pytest.fixture
def ok(run: Run) -> Callable[..., str]:
    """Run a command that must end with 0, and return what it printed on stdout."""

    def call(*words: str | Path, stdin: str | bytes = "") -> str:
        result = run(*words, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def start(root: Path, *words: str | Path, **more: object) -> subprocess.Popen[str]:
    """Start a command as a process of its own."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    command = [sys.executable, "-m", "dockersim.cli", *map(str, words)]
    return subprocess.Popen(command, env=environment(root), **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="session")
def shell_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root that has the base image with a shell; whoever uses it leaves it as it was."""
    folder = tmp_path_factory.mktemp("shell") / "root"
    process = start(folder, "base", "add", "dockersim/starter:shell")
    out, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, out + complaint
    yield folder
    stop(folder / "registry")


@pytest.fixture
def shell(shell_root: Path) -> Run:
    """Run a command in the root that has the base image with a shell."""

    def call(*words: str | Path, stdin: str | bytes = "") -> Result:
        runner = CliRunner(env={"DOCKERSIM_HOME": str(shell_root), "DOCKERSIM_HUB": None, "DOCKERSIM_DEBUG": None})
        return runner.invoke(main, [str(word) for word in words], input=stdin, prog_name="dockersim")

    return call
