"""Where nothing can be mounted: what lies over the image for one run, and how it is given back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dockersim.errors import SandboxError
from dockersim.sandbox import BindMount, Inhabitant, Stdio, TmpfsMount, stand_on
from dockersim.sandbox.inside.wire import start_time

from .box import PATH, Box, ProcessSpec, lay_out, make_box
from .conftest import rung_of
from .test_conformance import STUBS, gone

_PROJECT = Path(__file__).parents[2]


@pytest.fixture
def box(place: Path) -> Box:
    return make_box(stand_on(rung_of("chroot"), place), place, overlay=False)


@pytest.fixture
def given(place: Path) -> Path:
    """A directory to mount, with a file, a link out of it and a directory in it."""
    folder = place / "given"
    (folder / "inner").mkdir(parents=True)
    (folder / "file").write_text("old\n")
    (folder / "inner" / "deep").write_text("deep\n")
    (folder / "link").symlink_to("/etc/passwd")
    return folder


class TestTheImageSOwn:
    @pytest.mark.parametrize(
        "script", ["true", "echo x > /etc/hosts", "rm /etc/hosts", "mv /etc/hosts /tmp/x; rm /tmp/x"]
    )
    def test_file_is_given_back(self, box: Box, script: str) -> None:
        (box.base / "etc" / "hosts").write_text("the image's\n")
        os.chmod(box.base / "etc" / "hosts", 0o640)
        before = os.stat(box.base / "etc" / "hosts")
        box.sh(script)
        after = os.stat(box.base / "etc" / "hosts")
        assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
        assert box.written() == STUBS | {"etc/hosts"}  # which was none when the box was made

    def test_devices_are_hidden_and_given_back(self, box: Box) -> None:
        (box.base / "dev" / "inner").mkdir(parents=True)
        (box.base / "dev" / "console").write_text("a stand-in\n")
        assert "console" not in box.sh("ls /dev; rm -rf /dev/*; echo x > /dev/new").out
        assert sorted(os.listdir(box.base / "dev")) == ["console", "inner"]

    def test_directory_is_found_by_another_name(self, box: Box) -> None:
        (box.base / "etc" / "hosts").write_text("the image's\n")
        box.sh("mv /etc /etc2; mv /dev /dev2; mkdir -p /dev")
        assert (box.base / "etc2" / "hosts").read_text() == "the image's\n"
        assert sorted(os.listdir(box.base / "etc2")) == ["hosts", "passwd"]
        assert os.listdir(box.base / "dev") == os.listdir(box.base / "dev2") == []

    def test_directory_around_a_file_of_ours_is_deleted(self, box: Box) -> None:
        (box.base / "etc" / "hosts").write_text("the image's\n")
        assert box.sh("rm -rf /etc").code == 0
        assert not (box.base / "etc").exists()

    def test_deeper_than_descriptors_go(self, box: Box) -> None:
        script = "cd /dev; i=0; while [ $i -lt 1500 ]; do mkdir d; cd d; i=$((i+1)); done"
        assert box.sh(script).code == 0
        assert box.written() == STUBS
        assert os.listdir(box.base / "dev") == []


class TestMounts:
    def test_copy_that_is_not_written_back(self, box: Box, given: Path) -> None:
        outcome = box.sh("cat /m/file /m/inner/deep; rm -r /m/*", mounts=(BindMount(given, "/m"),))
        assert (outcome.code, outcome.out) == (0, "old\ndeep\n")
        assert sorted(os.listdir(given)) == ["file", "inner", "link"]
        assert box.written() == STUBS

    def test_copy_that_is_written_back(self, box: Box, given: Path) -> None:
        script = (
            "echo new > /m/file; rm /m/inner/deep; mkdir /m/more; echo x > /m/more/x; chmod 600 /m/more/x; chown 5 /m"
        )
        box.sh(script, mounts=(BindMount(given, "/m", read_only=False),))
        assert (given / "file").read_text() == "new\n"
        assert not (given / "inner" / "deep").exists()
        assert stat.S_IMODE((given / "more" / "x").stat().st_mode) == 0o600
        assert (given / "link").readlink() == Path("/etc/passwd")
        assert box.written() == STUBS

    def test_what_came_to_the_original_meanwhile_stays(self, box: Box, given: Path) -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        process = ProcessSpec(("/bin/sleep", "100"), PATH, mounts=(BindMount(given, "/m", read_only=False),))
        running = box.sandbox.start(box.root, process, Stdio(nothing, nothing, nothing))
        os.close(nothing)
        (given / "another").write_text("of another build\n")
        running.kill(signal.SIGKILL)
        running.wait(10)
        assert (given / "another").exists()

    def test_link_put_into_a_copy_leads_nowhere(self, box: Box, given: Path, place: Path) -> None:
        outside = place / "outside"
        outside.mkdir()
        script = f"rm -r /m/inner; ln -s {outside} /m/inner; ln -s {outside}/file /m/new"
        box.sh(script, mounts=(BindMount(given, "/m", read_only=False),))
        box.sh(
            "rm -rf /m/inner; mkdir /m/inner; echo x > /m/inner/x", mounts=(BindMount(given, "/m", read_only=False),)
        )
        assert os.listdir(outside) == []
        assert (given / "inner" / "x").read_text() == "x\n"

    def test_memory_is_a_directory_that_goes(self, box: Box) -> None:
        assert box.sh("stat -c %a /t; echo x > /t/x", mounts=(TmpfsMount("/t", mode=0o700),)).out == "700\n"
        assert box.written() == STUBS

    def test_socket_is_reached(self, box: Box, place: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(place / "agent"))
            server.listen()
            outcome = box.sh("test -S /run/agent && echo there", mounts=(BindMount(place / "agent", "/run/agent"),))
        assert outcome.out == "there\n"
        assert box.written() == STUBS

    def test_what_cannot_be_copied_is_refused_and_nothing_is_left(self, box: Box, given: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            path = f"/dev/shm/dockersim-{os.getpid()}"
            server.bind(path)
            try:
                with pytest.raises(SandboxError, match="nothing can be mounted here, and /s cannot be copied"):
                    box.sh("true", mounts=(BindMount(given, "/m"), BindMount(Path(path), "/s")))
            finally:
                os.unlink(path)
        assert box.written() <= STUBS
        assert not box.root.aside.exists()  # type: ignore[union-attr]


class TestWhoIsInside:
    @pytest.mark.parametrize("script", ["chroot / true", "mknod /tmp/disk b 8 0", "mount -t proc proc /proc"])
    def test_may_not(self, box: Box, script: str) -> None:
        assert box.sh(script).code != 0

    def test_may_not_as_another_user_s_program_either(self, box: Box) -> None:
        with box.started("/bin/sleep", "100") as pid:
            words = Path(f"/proc/{pid}/status").read_text().split()
        bounding = int(words[words.index("CapBnd:") + 1], 16)
        assert not bounding & (1 << 18 | 1 << 21 | 1 << 27)  # SYS_CHROOT, SYS_ADMIN, MKNOD


def test_second_process_puts_nothing_over_what_is_there(box: Box) -> None:
    with box.started("/bin/sleep", "100") as pid:
        before = os.stat(box.base / "dev").st_ino
        nothing = os.open(os.devnull, os.O_RDWR)
        process = ProcessSpec(("/bin/sh", "-c", "echo x > /dev/null; cat /etc/hosts; echo x > /tmp/seen"), PATH)
        beside = Inhabitant(pid, start_time(pid))
        box.sandbox.enter(box.root, beside, process, Stdio(nothing, nothing, nothing)).wait(10)
        os.close(nothing)
        assert (box.base / "tmp" / "seen").exists()
        assert os.stat(box.base / "dev").st_ino == before
    assert box.written() == STUBS | {"tmp/seen"}


def test_run_after_one_whose_supervisor_was_killed(box: Box) -> None:
    """As of a container that is started again after the machine had no memory left: its own files come back."""
    (box.base / "etc" / "hosts").write_text("the image's\n")
    nothing = os.open(os.devnull, os.O_RDWR)
    running = box.sandbox.start(box.root, ProcessSpec(("/bin/sleep", "77123"), PATH), Stdio(nothing, nothing, nothing))
    os.close(nothing)
    supervisor = Path(f"/proc/{running.inhabitant.pid}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(int(supervisor), signal.SIGKILL)
    with pytest.raises(SandboxError, match="it was killed"):
        running.wait(10)
    assert gone("77123")
    assert (box.base / "dev" / "null").exists()
    box.sh("true")
    assert (box.base / "etc" / "hosts").read_text() == "the image's\n"
    assert os.listdir(box.base / "dev") == []
    assert not box.root.aside.exists()  # type: ignore[union-attr]


_WITHOUT_DEVICES = """
import sys
from pathlib import Path
from dockersim.sandbox import DirectoryRoot, ProcessSpec, choose
place = Path(sys.argv[1])
sandbox = choose("chroot", place / "scratch")
print(*sandbox.rung.deviations, sep="\\n")
script = "echo x > /dev/null && head -c 3 /dev/zero | wc -c && head -c 2 /dev/urandom | wc -c"
process = ProcessSpec(("/bin/sh", "-c", script), {"PATH": "/bin"})
ended = sandbox.run(DirectoryRoot(place / "base"), process, lambda _, piece: print(piece.decode(), end=""))
sys.exit(ended.code)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_without_the_right_to_make_devices(place: Path) -> None:
    """As in podman and in CRI-O, whose containers have no CAP_MKNOD: /dev/null must not become a file of the layer."""
    rung_of("chroot")
    lay_out(place / "base")
    ran = subprocess.run(
        ["setpriv", "--bounding-set=-mknod,-sys_admin", "--inh-caps=-all", sys.executable, "-c", _WITHOUT_DEVICES,
         str(place)],
        env=os.environ | {"PYTHONPATH": str(_PROJECT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("3\n2\n")
    assert "those in /dev are files" in ran.stdout
    assert os.listdir(place / "base" / "dev") == []
