"""``dockersim base``, ``dockersim lab`` and ``dockersim demo``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dockersim.cli.lab import copy_missing
from dockersim.cli.lessons import lessons_folder
from tests import profiles

from .conftest import Run, environment

ROOT = Path(__file__).parents[2]


def test_base_ls_tells_a_stand_in_from_an_image(shell: Run) -> None:
    lines = shell("base", "ls").stdout.splitlines()
    assert lines[0].split() == ["NAME", "IMAGE", "ID", "SIZE", "KIND", "WHAT", "IT", "IS"]
    assert "made from this machine" in lines[1] and "(not made)" not in lines[1]
    assert any(line.startswith("ubuntu:latest ") and "STAND-IN" in line for line in lines)


def test_the_lessons_are_copied_and_never_over_a_learners_work(tmp_path: Path) -> None:
    source = lessons_folder()
    assert (source / "flask-app" / "Dockerfile").is_file()
    copied = copy_missing(source, tmp_path)
    assert copied == sum(path.is_file() for path in source.rglob("*") if ".ipynb_checkpoints" not in path.parts)
    (tmp_path / "flask-app" / "app.py").write_text("mine")
    (tmp_path / "flask-app" / "Dockerfile").unlink()
    assert copy_missing(source, tmp_path) == 1
    assert (tmp_path / "flask-app" / "app.py").read_text() == "mine"


@pytest.mark.slow
def test_the_demo_really_happens_without_a_network_and_leaves_nothing(tmp_path: Path) -> None:
    """Root takes the network away and leaves lo; anybody else cannot, and shows the rest."""
    demo = [sys.executable, "-m", "dockersim.cli", "demo"]
    if os.geteuid() == 0:
        demo = profiles.command("root", *demo, offline=True)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    where = {**environment(tmp_path / "unused"), "TMPDIR": str(scratch)}
    ran = subprocess.run(demo, env=where, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    said = ran.stdout
    assert ran.returncode == 0, said + ran.stderr
    assert "Hello again, from an edited container!" in said
    assert "All 10 acts really happened" in said
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "unused").exists()
    assert tempfile.gettempdir() not in said or "--keep" not in said


def test_jupyterlab_opens_on_the_lessons(tmp_path: Path) -> None:
    """Really started, by whoever runs the tests, root or not, and asked for the list of files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dockersim.cli", "lab", "--directory", str(tmp_path / "mine"), "--no-browser"]
    options = [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=secret"]
    server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/api/contents?token=secret"
        names = {entry["name"] for entry in _asked(address)["content"]}
    finally:
        server.terminate()
        server.wait(30)
    assert {"flask-app", "01-your-first-image.ipynb"} <= names


def _asked(address: str) -> Any:
    """Ask until the server answers, for a minute at most."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
