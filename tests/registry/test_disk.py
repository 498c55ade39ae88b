"""A registry on a disk that is full, read-only, or that power was cut from: what it answers, and what it keeps."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from plain import Client, Image, Refused, sha

from dockersim.errors import StoreError
from dockersim.registry import Address, ensure_running, running, stop
from tests.peers import needs

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="by design: only root mounts a small disk")
SMALL_DISK = 8_000_000
SMALL_FILE = 3_000_000


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Have a small disk in memory at ``folder``."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A registry's root on a disk of 8 MB; the registry is stopped at the end."""
    folder = tmp_path / "disk"
    with mounted(folder, f"size={SMALL_DISK}"):
        yield folder / "registry"
        stop(folder / "registry")


@pytest.fixture
def limited(root: Path) -> Iterator[Address]:
    """A registry that may write no file of more than 3 MB, as a disk that is full then: this needs no root."""
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2);"
    code += "from dockersim.registry.__main__ import main; sys.exit(main())"
    root.mkdir()
    process = subprocess.Popen([sys.executable, "-c", code, str(SMALL_FILE), "--root", str(root)])
    try:
        while (address := running(root)) is None:
            assert process.poll() is None
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def leftovers(root: Path) -> list[Path]:
    return [*(root / "tmp").glob("*"), *root.glob("repositories/*/*/_uploads/*")]


def push_fails(client: Client, image: Image, words: str) -> None:
    with pytest.raises(Refused, match=words):
        client.push(image, "v2")


@only_root
def test_a_full_disk_is_507_and_what_was_there_is_still_served(disk: Path) -> None:
    address = ensure_running(disk)
    small, large = Image.of(os.urandom(100_000)), Image.of(os.urandom(SMALL_DISK))
    with Client(address.url, "test/app") as client:
        client.push(small, "v1")
        push_fails(client, large, "507.*UNKNOWN.*disk is full")
        assert client.pull("v1") == small.digest
    with httpx.Client(base_url=address.url, trust_env=False) as http:
        (session,) = [path for path in leftovers(disk) if path.parent.name == "_uploads"]
        assert http.delete(f"/v2/test/app/blobs/uploads/{session.name}").status_code == 204
    with Client(address.url, "test/app") as client:
        client.push(Image.of(os.urandom(1_000_000)), "v3")
    assert leftovers(disk) == []


@only_root
def test_not_a_byte_free_and_not_a_file(disk: Path) -> None:
    address = ensure_running(disk)
    image, another = Image.of(os.urandom(100_000)), Image.of(b"another")
    with Client(address.url, "test/app") as client:
        client.push(image, "v1")
        filler = disk.parent / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 12))
        for _ in range(20):
            push_fails(client, another, "507.*UNKNOWN.*disk is full")
            assert client.pull("v1") == image.digest
        assert [path for path in leftovers(disk) if path.parent.name == "tmp"] == []
        filler.unlink()
        client.push(another, "v2")
        assert client.pull("v2") == another.digest


