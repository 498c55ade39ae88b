"""A pod of mybinder.org, imitated: what repo2docker runs there, the demo, and the beginning of a lesson.

In the pod one is uid 1000 without capabilities, without new privileges, namespaces and a way out, on one processor with
2 GB (mybinder.org-deploy, ``mybinder.yaml``). The whole of the lessons takes minutes there: CI runs them as root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pytest
from msgspec import Struct

from tests import profiles
from tests.sandbox.test_as_user import python_for_everybody

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
MEMORY = 2 << 30
HUB = "/user/ada/"
PUBLISH = """\
port = lesson.free_port()
%docker run -d -p {port}:8000 --name seen dockersim/starter:python python3 -m http.server 8000
assert "Directory listing" in lesson.fetch(f"http://localhost:{port}/")"""


class Pod(Struct, frozen=True):
    """A pod with the repository in its home, as repo2docker lays it out."""

    home: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        """Run a command in the repository, with no more than the pod has; it must succeed."""
        processor = str(min(os.sched_getaffinity(0)))
        limits = ("prlimit", f"--as={MEMORY}", "taskset", "-c", processor, "env", "-C", str(self.home))
        command = profiles.command("strict-pod", *limits, *words, offline=True)
        ran = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=500, check=False
        )
        assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-5000:]
        return ran.stdout


@pytest.fixture
def pod(place: Path) -> Pod:
    if os.geteuid() != 0:
        pytest.skip("only root can become a pod")
    if missing := [name for name in ("prlimit", "proot", "taskset") if shutil.which(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    home = place / "jovyan"
    home.mkdir()
    for name in ("binder", "dockersim", "lessons"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(python_for_everybody())
    subprocess.run(["chown", "-hR", f"{profiles.UID}:{profiles.UID}", str(home)], check=True)
    borrowed = Path(pytest.__file__).parents[1]
    return Pod(home, {
        "PATH": f"{home}/bin:{os.environ['PATH']}", "PYTHONPATH": f"{home}:{borrowed}", "HOME": str(home),
        "TMPDIR": str(home), "JUPYTERHUB_SERVICE_PREFIX": HUB,
    })  # fmt: skip


@pytest.mark.slow
def test_what_repo2docker_runs_and_the_demo(pod: Pod) -> None:
    script = (BINDER / "postBuild").read_text()
    offline = [line for line in script.splitlines() if "pip install" not in line]
    assert len(offline) == len(script.splitlines()) - 1
    assert "dockersim/starter:python: " in pod.run("bash", "-c", "\n".join(offline))
    assert not list(pod.home.glob("tmp.*"))
    log = pod.run("binder/start", "echo", "two  words")
    assert "\n * proot       works\n" in log and log.endswith("two  words\n")
    assert "All 10 acts really happened" in pod.run("python3", "-P", "-m", "dockersim.cli", "demo")


@pytest.mark.slow
def test_a_lesson_begins_and_a_published_port_has_a_link(pod: Pod) -> None:
    """Part 1.1, in a kernel, and a container; what else a lesson does, the demo has done."""
    notebook = nbformat.read(ROOT / "lessons" / "01-your-first-image.ipynb", as_version=4)
    end = next(number for number, cell in enumerate(notebook.cells) if cell.source.startswith("## 1.2"))
    more = [PUBLISH, "assert lesson.clean_up()"]
    notebook.cells = [*notebook.cells[:end], *map(nbformat.v4.new_code_cell, more)]
    begin = pod.home / "lessons" / "begin.ipynb"
    nbformat.write(notebook, begin)
    os.chown(begin, profiles.UID, profiles.UID)
    pod.run("python3", "-c", "from nbclient.cli import main; main()", "--inplace", "lessons/begin.ipynb")
    cells = nbformat.read(begin, as_version=4).cells
    link = next(output.data["text/html"] for output in cells[-2].outputs if output.output_type == "display_data")
    assert re.match(rf'<a href="{HUB}proxy/\d+/" target="_blank"', link)


def test_the_files_are_as_repo2docker_takes_them() -> None:
    """repo2docker, ``buildpacks/base.py``: names of packages, lines of requirements, scripts that hand over."""
    assert {path.name for path in BINDER.iterdir()} == {
        "apt.txt", "postBuild", "requirements.txt", "runtime.txt", "start",
    }  # fmt: skip
    packages = [line.partition("#")[0].strip() for line in (BINDER / "apt.txt").read_text().splitlines()]
    assert "proot" in packages and all(re.fullmatch(r"[a-z0-9.+-]*", name) for name in packages)
    assert "-e ." in (BINDER / "requirements.txt").read_text().splitlines()
    for name in ("postBuild", "start"):
        assert os.access(BINDER / name, os.X_OK) and (BINDER / name).read_text().startswith("#!/bin/bash\n")
    assert (BINDER / "start").read_text().endswith('\nexec "$@"\n')


def test_the_python_is_one_that_the_package_takes() -> None:
    """repo2docker's own choice would be 3.10, and with a folder binder/ it does not look into pyproject.toml."""
    asked = re.fullmatch(r"python-3\.(\d+)\n", (BINDER / "runtime.txt").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert asked and int(asked[1]) >= int(project["requires-python"].removeprefix(">=3."))
