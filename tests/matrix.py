"""What works where: ``python -m tests.matrix [--write]``, as root, prints the README's table of machines.

Each row is a machine (tests/profiles.py), each column a thing that learners do, and each cell is really done there.
It works, or dockersim says in one line why it does not; anything else is a fault, which tests/proofs/test_matrix.py
makes a failure.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.debian import debian
from tests.deviations import README
from tests.profiles import PROFILES, command
from tests.proofs.installed import Installed, for_everybody
from tests.sections import rewritten

WORKS = "works"
ROWS = {
    "root": "root",
    "container": "root in a container: Docker's default seccomp and capabilities (Colab)",
    "pod": "uid 1000, user namespaces (a laptop, some hubs)",
    "strict-pod": "uid 1000, no user namespaces (Binder, Ubuntu 24.04)",
    "locked-pod": "the same without ptrace",
}
_BEGIN, _END = "<!-- matrix: written by `python -m tests.matrix --write` -->", "<!-- end of matrix -->"
_FROM_HOST = re.compile(r"(?i).*_proxy$|ssl_cert_file|requests_ca_bundle|pip_cert|node_extra_ca_certs")


@dataclass(frozen=True)
class Machine:
    """dockersim, installed on one of the machines, with ``debian:bookworm`` and ``busybox`` in its store."""

    profile: str
    run: Installed
    place: Path

    def context(self, dockerfile: str, **texts: str) -> Path:
        """Make a build context that its user may read."""
        folder = Path(tempfile.mkdtemp(prefix="context-", dir=self.place))
        for name, text in {"Dockerfile": dockerfile, **texts}.items():
            (folder / name.replace("__", ".")).write_text(text)
        subprocess.run(["chown", "-R", str(PROFILES[self.profile].uid), str(folder)], check=True)
        return folder

    def build(self, dockerfile: str, *options: str, **texts: str) -> str:
        """Build with the command line; what it printed. Raises Refused."""
        return self.ask("build", *options, self.context(dockerfile, **texts))

    def ask(self, *arguments: str | os.PathLike[str]) -> str:
        """Run one command. Raises Refused with its last line if it fails."""
        process = self.run.start(*arguments)
        output, _ = process.communicate(timeout=300)
        text = output.decode(errors="replace")
        if "Traceback (most recent call last)" in text:
            raise AssertionError(f"{self.profile}: {arguments}: a traceback:\n{text}")
        if process.returncode:
            raise Refused(text.strip().splitlines()[-1])
        return text

    def entries(self, name: str) -> dict[str, tarfile.TarInfo]:
        """Read the entries of the uppermost layer of an image, as it is exported."""
        archive = Path(tempfile.mkdtemp(dir=self.place)) / "saved.tar"
        archive.parent.chmod(0o777)
        self.ask("save", "-o", archive, name)
        with tarfile.open(archive) as outer:
            import json

            manifest = json.load(outer.extractfile("manifest.json") or io.BytesIO())
            layer = outer.extractfile(manifest[0]["Layers"][-1])
            assert layer is not None
            with tarfile.open(fileobj=io.BytesIO(layer.read())) as inner:
                return {member.name: member for member in inner}


class Refused(Exception):
    """dockersim declined, with one line (``args[0]``)."""


def demo(machine: Machine) -> None:
    """Build, push, pull and run the Flask application, and fetch its page."""
    assert "Hello" in machine.ask("demo")


def apt(machine: Machine) -> None:
    """Install a package that sets an owner of its own and drops to apt's own user on the way."""
    install = "apt-get update && apt-get install -y --no-install-recommends openssh-client"
    machine.build(f"FROM debian:bookworm\nRUN {install}\nRUN ssh -V && getent group _ssh\n")


def pip(machine: Machine) -> None:
    """Install from the package index."""
    machine.build(
        "FROM dockersim/starter:python\nRUN PIP_NO_INDEX=0 pip3 install --quiet six && python3 -c 'import six'\n"
    )


def npm(machine: Machine) -> None:
    """Install from npm's registry, with the host's own node."""
    context = machine.context(
        "FROM debian:bookworm\nCOPY usr /usr\nWORKDIR /app\nRUN npm install is-number && ls node_modules\n"
    )
    for path in ("bin/node", "bin/npm", "lib/node_modules/npm"):
        into = context / "usr" / path
        into.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", f"/usr/{path}", into], check=True)
    subprocess.run(["chown", "-hR", str(PROFILES[machine.profile].uid), str(context)], check=True)
    assert "is-number" in machine.ask("build", context)


def copy_chown(machine: Machine) -> None:
    """Copy with an owner, and find it in the exported layer."""
    machine.build("FROM busybox\nCOPY --chown=12:34 --chmod=4755 file /file\n", "-t", "owned", file="x")
    entry = machine.entries("owned")["file"]
    assert (entry.uid, entry.gid, entry.mode) == (12, 34, 0o4755)


