"""The tutorial's image built by root and by an ordinary user, from the same base: the same layers, owners included."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.proofs.installed import ORDINARY_USER, Installed, as_ordinary_user, as_root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can build as root and as somebody else"),
]

BASE = "dockersim/starter:python"
TUTORIAL = f"""\
FROM {BASE}
ENV SOURCE_DATE_EPOCH=1700000000
WORKDIR /app
COPY requirements.txt requirements.txt
RUN --network=none pip3 install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 5000
CMD ["python3", "app.py"]
"""
OWNERS = """\
RUN printf 'app:x:1000:1001::/home/app:/bin/sh\\n' >> /etc/passwd && printf 'app:x:1001:\\n' >> /etc/group
COPY --chown=app:app --chmod=640 app.py /srv/
RUN mkdir -p /home/app/.cache && chown -R app:app /home/app /app && chmod 2750 /home/app
RUN chown root:app /srv/app.py && chown -h 7:8 /app/link && ln /srv/app.py /srv/again && mv /app/app.py /app/moved.py
RUN cp /usr/bin/env /srv/env && chmod 6755 /srv/env && chown 5:6 /srv/env && chmod u+s /srv/env
RUN mknod /srv/null c 1 3 && mknod -m 640 /srv/loop b 7 0 && chown 0:6 /srv/loop
RUN touch /srv/gone && chown 9:9 /srv/gone && rm /srv/gone && touch /srv/new
USER app
WORKDIR /home/app/work
RUN echo mine > mine && mkdir -m 700 dir && ln -s mine dir/link && ln mine dir/hard && echo more >> /home/app/more
RUN echo again >> mine && rm -r dir && mkdir dir && echo x > dir/x
USER 4711:4712
RUN echo theirs > /tmp/theirs
"""


def make_context(place: Path) -> Path:
    folder = place / "context"
    folder.mkdir()
    (folder / "app.py").write_text("print('Hello, Docker!')\n")
    (folder / "requirements.txt").write_text("flask\n")
    (folder / "link").symlink_to("app.py")
    (folder / "Dockerfile").write_text(TUTORIAL + OWNERS)
    subprocess.run(["chown", "-Rh", str(ORDINARY_USER), str(folder)], check=True)
    return folder


def rows(archive: Path) -> list[str]:
    """Write each entry of each layer as a line: all that a layer says of it but its time."""
    with tarfile.open(archive) as saved:
        manifest = json.load(saved.extractfile("manifest.json"))  # type: ignore[arg-type]
        return [
            f"{number} {row}"
            for number, name in enumerate(manifest[0]["Layers"])
            for row in _rows_of_layer(saved.extractfile(name))  # type: ignore[arg-type]
        ]


def _rows_of_layer(layer: tarfile.ExFileObject) -> list[str]:
    with tarfile.open(fileobj=layer) as tar:
        return [_row(tar, member) for member in tar]


def _row(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content = tar.extractfile(member) if member.isreg() else None
    digest = hashlib.sha256(content.read()).hexdigest()[:12] if content else ""
    device = f"{member.devmajor},{member.devminor}" if member.isdev() else ""
    owner = f"{member.mode:05o} {member.uid}:{member.gid}"
    return f"{member.type.decode()} {owner} /{member.name} {member.linkname} {device} {digest}"


def build(installed: Installed, context: Path) -> list[str]:
    output = installed("build", "-t", "tutorial", context)
    archive = installed.root.parent / "tutorial.tar"
    installed("save", "-o", archive, "tutorial")
    assert "does not let us record" not in output
    return rows(archive)


def test_layers_of_an_ordinary_user_are_those_of_root(place: Path) -> None:
    context = make_context(place)
    root, user = as_root(place), as_ordinary_user(place)
    by_root = build(root, context)
    base = user.root.parent / "base.tar"
    root("save", "-o", base, BASE)
    base.chmod(0o644)
    user("load", "-i", base)
    by_user = build(user, context)
    assert len(by_root) > 500
    assert [row for row in by_root if row not in set(by_user)] == []
    assert by_user == by_root
