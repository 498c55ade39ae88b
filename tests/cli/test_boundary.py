"""Every error is one line and an exit code."""

from __future__ import annotations

import errno
import subprocess
import sys

import click
import pytest

from dockersim.cli.boundary import Ended, report, report_bug
from dockersim.errors import Cancelled, DockerfileError, ImageNotFound
from dockersim.source import At


@pytest.mark.parametrize(
    "error,code,line",
    [
        (Ended(3), 3, ""),
        (ImageNotFound("No such image: x", hint="look again"), 1, "No such image: x; look again"),
        (DockerfileError("bad", at=At("Dockerfile", 7)), 1, "Dockerfile:7: bad"),
        (Cancelled("stopped"), 130, ""),
        (KeyboardInterrupt(), 130, ""),
        (OSError(errno.ENOSPC, "No space left on device", "/r"), 1, "/r: the disk is full; free some space, or set "
         "DOCKERSIM_HOME to a larger disk"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), 1, "/x: No such file or directory"),
        (click.Abort(), 1, "Aborted!"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)  # fmt: skip
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str) -> None:
    assert report(error) == code
    out, said = capsys.readouterr()
    assert (out, said.strip()) == ("", line)


def test_a_bug_asks_to_be_reported(capsys: pytest.CaptureFixture[str]) -> None:
    report_bug(ZeroDivisionError, ZeroDivisionError("by zero\nand more"), None)
    said = capsys.readouterr().err
    assert said.startswith("this is a bug in dockersim (ZeroDivisionError: by zero); please report it at https://")
    assert said.count("\n") == 1 and "DOCKERSIM_DEBUG=1" in said


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m dockersim.cli --help | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