@only_root
def test_a_disk_that_becomes_read_only(disk: Path) -> None:
    address = ensure_running(disk)
    image, another = Image.of(b"layer"), Image.of(b"another")
    with Client(address.url, "test/app") as client:
        client.push(image, "v1")
        parts = [
            disk / name for name in ("blobs", "repositories", "tmp")
        ]  # the log, being open, keeps the disk as it is
        for part in parts:
            subprocess.run(["mount", "--bind", part, part], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", part], check=True)
        push_fails(client, another, "500.*UNKNOWN.*disk is read-only")
        assert (client.pull("v1"), client.find("v2")) == (image.digest, "")
        for part in parts:
            subprocess.run(["umount", part], check=True)
        client.push(another, "v2")
        assert client.pull("v2") == another.digest


@only_root
def test_to_start_on_a_read_only_disk_is_one_line(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro"):
        root = tmp_path / "disk" / "registry"
        with pytest.raises(StoreError, match=rf"^cannot serve from {root}: the disk is read-only; set DOCKERSIM_HOME"):
            ensure_running(root)
        command = [sys.executable, "-m", "dockersim.registry", "--root", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "the disk is read-only" in done.stderr


@only_root
def test_to_start_on_a_full_disk_is_one_line(disk: Path) -> None:
    disk.mkdir()
    with pytest.raises(OSError, match="No space left"), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    command = [sys.executable, "-m", "dockersim.registry", "--root", str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the disk is full" in done.stderr


def test_a_blob_too_large_for_the_disk_is_507_and_the_session_goes_on(limited: Address, root: Path) -> None:
    data = os.urandom(SMALL_FILE + 1_000_000)
    with httpx.Client(base_url=limited.url, trust_env=False) as http:
        location = http.post("/v2/test/app/blobs/uploads/").headers["location"]
        answer = http.patch(location, content=data)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (507, "UNKNOWN")
        kept = int(http.get(location).headers["range"].removeprefix("0-")) + 1
        assert kept == SMALL_FILE
        # Not a byte is there twice: what has arrived is the beginning of what was sent.
        answer = http.put(location, params={"digest": sha(data[:kept])})
        assert answer.status_code == 201
        assert http.post("/v2/test/app/blobs/uploads/", params={"digest": sha(data)}, content=data).status_code == 507
    assert leftovers(root) == []


def test_who_waits_for_a_session_that_the_disk_failed_is_not_overtaken(server: Address, root: Path) -> None:
    """Two writers at once would each hash what it has written itself, and one would name what the other has."""
    folder, digest = root / "repositories/test/app", sha(b"ab")
    (folder / "_blobs/sha256" / digest[7:]).mkdir(parents=True)  # no link can be written there
    with httpx.Client(base_url=server.url, trust_env=False, timeout=1) as http:
        location = http.post("/v2/test/app/blobs/uploads/").headers["location"]
        first = begun(server, f"PUT {location}?digest={digest}", b"a")
        time.sleep(0.2)
        second = begun(server, f"PATCH {location}", b"c")
        time.sleep(0.2)
        first.sendall(b"b")
        assert first.recv(100).startswith(b"HTTP/1.1 500")
        with pytest.raises(httpx.ReadTimeout):
            http.patch(location, content=b"XY")
        second.sendall(b"d")
        assert second.recv(100).startswith(b"HTTP/1.1 202")
    first.close()
    second.close()


def begun(server: Address, line: str, data: bytes) -> socket.socket:
    """Send the first of two bytes."""
    connection = socket.create_connection((server.host, server.port), timeout=10)
    connection.sendall(f"{line} HTTP/1.1\r\nHost: {server.registry}\r\nContent-Length: 2\r\n\r\n".encode() + data)
    return connection


def test_a_manifest_that_is_damaged_on_the_disk_is_not_served(server: Address, root: Path) -> None:
    image = Image.of(b"layer")
    with Client(server.url, "test/app") as client:
        client.push(image, "v1")
        path = root / "blobs" / "sha256" / image.digest[7:]
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
        with pytest.raises(Refused, match=f"500.*{image.digest} is damaged.*; push it again"):
            client.pull("v1")
        client.push(image, "v1")
        assert client.pull("v1") == image.digest


@needs("strace")
def test_bytes_are_on_the_disk_before_they_get_their_name(root: Path, tmp_path: Path) -> None:
    """A power cut after the rename must not leave a name for half a file."""
    calls = tmp_path / "calls"
    trace = ["strace", "-f", "-y", "-e", "trace=fsync,rename", "-o", str(calls)]
    root.mkdir()
    process = subprocess.Popen([*trace, sys.executable, "-m", "dockersim.registry", "--root", str(root)])
    while (address := running(root)) is None:
        assert process.poll() is None
    image = Image.of(b"layer")
    with Client(address.url, "test/app") as client:
        client.push(image, "v1")
    httpx.get(f"{address.url}/token", auth=("alice", "password"), trust_env=False).raise_for_status()
    stop(root)
    process.wait()
    text = calls.read_text()
    renamed = re.findall(r'rename\("([^"]+)", "([^"]+)"\) += 0', text)
    synced: set[str] = set(re.findall(r"fsync\(\d+<([^>]+)>\) += 0", text))
    named = {new.rpartition("/")[2]: old for old, new in renamed}
    for name in (*(sha(blob)[7:] for blob in image.blobs), image.digest[7:], "v1", "secret", "htpasswd"):
        assert named[name] in synced
        assert text.index(f"<{named[name]}>) ") < text.index(f'rename("{named[name]}"')
