"""What every rung must do alike; and where a rung can't, that it says so in its deviations."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
import uuid
from pathlib import Path

import pytest

from dockersim.errors import Cancelled, SandboxError

from .box import PATH, BindMount, Box, TmpfsMount

STUBS = {"dev", "proc", "sys"}


def alive(marker: str) -> bool:
    """Some process has ``marker`` among its arguments."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(name) != os.getpid() and marker in Path(f"/proc/{name}/cmdline").read_text():
                return True
        except OSError:
            continue
    return False


def gone(marker: str) -> bool:
    deadline = time.monotonic() + 5
    while alive(marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def unique_seconds() -> str:
    return f"9{uuid.uuid4().int % 10**8:08d}"


class TestWhatACommandSees:
    """As recorded from BuildKit: oracle.json, cases run-*."""

    def test_its_two_streams_are_kept_apart(self, box: Box) -> None:
        outcome = box.sh("echo out; echo err >&2")
        assert (outcome.code, outcome.out, outcome.err) == (0, "out\n", "err\n")

    def test_nothing_on_its_stdin(self, box: Box) -> None:
        assert box.sh("cat | wc -c; read x || echo eof").out == "0\neof\n"

    def test_what_it_is_fed(self, box: Box) -> None:
        assert box.run("wc", "-c", stdin=b"x" * 1_000_000).out.strip() == "1000000"

    def test_fed_more_than_it_reads(self, box: Box) -> None:
        assert box.run("head", "-c", "1", stdin=b"x" * 1_000_000).out == "x"

    def test_umask(self, box: Box) -> None:
        assert box.sh("umask && mkdir /x && touch /x/f && stat -c %a /x /x/f").out == "0022\n755\n644\n"

    def test_exactly_its_environment(self, box: Box) -> None:
        env = PATH | {"A": "1 2", "LD_LIBRARY_PATH": "/nowhere"}
        seen = dict(line.split("=", 1) for line in box.run("env", env=env).out.splitlines())
        ours = {"PWD", "SHLVL", "OLDPWD"} if box.name == "proot" else set()
        assert {name: value for name, value in seen.items() if name not in ours} == env

    def test_its_working_directory_which_is_made(self, box: Box) -> None:
        assert box.run("pwd", cwd="/a/b").out == "/a/b\n"
        assert box.written() == STUBS | {"a", "a/b"}

    def test_root(self, box: Box) -> None:
        assert box.sh("id -u; id -g").out == "0\n0\n"

    def test_another_user(self, box: Box) -> None:
        assert box.sh("id -u; id -g", uid=1000, gid=1001).out == "1000\n1001\n"

    def test_devices(self, box: Box) -> None:
        script = "echo x >/dev/null && head -c 3 /dev/zero | wc -c && head -c 2 /dev/urandom | wc -c; echo x >/dev/full"
        outcome = box.sh(script)
        assert outcome.out == "3\n2\n"
        assert "No space left" in outcome.err
        assert box.sh("ls /dev/shm /dev/pts >/dev/null && echo there").out == "there\n"

    def test_its_output_by_name(self, box: Box) -> None:
        outcome = box.sh("echo hello > /dev/stdout")
        assert outcome.out == ("" if box.name == "chroot" else "hello\n")  # a chroot has no /proc

    def test_hosts_and_resolver(self, box: Box) -> None:
        outcome = box.sh("cat /etc/hosts; cat /etc/resolv.conf", hosts=(("db", "10.0.0.9"),))
        assert "127.0.0.1\tlocalhost buildkitsandbox\n" in outcome.out
        assert "10.0.0.9\tdb\n" in outcome.out
        assert outcome.out.endswith(Path("/etc/resolv.conf").read_text())

    def test_no_descriptor_of_its_starters(self, box: Box) -> None:
        with socket.socket() as leaky:
            leaky.set_inheritable(True)
            with box.started("/bin/sleep", "100") as pid:
                assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]

    def test_signals_at_their_default(self, box: Box) -> None:
        with box.started("/bin/sleep", "100") as pid:
            status = Path(f"/proc/{pid}/status").read_text()
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        assert ignored & 0x7FFFFFFF == 0, hex(ignored)  # 32 and 33 are the C library's own


