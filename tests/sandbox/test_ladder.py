"""The probe, the choice of a rung, and what a RUN gets from the host."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from dockersim.errors import SandboxError
from dockersim.sandbox import (
    ORDER,
    BindMount,
    DirectoryRoot,
    ProcessSpec,
    Rung,
    best,
    choose,
    host_environment,
    known_rungs,
)
from dockersim.sandbox.inside.seccomp import FORBIDDEN, program, program_for_proot
from dockersim.sandbox.owners import can_own, process_status
from dockersim.sandbox.passthrough import CERTIFICATES
from dockersim.sandbox.reasons import explain

from .box import Box


def test_every_rung_is_accounted_for(place: Path) -> None:
    rungs = known_rungs(place)
    assert tuple(rung.name for rung in rungs) == ORDER
    assert all(rung.works or rung.because for rung in rungs)
    assert all(rung.deviations for rung in rungs)
    assert rungs[-1].works


def test_what_was_found_is_kept(place: Path) -> None:
    first = known_rungs(place)
    begun = time.perf_counter()
    assert known_rungs(place) == first
    assert time.perf_counter() - begun < 0.05


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"key": []}', b'{"key": 1, "rungs": 2}', b"\xff{"])
def test_damaged_memory_is_no_harm(place: Path, damage: bytes) -> None:
    first = known_rungs(place)
    (place / "rungs.json").write_bytes(damage)
    assert known_rungs(place) == first


def test_memory_without_rungs_is_no_harm(place: Path) -> None:
    first = known_rungs(place)
    kept = json.loads((place / "rungs.json").read_text())
    for damage in ([], kept["rungs"][:2], [{"name": "moon", "works": True}]):
        (place / "rungs.json").write_text(json.dumps(kept | {"rungs": damage}))
        assert known_rungs(place) == first


def test_what_was_found_with_other_rights_is_found_again(place: Path) -> None:
    known_rungs(place)
    kept = json.loads((place / "rungs.json").read_text())
    ours = process_status()["CapEff"]
    kept["key"] = [word if word != ours else "0000000000000001" for word in kept["key"]]
    kept["rungs"] = [rung | {"works": rung["name"] == "none"} for rung in kept["rungs"]]
    (place / "rungs.json").write_text(json.dumps(kept))
    assert any(rung.works for rung in known_rungs(place)[:-1])


def test_unknown_rung(place: Path) -> None:
    with pytest.raises(SandboxError, match="no sandbox is called moon; choose one of namespaces"):
        choose("moon", place)


def test_root_passes_a_namespace_of_one_user_over() -> None:
    working = [Rung(name, works=name != "namespaces") for name in ORDER]
    for expected in ("chroot", "proot", "userns", "none") if can_own() else ORDER[1:]:
        assert best(tuple(working)).name == expected
        working = [replace(rung, works=rung.works and rung.name != expected) for rung in working]


def test_none_says_what_to_do(place: Path) -> None:
    with pytest.raises(SandboxError, match=r"commands cannot be run on this machine: make all; run .* replay"):
        choose("none", place).run(DirectoryRoot(place), ProcessSpec(("make", "all")), lambda *_: None)


@pytest.mark.parametrize("name", ["namespaces", "userns", "chroot", "proot"])
def test_refusal_comes_with_a_remedy(name: str) -> None:
    because, remedy = explain(name, "unshare: Operation not permitted")  # type: ignore[arg-type]
    assert because
    assert remedy


_PLAIN_DOCKER = {"CapEff": "00000000a80425fb", "Seccomp": "2"}
_PODMAN = {"CapEff": "00000000800405fb", "Seccomp": "2"}
_NO_SETUID = {"CapEff": "000000008004000b"}
_POD = {"CapEff": "0000000000000000", "Seccomp": "2"}
_SYS_ADMIN = {"CapEff": "00000000a82435fb", "Seccomp": "2"}
_WITHOUT_NET_ADMIN = {"CapEff": "00000000a82425fb", "Seccomp": "0"}


@pytest.mark.parametrize(
    ("name", "complaint", "status", "because"),
    [
        ("namespaces", "unshare: Operation not permitted", _PLAIN_DOCKER, "root lacks CAP_SYS_ADMIN, CAP_NET"),
        ("namespaces", "pivot_root: Operation not permitted", _SYS_ADMIN, "lets nobody make namespaces"),
        ("namespaces", "ioctl: Operation not permitted", _WITHOUT_NET_ADMIN, "root lacks CAP_NET_ADMIN here"),
        ("chroot", "setgroups: Operation not permitted", _NO_SETUID, "root lacks CAP_SETUID, CAP_SETGID"),
        ("userns", "unshare: Operation not permitted", _POD, "lets nobody make namespaces"),
        ("proot", "proot error: ptrace(TRACEME): Operation not permitted\nfatal", _POD, "lets nobody trace a process"),
        ("proot", "one\ntwo", _PODMAN, "one"),
        ("userns", "this machine does not let us mount /proc", {"Seccomp": "0"}, "does not let us mount /proc"),
    ],
)  # fmt: skip
def test_refusal_in_plain_words(name: str, complaint: str, status: dict[str, str], because: str) -> None:
    words, remedy = explain(name, complaint, status)  # type: ignore[arg-type]
    assert because in words
    assert "\n" not in words
    assert remedy


def test_nothing_from_a_host_that_has_nothing() -> None:
    given = host_environment({"HOME": "/root", "SSL_CERT_FILE": "/no/such/file"})
    assert (given.env, given.mounts, given.because) == ((), (), "")


def test_proxies_in_both_spellings() -> None:
    given = host_environment({"http_proxy": "http://p:1", "NO_PROXY": "local"})
    assert dict(given.env) == {
        "HTTP_PROXY": "http://p:1", "http_proxy": "http://p:1", "NO_PROXY": "local", "no_proxy": "local",
    }  # fmt: skip
    assert given.because == "for this command only: the host's proxies"


def test_certificates_of_the_host_reach_the_command_and_no_layer(box: Box, place: Path) -> None:
    bundle = place / "bundle.pem"
    bundle.write_text("certificates\n")
    given = host_environment({"PIP_CERT": str(bundle), "SSL_CERT_FILE": str(bundle)})
    assert given.mounts == (BindMount(bundle, CERTIFICATES),)
    env = {"PATH": "/bin"} | dict(given.env)
    assert box.sh("cat $PIP_CERT $SSL_CERT_FILE", env=env, mounts=given.mounts).out == "certificates\n" * 2
    assert box.written() == {"dev", "proc", "sys"}


@pytest.mark.parametrize("machine", FORBIDDEN)
@pytest.mark.parametrize("pretend", [False, True])
def test_filter_is_whole_instructions_and_short_jumps(machine: str, *, pretend: bool) -> None:
    for text in (program(machine, pretend=pretend), program_for_proot(machine)):
        assert text
        assert len(text) % 8 == 0
        assert len(text) // 8 < 4096  # BPF_MAXINSNS


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, dockersim.sandbox; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"subprocess", "ctypes", "tempfile", "socket", "asyncio"} & set(loaded)


def test_run_at_the_caller_s_terminal(box: Box) -> None:
    """As `step.run("sh")` in a terminal: a shell that believes it has one, and a person's keys."""
    pid, screen = pty.fork()
    if pid == 0:
        ended = box.sandbox.run(box.root, ProcessSpec(("/bin/sh",), {"PATH": "/bin"}, terminal=True), lambda *_: None)
        os._exit(ended.code)
    os.write(screen, b"test -t 0 && echo a''live; exit 6\n")
    seen = b""
    try:
        while piece := os.read(screen, 4096):
            seen += piece
    except OSError:  # EIO: the last one at the other end has gone
        pass
    assert b"alive" in seen
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
    os.close(screen)
