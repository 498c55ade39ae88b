"""Compare whole builds with what BuildKit recorded: ``python -m tests.fidelity ../shared/conformance/oracle.json``.

Prints each difference, then passed / all per topic. The command line builds and saves (``tests.outside``); pytest, and
this with ``--inside``, ask the engine itself, which is faster. The cases (``origin: dockersim``) and how they were
recorded: ``ORACLE.md`` beside the file.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockersim import DockersimError, Engine
from dockersim.digest import DiffID
from dockersim.engine import Build
from dockersim.engine.shipping import parse_platform
from dockersim.engine.store import machine_platform
from dockersim.filesystem import Kind, LayerEntry, Opaque, Whiteout
from dockersim.images import import_rootfs
from dockersim.oci import parse_reference

MTIME = 1_700_000_000
BASE = "busybox:latest"
_SETTINGS = ("dockerfile", "dockerignore", "build_args", "target", "labels", "secrets")
"""What a case gives a build, and a scenario may change."""
_REPOSITORY = Path(__file__).resolve().parent.parent
ORACLE = _REPOSITORY.parent / "shared" / "conformance" / "oracle.json"


def cases(path: Path = ORACLE, topics: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Read the recorded cases, of ``topics`` only if any are given."""
    found: list[dict[str, Any]] = json.loads(path.read_text())["cases"]
    return [one for one in found if not topics or one["case"]["topic"] in topics]


