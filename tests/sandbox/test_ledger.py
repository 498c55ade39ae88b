"""What an ordinary user's RUN does to owners and devices: heard outside, written down, answered as by root."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from dockersim.sandbox import ProcessSpec, Recorded, stand_on
from dockersim.sandbox.inside.kernel import AT_FDCWD, file_handle

from .box import PATH, BindMount, Box, lay_out, make_box
from .conftest import rung_of

Owner = tuple[int | None, int | None]


@pytest.fixture(params=["overlay", "directory"])
def user_box(request: pytest.FixtureRequest, place: Path) -> Box:
    rung = rung_of("userns")
    if request.param == "overlay" and not rung.overlay:
        pytest.skip("userns cannot mount an overlay here")
    return make_box(stand_on(rung, place), place, overlay=request.param == "overlay")


class Recorder:
    """Runs scripts in a box, and reads what was recorded by path, as the snapshotter does."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.recorded: dict[int, Recorded] = {}
        self.output = b""

    def __call__(self, script: str, **changes: object) -> int:
        process = replace(ProcessSpec(("/bin/sh", "-c", script), PATH), **changes)
        pieces: list[bytes] = []
        ended = self.box.sandbox.run(self.box.root, process, lambda _, piece: pieces.append(piece))
        self.output = b"".join(pieces)
        if not ended.recorded_all:
            pytest.skip("this kernel has no seccomp_unotify(2), or somebody else listens already")
        self.recorded = dict(ended.recorded)
        return ended.code

    def of(self, path: str) -> Recorded | None:
        found = self.recorded.get((self.box.top / path).lstat().st_ino)
        if found is not None:
            assert found.handle == file_handle(AT_FDCWD, os.fsencode(self.box.top / path)), f"{path} is another file"
        return found

    def owner(self, path: str) -> Owner | None:
        found = self.of(path)
        return (found.uid, found.gid) if found else None


@pytest.fixture
def run(user_box: Box) -> Recorder:
    return Recorder(user_box)


