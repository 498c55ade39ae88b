"""apk, addgroup and adduser of a real Alpine on every rung: the layers are those of root, and of docker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.alpine import NET_RAW, alpine, write_packages
from tests.peers import Docker, needs
from tests.proofs.installed import ORDINARY_USER, Installed, as_ordinary_user, as_root
from tests.proofs.merged import differences, merged
from tests.proofs.test_same_files import built_by_docker
from tests.proofs.test_same_owners import rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can build as root and as somebody else"),
]

DOCKERFILE = f"""\
FROM alpine AS repository
COPY packages /repository/{os.uname().machine}
RUN cd /repository/* && apk index --allow-untrusted -o APKINDEX.tar.gz *.apk

FROM alpine
RUN /bin/busybox --install -s && apk add --initdb --no-network
RUN printf -- '--no-cache --allow-untrusted --no-network --repository /repository' > /options
COPY --from=repository /repository /repository
RUN apk add $(cat /options) svc=1.0-r0 && id svc
RUN apk del $(cat /options) svc && ! id svc && ! test -e /usr/bin/svc
RUN apk add $(cat /options) svc=1.0-r0 && test "$(svc)" = "svc 1.0-r0" && test /usr/bin/svc -ef /usr/bin/svc-again
RUN apk add $(cat /options) svc-plugin && grep seen.*/usr/lib/svc /var/log/seen && apk info -e svc-plugin
RUN apk add $(cat /options) --upgrade 'svc>1' && test "$(svc-link)" = "svc 2.0-r0" && grep upgraded /var/log/svc
RUN apk del $(cat /options) svc-plugin && ! test -e /usr/lib/svc && apk audit
RUN mkdir /home && addgroup -S app && adduser -S -G app -h /home/app app && addgroup app svc && id app
RUN adduser -D -u 1234 other && delgroup app svc && deluser other && su app -s /bin/sh -c true
RUN mkdir /srv && install -o app -g app -m 640 /etc/svc/svc.conf /srv/conf
RUN install -o app -g app /etc/svc/svc.conf /srv/group && chgrp svc /srv/group
RUN sed -i s/2/3/ /srv/conf && chgrp 0 /srv/group && echo more >> /srv/group
USER app
RUN touch /home/app/mine && mkdir -m 700 /home/app/dir
"""
MakeInstalled = Callable[[Path, str], Installed]
_FOR_SCRIPTS = "/usr/lib/apk/exec"
_WITH_DATES = {
    "/var/log/apk.log", "/usr/lib/apk/db/scripts.tar.gz", "/etc/shadow", "/etc/shadow-",
    f"/repository/{os.uname().machine}/APKINDEX.tar.gz",
}  # fmt: skip
_OWNER = re.compile(r" \d+:\d+ ")


@pytest.fixture
def context(place: Path) -> Path:
    folder = place / "context"
    (folder / "packages").mkdir(parents=True)
    write_packages(folder / "packages")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(["chown", "-R", str(ORDINARY_USER), str(folder)], check=True)
    return folder


def build(installed: Installed, context: Path) -> Path:
    """Build, and give the saved image."""
    installed("import", alpine(), "alpine:latest")
    installed("build", "-t", "installed", context)
    archive = installed.root.parent / "installed.tar"
    installed("save", "-o", archive, "installed")
    return archive


def told(archive: Path) -> list[str]:
    """List what the layers say, but the content of what has a date in it.

    Left out is where apk puts scripts to run them if there is no /proc, as on the chroot rung: it stays behind empty.
    """
    said = {row: row.split()[4] for row in rows(archive)}
    return [_without_digest(row) if path in _WITH_DATES else row for row, path in said.items() if path != _FOR_SCRIPTS]


def _without_digest(row: str) -> str:
    return row.rsplit(" ", 1)[0]


def capabilities(archive: Path) -> set[bytes]:
    """List the capabilities of files that the layers have."""
    found = set()
    with tarfile.open(archive) as saved:
        manifest = json.load(saved.extractfile("manifest.json"))  # type: ignore[arg-type]
        for name in manifest[0]["Layers"]:
            with tarfile.open(fileobj=saved.extractfile(name)) as layer:
                texts = (entry.pax_headers.get("SCHILY.xattr.security.capability") for entry in layer)
                found |= {text.encode("utf-8", "surrogateescape") for text in texts if text}
    return found


@pytest.fixture
def by_root(place: Path, context: Path) -> Path:
    (place / "by-root").mkdir()
    return build(as_root(place / "by-root", "namespaces"), context)


@pytest.mark.parametrize(("user", "rung"), [(as_ordinary_user, "userns"), (as_root, "chroot")])
def test_layers_are_those_of_root(place: Path, context: Path, by_root: Path, user: MakeInstalled, rung: str) -> None:
    built = build(user(place, rung), context)
    assert told(built) == told(by_root)
    assert capabilities(built) == capabilities(by_root) == {NET_RAW}


@needs("proot")
def test_layers_of_proot_are_those_of_root_but_for_owners(place: Path, context: Path, by_root: Path) -> None:
    by_proot = told(build(as_ordinary_user(place, "proot"), context))
    assert [_OWNER.sub(" ", row) for row in by_proot] == [_OWNER.sub(" ", row) for row in told(by_root)]


@needs("dockerd", "docker")
def test_file_system_is_dockers(place: Path, context: Path, by_root: Path, dockerd: Docker) -> None:
    dockerd("import", alpine(), "alpine:latest")
    theirs = built_by_docker(dockerd, DOCKERFILE, context, place / "theirs.tar")
    ours = merged(by_root)
    assert "usr/bin/svc-setuid" in theirs
    for path in _WITH_DATES:
        ours[path[1:]], theirs[path[1:]] = (replace(one[path[1:]], sha256="") for one in (ours, theirs))
    assert differences(ours, theirs) == []