def busybox_base() -> bytes:
    """Make the base image of the recorded builds from Debian's busybox-static, as make-busybox-base.sh does."""
    program = shutil.which("busybox")
    if program is None:
        raise FileNotFoundError("busybox is not installed (apt-get install busybox-static)")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "etc", "tmp"):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, MTIME
            tar.addfile(member)
        for name, data, mode in (
            ("bin/busybox", Path(program).read_bytes(), 0o755),
            ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, MTIME
            tar.addfile(member, io.BytesIO(data))
        for applet in sorted(set(applets) - {"busybox"}):
            member = tarfile.TarInfo(f"bin/{applet}")
            member.type, member.linkname, member.mode, member.mtime = tarfile.SYMTYPE, "busybox", 0o777, MTIME
            tar.addfile(member)
    return out.getvalue()


@dataclass
class Outcome:
    """What one case came to: every difference from the recording, in words."""

    name: str
    topic: str
    differences: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


class Fidelity:
    """Runs cases in one folder; each has a root of its own, with an empty cache."""

    def __init__(self, folder: Path, **engine: Any) -> None:
        self.folder = folder
        self.options = engine
        self.base = busybox_base()
        self.sandbox = Engine(folder / "probe", **engine).store.sandbox

    def run(self, recorded: Mapping[str, Any]) -> Outcome:
        """Run one case with all its scenarios."""
        case, expected = recorded["case"], recorded["expected"]
        outcome = Outcome(case["name"], case["topic"])
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            one = Case(folder, case, expected, outcome, self.base, self.options)
            one.engine.store.sandbox = self.sandbox  # found out once, not once a case
            one.run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return outcome


class Case:
    """One case: writes its context, builds it in every scenario, and compares."""

    def __init__(
        self, folder: Path, case: Any, expected: Any, outcome: Outcome, base: bytes, options: Mapping[str, Any]
    ) -> None:
        self.context = folder / "context"
        self.case, self.expected, self.outcome = case, expected, outcome
        environment = {"PATH": os.environ["PATH"]}
        self.engine = Engine(folder / "root", environment=environment, **options)
        import_rootfs(
            self.engine.store.images,
            io.BytesIO(base),
            created="2023-11-14T22:13:20Z",
            platform=parse_platform(machine_platform()),
            name=parse_reference(BASE),
        )

    def run(self) -> None:
        self.context.mkdir()
        self._bases(self.case.get("bases") or [])
        self._write(self.case["context"])
        state = {key: self.case.get(key) for key in _SETTINGS}
        state["no_cache"] = False
        self._build(state, self.expected["scenarios"][0], first=True)
        for number, scenario in enumerate(self.case.get("scenarios") or [], 1):
            self._change(state, scenario, number)
            if not scenario.get("quirk"):
                self._build(state, self.expected["scenarios"][number], first=False)

    # ------------------------------------------------------------ the input

    def _bases(self, bases: Sequence[Mapping[str, Any]]) -> None:
        for base in bases:
            text = base["dockerfile"]
            self.engine.build(self.context, text=text, tags=[f"{base['name']}:latest"]).finish()

    def _write(self, files: Mapping[str, Any]) -> None:
        late = []
        for path, facts in files.items():
            target = self.context / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if facts.get("hardlink") is not None:
                late.append((path, facts))
            else:
                self._make(target, facts)
        for path, facts in late:
            os.link(self.context / facts["hardlink"], self.context / path)
        self._date(files)

    def _make(self, target: Path, facts: Mapping[str, Any]) -> None:
        if target.is_symlink() or target.is_file():
            target.unlink()
        if facts.get("symlink") is not None:
            target.symlink_to(facts["symlink"])
        elif facts.get("dir"):
            target.mkdir(exist_ok=True)
            target.chmod(int(str(facts.get("mode", "0755")), 8))
        else:
            data = base64.b64decode(facts["base64"]) if "base64" in facts else facts["content"].encode()
            target.write_bytes(data)
            target.chmod(int(str(facts.get("mode", "0644")), 8))

    def _date(self, files: Mapping[str, Any]) -> None:
        """Give everything the time of the recording; folders last, since what is made in them moves theirs."""
        for folder, names, contents in os.walk(self.context, topdown=False):
            for name in [*contents, *names]:
                path = Path(folder, name)
                relative = str(path.relative_to(self.context))
                if relative not in files and path.is_file():
                    continue
                facts = files.get(relative) or {}
                time = facts.get("mtime", MTIME)
                os.utime(path, (time, time), follow_symlinks=False)
                if path.is_dir() and not path.is_symlink() and "mode" not in facts and relative not in files:
                    path.chmod(0o755)

    def _change(self, state: dict[str, Any], scenario: Mapping[str, Any], number: int) -> None:
        for path, facts in (scenario.get("mutate") or {}).items():
            self._mutate(path, facts, MTIME + 1000 * number)
        for key in _SETTINGS:
            if key in scenario:
                state[key] = scenario[key]
        state["no_cache"] = bool(scenario.get("no_cache"))
        self._bases(scenario.get("bases") or [])

    def _mutate(self, path: str, facts: Mapping[str, Any] | None, time: int) -> None:
        target = self.context / path
        if facts is None:
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
            return
        if "touch" in facts:
            stamp = facts["touch"] if isinstance(facts["touch"], int) and facts["touch"] > 1 else time
            os.utime(target, (stamp, stamp), follow_symlinks=False)
        elif set(facts) == {"mode"}:
            target.chmod(int(str(facts["mode"]), 8))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            if facts.get("hardlink") is not None:
                target.unlink(missing_ok=True)
                os.link(self.context / facts["hardlink"], target)
                return
            self._make(target, facts)
            stamp = facts.get("mtime", time)
            os.utime(target, (stamp, stamp), follow_symlinks=False)

    # ------------------------------------------------------------ the build

    def _build(self, state: Mapping[str, Any], expected: Mapping[str, Any], *, first: bool) -> None:
        (self.context / "Dockerfile").write_bytes((state["dockerfile"] or "").encode("utf-8", "surrogateescape"))
        ignore = self.context / ".dockerignore"
        ignore.unlink(missing_ok=True)
        if state["dockerignore"] is not None:
            ignore.write_text(state["dockerignore"])
        for path in (self.context / "Dockerfile", ignore):
            if path.exists():
                os.utime(path, (MTIME, MTIME))
        build, error = self._try(state)
        if (error is None) != expected["ok"]:
            self._differ(f"ok is {error is None}, was {expected['ok']} ({error or expected.get('error')})")
            return
        if error is not None:
            self._compare_error(error, expected, first=first)
        if build is not None:
            self._compare_steps(build, expected)
        if first and build is not None and error is None:
            self._compare_image(build)

    def _try(self, state: Mapping[str, Any]) -> tuple[Build | None, DockersimError | None]:
        build = None
        try:
            build = self.engine.build(
                self.context,
                build_args=state["build_args"] or {},
                target=state["target"] or None,
                labels=state["labels"] or {},
                no_cache=state["no_cache"],
                secrets={name: value.encode() for name, value in (state["secrets"] or {}).items()},
            )
            build.finish()
        except DockersimError as error:
            return build, error
        return build, None

    # ------------------------------------------------------------ comparing

    def _differ(self, text: str) -> None:
        self.outcome.differences.append(text)

    def _compare_error(self, error: DockersimError, expected: Mapping[str, Any], *, first: bool) -> None:
        wanted = str(expected.get("error", "")).replace("<mount>", "")
        wanted = without_reference(wanted)
        if error.message not in wanted and wanted.partition(" (did you mean")[0] not in _as_buildkit(error):
            self._differ(f"error is {error.message!r}, was {wanted!r}")
        lines = self.expected.get("error_lines")
        mine = list(error.at.lines) if error.at else []
        if first and lines and not self._same_lines(mine, sorted(set(lines))):
            self._differ(f"error lines are {mine}, were {lines}")

    def _same_lines(self, mine: list[int], wanted: list[int]) -> bool:
        return mine == wanted

    def _compare_steps(self, build: Build, expected: Mapping[str, Any]) -> None:
        mine = {step.vertex: step for step in build.steps if step.vertex}
        planned = {step.vertex for step in (build.plan.steps if build.plan else ()) if step.vertex}
        scenario = next(number for number, one in enumerate(self.expected["scenarios"]) if one is expected)
        for number, step in enumerate(expected.get("steps") or []):
            name = step["name"]
            if name.split("] ", 1)[-1].startswith("LINK "):
                continue
            if name not in planned:
                self._differ(f"no step {name!r}; there are {sorted(planned)}")
                continue
            state = mine[name].state.value if name in mine else "not-run"
            stable = f"/scenarios/{scenario}/steps/{number}/state" not in (self.case.get("unstable") or ())
            if stable and step["cached"] is not None and state != step.get("state", state):
                because = mine[name].cache.because if name in mine else ""
                self._differ(f"{name!r} is {state}, was {step['state']} ({because})")
            for stream in ("stdout", "stderr"):
                if stream in step and name in mine and state != "cached":
                    self._compare_output(mine[name].event.result.output, stream, step[stream], name)

    def _compare_output(self, output: Sequence[tuple[str, str]], stream: str, wanted: str, name: str) -> None:
        text = "".join(piece for of, piece in output if of == stream)
        if text != wanted:
            self._differ(f"{stream} of {name!r} is {text!r}, was {wanted!r}")

    def _compare_image(self, build: Build) -> None:
        unstable = self.expected.get("unstable") or []
        finished = build.finished
        if finished is None or finished.config is None:
            self._differ("no image")
            return
        config = finished.config
        own = self._below(config, "history") if self.expected.get("base") else 0
        mine = [
            {"created_by": one.created_by, "empty_layer": one.empty_layer, "comment": one.comment}
            for one in config.history[own:]
        ]
        self._equal("config", config.config.as_json(), self.expected["config"], unstable)
        self._equal("author", config.author or None, self.expected.get("author"), unstable)
        self._equal("history", mine, self.expected["history"], unstable)
        layers = finished.layers[self._below(config, "layers") :]
        got = [list(self._entries(DiffID(layer))) for layer in layers]
        self._equal_layers(got, self.expected["layers"] or [], unstable)

    def _below(self, config: Any, what: str) -> int:
        base = self.expected.get("base")
        if not base or base == "scratch":
            return 0
        image = self.engine.store.images.get(base)
        return len(image.config.history if what == "history" else image.config.diff_ids)

    def _entries(self, layer: DiffID) -> Iterator[dict[str, Any]]:
        for entry in self.engine.store.layers.entries(layer):
            yield _facts(entry)

    def _equal(self, what: str, mine: Any, wanted: Any, unstable: Sequence[str]) -> None:
        if mine != wanted and not any(path.split(".")[0].split("[")[0] == what for path in unstable):
            self._differ(f"{what} is {json.dumps(mine)}, was {json.dumps(wanted)}")

    def _equal_layers(self, mine: list[list[Any]], wanted: list[list[Any]], unstable: Sequence[str]) -> None:
        if len(mine) != len(wanted):
            self._differ(f"{len(mine)} layers, were {len(wanted)}")
            return
        for number, (one, other) in enumerate(zip(mine, wanted, strict=True)):
            paths, others = [entry["path"] for entry in one], [entry["path"] for entry in other]
            if paths != others:
                self._differ(f"layer {number} has {paths}, had {others}")
                continue
            for entry, recorded in zip(one, other, strict=True):
                for key, value in recorded.items():
                    if key in ("text",) or any(key in path for path in unstable):
                        continue
                    if key == "mtime" and not isinstance(value, int):
                        continue
                    if entry.get(key) != value:
                        self._differ(f"layer {number} {entry['path']}: {key} is {entry.get(key)!r}, was {value!r}")


def without_reference(message: str) -> str:
    """Take out of an error the reference that BuildKit makes up for its snapshot: it tells a learner nothing."""
    return message.replace("failed to calculate checksum of ref <ref>: ", "")


def _as_buildkit(error: DockersimError) -> str:
    return f"dockerfile parse error on line {error.at.line}: {error.message}" if error.at else error.message


_TYPES = {Kind.CHARACTER: "char", Kind.BLOCK: "block", Kind.FIFO: "fifo", Kind.SYMLINK: "symlink"}


def _facts(entry: LayerEntry) -> dict[str, Any]:
    if isinstance(entry, Whiteout | Opaque):
        return {"path": f"/{entry.path}", "type": "whiteout" if isinstance(entry, Whiteout) else "opaque",
                "whiteout": True}  # fmt: skip
    facts: dict[str, Any] = {"path": f"/{entry.path}", "type": entry.kind.value, "mode": f"{entry.mode:04o}"}
    facts |= {"uid": entry.uid, "gid": entry.gid, "mtime": entry.mtime_ns // 1_000_000_000}
    if entry.kind is Kind.FILE:
        facts |= {"size": entry.size, "sha256": (entry.digest or "").removeprefix("sha256:")}
    if entry.link:
        facts["linkname"] = f"/{entry.link}" if entry.kind is Kind.HARDLINK else entry.link
    return facts


def main(arguments: Sequence[str]) -> int:
    """Run all cases (or those of the topics named after the file) and print the differences and the count."""
    from tests.outside import FidelityOutside  # which builds on this module

    words = [word for word in arguments if word != "--inside"]
    path = Path(words[0]) if words else ORACLE
    chosen, all_of, passed = cases(path, words[1:]), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="fidelity-") as folder:
        fidelity = (Fidelity if "--inside" in arguments else FidelityOutside)(Path(folder))
        for recorded in chosen:
            outcome = fidelity.run(recorded)
            all_of[outcome.topic] += 1
            passed[outcome.topic] += outcome.passed
            for text in outcome.differences:
                print(f"{outcome.name}: {text}")
    for topic, count in sorted(all_of.items()):
        print(f"{topic:16} {passed[topic]:4} / {count}")
    print(f"{'all':16} {passed.total():4} / {all_of.total()}")
    return 0 if passed.total() == all_of.total() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