class TestChown:
    @pytest.mark.parametrize(
        ("script", "path", "owner"),
        [
            ("touch /x; chown 5:6 /x", "x", (5, 6)),
            ("chown 5:6 /etc/passwd", "etc/passwd", (5, 6)),
            ("chown -R 5:6 /etc", "etc/passwd", (5, 6)),
            ("chown -R 5:6 /etc", "etc", (5, 6)),
            ("cd /etc; chown 5:6 ../etc/passwd", "etc/passwd", (5, 6)),
            ("touch /x; chown 5:6 /x; chown 7:8 /x", "x", (7, 8)),
            ("touch /x; chown 5:6 /x; mv /x /y", "y", (5, 6)),
            ("touch /x; chown 5:6 /x; ln /x /y; rm /x", "y", (5, 6)),
            ("touch /x; ln -s x /l; chown 5:6 /l", "x", (5, 6)),
            ("touch /x; ln -s x /l; chown -h 5:6 /l", "l", (5, 6)),
            ("ln -s nowhere /l; chown -h 5:6 /l", "l", (5, 6)),
            ("mkdir /d; ln -s /etc/passwd /d/l; cd /d; chown 5:6 l", "etc/passwd", (5, 6)),
            ("ln -s ../../../etc /etc/up; chown 5:6 /etc/up/passwd", "etc/passwd", (5, 6)),
            ("mkdir /c; cp /bin/busybox /c/; touch /c/x; chroot /c /busybox chown 5:6 /x", "c/x", (5, 6)),
            ("cd /etc; mv passwd other; chown 5:6 other; echo x >> other", "etc/other", (5, 6)),
            ("touch /x; exec 3</x; chown 5:6 /proc/self/fd/3", "x", (5, 6)),
            ("touch /x; exec 3</x; chown 5:6 /dev/fd/3", "x", (5, 6)),
            ("touch /x; exec 3</x; mv /x /y; chown 5:6 /proc/thread-self/fd/3", "y", (5, 6)),
            ("touch /x; chown 5:6 /dev/stdin </x", "x", (5, 6)),
            ("touch /x; ln -s /dev/stdin /l; chown 5:6 /l </x", "x", (5, 6)),
            ("exec 3</etc; chown 5:6 /proc/self/fd/3", "etc", (5, 6)),
            ("exec 3</etc; chown 5:6 /proc/self/fd/3/passwd", "etc/passwd", (5, 6)),
            ("ln -s passwd /etc/l; exec 3</etc; chown -h 5:6 /dev/fd/3/l", "etc/l", (5, 6)),
            ("exec 3</etc/passwd; cd /proc/self/fd; exec chown 5:6 3", "etc/passwd", (5, 6)),
            ("cp /bin/busybox /x; tar -cf /t -C / x; rm x; cd /; chown 0:0 /t; tar -xf /t", "x", (0, 0)),
        ],
    )  # fmt: skip
    def test_is_recorded(self, run: Recorder, script: str, path: str, owner: Owner) -> None:
        assert run(script) == 0, run.output
        assert run.owner(path) == owner

    @pytest.mark.parametrize(
        ("script", "path", "copied"),
        [
            ("sed -i s/root/toor/ /etc/passwd", "etc/passwd", True),
            ("chown 5:6 /etc/passwd; sed -i s/root/toor/ /etc/passwd", "etc/passwd", True),
            ("sed -i s/root/toor/ /etc/passwd; chown 0:0 /etc/passwd", "etc/passwd", False),
            ("sed -i s/root/toor/ /etc/passwd; chown 0:6 /etc/passwd", "etc/passwd", False),
            ("touch /x; chown 0:0 /x", "x", False),
        ],
    )
    def test_to_whom_a_file_already_seems_to_belong_is_perhaps_a_copy(
        self, run: Recorder, script: str, path: str, copied: bool
    ) -> None:
        """Who writes a file anew gives it, by its descriptor, to whom the old one seemed to belong."""
        assert run(script) == 0, run.output
        found = run.of(path)
        assert found is not None and found.copied is copied

    def test_by_chgrp_leaves_the_owner(self, run: Recorder) -> None:
        """Busybox's chgrp gives the owner that stat told it, too."""
        assert run("chgrp 6 /etc/passwd; touch /x; chown 5 /x; chgrp 6 /x") == 0, run.output
        assert run.owner("etc/passwd") == (None, 6)
        assert run.owner("x") == (5, 6)

    def test_of_a_deleted_file_is_not_taken_for_the_next_one_s(self, run: Recorder) -> None:
        assert run("for n in 1 2 3 4 5 6 7 8; do touch /x; chown 5:6 /x; rm /x; done; touch /y") == 0
        found = run.recorded.get((run.box.top / "y").stat().st_ino)
        handle = file_handle(AT_FDCWD, os.fsencode(run.box.top / "y"))
        assert found is None or not handle or found.handle != handle

    def test_takes_set_uid_away_as_it_does_from_root(self, run: Recorder) -> None:
        assert run("cp /bin/busybox /x; chmod 6755 /x; mkdir -m 2755 /d; chown 5:6 /x /d; stat -c %a /x /d") == 0
        assert run.output == b"755\n2755\n"
        assert run("chmod 4755 /x; stat -c %a /x") == 0
        assert run.output == b"4755\n"

    def test_leaves_the_time_of_the_content(self, run: Recorder) -> None:
        os.utime(run.box.base / "etc" / "passwd", (1_700_000_000, 1_700_000_000))
        assert run("chown 5:6 /etc/passwd") == 0
        assert (run.box.top / "etc" / "passwd").stat().st_mtime == 1_700_000_000

    @pytest.mark.parametrize(
        "path", ["/dev/null", "/dev/stdout", "/dev/fd/1", "/log", "/proc/self/fd/1", "/dev/shm", "/proc/self/status"]
    )
    def test_of_what_is_no_part_of_the_image_succeeds(self, run: Recorder, path: str) -> None:
        assert run(f"ln -s /dev/stdout /log; chown 5:6 {path} 2>&1; echo $?") == 0
        assert run.output.endswith(b"0\n"), run.output
        assert run.recorded == {}

    def test_of_a_link_to_itself_by_way_of_a_descriptor_fails(self, run: Recorder) -> None:
        assert run("ln -s /proc/self/fd/3/l /etc/l; exec 3</etc; chown 5:6 /proc/self/fd/3/l 2>&1") == 1
        assert run.output.endswith(b"Too many levels of symbolic links\n"), run.output
        assert run("exec 3</etc/passwd; chown -h 5:6 /proc/self/fd/3") == 0
        assert run.recorded == {}

    def test_of_what_is_mounted_read_only_fails(self, run: Recorder, place: Path) -> None:
        (place / "given").write_text("the host's\n")
        before = (place / "given").stat()
        code = run("chown 5:6 /g; echo $?", mounts=(BindMount(place / "given", "/g"),))
        assert (code, (place / "given").stat().st_ctime_ns) == (0, before.st_ctime_ns)
        assert run.recorded == {}

    def test_by_another_user_than_root_is_refused(self, run: Recorder) -> None:
        (run.box.base / "tmp").chmod(0o777)
        who = {"uid": 1000, "gid": 1001, "groups": (1002,)}
        assert run("cd /tmp; touch x; chown 5 x 2>&1", **who) == 1
        assert b"not permitted" in run.output
        assert run("cd /tmp; chgrp 5 x 2>&1", **who) == 1
        assert run("cd /tmp; chgrp 1002 x && chown 1000 x", **who) == 0
        assert run.of("tmp/x").gid in (1001, 1002)  # busybox's chown gives the group that it sees, too


