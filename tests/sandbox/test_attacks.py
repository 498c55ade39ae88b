"""Images made to reach out of their root, and commands that try to get out of their sandbox."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from dockersim.errors import SandboxError
from dockersim.sandbox import OverlayRoot

from .box import BindMount, Box, TmpfsMount


def snapshot(place: Path) -> list[tuple[str, int, int]]:
    """What stands below ``place``: enough to see that nothing was made, written or deleted."""
    found = [path for path in [place, *place.rglob("*")] if path.exists()]
    return sorted((str(path), path.lstat().st_ino, path.lstat().st_mtime_ns) for path in found)


@pytest.fixture
def outside(place: Path) -> Path:
    """A directory of the host that an image should never reach."""
    target = place / "outside"
    target.mkdir()
    (target / "resolv.conf").write_text("the host's\n")
    return target


@pytest.mark.parametrize("path", ["/etc/resolv.conf", "/etc/hosts"])
@pytest.mark.parametrize("missing", [False, True], ids=["existing", "missing"])
def test_file_that_is_a_link_to_the_host(box: Box, outside: Path, path: str, *, missing: bool) -> None:
    target = outside / ("new" if missing else "resolv.conf")
    (box.base / path[1:]).symlink_to(target)
    before = snapshot(outside)
    box.sh(f"echo overwritten > {path}")
    assert snapshot(outside) == before
    assert (outside / "resolv.conf").read_text() == "the host's\n"


def test_file_that_is_a_relative_link_upwards(box: Box, outside: Path) -> None:
    (box.base / "etc" / "resolv.conf").symlink_to("../" * 20 + str(outside / "resolv.conf")[1:])
    box.sh("echo overwritten > /etc/resolv.conf")
    assert (outside / "resolv.conf").read_text() == "the host's\n"


def test_etc_that_is_a_link_to_the_host(box: Box, outside: Path) -> None:
    (box.base / "etc" / "passwd").unlink()
    (box.base / "etc").rmdir()
    (box.base / "etc").symlink_to(outside)
    before = snapshot(outside)
    box.sh("echo overwritten > /etc/resolv.conf; touch /etc/new")
    assert snapshot(outside) == before


def test_link_through_proc(box: Box, outside: Path) -> None:
    (box.base / "etc" / "resolv.conf").symlink_to(f"/proc/1/root{outside}/resolv.conf")
    before = snapshot(outside)
    try:
        box.sh("echo overwritten > /etc/resolv.conf")
    except SandboxError:  # refusing is as good
        pass
    assert snapshot(outside) == before


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_system_directory_that_is_a_link_to_the_host(box: Box, outside: Path, name: str) -> None:
    (box.base / name).symlink_to(outside)
    before = snapshot(outside)
    with pytest.raises(SandboxError, match=f"/{name} of the image is not a directory"):
        box.sh("echo x > /dev/new; echo x > /proc/new")
    assert snapshot(outside) == before


def test_mount_point_behind_a_link_to_the_host(box: Box, outside: Path, place: Path) -> None:
    (place / "given").mkdir()
    (box.base / "m").symlink_to(outside)
    before = snapshot(outside)
    box.sh("echo x > /m/t/new; ls /m/a", mounts=(BindMount(place / "given", "/m/a/b"), TmpfsMount("/m/t")))
    assert snapshot(outside) == before


def test_loop_of_links(box: Box) -> None:
    (box.base / "etc" / "resolv.conf").symlink_to("/etc/a")
    (box.base / "etc" / "a").symlink_to("resolv.conf")
    with pytest.raises(SandboxError, match="loop of links"):
        box.sh("true")


def test_mount_point_swapped_for_a_link_by_the_command(box: Box, outside: Path, place: Path) -> None:
    """What is tidied up after the command is what we made, not what now goes by its name."""
    (place / "given").mkdir()
    (outside / "q").mkdir()
    box.sh(f"mv /p /p2; ln -s {outside} /p", mounts=(BindMount(place / "given", "/p/q"),))
    assert (outside / "q").is_dir()


@pytest.mark.parametrize("path", ["/dev/null", "/dev/tty", "/proc/keys", "/sys/kernel/profiling"])
def test_mode_of_what_is_the_host_s(box: Box, path: str) -> None:
    """What is bound from the host is the host's own, and on every rung its owner may be who runs the command."""
    if not os.path.exists(path):
        pytest.skip(f"no {path} here")
    before = os.stat(path).st_mode
    try:
        box.sh(f"chmod 0767 {path}")  # harmless, should it be let
        assert os.stat(path).st_mode == before
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
        assert os.stat("/dev/null").st_mode & 0o777 == 0o666
    finally:
        if os.stat(path).st_mode != before:
            os.chmod(path, stat.S_IMODE(before))


