"""The stepper where learners meet it: in JupyterLab, with a kernel, driven by mouse and keyboard in a real browser."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

TOKEN = secrets.token_hex(16)

CODE = """\
%load_ext dockersim
from dockersim import Engine, Stepper
engine = Engine("root")
build = engine.build("app", tags=["hello"])
Stepper(build)"""

DOCKERFILE = """\
FROM dockersim/starter:shell
WORKDIR /app
COPY . .
RUN echo preparing; ls -l; cat app.sh > copy; echo more >> copy
RUN for i in 1 2 3 4 5 6 7 8 9 10; do echo second $i; sleep 1; done
ENV GREETING=hello
CMD ["sh", "app.sh"]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab on a free port, with settings and a working directory of its own."""
    home = tmp_path_factory.mktemp("lab")
    work = home / "work"
    (work / "app").mkdir(parents=True)
    (work / "app" / "Dockerfile").write_text(DOCKERFILE)
    (work / "app" / "app.sh").write_text("echo $GREETING\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, work / "stepper.ipynb")
    config = home / "config" / "labconfig"
    config.mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "page_config.json").write_text(json.dumps(quiet))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "config"),
                   "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "IPYTHONDIR": str(home / "ipython")}  # fmt: skip
    arguments = [f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}", "--ServerApp.ip=127.0.0.1"]
    arguments += ["--no-browser", "--allow-root", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={work}"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments], env=environment, cwd=work, stdout=log, stderr=log
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/status?token={TOKEN}", server, home / "log")
        yield f"http://127.0.0.1:{port}/lab/tree/stepper.ipynb?token={TOKEN}"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def _run_the_cell(page: Any) -> None:
    """Run the first cell; a page that is still being laid out drops a key press, so try again."""
    for _ in range(8):
        page.locator(".jp-CodeCell .cm-content").first.click(timeout=120_000)
        page.keyboard.press("Shift+Enter")
        for _ in range(75):
            if page.locator(".dockersim").count():
                return
            page.wait_for_timeout(200)
    pytest.fail(f"the cell shows no stepper: {page.locator('.jp-Notebook').inner_text()[-1500:]}")


@pytest.mark.slow
def test_the_stepper_in_jupyterlab(lab: str, browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 950})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(lab)
    _run_the_cell(page)
    stepper = page.locator(".dockersim")
    status = stepper.locator("[role=status]")
    cells = page.locator(".jp-Cell").count()

    def stands_on(words: str, *, seconds: float = 20) -> None:
        try:
            status.filter(has_text=words).wait_for(timeout=seconds * 1000)
        finally:
            page.screenshot(path=tmp_path / "last.png")

    stands_on("7 steps.")
    stepper.locator("[role=listbox]").focus()
    page.keyboard.press("n")
    stands_on("Step 1 of 7")
    for number in (2, 3, 4):
        page.keyboard.press("ArrowRight")
        stands_on(f"Step {number} of 7: miss, never built before")

    # a file's diff, by mouse
    stepper.locator("li[data-path='app/copy'] > .ds-row").click()
    stepper.locator(".ds-detail .ds-plus").first.wait_for()
    assert stepper.locator(".ds-detail .ds-plus").all_inner_texts() == ["+ echo $GREETING", "+ more"]
    page.screenshot(path=tmp_path / "files.png")

    # the whole file system, a directory at a time
    stepper.locator("text=Whole file system").click()
    stepper.locator("li[data-path=app] > .ds-row").click()
    stepper.locator("li[data-path='app/Dockerfile']").wait_for()
    stepper.locator("text=What changed").click()

    # output streams while the command runs, and Stop stops it
    stepper.locator("[data-tab=output]").click()
    page.keyboard.press("n")
    stands_on("Running step 5 of 7")
    stepper.locator(".ds-live", has_text="second 2").wait_for(timeout=15_000)
    page.screenshot(path=tmp_path / "running.png")
    page.keyboard.press("s")
    stands_on("Stopped.", seconds=5)
    page.keyboard.press("f")
    stands_on("Step 7 of 7", seconds=40)
    assert "Built " in status.inner_text()

    # the cache reason of an earlier step, by keyboard, and back to the start
    stepper.locator("[role=listbox]").focus()
    for number in (6, 5, 4, 3, 2, 1):
        page.keyboard.press("b")
        stands_on(f"Step {number} of 7")
        if number == 4:
            stepper.locator("[data-tab=cache]").click()
            assert stepper.locator(".ds-because").inner_text() == "never built before"
            page.screenshot(path=tmp_path / "cache.png")
            stepper.locator("[role=listbox]").focus()
    assert page.locator(".jp-Cell").count() == cells, "the notebook took a key that was meant for the stepper"
    assert complaints == []
    print(f"\nscreenshots: {tmp_path}")
