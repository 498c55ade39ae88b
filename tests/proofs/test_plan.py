"""``dockersim plan`` after an edit names exactly the steps that the build then runs, and leaves no trace."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.engine import Build
from dockersim.engine.shipping import parse_platform
from dockersim.engine.store import machine_platform
from dockersim.images import import_rootfs
from dockersim.oci import parse_reference
from tests.fidelity import busybox_base
from tests.proofs.installed import Installed, with_busybox

DOCKERFILE = """\
FROM busybox AS library
WORKDIR /src
COPY lib /src/lib
RUN cat lib/* > /built
FROM busybox AS tests
COPY tests /tests
FROM busybox
COPY requirements.txt /
RUN cat /requirements.txt > /installed
COPY --from=library /built /app/built
COPY app.py /app/
RUN cat /app/* > /all
CMD ["cat", "/all"]
"""

Edit = Callable[[Path], object]


def write(name: str, text: str) -> Edit:
    """An edit that gives a file other content."""
    return lambda context: (context / name).write_text(text)


def replace(old: str, new: str) -> Edit:
    """An edit of the Dockerfile."""
    return lambda context: (context / "Dockerfile").write_text(DOCKERFILE.replace(old, new))


EDITS: dict[str, tuple[Edit, set[int]]] = {
    "nothing": (lambda context: None, set()),
    "touch app.py": (lambda context: os.utime(context / "app.py", (1, 1)), set()),
    "edit app.py": (write("app.py", "print('changed')\n"), {11, 12}),
    "edit requirements.txt": (write("requirements.txt", "flask==3\n"), {8, 9, 10, 11, 12}),
    "edit a file of another stage": (write("lib/b.py", "b = 22222\n"), {3, 4, 10, 11, 12}),
    "a new file in a copied directory": (write("lib/c.py", "c = 3\n"), {3, 4, 10, 11, 12}),
    "a new file that nothing copies": (write("notes.txt", "new\n"), set()),
    "a file that .dockerignore leaves out": (write("lib/x.log", "changed\n"), set()),
    "a file of a stage that nothing needs": (write("tests/test.py", "assert False\n"), set()),
    "delete a file of a copied directory": (lambda context: (context / "lib/b.py").unlink(), {3, 4, 10, 11, 12}),
    "chmod app.py": (lambda context: (context / "app.py").chmod(0o755), {11, 12}),
    "edit the last RUN": (replace("> /all", "> /everything"), {12}),
    "edit the first RUN": (replace("lib/* >", "lib/a.py lib/a.py >"), {4, 10, 11, 12}),
    "edit CMD": (replace('["cat",', '["wc",'), set()),
    "a comment": (replace("COPY app.py", "# why\nCOPY app.py"), set()),
    "an ENV above": (replace("COPY requirements", "ENV A=1\nCOPY requirements"), {10, 11, 12, 13}),
}


def make_context(folder: Path) -> Path:
    """Make the context that every edit begins with."""
    (folder / "lib").mkdir(parents=True)
    (folder / "tests").mkdir()
    texts = {
        "Dockerfile": DOCKERFILE, ".dockerignore": "**/*.log\n", "app.py": "print('app')\n", "lib/a.py": "a = 1\n",
        "lib/b.py": "b = 2\n", "lib/x.log": "log\n", "requirements.txt": "flask\n", "tests/test.py": "pass\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine with busybox."""
    engine = Engine(tmp_path_factory.mktemp("plan") / "root", environment={})
    import_rootfs(
        engine.store.images, io.BytesIO(busybox_base()), created="2023-11-14T22:13:20Z",
        platform=parse_platform(machine_platform()), name=parse_reference("busybox"),
    )  # fmt: skip
    return engine


def not_cached(build: Build) -> set[int]:
    """Tell the lines whose steps were run, or would be."""
    build.finish()
    return {step.line for step in build.steps if step.cached is False}


@pytest.mark.parametrize("name", EDITS)
def test_plan_names_what_then_runs(name: str, engine: Engine, tmp_path: Path) -> None:
    edit, expected = EDITS[name]
    context = make_context(tmp_path / "context")
    engine.build(context, tags=["app"]).finish()
    edit(context)

    predicted = not_cached(engine.plan(context))

    assert predicted == not_cached(engine.build(context, tags=["app"])) == expected
    assert not_cached(engine.plan(context)) == set()


def test_what_only_running_can_tell_is_said_to_be_unknown(engine: Engine, tmp_path: Path) -> None:
    """A stage that must run may make what it made before; only then do the steps that copy from it hit."""
    context = make_context(tmp_path / "context")
    engine.build(context).finish()
    replace("lib/* >", "lib/a.py lib/b.py >")(context)
    plan = engine.plan(context)
    assert not_cached(plan) == {4, 10, 11, 12}
    assert {step.line: step.cache.verdict.value for step in plan.steps}[10] == "unknown"
    assert not_cached(engine.build(context)) == {4}


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """List everything below ``root``, with its size, time and number.

    The root itself is left out: while SQLite reads, it has a file of shared memory in there.
    """
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        size = 0 if path.is_dir() else status.st_size
        found[str(path)] = (size, status.st_mtime_ns, status.st_ino)
    return found


def test_plan_writes_nothing(place: Path) -> None:
    ours = with_busybox(Installed(place / "root"), place)
    context = make_context(place / "context")
    ours("build", "-t", "app", context)
    write("app.py", "print('changed')\n")(context)
    before = listing(ours.root)

    output = ours("plan", context)

    assert listing(ours.root) == before
    assert output.count("CACHED") >= 5


def test_plan_of_what_was_never_built_makes_no_root(place: Path) -> None:
    context = make_context(place / "context")
    nowhere = Installed(place / "root")
    nowhere("plan", context, code=1)  # busybox is not here, and a prediction does not pull
    assert not (place / "root").exists()
