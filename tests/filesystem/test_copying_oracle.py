"""COPY and WORKDIR against layers that BuildKit made (oracle.json; ORACLE.md says how they were recorded).

The harness knows just enough of a Dockerfile to ask the planner; a RUN is not run, its recorded layer is applied.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import lzma
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from dockersim.digest import Digest
from dockersim.errors import ContentError, DockersimError
from dockersim.filesystem import (
    Copying,
    CopyRules,
    Entry,
    Kind,
    LayerEntry,
    Source,
    Tree,
    Whiteout,
    index_layer,
    make_directory,
    parse_chmod,
)

ORACLE = Path(__file__).parents[3] / "shared" / "conformance" / "oracle.json"
TOPICS = {
    "copy",
    "copy-from",
    "copy-chown",
    "copy-chmod",
    "copy-symlink",
    "copy-link",
    "copy-parents",
    "copy-exclude",
    "add-tar",
    "workdir",
}
SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
KINDS = {"file": Kind.FILE, "dir": Kind.DIRECTORY, "symlink": Kind.SYMLINK, "hardlink": Kind.HARDLINK}

ELSEWHERE = {
    "copy-chown-names": "names are looked up in /etc/passwd by the engine",
    "copy-chown-name-group-only": "names are looked up in /etc/group by the engine",
    "copy-from-index-too-big": "stages are counted by the solver",
    "copy-from-own-index": "stages are counted by the solver",
    "copy-from-var": "an error of the parser",
    "copy-link-chown-app-name": "names are looked up by the engine",
    "copy-quoted-spaces": "an error of the parser",
    "copy-symlink-escape": "sources are looked up by the engine",
    "copy-from-symlink": "its first stage runs a program, whose layer is not recorded",
    "copy-from-hardlinks": "its first stage runs a program, whose layer is not recorded",
    "add-tar-corrupt": "decompressing is the engine's",
    "workdir-from-base": "needs a base image with a WORKDIR",
    "workdir-no-args": "an error of the parser",
}


def load_cases() -> list[Any]:
    if not ORACLE.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{ORACLE} is not here"))]
    cases = json.loads(ORACLE.read_text())["cases"]
    return [
        pytest.param(case, id=case["case"]["name"])
        for case in cases
        if case["case"]["topic"] in TOPICS and case["case"]["name"] not in ELSEWHERE
    ]


@pytest.mark.parametrize("case", load_cases())
def test_layers_are_those_that_buildkit_recorded(case: dict[str, Any]) -> None:
    asked, expected = case["case"], case["expected"]
    ignored = bool(asked["dockerignore"])  # the only case that has one leaves the Dockerfile out
    context = asked["context"] | ({} if ignored else {"Dockerfile": {"content": asked["dockerfile"]}})
    build = Build(context, expected.get("layers") or [])
    if not expected["ok"]:
        with pytest.raises(DockersimError) as caught:
            build.run(asked["dockerfile"])
        if "not found" not in expected["error"]:
            assert caught.value.message in expected["error"].replace("<mount>", "")
        return
    build.run(asked["dockerfile"])
    for made, recorded in zip(build.layers, expected["layers"] or [], strict=True):
        assert [described(entry) for entry in made] == [recorded_form(row) for row in recorded]


def test_every_case_left_out_is_a_case() -> None:
    if not ORACLE.exists():
        pytest.skip(f"{ORACLE} is not here")
    names = {case["case"]["name"] for case in json.loads(ORACLE.read_text())["cases"]}
    assert set(ELSEWHERE) <= names


class Build:
    """Applies one Dockerfile of FROM, COPY and WORKDIR."""

    def __init__(self, context: dict[str, Any], recorded: list[list[dict[str, Any]]]) -> None:
        self.context = Tree.EMPTY.apply(context_entries(context))
        self.contents = {path: content(item) for path, item in context.items()}
        self.recorded = recorded
        self.layers: list[tuple[LayerEntry, ...]] = []
        self.stages: dict[str, Tree] = {}
        self.tree = Tree.EMPTY
        self.directory = "/"
        self.owner = (0, 0)
        self.environment: dict[str, str] = {}

    def run(self, dockerfile: str) -> None:
        for line in dockerfile.replace("\\\n", "").splitlines():
            for name, value in self.environment.items():
                line = line.replace(f"${name}", value)
            line = re.sub(r"\$\w+", "", line)
            word, _, rest = line.partition(" ")
            step = {"FROM": self.begin, "RUN": self.record, "COPY": self.copy, "ADD": self.add, "WORKDIR": self.workdir}
            step |= {"ENV": self.env, "USER": self.user}
            if word in step:
                step[word](rest)

    def env(self, rest: str) -> None:
        self.environment |= dict(pair.split("=") for pair in rest.split())

    def user(self, rest: str) -> None:
        uid, _, gid = rest.partition(":")
        self.owner = (int(uid), int(gid or uid))

    def begin(self, rest: str) -> None:
        words = rest.split()
        self.tree = self.stages.get(words[0]) or (busybox() if words[0] == "busybox" else Tree.EMPTY)
        self.directory, self.layers = "/", []
        self.name = words[2] if len(words) > 2 else str(len(self.stages))
        self.stages[self.name] = self.tree

    def record(self, rest: str) -> None:
        self.commit([from_recorded(row) for row in self.recorded[len(self.layers)]])

    def workdir(self, rest: str) -> None:
        self.directory = joined(self.directory, rest)
        if self.directory != "/":
            self.commit(make_directory(self.tree, self.directory, self.owner, NOW))

    def add(self, rest: str) -> None:
        self.copy(rest, unpack=True)

    def copy(self, rest: str, *, unpack: bool = False) -> None:
        words = shlex.split(rest)
        flags = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
        *patterns, destination = [word for word in words if not word.startswith("--")]
        target = joined(self.directory, destination)
        if destination in (".", "") or destination.endswith("/"):
            target = target.rstrip("/") + "/"
        uid, _, gid = flags.get("chown", "").partition(":")
        owner = (number(uid), number(gid or uid)) if uid else None
        rules = CopyRules(
            NOW, owner, parse_chmod(flags["chmod"]) if "chmod" in flags else None,
            link=flags.get("link", "false") in ("", "true"),
            excluded=re.compile(translated(flags["exclude"])).fullmatch if "exclude" in flags else None,
        )  # fmt: skip
        copying = Copying(self.tree, target, rules)
        where = self.source_tree(flags.get("from", ""))
        for pattern in patterns:
            for source in sources(where, pattern, parents="parents" in flags):
                archive = unpacked(self.contents.get(source.node.entry.path, b"")) if unpack else None
                if archive is None:
                    copying.add(source)
                else:
                    copying.unpack(archive, source)
        copied = copying.layer()
        for one in copied:
            if isinstance(one.entry, Entry) and one.entry.kind is Kind.FILE:
                assert one.source is not None and one.source.entry.digest == one.entry.digest
        self.commit(tuple(one.entry for one in copied))

    def source_tree(self, name: str) -> Tree:
        return self.stages.get(name) or (busybox() if name == "busybox" else self.context)

    def commit(self, layer: Any) -> None:
        self.layers.append(tuple(layer))
        self.tree = self.tree.apply(layer)
        self.stages[self.name] = self.tree


def sources(tree: Tree, pattern: str, *, parents: bool) -> list[Source]:
    """Find the paths a pattern of filepath.Match names, shallowly; links are followed."""
    pattern = pattern.lstrip("/").removeprefix("./").rstrip("/")
    if not re.search(r"[*?[]", pattern):
        names = ["" if pattern == "." else pattern]
    else:
        expression = re.compile(translated(pattern))
        names = [node.entry.path for node in tree.walk() if expression.fullmatch(node.entry.path)]
    return [found(tree, name, parents=parents) for name in names]


def found(tree: Tree, name: str, *, parents: bool) -> Source:
    real = tree.resolve(name)
    node = tree.get(real) if real is not None else None
    if node is None:
        raise DockersimError(f'"/{name}": not found')
    parts = name.split("/")[:-1]
    kept = [tree.get("/".join(parts[: count + 1])) for count in range(len(parts))]
    return Source(name, node, tuple(one.entry for one in kept if one) if parents else None)


def translated(pattern: str) -> str:
    out = re.escape(pattern)
    out = re.sub(r"\\\[(.+?)\\\]", lambda match: "[" + match[1].replace("\\^", "^").replace("\\[", "[") + "]", out)
    out = out.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return out.replace("[[]", r"\[")


def joined(directory: str, path: str) -> str:
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{directory}/{path}").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def content(item: dict[str, Any]) -> bytes:
    return base64.b64decode(item["base64"]) if "base64" in item else item.get("content", "").encode()


def unpacked(data: bytes) -> tuple[LayerEntry, ...] | None:
    """Read an archive, compressed or not; None for what is no archive."""
    packers = ((b"\x1f\x8b", gzip.decompress), (b"\xfd7zXZ", lzma.decompress), (b"\x28\xb5\x2f\xfd", zstd.decompress))
    for magic, decompress in packers:
        if data.startswith(magic):
            data = decompress(data)
    if not data:
        return None
    try:
        return index_layer(io.BytesIO(data))[2]
    except ContentError:
        return None


def context_entries(context: dict[str, Any]) -> list[Entry]:
    entries = []
    for path, item in context.items():
        mode, mtime = item.get("mode"), item.get("mtime", 1_700_000_000) * SECOND
        if item.get("dir"):
            entries.append(Entry(path, Kind.DIRECTORY, int(mode or "0755", 8), mtime_ns=mtime))
        elif "symlink" in item:
            entries.append(Entry(path, Kind.SYMLINK, 0o777, mtime_ns=mtime, link=item["symlink"]))
        elif "hardlink" in item:
            entries.append(Entry(path, Kind.HARDLINK, link=item["hardlink"]))
        else:
            data = content(item)
            digest = Digest("sha256:" + hashlib.sha256(data).hexdigest())
            entries.append(
                Entry(path, Kind.FILE, int(mode or "0644", 8), size=len(data), mtime_ns=mtime, digest=digest)
            )
    listed = {entry.path for entry in entries}
    above = {path.rsplit("/", depth)[0] for path in listed for depth in range(1, path.count("/") + 1)} - listed
    folders = [Entry(path, Kind.DIRECTORY, 0o755, mtime_ns=1_700_000_000 * SECOND) for path in sorted(above)]
    return folders + sorted(entries, key=lambda entry: (entry.kind is Kind.HARDLINK, entry.path.count("/")))


def busybox() -> Tree:
    digest = Digest("sha256:" + hashlib.sha256(b"root:x:0:0:root:/root:/bin/sh\n").hexdigest())
    return Tree.EMPTY.apply(
        [
            Entry("tmp", Kind.DIRECTORY, 0o1777),
            Entry("etc", Kind.DIRECTORY, 0o755),
            Entry("etc/passwd", Kind.FILE, 0o644, size=30, digest=digest),
        ]
    )


def from_recorded(row: dict[str, Any]) -> LayerEntry:
    path = row["path"].lstrip("/")
    if row.get("whiteout"):
        return Whiteout(path)
    mtime = row["mtime"] * SECOND if isinstance(row["mtime"], int) else NOW
    digest = Digest("sha256:" + row["sha256"]) if "sha256" in row else None
    link = row.get("linkname", "")
    return Entry(
        path, KINDS[row["type"]], int(row["mode"], 8), row["uid"], row["gid"], row.get("size", 0), mtime, link, digest
    )  # fmt: skip


def recorded_form(row: dict[str, Any]) -> tuple[Any, ...]:
    time = {"build": NOW, "base": 0}.get(row["mtime"]) if isinstance(row["mtime"], str) else row["mtime"] * SECOND
    link = row.get("linkname", "")
    if row["type"] == "hardlink":
        link = link.lstrip("/")
    return (
        row["path"].lstrip("/"), row["type"], row["mode"], row["uid"], row["gid"], row.get("size", 0),
        time, link, row.get("sha256") if row.get("sha256") else None,
    )  # fmt: skip


def described(entry: LayerEntry) -> tuple[Any, ...]:
    assert isinstance(entry, Entry)
    return (
        entry.path, entry.kind.value, f"{entry.mode:04o}", entry.uid, entry.gid, entry.size,
        entry.mtime_ns, entry.link, entry.digest[7:] if entry.digest else None,
    )  # fmt: skip
