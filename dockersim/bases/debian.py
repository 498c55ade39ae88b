"""A Debian made from Debian's packages: the stand-in for images that only Docker Hub has.

mmdebstrap asks apt for the essential packages, unpacks and configures them in a directory, and packs that
into a tar: the same that the makers of ``debian:bookworm`` do with debuerreotype. The result is a real
Debian, but not the image from Docker Hub, and it says so wherever it is shown.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from dockersim.errors import ImageError
from dockersim.sandbox.owners import lacking, process_status

Progress = Callable[[str], None]
"""Is called with one line of what is being done; may raise to stop the work."""

ARCHIVE, SECURITY = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
PATIENCE = 10.0
"""Seconds that mmdebstrap is given to clean up after itself before it is killed."""

MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
"""mmdebstrap's own hook that lays /bin -> usr/bin before anything is unpacked; else a package that needs all
of perl does it afterwards, and the image grows by 50 MB."""

# What Docker's own Debian images set for apt, as far as it shows in a build
# (debuerreotype-minimizing-config): packages are not kept after they were installed, translations are not
# fetched, no service starts by itself. The host's name and resolver got in by mmdebstrap, its apt options for
# the bootstrap by ours.
_FINISH = r"""
set -e
apt="$1/etc/apt/apt.conf.d"
rm -f "$apt/99mmdebstrap" "$1/etc/resolv.conf" "$1/etc/hostname" "$1"/var/cache/apt/*.bin
clean='rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true'
echo "DPkg::Post-Invoke { \"$clean\"; };" > "$apt/docker-clean"
echo 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";' >> "$apt/docker-clean"
echo 'Acquire::Languages "none";' > "$apt/docker-no-languages"
printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
"""


class Mirrors(Struct, frozen=True):
    """Where Debian's packages come from: the archive and the security updates, as URLs."""

    archive: str = ARCHIVE
    security: str = SECURITY

    def sources(self, suite: str) -> tuple[str, ...]:
        """Return the lines of a sources.list for ``suite``."""
        return (
            f"deb {self.archive} {suite} main",
            f"deb {self.archive} {suite}-updates main",
            f"deb {self.security} {suite}-security main",
        )


def bootstrap(suite: str, tar: BinaryIO, progress: Progress, *, mirrors: Mirrors, workspace: Path) -> None:
    """Write the root file system of Debian ``suite`` into ``tar``, a real file.

    ``workspace`` is an existing directory for temporary files. Raises ImageError when mmdebstrap is missing
    or fails. Whatever ends it, Ctrl-C and a raising ``progress`` included, no process, mount or file is left
    behind.
    """
    command = [_program(), *_arguments(suite, mirrors)]
    root = os.geteuid() == 0
    if not root:
        _check_user()
    # An ordinary user's mmdebstrap works as several users, so only /tmp is open enough for it.
    environment = os.environ | {"LC_ALL": "C.UTF-8"} | ({"TMPDIR": str(workspace)} if root else {})
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=tar,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C is ours to pass on, once
    )
    try:
        complaint = _follow(process, progress)
    except BaseException:
        _stop(process)
        raise
    if process.wait() != 0:
        raise ImageError(
            f"mmdebstrap could not make Debian {suite}: {complaint or f'it ended with {process.returncode}'}",
            hint="see that the mirror in /etc/apt/sources.list can be reached",
        )


def _program() -> str:
    found = shutil.which("mmdebstrap")
    if found is None:
        raise ImageError(
            "a Debian stand-in is made by mmdebstrap, which is not installed",
            hint="run 'sudo apt-get install mmdebstrap', or use 'FROM dockersim/starter:python'",
        )
    return found


def _arguments(suite: str, mirrors: Mirrors) -> Iterator[str]:
    yield f"--mode={_mode()}"
    yield from ("--variant=minbase", "--format=tar", "--skip=output/dev")
    yield '--aptopt=Apt::Install-Recommends "false"'
    yield f"--customize-hook={_FINISH}"
    if MERGED_USR.is_dir():
        yield f"--hook-dir={MERGED_USR}"
    yield from (suite, "-", *mirrors.sources(suite))


def _mode() -> str:
    """Choose how mmdebstrap gets to work as root."""
    if os.geteuid() != 0:
        return "auto"
    # As root, "unshare" only means that all is mounted in a namespace of its own, which dies with mmdebstrap. A
    # container has none to give, and lets nothing be mounted; mmdebstrap does without then.
    return "root" if lacking({"SYS_ADMIN": 21}, process_status()) else "unshare"


def _follow(process: subprocess.Popen[bytes], progress: Progress) -> str:
    """Pass each line on; return the last complaint."""
    complaint = ""
    assert process.stderr is not None  # it was asked for above
    for raw in process.stderr:
        kind, _, text = raw.decode(errors="replace").strip().partition(": ")
        if kind == "E" and text:
            complaint = text
        elif kind == "I" and text and not text.startswith("running --"):  # our own hooks are no news
            progress(text)
    return complaint


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the bootstrap and let mmdebstrap remove what it made.

    Its worker is the first process of a pid namespace, which no signal but SIGKILL reaches; the namespaces, with
    all processes and mounts in them, die with it. mmdebstrap itself then cleans up and ends. For an ordinary user
    only it can: the files belong to users that are its own.
    """
    for descendant in _descendants(process.pid):
        _kill(os.kill, descendant)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        _kill(os.killpg, process.pid)
        process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []
    return children + [descendant for child in children for descendant in _descendants(child)]


def _kill(how: Callable[[int, int], None], target: int) -> None:
    try:
        how(target, signal.SIGKILL)
    except ProcessLookupError:  # it has ended by itself
        pass


def _check_user() -> None:
    """Raise ImageError where an ordinary user's bootstrap cannot work, in words rather than mmdebstrap's."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without a name, as OpenShift gives them
        name = str(os.getuid())
    if shutil.which("fakechroot") or _has_range("/etc/subuid", (name, str(os.getuid()))):
        return
    raise ImageError(
        f"mmdebstrap needs root, or a range of user ids for {name} in /etc/subuid",
        hint=f"run 'sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}'",
    )


def _has_range(path: str, names: tuple[str, ...]) -> bool:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return False
    return any(line.split(":")[0] in names for line in lines)


def host_mirrors(suite: str, apt: Path = Path("/etc/apt")) -> Mirrors:
    """Read the mirrors of ``suite`` that this machine's own apt uses; Debian's where it uses none.

    An address with a password in it is passed over: it would be written into the image.
    """
    archive, security = ARCHIVE, SECURITY
    for address, suites in _sources(apt):
        plain = address.startswith(("http://", "https://")) and "@" not in address
        if plain and suite in suites:
            archive = address.rstrip("/")
        elif plain and f"{suite}-security" in suites:
            security = address.rstrip("/")
    return Mirrors(archive, security)


def _sources(apt: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield (address, suites) of every binary source, from both forms of apt's configuration."""
    parts = apt / "sources.list.d"
    for text in _texts([apt / "sources.list", *sorted(parts.glob("*.list"))]):
        for line in text.splitlines():
            words = re.sub(r"\[[^]]*\]", "", line.split("#")[0]).split()
            if words[:1] == ["deb"] and len(words) > 2:
                yield words[1], [words[2]]
    for text in _texts(sorted(parts.glob("*.sources"))):
        for stanza in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
            if "deb" in fields.get("Types", "").split():
                for address in fields.get("URIs", "").split():
                    yield address, fields.get("Suites", "").split()


def _texts(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        try:
            yield path.read_text(errors="replace")
        except OSError:  # not there, or not ours to read
            continue