def user(machine: Machine) -> None:
    """Run as an ordinary user of the image, who owns what it makes."""
    dockerfile = "FROM busybox\nRUN mkdir -m 1777 /open\nUSER 12:34\nRUN id -u >/open/made\n"
    machine.build(dockerfile, "-t", "as-user")
    entry = machine.entries("as-user")["open/made"]
    assert (entry.uid, entry.gid, entry.size) == (12, 34, len("12\n"))


def failing_step(machine: Machine) -> None:
    """Fail with BuildKit's words and the line."""
    said = 'Dockerfile:2: process "/bin/sh -c exit 7" did not complete successfully: exit code: 7'
    try:
        machine.build("FROM busybox\nRUN exit 7\n")
    except Refused as refused:
        if said not in refused.args[0]:
            raise
        return
    raise AssertionError("a failing step did not fail the build")


def interrupt(machine: Machine) -> None:
    """Stop with Ctrl-C, leaving no process, no mount and no half-made file."""
    mark = f"{os.getpid()}{time.monotonic_ns()}"
    process = machine.run.start("build", machine.context(f"FROM busybox\nRUN echo begun && sleep 60 # {mark}\n"))
    assert process.stdout is not None
    seen = b""
    while b"begun\n" not in seen.replace(b"echo begun", b""):
        line = process.stdout.readline()
        seen += line
        if not line:
            raise Refused(seen.decode(errors="replace").strip().splitlines()[-1])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130, process.returncode
    assert not [pid for pid in _processes() if mark in pid], "something goes on"
    assert str(machine.place) not in Path("/proc/self/mounts").read_text()
    machine.build("FROM busybox\nCOPY file /\n", file="the store still works")


def push(machine: Machine) -> None:
    """Push to the practice registry, delete here, and pull back."""
    machine.build("FROM busybox\nCOPY file /\n", "-t", "me/pushed", file="x")
    machine.ask("login", "--username", "me", "--password", "secret")
    machine.ask("push", "me/pushed")
    machine.ask("rmi", "me/pushed")
    machine.ask("pull", "me/pushed")


COLUMNS: dict[str, Callable[[Machine], None]] = {
    "demo": demo, "apt-get": apt, "pip": pip, "npm": npm, "COPY --chown": copy_chown, "USER": user,
    "a failing step": failing_step, "Ctrl-C": interrupt, "push, pull": push,
}  # fmt: skip


def cells(profile: str) -> dict[str, str]:
    """Do everything on one machine: "works", or what dockersim said, by column."""
    with _installed(profile) as machine:
        return {name: _outcome(do, machine) for name, do in COLUMNS.items()}


def _outcome(do: Callable[[Machine], None], machine: Machine) -> str:
    try:
        do(machine)
    except Refused as refused:
        return str(refused.args[0])
    return WORKS


def _processes() -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue


@contextmanager
def _installed(profile: str) -> Iterator[Machine]:
    from tests.fidelity import busybox_base

    place = Path(tempfile.mkdtemp(prefix="dockersim-matrix-", dir="/var/tmp"))
    try:
        (place / "busybox.tar").write_bytes(busybox_base())
        place.chmod(0o755)
        run = for_everybody(place, PROFILES[profile].uid, tuple(command(profile)))
        run.extra |= {name: text for name, text in os.environ.items() if _FROM_HOST.fullmatch(name)}
        machine = Machine(profile, run, place)
        machine.ask("import", place / "busybox.tar", "busybox:latest")
        machine.ask("import", debian(), "debian:bookworm")
        yield machine
    finally:
        shutil.rmtree(place)


def row(profile: str, outcome: dict[str, str]) -> str:
    """Write one row of the table."""
    marks = (WORKS if text == WORKS else "no" for text in outcome.values())
    return f"| {ROWS[profile]} | {' | '.join(marks)} |"


def table(found: dict[str, dict[str, str]]) -> str:
    """Write the table in Markdown."""
    head = f"| | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}"
    return "\n".join([head, *(row(profile, outcome) for profile, outcome in found.items())])


def written(readme: str, found: dict[str, dict[str, str]]) -> str:
    """Return the README with the table as it should be."""
    return rewritten(readme, _BEGIN, _END, table(found))


if __name__ == "__main__":
    outcomes = {profile: cells(profile) for profile in ROWS}
    print(table(outcomes))
    for profile, outcome in outcomes.items():
        for name, text in outcome.items():
            if text != WORKS:
                print(f"{profile}, {name}: {text}")
    if "--write" in sys.argv:
        README.write_text(written(README.read_text(), outcomes))
