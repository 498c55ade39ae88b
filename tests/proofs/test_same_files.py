"""One Dockerfile built by docker and by dockersim, from the same base: the same file system, path by path."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.peers import Docker, needs
from tests.proofs.installed import ORDINARY_USER, as_ordinary_user, as_root, with_busybox
from tests.proofs.merged import Merged, differences, merged

PLAIN = """\
ARG TOOLS=busybox
FROM $TOOLS AS tools
WORKDIR /out/bin
COPY tool.sh .
RUN chmod 4755 tool.sh && ln tool.sh too && ln -s tool.sh link && mkdir -m 1777 scratch \\
 && echo $((6*7)) > answer && chmod 600 answer && touch -d '2001-02-03 04:05:06' old

FROM busybox AS unused
RUN exit 1

FROM busybox
ARG GREETING="hello you"
ENV PLACE=/srv/app GREETING=$GREETING
RUN echo 'app:x:1000:1001::/home/app:/bin/sh' >> /etc/passwd && echo 'app:x:1001:' > /etc/group
COPY . /everything
COPY --chown=app:app data $PLACE/data
RUN mkdir -p /etc/secret/deep
COPY --chown=1234:5678 --chmod=0640 secret.txt /etc/secret/deep/secret.txt
COPY --chmod=755 data/one.txt data/two.txt /srv/executable/
COPY data/*.txt links/to-one /picked/
COPY ["name with spaces", "/spaces/"]
ADD archive.tar.gz /unpacked/
COPY --from=tools /out /opt/tools
COPY --from=tools --chown=app /out/bin/answer /opt/answer
WORKDIR $PLACE/work
RUN echo "$GREETING from $PLACE" > greeting && mkdir -p a/b/c && echo deep > a/b/c/deep && umask 077 && echo x > private
RUN rm /bin/vi /etc/secret/deep/secret.txt && rmdir /etc/secret/deep && rm -r /everything/data/sub \\
 && mkdir /everything/data/sub && echo new > /everything/data/sub/only-this
RUN mv /picked/one.txt /picked/uno.txt && mv a/b a/bee && chmod 2750 a/bee && chmod 0000 private
RUN rm -rf /spaces && ln -s /srv/app /spaces && rm greeting && mkdir greeting && touch greeting/now-a-directory
RUN rm -r /everything/links && echo 'now a file' > /everything/links && chmod u+s /opt/tools/bin/answer \\
 && mkfifo -m 640 /tmp/pipe
RUN ln /opt/answer /opt/again && echo more >> /etc/group && cp /bin/busybox /tmp/copy && rm /tmp/copy
COPY data /srv/executable
USER app
WORKDIR /home/app/made/by/workdir
COPY secret.txt .
CMD ["sh"]
"""
"""What every rung can do: no owner is changed by a command.

Left out is what Debian's docker, of 2020, does otherwise than the BuildKit of 2026 that ``oracle.json`` recorded: the
mode of directories that COPY --chmod makes, --chown of an unpacked archive, and pipes copied from a stage.
"""

RECREATED = """\
USER root
RUN rm -r /srv/app/data/sub && mkdir /srv/app/data/sub && echo new > /srv/app/data/sub/only-this
"""
"""A directory of another owner that is deleted and made again: on a disk without owners only an overlay can tell."""

OWNERS = """\
USER root
RUN chown -R app:app /opt/tools && chown 5:6 /etc/group && chown -h 9:9 /opt/tools/bin/link
USER app
RUN echo mine > mine && mkdir -m 700 dir && ln -s mine dir/link && echo more >> mine
USER 4711:4712
WORKDIR /var/numeric
RUN echo theirs > theirs
"""
"""What needs a disk that can hold owners."""


def make_context(folder: Path) -> Path:
    """Make a context with odd modes, links of both kinds, odd names, an archive and ignored files."""
    folder.mkdir()
    for name in ("data/sub/deeper", "data/empty", "links", "ignored/below", "kept"):
        (folder / name).mkdir(parents=True)
    texts = {
        "tool.sh": "#!/bin/sh\necho tool\n", "secret.txt": "secret\n", "name with spaces": "spaces\n",
        "data/one.txt": "one\n", "data/two.txt": "two\n" * 5000, "data/empty.txt": "", "data/sub/three.txt": "three\n",
        "data/sub/deeper/four": "four\n", "ignored/no": "no\n", "ignored/below/yes": "yes\n", "kept/note.md": "no\n",
        "kept/README.md": "yes\n", "debug.log": "no\n", "data/ünïcode": "u\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / ".dockerignore").write_text("*.log\n**/*.md\n!kept/README.md\nignored\n!ignored/below\n")
    os.link(folder / "data/one.txt", folder / "data/one-again.txt")
    for name, target in (("to-one", "../data/one.txt"), ("dangling", "nowhere"), ("to-directory", "../data/sub")):
        (folder / "links" / name).symlink_to(target)
    _set_modes(folder)
    _write_archive(folder / "archive.tar.gz")
    return folder