class TestHowItEnds:
    def test_exit_code(self, box: Box) -> None:
        assert box.sh("exit 42").code == 42

    def test_killed_child(self, box: Box) -> None:
        assert box.sh("sh -c 'kill -9 $$'; exit $?").code == 137

    def test_kill_of_itself(self, box: Box) -> None:
        # Process 1 can't be killed from inside; under proot the shell is an ordinary process.
        outcome = box.sh("kill -9 $$; echo alive")
        assert (outcome.code, outcome.out) == ((0, "alive\n") if box.isolated else (137, ""))

    def test_program_that_is_not_in_path(self, box: Box) -> None:
        outcome = box.run("nosuchprogram")
        words = 'runc run failed: unable to start container process: exec: "nosuchprogram": executable file not found'
        assert (outcome.code, outcome.err) == (1, f"{words} in $PATH\n")

    def test_program_that_is_missing(self, box: Box) -> None:
        outcome = box.run("/no/such/program")
        assert outcome.code == 1
        assert 'exec: "/no/such/program": stat /no/such/program: no such file or directory\n' in outcome.err

    def test_program_that_is_no_program(self, box: Box) -> None:
        outcome = box.run("/etc/passwd")
        assert outcome.code == 1
        assert 'exec: "/etc/passwd": permission denied' in outcome.err

    def test_program_whose_interpreter_is_missing(self, isolated: Box) -> None:
        script = isolated.base / "script"
        script.write_text("#!/no/such/interpreter\n")
        script.chmod(0o755)
        outcome = isolated.run("/script")
        assert (outcome.code, outcome.err) == (255, "exec /script: no such file or directory\n")

    def test_output_comes_while_it_runs(self, box: Box) -> None:
        times: list[float] = []
        process = ("/bin/sh", "-c", "echo 1; sleep 0.4; echo 2")
        from dockersim.sandbox import ProcessSpec

        box.sandbox.run(box.root, ProcessSpec(process, PATH), lambda *_: times.append(time.monotonic()))
        assert times[1] - times[0] > 0.3

    def test_much_output(self, box: Box) -> None:
        outcome = box.sh("head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2")
        assert (outcome.out, outcome.err) == ("x" * 3_000_000, "y" * 3_000_000)

    def test_what_it_left_running_is_stopped(self, box: Box) -> None:
        seconds = unique_seconds()
        begun = time.monotonic()
        assert box.sh(f"(sleep {seconds} &); sleep {seconds} & setsid sleep {seconds} & exit 3").code == 3
        assert time.monotonic() - begun < 5
        assert gone(seconds)

    def test_cancel(self, box: Box) -> None:
        seconds = unique_seconds()
        timer = threading.Timer(0.3, box.sandbox.cancel)
        timer.start()
        with pytest.raises(Cancelled):
            box.sh(f"sleep {seconds} & sleep {seconds}")
        timer.join()
        assert gone(seconds)
        assert box.written() <= STUBS
        assert box.sh("echo again").out == "again\n"

    def test_an_error_of_the_caller(self, box: Box) -> None:
        from dockersim.sandbox import ProcessSpec

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        seconds = unique_seconds()
        process = ProcessSpec(("/bin/sh", "-c", f"echo x; sleep {seconds}"), PATH)
        with pytest.raises(KeyboardInterrupt):
            box.sandbox.run(box.root, process, interrupt)
        assert gone(seconds)
        assert box.written() <= STUBS


class TestWhatItLeaves:
    def test_only_what_runc_leaves(self, box: Box) -> None:
        box.sh("true")
        assert box.written() == STUBS
        for name in STUBS:
            assert stat.S_IMODE((box.top / name).stat().st_mode) == 0o755

    def test_what_it_wrote(self, box: Box) -> None:
        box.sh("echo hello > /etc/motd; mkdir /srv; ln -s motd /etc/link")
        assert box.written() == STUBS | {"etc/motd", "srv", "etc/link"}

    def test_not_what_it_wrote_to_files_of_the_sandbox(self, box: Box) -> None:
        script = "echo nameserver 1 > /etc/resolv.conf; echo x > /etc/hosts; echo x > /dev/new; cat /etc/resolv.conf"
        assert box.sh(script).out == "nameserver 1\n"
        assert box.written() == STUBS

    def test_no_time_of_a_directory_moves(self, box: Box) -> None:
        if box.overlay:
            pytest.skip("by design: an overlay copies the directory; the differ does not count its time")
        os.utime(box.base / "etc", (1_700_000_000, 1_700_000_000))
        box.sh("true")
        assert (box.base / "etc").stat().st_mtime == 1_700_000_000

    def test_no_mount_point(self, box: Box, place: Path) -> None:
        (place / "given").mkdir()
        (place / "given" / "file").write_text("from the host\n")
        mounts = (BindMount(place / "given", "/p/q/r"), TmpfsMount("/t1/t2"), BindMount(place / "given/file", "/f/g"))
        assert box.sh("cat /p/q/r/file /f/g; echo x > /t1/t2/new", mounts=mounts).out == "from the host\n" * 2
        assert box.written() == STUBS

    def test_but_what_it_wrote_beside_a_mount_point(self, box: Box, place: Path) -> None:
        (place / "given").mkdir()
        box.sh("echo x > /p/kept", mounts=(BindMount(place / "given", "/p/q"),))
        assert box.written() == STUBS | {"p", "p/kept"}

    def test_bind_mounts_are_read_only_unless_asked(self, isolated: Box, place: Path) -> None:
        (place / "given").mkdir()
        assert isolated.sh("echo x > /m/new", mounts=(BindMount(place / "given", "/m"),)).code == 1
        assert isolated.sh("echo x > /m/new", mounts=(BindMount(place / "given", "/m", read_only=False),)).code == 0
        assert (place / "given" / "new").read_text() == "x\n"

    def test_chown_succeeds(self, box: Box) -> None:
        assert box.sh("echo x > /x && chown 5:6 /x && chgrp -R 7 /etc && su root -c true").code == 0
        if box.name in ("namespaces", "chroot"):
            assert ((box.top / "x").stat().st_uid, (box.top / "x").stat().st_gid) == (5, 6)


class TestAnErrorInTheAsking:
    def test_a_working_directory_that_is_a_file(self, box: Box) -> None:
        with pytest.raises(SandboxError):
            box.run("true", cwd="/etc/passwd")

    def test_a_mount_of_what_is_not_there(self, box: Box, place: Path) -> None:
        with pytest.raises(SandboxError):
            box.run("true", mounts=(BindMount(place / "missing", "/m"),))
        assert box.written() <= STUBS
