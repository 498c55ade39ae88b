"""The content store: blobs are whole or absent, whatever the disk, a stranger or a kill does."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockersim.content import ContentStore
from dockersim.content.disk import told_plainly
from dockersim.digest import sha256
from dockersim.errors import ContentError, StoreError
from tests.interrupts import at_every_call


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "root")


def test_reading_makes_nothing_on_disk(store: ContentStore) -> None:
    assert not store.has(sha256(b""))
    assert list(store.walk()) == []
    with pytest.raises(ContentError, match="is not in the store"):
        store.read(sha256(b""))
    assert not store.root.exists()


def test_put_and_read(store: ContentStore) -> None:
    digest = store.put(b"hello")
    assert digest == sha256(b"hello") == store.put(b"hello")
    assert (store.read(digest), store.size(digest), list(store.walk())) == (b"hello", 5, [digest])
    assert store.path(digest).stat().st_mode & 0o222 == 0, "what is in the store is never written again"
    store.verify(digest)


def test_is_a_valid_layout_from_the_first_blob_on(store: ContentStore) -> None:
    store.put(b"")
    assert json.loads((store.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((store.root / "index.json").read_text())["manifests"] == []


def test_an_index_that_is_there_is_left_alone(store: ContentStore) -> None:
    store.put(b"")
    (store.root / "index.json").write_text('{"mine": 1}')
    ContentStore(store.root).put(b"x")
    assert (store.root / "index.json").read_text() == '{"mine": 1}'


def test_ctrl_c_in_any_call_leaves_nothing_half_written(store: ContentStore) -> None:
    store.put(b"")
    calls = []
    for call in at_every_call(lambda: store.put(os.urandom(8))):
        assert os.listdir(store.root / "ingest") == [], f"interrupted in {call}"
        calls.append(call.partition(",")[0])
    assert {"open", "flock", "write", "flush", "replace", "utime"} <= set(calls)


@given(pieces=st.lists(st.binary(max_size=100), max_size=10))
def test_pieces_make_the_same_blob_as_the_whole(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    store = ContentStore(tmp_path_factory.getbasetemp() / "pieces")
    with store.writer() as blob:
        for piece in pieces:
            blob.write(piece)
        digest = blob.commit(sha256(b"".join(pieces)), size=sum(map(len, pieces)))
    assert store.read(digest) == b"".join(pieces)


def kept(store: ContentStore) -> tuple[list[str], list[str]]:
    return list(store.walk()), os.listdir(store.root / "ingest")


def test_another_digest_than_promised_is_not_kept(store: ContentStore) -> None:
    with pytest.raises(ContentError, match="is damaged"), store.writer() as blob:
        blob.write(b"evil")
        blob.commit(sha256(b"good"))
    assert kept(store) == ([], [])


def test_another_size_than_promised_is_not_kept(store: ContentStore) -> None:
    with pytest.raises(ContentError, match="got 3 bytes of a blob that should"), store.writer() as blob:
        blob.write(b"abc")
        blob.commit(size=4)
    assert kept(store) == ([], [])


def test_what_is_not_committed_is_not_kept(store: ContentStore) -> None:
    with pytest.raises(KeyboardInterrupt), store.writer() as blob:
        blob.write(b"abc")
        raise KeyboardInterrupt
    assert kept(store) == ([], [])


def test_nothing_is_added_to_a_committed_blob(store: ContentStore) -> None:
    with store.writer() as blob:
        blob.commit()
        with pytest.raises(StoreError, match="is committed"):
            blob.write(b"more")


def test_damage_is_found(store: ContentStore) -> None:
    digest = store.put(b"hello")
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"hellO")
    for look in (store.read, store.verify):
        with pytest.raises(ContentError, match="is damaged"):
            look(digest)


@pytest.mark.parametrize("left", [b"", b"hel"], ids=["nothing", "a part"])
def test_what_a_power_cut_has_shortened_is_written_anew(store: ContentStore, left: bytes) -> None:
    for write in (lambda: store.put(b"hello"), lambda: _written(store, b"hello")):
        digest = store.put(b"hello")
        store.path(digest).chmod(0o644)
        store.path(digest).write_bytes(left)
        assert store.has(digest) == bool(left)
        assert not store.keep(digest, 5)
        assert write() == digest
        store.verify(digest)
        assert store.keep(digest, 5)


def _written(store: ContentStore, data: bytes) -> str:
    with store.writer() as blob:
        blob.write(data)
        return blob.commit()


def test_the_empty_blob_is_one(store: ContentStore) -> None:
    assert not store.has(sha256(b""))
    digest = store.put(b"")
    assert (store.has(digest), store.keep(digest, 0), store.read(digest)) == (True, True, b"")


def test_a_blob_that_is_too_large_is_not_read_into_memory(store: ContentStore) -> None:
    with pytest.raises(ContentError, match="larger than the 3 bytes"):
        store.read(store.put(b"1234"), limit=3)


def test_a_blob_is_checked_by_its_sha512_and_stored_under_its_sha256(store: ContentStore) -> None:
    digest = f"sha512:{hashlib.sha512(b'hello').hexdigest()}"
    for written in (b"hello", b"hallo"):
        with store.writer(digest) as blob:
            blob.write(b"what is dropped")
            blob.clear()
            blob.write(written)
            if written == b"hello":
                assert blob.commit(digest) == blob.digest == sha256(b"hello")
            else:
                with pytest.raises(ContentError, match="its content has the digest sha512:"):
                    blob.commit(digest)
    with store.writer() as blob:
        blob.write(b"hello")
        with pytest.raises(ContentError, match="is damaged"):
            blob.commit(digest)  # nobody has said that it would be asked for
    assert list(store.walk()) == [sha256(b"hello")]


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "a" * 128, ""])
def test_a_digest_is_never_a_path_out_of_the_store(store: ContentStore, digest: str) -> None:
    with pytest.raises(ContentError, match="not a sha256 digest"):
        store.path(digest)


def test_delete_may_be_repeated(store: ContentStore) -> None:
    digest = store.put(b"x")
    store.delete(digest)
    store.delete(digest)
    assert not store.has(digest)


def test_a_full_disk_is_one_plain_line() -> None:
    # /dev/full answers every write as a full disk does.
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(StoreError) as caught,
        told_plainly("write to", "/dev/full"),
    ):
        full.write(b"x")
    assert str(caught.value).startswith("cannot write to /dev/full: the disk is full; free some space")


def test_a_full_disk_while_writing_a_blob_keeps_nothing(tmp_path: Path) -> None:
    # A limit on the size of files stops writes as a full disk does, and needs no root.
    program = """if True:
        import resource, signal, sys
        from pathlib import Path
        from dockersim.content import ContentStore
        from dockersim.errors import StoreError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = ContentStore(Path(sys.argv[1]))
        store.put(b"before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            with store.writer() as blob:
                for _ in range(100):
                    blob.write(bytes(10_000))
                blob.commit()
        except StoreError as error:
            print(error)
    """
    command = [sys.executable, "-c", program, tmp_path]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(f"cannot write to {tmp_path / 'ingest'}: File too large")
    assert kept(ContentStore(tmp_path)) == ([sha256(b"before")], [])


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65534)  # root may write everywhere
        try:
            ContentStore(tmp_path / "root").put(b"x")
        except StoreError as error:
            os._exit("not allowed; make the directory yours" not in str(error))
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


WRITER = """if True:
    import os, sys
    from pathlib import Path
    from dockersim.content import ContentStore
    store = ContentStore(Path(sys.argv[1]))
    print("ready", flush=True)
    while True:
        with store.writer() as blob:
            for _ in range(20):
                blob.write(os.urandom(50_000))
            blob.commit()
"""


def test_kill_at_any_moment_leaves_only_whole_blobs(tmp_path: Path) -> None:
    chance = random.Random(7)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.05))
            child.send_signal(signal.SIGKILL)
    store = ContentStore(tmp_path)
    for digest in store.walk():
        store.verify(digest)
    assert store.remove_abandoned(time.time() + 3600) >= 0
    assert os.listdir(tmp_path / "ingest") == [], "what was half written is swept"


def test_a_sweep_spares_what_is_being_written(store: ContentStore) -> None:
    with store.writer() as blob:
        blob.write(b"slow")
        blob.flush()
        assert store.remove_abandoned(time.time() + 3600) == 0
        digest = blob.commit()
    assert store.read(digest) == b"slow"


def test_the_next_process_that_writes_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    store.put(b"first")
    left, fresh = tmp_path / "ingest" / "1-left", tmp_path / "ingest" / "2-fresh"
    for path in (left, fresh):
        path.write_bytes(b"half")
    os.utime(left, (0, 0))
    ContentStore(tmp_path).put(b"second")
    assert not left.exists()
    assert fresh.exists(), "it may belong to somebody who is about to lock it"
