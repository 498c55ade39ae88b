"""A root in which nothing can be kept: one line that names the setting, whatever the command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockersim.engine.store import check_root
from dockersim.errors import StoreError

from .conftest import Run

COMMANDS = """images; ps; build CONTEXT; pull a/b; push a/b; login -u a -p b; logout; history x; inspect x;
load -i FILE; save x; rm x;
rmi x; tag a b; system df; system prune -f; builder prune -f; plan CONTEXT; step CONTEXT; base ls;
base add dockersim/starter:shell; registry status; registry stop; registry serve; registry serve --detach;
registry page; registry rm a/b; registry garbage-collect -f; import FILE; diff a b; export x; exec x y; logs x; stop x;
image prune -f; container prune -f; run x"""
LOOKING = ["info", "version", "context CONTEXT", "build --check CONTEXT"]


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A directory in which this user may not write, root even."""
    folder = tmp_path / "unwritable"
    folder.mkdir(mode=0o555)
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", folder], check=True)
    yield folder
    if os.geteuid() == 0:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(params=["a file", "below a file", "a link to nowhere", "unwritable", "in an unwritable one"])
def bad(request: pytest.FixtureRequest, tmp_path: Path, unwritable: Path) -> tuple[Path, str]:
    """A root, and what is wrong with it."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    return {
        "a file": (tmp_path / "file", f"{tmp_path}/file is not a directory"),
        "below a file": (tmp_path / "file" / "a" / "b", f"{tmp_path}/file is not a directory"),
        "a link to nowhere": (tmp_path / "link", f"{tmp_path}/link is a link that leads nowhere"),
        "unwritable": (unwritable, f"you may not write to {unwritable}"),
        "in an unwritable one": (unwritable / "new", f"you may not write to {unwritable}"),
    }[request.param]


def words(command: str, app: Path) -> list[str]:
    return command.replace("CONTEXT", str(app)).replace("FILE", str(app / "app.py")).split()


def test_every_command_says_so(run: Run, app: Path, bad: tuple[Path, str]) -> None:
    place, why = bad
    line = f"cannot keep anything in {place}: {why}; set DOCKERSIM_HOME to a directory of your own\n"
    for command in COMMANDS.split(";"):
        result = run(*words(command, app), env={"DOCKERSIM_HOME": str(place)})
        said = result.stderr.replace("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n", "")
        assert said.removeprefix("dockersim: ") == line, command
        assert result.exit_code == (125 if command.strip() == "run x" else 1), command


def test_what_needs_no_root_works(run: Run, app: Path, bad: tuple[Path, str]) -> None:
    for command in LOOKING:
        result = run(*words(command, app), env={"DOCKERSIM_HOME": str(bad[0])})
        assert result.exit_code == 0, result.output


def test_what_can_be_made_is_not_made_by_looking(tmp_path: Path) -> None:
    check_root(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="File name too long; set DOCKERSIM_HOME to a directory of your own"):
        check_root(tmp_path / ("x" * 300))
