"""What a container has changed, on every rung: diff, size, export; and the same as a real docker says."""

from __future__ import annotations

import io
import tarfile

import pytest

from dockersim.containers import NoSuchContainer, Options
from dockersim.engine.exporting import export_container
from dockersim.engine.usage import measure_containers
from dockersim.filesystem import Entry
from dockersim.images import import_rootfs, save_docker
from dockersim.oci import Platform
from tests.peers import Docker, needs

from .conftest import World

SCRIPT = """
echo 12345 > /made; mkdir /folder; echo in > /folder/file; ln /made /hard; ln -s made /soft
rm /etc/passwd; echo changed > /etc/new; chmod 700 /tmp
"""
CHANGED = {
    "A /made", "A /folder", "A /folder/file", "A /hard", "A /soft", "C /etc", "D /etc/passwd", "A /etc/new", "C /tmp",
}  # fmt: skip


def changed(world: World, name: str) -> set[str]:
    """The lines of docker diff, without what the sandbox mounts on."""
    files = world.containers.files(name)
    found = set()
    for entry in files.layer:
        letter = ("C" if files.before.get(entry.path) else "A") if isinstance(entry, Entry) else "D"
        found.add(f"{letter} /{entry.path}")
    mounted_on = ("/proc", "/dev", "/sys", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname")
    return {line for line in found if not line.split()[1].startswith(mounted_on)}


def test_changes_and_their_size(world: World) -> None:
    assert world.sh(SCRIPT) == 0
    (container,) = world.containers.list(all=True)
    assert changed(world, container.id) == CHANGED
    # A second name costs nothing, a symbolic link the path in it: so docker counts.
    assert world.containers.size(container) == len("12345\nin\nchanged\n" + "made")
    with pytest.raises(NoSuchContainer):
        world.containers.files("nosuch")


def test_a_container_that_changed_nothing(world: World) -> None:
    container = world.containers.create(Options("busybox", ("true",)))
    assert world.containers.files(container.id).layer == ()
    assert world.containers.size(container) == 0


def test_usage_while_a_container_makes_and_deletes_files_and_another_is_removed(world: World) -> None:
    running = world.start("while :; do mkdir /d; echo x > /d/f; ln -s f /d/l; rm -r /d; done")
    removed = world.containers.create(Options("busybox", ("true",)))
    both = world.containers.list(all=True)
    world.containers.remove(removed.id)
    for _ in range(20):
        assert [usage.container.id for usage in measure_containers(world.engine, both)] == [running]
    world.containers.remove(running, force=True)


def test_a_directory_that_is_gone_is_one_change(world: World) -> None:
    world.sh("mkdir -p /bin/below/deep; rm -r /tmp; mkdir /tmp; echo new > /tmp/other")
    (container,) = world.containers.list(all=True)
    assert {"C /tmp", "A /tmp/other", "A /bin/below", "A /bin/below/deep"} <= changed(world, container.id)
    world.sh("rm -r /tmp")
    latest = world.containers.list(all=True)[0]
    assert "D /tmp" in changed(world, latest.id)


def test_what_is_exported_can_be_imported(world: World) -> None:
    world.sh(SCRIPT)
    (container,) = world.containers.list(all=True)
    out = io.BytesIO()
    export_container(world.engine, container.id, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        members = {member.name.rstrip("/"): member for member in archive}
        content = archive.extractfile("made")
        assert content is not None and content.read() == b"12345\n"
    assert {"bin/busybox", "made", "folder/file", "soft", "etc/new"} <= set(members)
    assert "etc/passwd" not in members
    names = sorted(["made", "hard"], key=lambda name: members[name].islnk())
    assert members[names[1]].linkname == names[0], "two names of one file"
    image = import_rootfs(
        world.engine.store.images, io.BytesIO(out.getvalue()), created="", platform=Platform("amd64", "linux")
    )
    assert world.engine.store.files(tuple(image.config.diff_ids)).text("/etc/new") == "changed\n"


def test_a_running_container_can_be_looked_into(isolated: World) -> None:
    name = isolated.start("echo now > /now; echo ready; exec sleep 1000")
    isolated.logged(name, until="ready")
    assert "A /now" in changed(isolated, name)
    out = io.BytesIO()
    export_container(isolated.engine, name, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        assert "now" in archive.getnames()


@needs("docker", "dockerd")
def test_docker_says_the_same(best: World, dockerd: Docker) -> None:
    out = io.BytesIO()
    save_docker(best.engine.store.images, ["busybox"], out)
    dockerd("load", stdin=out.getvalue())
    dockerd("run", "--name", "changes", "--network", "none", "busybox", "sh", "-c", SCRIPT)
    try:
        theirs = set(dockerd("diff", "changes").splitlines())
    finally:
        dockerd("rm", "--force", "changes")
        dockerd("rmi", "--force", "busybox")
    best.sh(SCRIPT)
    assert changed(best, best.containers.list(all=True)[0].id) == theirs == CHANGED
