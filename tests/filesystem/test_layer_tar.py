"""The tar codec: read what we write, read what others write, refuse what nobody should write."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockersim.errors import ContentError
from dockersim.filesystem import (
    Entry,
    Kind,
    LayerEntry,
    LayerWriter,
    Limits,
    Opaque,
    Whiteout,
    dump_index,
    index_layer,
    load_index,
    read_layer,
)

SECOND = 1_000_000_000


class Dribble:
    """A stream that gives at most a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream, self._step = io.BytesIO(data), step

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._step))


def write(*items: LayerEntry | tuple[Entry, bytes]) -> tuple[bytes, tuple[LayerEntry, ...]]:
    out = io.BytesIO()
    writer = LayerWriter(out)
    for item in items:
        if isinstance(item, tuple):
            writer.add(*item)
        else:
            writer.add(item)
    diff_id, size, entries = writer.close()
    data = out.getvalue()
    assert diff_id == "sha256:" + hashlib.sha256(data).hexdigest() and size == len(data)
    return data, entries


ENTRIES: dict[str, LayerEntry | tuple[Entry, bytes]] = {
    "file": (Entry("etc/hostname", Kind.FILE, 0o640, 1, 2, mtime_ns=1_700_000_000 * SECOND), b"hello\n"),
    "empty file": (Entry("e", Kind.FILE), b""),
    "file of one block": (Entry("e", Kind.FILE), b"x" * 512),
    "file of many chunks": (Entry("e", Kind.FILE), b"0123456789" * 100_000),
    "set-uid": (Entry("bin/su", Kind.FILE, 0o4755), b"x"),
    "directory": Entry("d/e", Kind.DIRECTORY, 0o1777),
    "root": Entry("", Kind.DIRECTORY, 0o755),
    "symlink": Entry("l", Kind.SYMLINK, 0o777, link="/usr/bin/../x"),
    "hard link": Entry("h", Kind.HARDLINK, 0o644, link="etc/hostname"),
    "fifo": Entry("p", Kind.FIFO, 0o600),
    "device": Entry("null", Kind.CHARACTER, 0o666, device=(1, 3)),
    "block device": Entry("sda", Kind.BLOCK, 0o660, device=(8, 255)),
    "whiteout": Whiteout("d/gone"),
    "whiteout at the top": Whiteout("gone"),
    "opaque": Opaque("d"),
    "opaque root": Opaque(""),
    "name of 100 bytes": Entry("n" * 100, Kind.FIFO),
    "name of 101 bytes": Entry("n" * 101, Kind.FIFO),
    "directory of 100 bytes": Entry("n" * 100, Kind.DIRECTORY),
    "long path that can be split": Entry("d" * 100 + "/" + "f" * 99, Kind.FIFO),
    "path of 2000 bytes": Entry("/".join(["part" * 10] * 48), Kind.FIFO),
    "name of other letters": Entry("caf\u00e9/\u65e5\u672c", Kind.FIFO),
    "name that is no UTF-8": Entry("caf\udce9", Kind.FIFO),
    "long link": Entry("l", Kind.SYMLINK, 0o777, link="x" * 300),
    "link of other letters": Entry("l", Kind.SYMLINK, 0o777, link="\u00e9"),
    "large owner": Entry("f", Kind.FIFO, uid=3_000_000, gid=4_000_000_000),
    "before 1970": Entry("f", Kind.FIFO, mtime_ns=-5 * SECOND),
    "far future": Entry("f", Kind.FIFO, mtime_ns=9_000_000_000 * SECOND),
    "attributes": (Entry("f", Kind.FILE, xattrs=(("security.capability", b"\0\1\n=\xff"), ("user.a", b"")),), b"x"),
}  # fmt: skip


@pytest.mark.parametrize("item", ENTRIES.values(), ids=ENTRIES.keys())
def test_written_entry_is_read_back(item: LayerEntry | tuple[Entry, bytes]) -> None:
    data, entries = write(item)
    size = len(data)
    assert index_layer(io.BytesIO(data)) == ("sha256:" + hashlib.sha256(data).hexdigest(), size, entries)
    assert load_index(dump_index(entries)) == entries
    assert write(item)[0] == data, "equal entries make equal bytes"
    if isinstance(item, tuple):
        entry = entries[0]
        assert isinstance(entry, Entry) and entry.data is not None
        assert data[entry.data : entry.data + entry.size] == item[1]
        assert entry.digest == "sha256:" + hashlib.sha256(item[1]).hexdigest()


@pytest.mark.parametrize("step", [1, 7, 511, 512, 513])
def test_a_tar_may_come_in_pieces(step: int) -> None:
    data, entries = write(*(item for name, item in ENTRIES.items() if name != "file of many chunks"))
    assert index_layer(Dribble(data, step))[2] == entries