ANSWERS = """\
chown b'/nowhere' ENOENT
chown b'/etc/passwd/' ENOTDIR
chown b'/loop' ELOOP
chown b'/dangling' ENOENT
chown b'' ENOENT
chown b'/xxxxxxxxxxx' ENAMETOOLONG
chown b'/x/x/x/x/x/x' ENAMETOOLONG
chown b'passwd' done
chown b'../etc/../et' done
chown b'//etc//.//pa' done
chown b'/etc/passwd/' ENOTDIR
chown b'/etc/' done
lchown b'/loop' done
lchown b'/dangling' done
lchown b'link' done
lchown b'/etc/link/x' ENOTDIR
fchown passwd done
fchown 999 EBADF
fchown -1 EBADF
fchown -100 EBADF
in a directory done
in a file ENOTDIR
in nothing EBADF
absolute done
the link done
behind the link done
up and out done
the file itself done
the directory itself done
an open link itself done
here itself done
no path ENOENT
unknown flags EINVAL
a bad address EFAULT
the kernel's address EFAULT
in a thread done
"""
CALLS = """
import ctypes, errno, os, threading
libc = ctypes.CDLL(None, use_errno=True)
os.chdir("/etc")
os.symlink("loop", "/loop"); os.symlink("nowhere", "/dangling"); os.symlink("passwd", "/etc/link")
etc = os.open("/etc", os.O_PATH)
passwd = os.open("/etc/passwd", os.O_RDONLY)
link = os.open("/etc/link", os.O_PATH | os.O_NOFOLLOW)

def tell(name, call, *arguments):
    call.restype = ctypes.c_long
    failed = call(*arguments) < 0
    print(name, errno.errorcode[ctypes.get_errno()] if failed else "done")

def at(name, directory, path, flags=0):
    tell(name, libc.fchownat, directory, path, 5, 6, flags)

for path in (b"/nowhere", b"/etc/passwd/x", b"/loop", b"/dangling", b"", b"/" + b"x" * 300, b"/x" * 2500, b"passwd",
             b"../etc/../etc/passwd", b"//etc//.//passwd", b"/etc/passwd/", b"/etc/"):
    tell("chown " + repr(path[:12]), libc.chown, path, 5, 6)
for path in (b"/loop", b"/dangling", b"link", b"/etc/link/x"):
    tell("lchown " + repr(path), libc.lchown, path, 5, 6)
for name, number in (("passwd", passwd), ("999", 999), ("-1", -1), ("-100", -100)):
    tell("fchown " + name, libc.fchown, number, 5, 6)
at("in a directory", etc, b"passwd")
at("in a file", passwd, b"x")
at("in nothing", 999, b"x")
at("absolute", 999, b"/etc/passwd")
at("the link", etc, b"link", 0x100)
at("behind the link", etc, b"link")
at("up and out", etc, b"../../../etc/passwd")
at("the file itself", passwd, b"", 0x1000)
at("the directory itself", etc, b"", 0x1000)
at("an open link itself", link, b"", 0x1000)
at("here itself", -100, b"", 0x1000)
at("no path", etc, b"")
at("unknown flags", etc, b"passwd", 0x400)
tell("a bad address", libc.chown, ctypes.c_void_p(8), 5, 6)
tell("the kernel's address", libc.chown, ctypes.c_void_p(2**64 - 4096), 5, 6)
threading.Thread(target=lambda: tell("in a thread", libc.chown, b"passwd", 5, 6)).start()
"""