def _set_modes(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    for name, mode in (
        ("tool.sh", 0o755), ("secret.txt", 0o400), ("data/two.txt", 0o666), ("data/sub", 0o700), ("data/empty", 0o1777),
        ("data/sub/three.txt", 0o4711), ("data/sub/deeper/four", 0o2644),
    ):  # fmt: skip
        (folder / name).chmod(mode)


def _write_archive(path: Path) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, mode, owner, link in (
            ("dir", tarfile.DIRTYPE, 0o2770, 33, ""), ("dir/file", tarfile.REGTYPE, 0o640, 33, ""),
            ("dir/hard", tarfile.LNKTYPE, 0o640, 33, "dir/file"), ("dir/soft", tarfile.SYMTYPE, 0o777, 44, "file"),
            ("made/on/the/way", tarfile.REGTYPE, 0o604, 0, ""),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.uid, member.gid, member.linkname = kind, mode, owner, owner, link
            member.mtime = 1_600_000_000
            data = name.encode() if kind == tarfile.REGTYPE else b""
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def buildkit_client(docker: Docker) -> str:
    """Find a docker program that can speak to BuildKit: one with buildx, or one from before buildx."""
    folders = os.environ["PATH"].split(os.pathsep)
    programs = dict.fromkeys(found for folder in folders if (found := shutil.which("docker", path=folder)))
    for program in programs:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        buildx = subprocess.run([program, "buildx", "version"], capture_output=True, check=False)
        if int(version.split()[2].split(".")[0]) < 23 or buildx.returncode == 0:
            return program
    pytest.skip("no docker program here has BuildKit")


def built_by_docker(docker: Docker, text: str, context: Path, archive: Path) -> Merged:
    """Build with BuildKit in the real daemon, which has no bridge: RUN uses the host's network, as ours does."""
    command = [buildkit_client(docker), "--host", docker.host, "build", "--network=host", "-t", "proof", "-f", "-"]
    done = subprocess.run(
        [*command, str(context)], input=text.encode(), env=os.environ | {"DOCKER_BUILDKIT": "1"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    docker("save", "-o", archive, "proof")
    return merged(archive)


CASES = {
    "root": (as_root, "", PLAIN + RECREATED + OWNERS),
    "proot": (as_root, "proot", PLAIN + RECREATED),
    "ordinary user": (as_ordinary_user, "", PLAIN + RECREATED),
    "ordinary user with proot": (as_ordinary_user, "proot", PLAIN),
}


@needs("dockerd", "docker")
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_merged_file_system_is_dockers(name: str, place: Path, docker: Docker) -> None:
    make, rung, text = CASES[name]
    ours = with_busybox(make(place, rung), place)
    context = make_context(place / "context")
    if make is as_ordinary_user:
        subprocess.run(["chown", "-Rh", str(ORDINARY_USER), str(context)], check=True)
    (place / "Dockerfile").write_text(text)
    archive = ours.root.parent / "ours.tar"

    ours("build", "-t", "proof", "-f", place / "Dockerfile", context)
    ours("save", "-o", archive, "proof")

    theirs = built_by_docker(docker, text, context, place / "theirs.tar")
    assert len(theirs) > 350  # a comparison of nothing would prove nothing
    found = differences(merged(archive), theirs)
    assert not found, "\n".join(found)
