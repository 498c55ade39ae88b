"""The files in /etc that belong to the sandbox, not to the image: who we are, and how names are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dockersim.sandbox.contract import ProcessSpec

EtcFile = tuple[str, bytes, bool]
"""A path, its content, and whether it is to be left out where the image has no such directory."""

# As in BuildKit, executor/oci/hosts.go, and Docker's own for containers (libnetwork).
_LOOPBACK = "127.0.0.1\tlocalhost{name}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
# apt gives up its rights to a user `_apt` before it downloads, and checks that it did; with one uid it can't.
_APT = ("/etc/apt/apt.conf.d/zz-dockersim", b'APT::Sandbox::User "root";\n', True)


def etc_files(process: ProcessSpec, *, apt_as_root: bool) -> list[EtcFile]:
    """List the files to show to ``process``. ``apt_as_root``: the rung has no second user to switch to."""
    files = [("/etc/resolv.conf", _host_resolver(), False), ("/etc/hosts", hosts(process), False)]
    if process.etc_hostname:
        files.append(("/etc/hostname", f"{process.hostname}\n".encode(), False))
    if apt_as_root:
        files.append(_APT)
    return files


def hosts(process: ProcessSpec) -> bytes:
    """Write /etc/hosts for ``process``: a container is known by its address, a RUN by 127.0.0.1."""
    return "".join(_hosts_lines(process)).encode()


def _hosts_lines(process: ProcessSpec) -> Iterator[str]:
    yield _LOOPBACK.format(name="" if process.address else f" {process.hostname}")
    if process.address:
        yield f"{process.address.partition('/')[0]}\t{process.hostname}\n"
    for name, address in process.hosts:
        yield f"{address}\t{name}\n"


def _host_resolver() -> bytes:
    try:
        return Path("/etc/resolv.conf").read_bytes()
    except OSError:  # a machine without a network: then names are not found inside either
        return b""