@pytest.mark.parametrize("name", ["namespaces", "userns"])
def test_calls_end_as_root_s(name: str, place: Path) -> None:
    """Root's rung, where the kernel itself answers, is what the table was made from."""
    box = make_box(stand_on(rung_of(name), place), place, overlay=False)
    python = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    wanted = ("/usr", "/lib", "/lib64", sys.base_prefix)
    mounts = tuple(BindMount(Path(path), path) for path in wanted if Path(path).exists())
    outcome = box.run(str(python), "-I", "-S", "-c", CALLS, mounts=mounts)
    assert outcome.code == 0, outcome.err
    assert outcome.out == ANSWERS


class TestDevices:
    def test_are_recorded_and_an_empty_file_holds_their_place(self, run: Recorder) -> None:
        assert run("umask 022; mknod /n c 1 3; mknod -m 640 /etc/b b 259 300; rm /n; mknod /n c 1 5; chown 0:6 /n") == 0
        assert run.of("n") == replace(run.of("n"), uid=0, gid=6, device=(stat.S_IFCHR, 1, 5))
        assert run.of("etc/b").device == (stat.S_IFBLK, 259, 300)
        assert stat.S_IMODE((run.box.top / "etc" / "b").stat().st_mode) == 0o640
        assert (run.box.top / "n").read_bytes() == b""

    def test_pipes_are_real(self, run: Recorder) -> None:
        assert run("mknod /p p && chown 5:6 /p") == 0
        assert stat.S_ISFIFO((run.box.top / "p").stat().st_mode)
        assert run.owner("p") == (5, 6)

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("mknod /etc/passwd c 1 3", "File exists"),
            ("mknod /no/where c 1 3", "No such file or directory"),
            ("ln -s nowhere /l; mknod /l c 1 3", "File exists"),
            ("mknod /x c 0 0", "Operation not permitted"),  # a whiteout, to overlayfs
        ],
    )
    def test_fail_as_root_s_do(self, run: Recorder, script: str, words: str) -> None:
        assert run(f"{script} 2>&1") == 1
        assert words in run.output.decode()
        assert run.recorded == {}

    def test_are_for_root_only(self, run: Recorder) -> None:
        (run.box.base / "tmp").chmod(0o777)
        assert run("mknod /tmp/n c 1 3", uid=1000, gid=1000) == 1


SUPERVISED = """
import sys
from pathlib import Path
from dockersim.sandbox import DirectoryRoot, ProcessSpec, Rung, stand_on
from dockersim.sandbox.inside import kernel, seccomp
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
everything = (6).to_bytes(4, "little") + (0x7FFF0000).to_bytes(4, "little")  # return ALLOW
kernel.install_filter_with_listener(seccomp.SECCOMP[sys.argv[1]], everything)
sandbox = stand_on(Rung("userns", works=True), Path(sys.argv[2]))
script = "touch /x && chown 5:6 /x && mknod /n c 1 3 && chown 5 /nowhere"
process = ProcessSpec(("/bin/busybox", "sh", "-c", script), {"PATH": "/bin"})
ended = sandbox.run(DirectoryRoot(Path(sys.argv[2]) / "base"), process, lambda _, piece: None)
print(ended.code, ended.recorded_all, len(ended.recorded), "does not let us record" in sandbox.rung.deviations[0])
"""


def test_where_somebody_else_listens_it_is_pretended_and_said(place: Path) -> None:
    """The kernel allows one listener over a process; as in a pod whose runtime has one."""
    rung_of("userns")
    lay_out(place / "base")
    command = [sys.executable, "-c", SUPERVISED, os.uname().machine, str(place)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert ran.stdout == "1 False 0 True\n", ran.stderr
