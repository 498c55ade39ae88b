"""Build the cases of builds-buildkit.json and builds-buildah.json, and compare with what BuildKit produced for them."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from dockersim import DockersimError, Engine
from dockersim.engine import Build
from dockersim.engine.shipping import parse_platform
from dockersim.engine.store import machine_platform
from dockersim.filesystem import Entry, Kind, Tree, diff
from dockersim.images import import_rootfs
from dockersim.oci import parse_reference
from tests.deviations import marked
from tests.engine.web import Site
from tests.fidelity import MTIME, busybox_base, without_reference

NOT_COMPARABLE = {
    "it asks for a mount that buildah's command line adds, which BuildKit does not have": {"buildah/mount"},
    "it runs programs of images that only the network has": {
        "buildah/header-builtin",
        "buildah/quoted and inherited arg",
    },
}
"""Cases that say nothing which could be compared, by reason."""

_EACH_SOURCE = ("engine/sources.py", "of several sources")
_EACH_STEP = ("solver/solve.py", "Where several steps are wrong")
NOT_MET = {
    "buildah/copy-multiple-some-missing": _EACH_SOURCE,
    "buildah/dockerignore-allowlist-alternating-nothing": _EACH_STEP,
    "buildah/dockerignore-allowlist-alternating-other": _EACH_STEP,
}
"""Cases that come out differently, each with the module whose ``Deviation:`` says why, and words of that mark."""

_PEOPLE = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:100:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUPS = "root:x:0:\ndaemon:x:1:\nwheel:x:10:root\nnobody:x:65534:\n"
_ALPINE = {"etc/alpine-release": "3.19.0\n", "etc/os-release": 'NAME="Alpine Linux"\nID=alpine\n'}
_CENTOS = {
    "etc/passwd": f"{_PEOPLE}adm:x:3:4:adm:/var/adm:/sbin/nologin\nlp:x:4:7:lp:/var/spool/lpd:/sbin/nologin\n",
    "etc/group": f"{_GROUPS}adm:x:4:\nmail:x:12:\n",
    "usr/bin/script": "",
    "usr/local/bin/.keep": "",
}
_BASES = {"busybox": {}, "alpine": _ALPINE, "mirror.gcr.io/busybox": {}, "mirror.gcr.io/alpine": _ALPINE,
          "quay.io/libpod/centos:7": _CENTOS}  # fmt: skip
"""What the recording had as base images, and a stand-in for one that it did not have: files beside busybox."""

_PINNED = re.compile(r"(mirror\.gcr\.io/busybox)@sha256:[0-9a-f]{64}")


def why_not(case: Mapping[str, Any]) -> str:
    """Say why a case cannot be compared; empty where it can."""
    return next((reason for reason, names in NOT_COMPARABLE.items() if case["name"] in names), "")


def deviation(case: Mapping[str, Any]) -> str:
    """Say which deviation keeps a case from being met; empty where none does. Raises LookupError if it is not there."""
    known = NOT_MET.get(case["name"])
    return f"Deviation in {known[0]}: {marked(*known)}" if known else ""


class RecordedBuilds:
    """Runs cases in one folder; each has a root of its own, with an empty cache."""

    def __init__(self, folder: Path, site: Site) -> None:
        self._folder = folder
        self._site = site
        self._busybox = busybox_base()
        self.sandbox = Engine(folder / "probe", environment={}).store.sandbox

    def differences(self, case: Mapping[str, Any]) -> list[str]:
        """Build a case, each of its steps, and say in words how it differs from what was observed."""
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            one = _Case(case, Path(folder), self._site)
            one.engine.store.sandbox = self.sandbox
            one.make_bases(self._busybox)
            return [text for step in _steps(case) for text in one.take(step)]


def _steps(case: Mapping[str, Any]) -> list[Any]:
    return case.get("steps") or [{**case, "observed": _observed(case)}]


def _observed(case: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what BuildKit produced; where it could not be run, what the case demands of every builder."""
    observed: Mapping[str, Any] = case["observed_buildkit"]
    return {"ok": not case["expect"]["fails"]} if "skipped" in observed else observed


