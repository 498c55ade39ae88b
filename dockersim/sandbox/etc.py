"""The files in /etc that belong to the sandbox, not to the image: who we are, and how names are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dockersim.sandbox.contract import ProcessSpec
from dockersim.sandbox.passthrough import CERTIFICATES

EtcFile = tuple[str, bytes, bool]
"""A path, its content, and whether it is to be left out where the image has no such directory."""

# As in BuildKit, executor/oci/hosts.go, and Docker's own for containers (libnetwork).
_LOOPBACK = "127.0.0.1\tlocalhost{name}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
# apt gives up its rights to a user `_apt` before it downloads, and checks that it did; with one uid it can't.
_APT_AS_ROOT = 'APT::Sandbox::User "root";\n'
# apt has its own setting for the certificates and reads none of the variables that other programs do.
_APT_CERTIFICATES = f'Acquire::https::CaInfo "{CERTIFICATES}";\n'
_APT_PATH = "/etc/apt/apt.conf.d/zz-dockersim"


def etc_files(process: ProcessSpec, *, apt_as_root: bool) -> list[EtcFile]:
    """List the files to show to ``process``. ``apt_as_root``: the rung has no second user to switch to."""
    files = [("/etc/resolv.conf", _host_resolver(), False), ("/etc/hosts", hosts(process), False)]
    if process.etc_hostname:
        files.append(("/etc/hostname", f"{process.hostname}\n".encode(), False))
    has_certificates = any(mount.target == CERTIFICATES for mount in process.mounts)
    apt = (_APT_AS_ROOT if apt_as_root else "") + (_APT_CERTIFICATES if has_certificates else "")
    if apt:
        files.append((_APT_PATH, apt.encode(), True))
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