def test_python_reads_what_we_write() -> None:
    data, _ = write(*ENTRIES.values())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
    assert len(members) == len(ENTRIES)
    by_name = {member.name: member for member in members}
    assert by_name["d/.wh.gone"].isreg() and by_name["d/.wh..wh..opq"].isreg()
    assert by_name["null"].ischr() and (by_name["null"].devmajor, by_name["null"].devminor) == (1, 3)


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "gnu", "pax"]
)
def test_what_python_writes_is_read(form: int) -> None:
    out = io.BytesIO()
    long = "d" * 90 + "/" + "f" * 95
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in (("./a", b"one"), (long, b"two" * 1000), ("d/", b"")):
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            member.size, member.mtime, member.uid, member.mode = len(content), 1_700_000_000, 1000, 0o640
            tar.addfile(member, io.BytesIO(content))
        if form != tarfile.USTAR_FORMAT:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, "x" * 200
            tar.addfile(member)
    _, size, entries = index_layer(io.BytesIO(out.getvalue()))
    assert size == len(out.getvalue())
    kinds = [(entry.path, entry.kind) for entry in entries if isinstance(entry, Entry)]
    assert kinds[:3] == [("a", Kind.FILE), (long, Kind.FILE), ("d", Kind.DIRECTORY)]
    first = entries[0]
    assert isinstance(first, Entry) and (first.uid, first.mode, first.mtime_ns) == (1000, 0o640, 1_700_000_000 * SECOND)
    if form != tarfile.USTAR_FORMAT:
        assert isinstance(entries[3], Entry) and entries[3].link == "x" * 200


def test_content_can_be_read_or_left() -> None:
    data, _ = write((Entry("a", Kind.FILE), b"a" * 1000), (Entry("b", Kind.FILE), b"b"), (Entry("c", Kind.FILE), b"c"))
    got = [content.read() if entry.path != "a" else content.read(3) for entry, content in read_layer(io.BytesIO(data))]
    assert got == [b"aaa", b"b", b"c"]


class TestWriter:
    def test_times_are_cut_to_seconds_in_the_tar_but_known_in_full(self) -> None:
        data, entries = write(
            (Entry("a", Kind.FILE, mtime_ns=5 * SECOND + 999), b""), Entry("b", Kind.FIFO, mtime_ns=7)
        )
        assert [entry.mtime_ns for entry in entries if isinstance(entry, Entry)] == [5 * SECOND + 999, 7]
        again = index_layer(io.BytesIO(data))[2]
        assert [entry.mtime_ns for entry in again if isinstance(entry, Entry)] == [5 * SECOND, 0]

    @pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 300_000, 1_000_000])
    def test_streams_of_any_step_give_the_same_tar(self, size: int) -> None:
        content = random.Random(size).randbytes(size)
        tars = set()
        for step in (997, 70_000, 1 << 20):
            out = io.BytesIO()
            writer = LayerWriter(out)
            writer.add(Entry("f", Kind.FILE, size=size), Dribble(content, step))
            tars.add(writer.close()[0])
        tars.add("sha256:" + hashlib.sha256(write((Entry("f", Kind.FILE), content))[0]).hexdigest())
        assert len(tars) == 1

    @pytest.mark.parametrize("size", [3, 100_000])
    @pytest.mark.parametrize("off", [-1, 1])
    def test_a_file_that_grew_or_shrank_is_an_error(self, size: int, off: int) -> None:
        with pytest.raises(ContentError, match="changed while it was read"):
            LayerWriter(io.BytesIO()).add(Entry("f", Kind.FILE, size=size), io.BytesIO(b"x" * (size + off)))

    def test_content_that_is_not_its_digest_is_an_error(self) -> None:
        entry = Entry("f", Kind.FILE, digest="sha256:" + "0" * 64)  # type: ignore[arg-type]
        with pytest.raises(ContentError, match="content is not what it was"):
            LayerWriter(io.BytesIO()).add(entry, b"other")
        trusted = LayerWriter(io.BytesIO()).add(entry, b"other", trusted=True)
        assert isinstance(trusted, Entry) and trusted.digest == entry.digest