class _Case:
    def __init__(self, case: Mapping[str, Any], folder: Path, site: Site) -> None:
        self.case = case
        self.site = site
        self.folder = folder
        self.context = folder / "context"
        self.context.mkdir()
        self.engine = Engine(folder / "root", environment={})
        site.files = {path: _content(facts) for path, facts in (case.get("http") or {}).items()}
        site.files |= {urlsplit(url).path: url.encode() for url in case.get("needs_network") or ()}
        self._write(self.context, case.get("context") or [])
        for path in case.get("needs_file") or ():  # a static executable that exits 0: the recording took busybox, too
            shutil.copy(str(shutil.which("busybox")), self.context / path)

    def make_bases(self, busybox: bytes) -> None:
        """Make what the recording had as base images, and the case's own."""
        for name, files in _BASES.items():
            image = import_rootfs(
                self.engine.store.images, io.BytesIO(_base(busybox, files)),
                created="2023-11-14T22:13:20Z", platform=parse_platform(machine_platform()),
                name=parse_reference(name),
            )  # fmt: skip
            pinned = parse_reference(f"{name.partition(':')[0]}@{image.descriptor.digest}")
            self.engine.store.images.put(image.config, image.config.diff_ids, [pinned])
        for name, image in (self.case.get("images") or {}).items():
            text = image if isinstance(image, str) else image["dockerfile"]
            self.engine.build(self.folder, text=self._filled(text), tags=[f"{name.lower()}-img"]).finish()

    def take(self, step: Mapping[str, Any]) -> Iterator[str]:
        """Build once, and tell how it differs from what was observed."""
        self._write(self.context, step.get("write") or [])
        for path in step.get("remove") or []:
            (self.context / path).unlink()
        observed = step["observed"]
        try:
            finished = self._build(step).finish()
        except DockersimError as error:
            wanted = without_reference(observed.get("error", "").replace("<root>", ""))
            if observed.get("ok", True) or error.message not in wanted:
                yield f"error is {error}, was {wanted!r}"
            return
        if not observed.get("ok", True):
            yield f"it was built, BuildKit said {observed['error']!r}"
            return
        yield from self._compare(finished.layers, finished.config, observed)

    def _build(self, step: Mapping[str, Any]) -> Build:
        text = self._filled(step.get("dockerfile") or self.case["dockerfile"])
        name = step.get("filename") or "Dockerfile"
        if step.get("filename"):
            text = (self.context / name).read_text()
        elif "steps" in self.case and not any(
            self.case.get(f"dockerfile_{where}_context") for where in ("in", "outside")
        ):
            self._write(self.context, [{"path": name, "content": text, "mode": "0600"}])
        options = step.get("options") or {}
        return self.engine.build(
            self.context, self.context / name, text=text, build_args=step.get("build_args") or {},
            target=step.get("target"), labels=step.get("labels") or {}, no_cache="no-cache" in options,
            platform=step.get("platform"),
            secrets={key: value.encode() for key, value in (step.get("secrets") or {}).items()},
        )  # fmt: skip

    def _compare(self, layers: tuple[str, ...], config: Any, observed: Mapping[str, Any]) -> Iterator[str]:
        base = observed.get("relative_to_base")
        below = self.engine.store.images.get(base).config if base else None
        if "files" in observed:
            tree = self.engine.files(tuple(below.diff_ids)).tree if below else Tree.EMPTY
            files = self.engine.files(layers)
            changes = (change.after for change in diff(tree, files.tree))
            mine = {entry.path: entry for entry in changes if isinstance(entry, Entry)}
            wanted_files = observed["files"]
            for path in self.case.get("needs_file") or ():  # its size is that of this machine's busybox
                wanted_files = {**wanted_files, path: {**wanted_files[path], "size": mine[path].size}}
            yield from self._compare_files(mine, wanted_files, files.read)
        if "history" in observed:
            history = [entry.created_by for entry in config.history[len(below.history) if below else 0 :]]
            wanted = [self._filled(entry["created_by"]) for entry in observed["history"]]
            wanted = [entry for entry in wanted if not entry.startswith("base from")]
            if history != wanted:
                yield f"history is {history}, was {wanted}"
        if observed.get("config"):
            wanted_config = json.loads(self._filled(json.dumps(observed["config"])))
            if wanted_config.get("Cmd") in (["sh"], ["/bin/sh"]) and base:
                del wanted_config["Cmd"]  # the recording's base image had one
            if config.config.as_json() != wanted_config:
                yield f"config is {config.config.as_json()}, was {wanted_config}"

    def _compare_files(self, mine: dict[str, Entry], wanted: Mapping[str, Any], read: Any) -> Iterator[str]:
        names = set(mine) - ({"dev", "proc", "sys"} - set(wanted))
        if names != set(wanted):
            yield f"only here: {sorted(names - set(wanted))}, only there: {sorted(set(wanted) - names)}"
        for path in names & set(wanted):
            entry, facts = mine[path], wanted[path]
            got: dict[str, Any] = {"mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid, "size": entry.size}
            if entry.kind is Kind.FILE and "content" in facts:
                got["content"] = read(f"/{path}").decode()
            yield from (f"{path}: {key} is {got[key]!r}, was {facts[key]!r}"
                        for key in got if key in facts and got[key] != facts[key])  # fmt: skip

    def _filled(self, text: str) -> str:
        text = text.replace("{{HTTP}}", self.site.url)
        if self.case.get("needs_network"):
            text = text.replace("https://github.com", self.site.url)
        text = _PINNED.sub(lambda found: f"{found[1]}@{self._digest(found[1])}", text)
        return re.sub(r"\{\{IMAGE:(\w+)\}\}", lambda found: f"{found[1].lower()}-img", text)

    def _digest(self, name: str) -> str:
        """Give the digest of the image that stands in for one that is pinned by its own."""
        return self.engine.store.images.get(name).descriptor.digest

    def _write(self, folder: Path, entries: list[Mapping[str, Any]]) -> None:
        for facts in entries:
            target = folder / facts["path"].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if facts.get("type") == "dir":
                target.mkdir(exist_ok=True)
            elif facts.get("type") == "symlink":
                target.unlink(missing_ok=True)
                target.symlink_to(facts["target"])
                continue
            elif facts.get("type") != "socket":
                target.write_bytes(_content(facts))
            else:
                continue  # sockets are not sent
            if facts.get("mode"):
                target.chmod(int(facts["mode"], 8))


def _content(facts: Mapping[str, Any]) -> bytes:
    return base64.b64decode(facts["b64"]) if "b64" in facts else str(facts.get("content", "")).encode()


def _base(busybox: bytes, further: Mapping[str, str]) -> bytes:
    """Add to the small base what the recording's bases had besides."""
    out = io.BytesIO(busybox)
    with tarfile.open(fileobj=out, mode="a") as tar:
        parents = {str(parent) for path in further for parent in PurePath(path).parents} - {".", "etc"}
        for name in sorted({"var", *parents}):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, MTIME
            tar.addfile(folder)
        for path, text in {"etc/passwd": _PEOPLE, "etc/group": _GROUPS, **further}.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(text), MTIME
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()
