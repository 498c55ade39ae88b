"""What is typed or piped wrong, whatever it is: one line, no traceback, nothing that a terminal obeys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run, environment

BYTES = "\udcff\udcfe"
"""What Python makes of arguments that are not UTF-8."""
ESCAPES = "a\x1b[31m\nb\x07"
COMMANDS = [
    ["run", "--name", BYTES, "IMAGE"], ["exec", BYTES, "true"], ["logs", BYTES], ["rm", BYTES, BYTES], ["stop", BYTES],
    ["inspect", BYTES], ["inspect", ESCAPES], ["container", "inspect", ESCAPES], ["image", "inspect", BYTES],
    ["export", BYTES], ["diff", BYTES], ["rmi", ESCAPES], ["tag", ESCAPES, BYTES], ["import", ESCAPES],
    ["load", "-i", ESCAPES], ["build", ESCAPES], ["plan", ESCAPES], ["context", BYTES], ["step", ESCAPES],
    ["login", "-u", BYTES, "-p", "x", "host.example"], ["login", "-u", "x", "-p", BYTES, "host.example"],
    [ESCAPES], ["builder", BYTES], [f"--{ESCAPES}"], ["registry", "rm", "-f", BYTES],
    ["images", "--filter", ESCAPES], ["inspect", "x" * 100_000], ["build", "x" * 100_000], ["x" * 100_000],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: ascii(" ".join(words))[:60])
def test_one_line_that_nothing_obeys(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert isinstance(result.exception, SystemExit) and result.exit_code != 0
    assert "Traceback" not in result.output and "bug" not in result.output
    assert all(line.isprintable() and len(line) < 2000 for line in result.output.splitlines())
    fault = result.stderr.replace("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n", "")
    assert len(fault.partition("\n\nRun '")[0].partition("\n\nUsage: ")[0].strip().splitlines()) <= 2, fault


def test_paths_and_instructions_need_not_be_text(run: Run, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/context-\xff"
    os.mkdir(folder)
    for name, text in ((b"n\xfe", b"x"), (b"Dockerfile", b"FROM scratch\nCOPY n\xfe /\xfd\nLABEL a=\xfc\n")):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(text)
    for command in ("build", "plan", "build"):
        result = run(command, os.fsdecode(folder))
        assert result.exit_code == 0, result.output
    assert "CACHED" in result.output


def test_a_program_whose_name_is_long_beyond_use(shell: Run) -> None:
    result = shell("run", "--rm", "dockersim/starter:shell", "x" * 100_000)
    assert result.exit_code == 127, result.output
    assert "executable file not found in $PATH" in result.stderr or "File name too long" in result.stderr
    assert len(result.stderr) < 3000


def test_a_file_to_be_written_is_a_directory(run: Run, app: Path, tmp_path: Path) -> None:
    for option in ("--iidfile", "--trace"):
        result = run("build", option, tmp_path, app)
        assert (result.exit_code, result.output) == (1, f"{tmp_path} cannot be written: it is a directory\n")


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["images", "build -", "system prune", "login -u x", "inspect nosuch"])
def test_streams_that_are_closed(root: Path, closed: str, command: str) -> None:
    line = f"exec {sys.executable} -m dockersim.cli {command} {closed}"
    done = subprocess.run(
        ["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(root), check=False
    )
    assert done.returncode == (0 if command == "images" else 1)
    assert "bug" not in done.stderr and "Traceback" not in done.stderr
    assert bool(done.stderr) is (command != "images" and "2>" not in closed)


def test_what_is_closed_is_not_the_database(root: Path, app: Path) -> None:
    line = f"exec {sys.executable} -m dockersim.cli build -q -t made {app} >&-"
    subprocess.run(["sh", "-c", line], env=environment(root), check=True)
    subprocess.run(["sh", "-c", line], env=environment(root), check=True)
    shown = [sys.executable, "-m", "dockersim.cli", "images", "-q"]
    assert subprocess.run(shown, env=environment(root), capture_output=True, check=True).stdout.count(b"\n") == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_closed_is_not_the_database_of_who_is_started_either(root: Path, number: int) -> None:
    program = "import os, subprocess, sys; from dockersim.cli.__main__ import open_what_is_closed as begin; begin()"
    started = f"import os; assert os.path.samestat(os.fstat({number}), os.stat(os.devnull))"
    line = f'exec "$0" -c "{program}; sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)" -c "$1"'
    subprocess.run(["sh", "-c", f"{line} {number}>&-", sys.executable, started], env=environment(root), check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_modules_are_imported(root: Path, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "click.py").write_text(f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(60)\n")
    found = environment(root) | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "dockersim.cli", "images"]
    done = subprocess.run(command, env=found, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")