def member(name: str = "f", content: bytes = b"", **fields: object) -> bytes:
    """Write one member as Python does it, without the end of the archive."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


LIMITS = Limits()


def read_all(data: bytes, limits: Limits = LIMITS) -> list[LayerEntry]:
    return [entry for entry, _ in read_layer(io.BytesIO(data), limits)]


class TestAttacks:
    """Archives that somebody made by hand."""

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("/etc/passwd", "etc/passwd"),
            ("../../etc/passwd", "etc/passwd"),
            ("a/../../../b", "b"),
            ("a/./b//c/", "a/b/c"),
            ("./", ""),
            ("..", ""),
        ],
    )
    def test_names_stay_below_the_root(self, name: str, path: str) -> None:
        assert [entry.path for entry in read_all(member(name, type=tarfile.DIRTYPE))] == [path]

    def test_hard_link_out_of_the_root(self) -> None:
        entry = read_all(member("a", type=tarfile.LNKTYPE, linkname="../../etc/shadow"))[0]
        assert isinstance(entry, Entry) and entry.link == "etc/shadow"

    @pytest.mark.parametrize("name", ["d/.wh.", "d/.wh...", "d/.wh.."])
    def test_whiteout_of_the_directory_itself_or_above(self, name: str) -> None:
        with pytest.raises(ContentError, match="which is no name"):
            read_all(member(name))

    def test_aufs_housekeeping_means_nothing(self) -> None:
        assert read_all(member(".wh..wh.plnk", type=tarfile.DIRTYPE) + member("f"))[0].path == "f"

    @pytest.mark.parametrize(
        ("data", "message"),
        {
            "no tar": (b"<html>" * 200, "not a tar: a header's checksum"),
            "wrong checksum": (b"x" + member()[1:], "checksum is wrong"),
            "cut in a header": (member()[:300], "cut off"),
            "cut in the content": (member(content=b"x" * 1000)[:700], "cut off"),
            "cut in an extended header": (member("n" * 200)[:600], "cut off"),
            "sparse": (member(type=b"S"), "sparse"),
            "unknown type": (member(type=b"Z"), "unknown type 'Z'"),
            "sparse by PAX": (member(pax_headers={"GNU.sparse.major": "1"}), "sparse"),
            "negative size": (member(pax_headers={"size": "-5"}), "negative size"),
            "size that is no number": (member(pax_headers={"size": "many"}), "size is no number"),
            "time that is no number": (member(pax_headers={"mtime": "soon"}), "time is no number"),
            "owner beyond 32 bits": (member(pax_headers={"uid": "4294967295"}), "uid 4294967295"),
            "negative owner": (member(pax_headers={"gid": "-1"}), "gid -1"),
            "name with a NUL": (member(pax_headers={"path": "a\0b"}), "path that cannot be"),
            "name too long": (member("n" * 256), "path that cannot be"),
            "path too long": (member("/".join(["n" * 200] * 30)), "path that cannot be"),
            "link to nowhere": (member(type=tarfile.SYMTYPE), "link to nowhere"),
            "extended header of gigabytes": (
                tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT)[:124] + b"77777777777\0",
                "cut off",
            ),
        }.values(),
        ids=lambda value: value[:20] if isinstance(value, str) else "",
    )
    def test_is_refused(self, data: bytes, message: str) -> None:
        with pytest.raises(ContentError, match=message):
            read_all(data)

    @pytest.mark.parametrize("name", ["", "/", "./", "a/.."])
    def test_a_file_in_the_place_of_the_root_is_passed_over(self, name: str) -> None:
        entries = index_layer(io.BytesIO(member(name, content=b"no") + member("f") + bytes(1024)))[2]
        assert [entry.path for entry in entries] == (["", "f"] if name.endswith("/") else ["f"])

    def test_huge_extended_header(self) -> None:
        info = tarfile.TarInfo("x")
        info.type, info.size = b"x", 1 << 33
        with pytest.raises(ContentError, match="extended header of 8589934592 bytes"):
            read_all(info.tobuf(tarfile.GNU_FORMAT))

    def test_more_entries_than_allowed(self) -> None:
        with pytest.raises(ContentError, match="more than 3 entries"):
            read_all(member() * 4, Limits(entries=3))

    def test_more_bytes_than_allowed(self) -> None:
        with pytest.raises(ContentError, match="or 10 bytes"):
            read_all(member(content=b"x" * 6) * 2, Limits(size=10))

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_any_damage_is_a_content_error_or_another_tar(self, data: st.DataObject) -> None:
        whole = bytearray(SAMPLE)
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        cut = whole[: data.draw(st.integers(0, len(whole)))]
        try:
            index_layer(io.BytesIO(bytes(cut)))
        except ContentError:
            pass


SAMPLE = write(
    (Entry("caf\u00e9", Kind.FILE, xattrs=(("user.a", b"b"),)), b"content"), Entry("l", Kind.SYMLINK, link="x" * 150),
    Whiteout("w"), Entry("n" * 120, Kind.DIRECTORY),
)[0]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[]", b'{"schema":"x","entries":[]}', b'{"schema":"dockersim.layer/v1","entries":[["what","a"]]}',
     b'{"schema":"dockersim.layer/v1","entries":[[]]}', b'{"schema":"dockersim.layer/v1","entries":[["whiteout"]]}'],
)  # fmt: skip
def test_a_damaged_index_is_an_error(text: bytes) -> None:
    with pytest.raises(ContentError, match="layer index"):
        load_index(text)


@pytest.mark.parametrize(
    ("doing", "seconds"),
    [(lambda: write(*SMALL), 0.7), (lambda: index_layer(io.BytesIO(write(*SMALL)[0])), 1.8)],
    ids=["write 20,000 small files", "write and index 20,000 small files"],
)
def test_speed(doing: Callable[[], object], seconds: float) -> None:
    best = min(_seconds(doing) for _ in range(3))
    assert best < seconds


def _seconds(doing: Callable[[], object]) -> float:
    started = time.process_time()  # of this process alone: other work on the machine does not count
    doing()
    return time.process_time() - started


SMALL = [(Entry(f"srv/d{number // 100}/file{number}.txt", Kind.FILE), b"x" * 300) for number in range(20_000)]