def test_settings_of_the_kernel(box: Box) -> None:
    setting = "/proc/sys/kernel/panic"
    assert box.sh(f"cat {setting} > {setting}").code != 0


class TestACommandInNamespaces:
    def test_does_not_see_the_host(self, isolated: Box) -> None:
        assert isolated.sh("ls /").out.split() == ["bin", "dev", "etc", "proc", "sys", "tmp"]
        assert isolated.sh("echo $$; ls -d /proc/[0-9]*").out.startswith("1\n/proc/1\n")
        assert isolated.sh("hostname").out == "buildkitsandbox\n"

    @pytest.mark.parametrize(
        "script",
        [
            "mount -t tmpfs none /tmp",
            "umount /proc/sys",
            "mount -o remount,rw /sys",
            "chroot / mount -t proc proc /tmp",
            "nsenter -t 1 -m true",
            "hostname other",
            "swapoff -a; mount --bind / /tmp",
            "cat /proc/sys/kernel/panic > /proc/sys/kernel/panic",  # harmless, should it be let
            "echo h > /proc/sysrq-trigger",
            "touch /sys/x",
            "head -c 1 /proc/kcore | grep .",
            "cat /proc/keys | grep .",
            "dmesg",
            "insmod /bin/busybox",
        ],
    )
    def test_may_not(self, isolated: Box, script: str) -> None:
        assert isolated.sh(script).code != 0

    def test_can_not_open_a_device_that_it_makes(self, isolated: Box) -> None:
        disk = Path("/sys/dev/block")
        major, minor = next(iter(os.listdir(disk))).split(":")
        for where in ("/tmp", "/dev", "/dev/shm"):
            outcome = isolated.sh(f"mknod {where}/disk b {major} {minor}; head -c 1 {where}/disk | wc -c")
            assert outcome.out.strip() == "0"

    def test_has_docker_s_capabilities(self, isolated: Box) -> None:
        words = isolated.sh("grep Cap /proc/self/status").out.split()
        assert words[3] == words[5] == words[7] == "00000000a80425fb"
        assert words[9] == "0" * 16

    def test_has_none_as_another_user(self, isolated: Box) -> None:
        words = isolated.sh("grep Cap /proc/self/status", uid=1000, gid=1000).out.split()
        assert (words[3], words[5]) == ("0" * 16, "0" * 16)

    def test_has_no_network_if_none_is_asked(self, isolated: Box) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert isolated.sh(f"nc 127.0.0.1 {port} -e true").code == 0
            assert isolated.sh(f"nc 127.0.0.1 {port} -e true", network="none").code != 0
        assert isolated.sh("ls /sys/class/net", network="none").out == "lo\n"
        assert isolated.sh("ping -c 1 -W 1 127.0.0.1 >/dev/null && echo up", network="none").out == "up\n"

    def test_can_be_root_with_a_hundred_and_twenty_layers(self, isolated: Box, place: Path) -> None:
        rung = isolated.sandbox.rung
        if not rung.overlay:
            pytest.skip(f"{rung.name} cannot mount an overlay here")
        layers = place / ("a-directory-with-a-long-name,and:odd\\signs-" + "x" * 60)
        for number in range(120):
            (layers / str(number)).mkdir(parents=True)
            (layers / str(number) / f"file{number}").touch()
            (layers / str(number) / "top").write_text(f"{number}\n")
        for name in ("upper", "work"):
            (place / name).mkdir()
        lower = tuple(layers / str(number) for number in range(120))
        isolated.root = OverlayRoot((*lower, isolated.base), place / "upper", place / "work")
        assert isolated.sh("ls / | grep -c file; cat /top").out == "120\n0\n"
