"""The recorded builds from outside: the command line builds, and what it wrote is read by others' means.

``dockersim build --trace`` says which steps there were and what became of them; ``dockersim save --format oci`` gives
the image, which Python's own tarfile and json read. ``python -m tests.fidelity`` compares in this way.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dockersim import DockersimError
from dockersim.source import At
from tests.fidelity import Case, Fidelity, Outcome

_TYPES = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo",
}  # fmt: skip


class FidelityOutside(Fidelity):
    """Runs cases one after the other in one folder, of which only what the sandbox's probe found is kept."""

    def run(self, recorded: Mapping[str, Any]) -> Outcome:
        """Run one case with all its scenarios."""
        case, folder = recorded["case"], self.folder / "case"
        for path in (*folder.glob("*"), *folder.glob("root/*")):
            if path.name not in ("root", "sandbox"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        outcome = Outcome(case["name"], case["topic"])
        CaseOutside(folder, case, recorded["expected"], outcome, self.base, self.options).run()
        return outcome


class CaseOutside(Case):
    """One case; its base images are made in this process, all that is compared by ``dockersim``."""

    def _try(self, state: Mapping[str, Any]) -> tuple[Any, DockersimError | None]:
        trace, archive = self.context.with_name("trace.json"), self.context.with_name("image.tar")
        built = self._run("build", "-t", "case", *self._options(state), "--trace", trace, self.context)
        if not trace.exists():  # the Dockerfile is wrong: nothing has begun that could be traced
            return None, _told(built.stderr)
        document = json.loads(trace.read_text())
        trace.unlink()
        if document["ok"] != (built.returncode == 0):
            self._differ(f"exit code {built.returncode}, but ok is {document['ok']}")
        if not document["ok"]:
            return self._build_of(document, None), _error(document["error"])
        saved = self._run("save", "--format", "oci", "-o", archive, "case")
        assert saved.returncode == 0, saved.stderr
        return self._build_of(document, archive), None

    def _same_lines(self, mine: list[int], wanted: list[int]) -> bool:
        return len(mine) == 1 and mine[0] in wanted  # the command line and the trace name one line

    def _run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {**self.engine.environment, "DOCKERSIM_HOME": str(self.engine.root)}
        command = [sys.executable, "-m", "dockersim.cli", *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, errors="surrogateescape",
                              stdin=subprocess.DEVNULL, cwd=Path(__file__).parents[1], check=False)  # fmt: skip

    def _options(self, state: Mapping[str, Any]) -> Iterator[str]:
        for option, values in (("--build-arg", state["build_args"]), ("--label", state["labels"])):
            for name, value in (values or {}).items():
                yield from (option, f"{name}={value}")
        for name, value in (state["secrets"] or {}).items():
            file = self.context.with_name(f"secret-{name}")
            file.write_text(value)
            yield from ("--secret", f"id={name},src={file}")
        if state["target"]:
            yield from ("--target", state["target"])
        if state["no_cache"]:
            yield "--no-cache"

    # ------------------------------------------------------------ what was written, as the comparison wants to see it

    def _build_of(self, document: dict[str, Any], archive: Path | None) -> Any:
        steps = [_step(step) for step in document["steps"]]
        image = self._image(archive) if archive else None
        return SimpleNamespace(steps=steps, plan=SimpleNamespace(steps=steps), finished=image)

    def _image(self, archive: Path) -> Any:
        """Unpack the archive and read config and manifest as anybody would."""
        layout = archive.with_name("layout")
        shutil.rmtree(layout, ignore_errors=True)
        with tarfile.open(archive) as tar:
            tar.extractall(layout)
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]).read_text())
        config = json.loads(_blob(layout, manifest["config"]["digest"]).read_text())
        history = [
            SimpleNamespace(
                created_by=one.get("created_by", ""), empty_layer=one.get("empty_layer", False),
                comment=one.get("comment", ""),
            )
            for one in config.get("history") or []
        ]  # fmt: skip
        container = SimpleNamespace(as_json=lambda: config["config"])
        facts = SimpleNamespace(config=container, author=config.get("author", ""), history=history)
        layers = tuple(str(_blob(layout, layer["digest"])) for layer in manifest["layers"] or [])
        return SimpleNamespace(config=facts, layers=layers)

    def _entries(self, layer: str) -> Iterator[dict[str, Any]]:
        with tarfile.open(layer) as tar:
            for member in tar:
                yield _facts(tar, member)


def _step(step: dict[str, Any]) -> Any:
    output = [(one["stream"], one["text"]) for one in step.get("output", ())]
    because = (step.get("cache") or {}).get("because", "")
    return SimpleNamespace(
        vertex=step["vertex"], state=SimpleNamespace(value=step["state"]), cache=SimpleNamespace(because=because),
        event=SimpleNamespace(result=SimpleNamespace(output=output)),
    )  # fmt: skip


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _facts(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    folder, _, name = member.name.rpartition("/")
    if name == ".wh..wh..opq":
        return {"path": f"/{folder}", "type": "opaque", "whiteout": True}
    if name.startswith(".wh."):
        path = "/".join(part for part in ("", folder, name[4:]) if part or not folder)
        return {"path": f"/{path.lstrip('/')}", "type": "whiteout", "whiteout": True}
    facts: dict[str, Any] = {"path": f"/{member.name}", "type": _TYPES[member.type], "mode": f"{member.mode:04o}"}
    facts |= {"uid": member.uid, "gid": member.gid, "mtime": int(member.mtime)}
    if member.isreg() and (stream := tar.extractfile(member)):
        facts |= {"size": member.size, "sha256": hashlib.sha256(stream.read()).hexdigest()}
    if member.linkname:
        facts["linkname"] = f"/{member.linkname}" if member.islnk() else member.linkname
    return facts


def _error(error: dict[str, Any]) -> DockersimError:
    return DockersimError(error["message"], at=At("Dockerfile", error["line"]) if error["line"] else None)


def _told(stderr: str) -> DockersimError:
    """Read the one line that begins with ERROR; its place, if it has one, stands before the message."""
    line = next(line for line in reversed(stderr.splitlines()) if line.startswith("ERROR: "))
    words = line.removeprefix("ERROR: ").removeprefix("failed to solve: ")
    place, _, rest = words.partition(": ")
    number = place.removeprefix("Dockerfile:")
    if number != place and number.isdigit():
        return DockersimError(rest, at=At("Dockerfile", int(number)))
    return DockersimError(words)
