"""The extension in a real IPython shell: magics, errors of one line, drawings."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient
from traitlets.config import Config

from dockersim.cli.build import build
from dockersim.engine import Engine
from dockersim.errors import DockersimError
from dockersim.jupyter import Stepper, draw, requests_of
from dockersim.jupyter.arguments import cell_command, parse_cell
from dockersim.jupyter.drawing import HINT
from dockersim.jupyter.failures import install
from dockersim.jupyter.magics import DockerMagics
from dockersim.registry import stop
from tests.registry.stranger import stranger

from ..views.example import Workshop

SCRATCH = "%%dockerfile {options}\nFROM scratch\nCOPY app.py /\nENV GREETING=hello\n"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell with the extension, in a folder with an app.py, with a root of its own."""
    monkeypatch.setenv("DOCKERSIM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text("print('hello')\n")
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    assert shell.run_cell("%load_ext dockersim").success
    yield shell
    shell.restore_sys_module_state()


def test_a_cell_is_built_with_progress_and_a_table(shell: InteractiveShell, capsys: Any) -> None:
    assert shell.run_cell(SCRATCH.format(options="-t hello")).success
    out = capsys.readouterr().out
    assert "] COPY app.py /\n" in out
    assert "naming to docker.io/library/hello:latest done" in out
    assert "LINE      INSTRUCTION" in out
    assert not (Path.cwd() / "Dockerfile").exists()


def test_a_cell_tells_what_the_build_checks_found(shell: InteractiveShell, capsys: Any) -> None:
    assert shell.run_cell("%%dockerfile\nFROM scratch\nCMD echo hi\n").success
    assert "\n 1 warning found (use docker --debug to expand):\n - JSONArgsRecommended: " in capsys.readouterr().out
    assert not shell.run_cell("%%dockerfile\n# check=error=true\nFROM scratch\nCMD echo hi\n").success
    assert capsys.readouterr().err.startswith("lint violation found for rules: JSONArgsRecommended; ")


def test_a_cell_tells_what_a_registry_warns_of(shell: InteractiveShell, capsys: Any) -> None:
    with stranger(lambda ask: ask.say(404, Warning='299 - "closing down"')) as (address, _):
        assert not shell.run_cell(f"%%dockerfile\nFROM {address}/one\n").success
    assert f"WARNING: {address} says: closing down\n" in capsys.readouterr().out


def test_a_context_is_shown_in_a_cell(shell: InteractiveShell, capsys: Any) -> None:
    assert shell.run_cell("%%docker context -f - .\nFROM scratch\nCOPY app.py /\n").success
    out = capsys.readouterr().out
    assert "app.py" in out and "COPY line 2" in out


def test_a_cell_with_step_gives_a_stepper_before_its_first_step(shell: InteractiveShell) -> None:
    stepper = shell.run_cell(SCRATCH.format(options="--step")).result
    assert isinstance(stepper, Stepper)
    assert stepper.position == 0
    stepper.build.finish()
    assert stepper.position == 3


def test_build_arguments_and_target_reach_the_build(shell: InteractiveShell, capsys: Any) -> None:
    cell = "%%dockerfile --build-arg WHO=you --target one\nFROM scratch AS one\nARG WHO\nENV A=$WHO\nFROM scratch\n"
    assert shell.run_cell(cell).success
    assert "ENV A=$WHO" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%dockerfile\nFORM scratch\n", "Dockerfile:1: "),
        ("%%dockerfile\nFROM scratch\nCOPY missing /\n", "Dockerfile:2: "),
        ("%%dockerfile nowhere\nFROM scratch\n", 'path "nowhere" not found'),
        ("%%dockerfile --colour\nFROM scratch\n", "; %%dockerfile --help lists the options"),
        ("%%dockerfile 'open\nFROM scratch\n", "close the quotes"),
        ("%%dockerfile --step --trace t.json\nFROM scratch\n", "--step ends before the build does"),
        ("%%dockerfile --network mine\nFROM scratch\n", 'network mode "mine" not supported by buildkit'),
        ("%%dockerfile --ssh none=/nothing\nFROM scratch\n", "is not the socket of an ssh agent"),
        ("%%dockerfile --call=outline\nFROM scratch\n", "--call=outline is not supported"),
    ],
    ids=[
        "unknown instruction",
        "missing source",
        "missing context",
        "unknown option",
        "open quote",
        "step and trace",
        "no such network",
        "no agent",
        "no such call",
    ],
)
def test_errors_are_one_line_without_a_traceback(shell: InteractiveShell, capsys: Any, cell: str, words: str) -> None:
    result = shell.run_cell(cell)
    seen = capsys.readouterr()
    assert not result.success
    assert words in seen.err
    assert seen.err.count("\n") == 1
    assert "Traceback" not in seen.out + seen.err


def test_other_errors_keep_their_traceback(shell: InteractiveShell, capsys: Any) -> None:
    assert not shell.run_cell("1 / 0").success
    assert "Traceback" in capsys.readouterr().out


def test_a_command_that_fails_fails_the_cell(capsys: Any) -> None:
    shell = InteractiveShell()
    asked: list[list[str]] = []
    shell.register_magics(DockerMagics(shell, lambda words: asked.append(words) or len(words)))
    install(shell)
    assert not shell.run_cell("%docker run 'two words'").success
    assert asked == [["run", "two words"]]
    assert capsys.readouterr().err == "docker run: exit code 2\n"
    assert shell.run_cell("%docker").success
    assert not shell.run_cell("%docker run 'open").success


def test_help_lists_the_options_and_builds_nothing(capsys: Any) -> None:
    assert parse_cell("--help") is None
    assert "--build-arg KEY[=VALUE]" in capsys.readouterr().out


def test_a_cell_has_every_option_of_build() -> None:
    """But those about a terminal."""
    shared = {option.name: option for option in build.params if isinstance(option, click.Option)}
    missing = shared.keys() - {option.name for option in cell_command().params}
    assert missing == {"progress", "quiet"}


def test_newer_options_reach_the_build(shell: InteractiveShell, capsys: Any) -> None:
    (Path.cwd() / "other").mkdir()
    (Path.cwd() / "other" / "file").write_text("from there\n")
    options = "--build-context there=other --cache-to type=local,dest=cache --label a=b --trace t.json --iidfile id"
    cell = f"%%dockerfile {options}\nFROM scratch\nCOPY --from=there file /\n"
    assert shell.run_cell(cell).success
    assert (Path.cwd() / "cache" / "index.json").exists() and Path("id").read_text().startswith("sha256:")
    trace = json.loads(Path("t.json").read_text())
    assert (
        trace["ok"] and trace["options"]["labels"] == {"a": "b"} and trace["options"]["contexts"] == {"there": "other"}
    )
    assert shell.run_cell(cell.replace("%%dockerfile", "%%dockerfile --no-cache-filter=none")).success
    assert "CACHED" in capsys.readouterr().out


def test_a_cell_can_be_checked_only(shell: InteractiveShell, capsys: Any) -> None:
    assert shell.run_cell("%%dockerfile --check\nFROM scratch\nCOPY app.py /\n").success
    assert "no warnings found" in capsys.readouterr().out
    assert not shell.run_cell("%%dockerfile --check\nFROM scratch\nCMD echo hi\n").success
    seen = capsys.readouterr()
    assert "JSONArgsRecommended" in seen.out and seen.err == "%%dockerfile --check: exit code 1\n"


def test_a_drawing_is_a_picture_and_text() -> None:
    build = Workshop().build()
    build.finish()
    drawing = draw(build)
    assert "■ BASE  120MB" in str(drawing)
    bundle = drawing._repr_mimebundle_()
    if drawing.svg is None:
        pytest.skip("Graphviz is not installed")
    assert "<svg" in bundle["image/svg+xml"]
    assert HINT not in bundle["text/plain"]


def test_without_dot_the_drawing_is_plain_with_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    build = Workshop().build()
    drawing = draw(build)
    assert drawing.svg is None
    bundle = drawing._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].endswith(HINT)


def test_errors_are_a_closed_set(capsys: Any) -> None:
    shell = InteractiveShell()
    install(shell)
    shell.push({"DockersimError": DockersimError})
    shell.run_cell("raise DockersimError('no; do this')")
    assert capsys.readouterr().err == "no; do this\n"


def test_a_cell_is_what_the_command_reads(shell: InteractiveShell, capsys: Any) -> None:
    before = sys.stdin
    assert shell.run_cell("%%docker build -t hello -f - .\nFROM scratch\nCOPY app.py /\n").success
    assert sys.stdin is before
    assert shell.run_cell("%docker images --format {{.Repository}} hello").success
    assert capsys.readouterr().out.endswith("hello\n")


def test_variables_are_put_in_and_templates_are_left(shell: InteractiveShell, capsys: Any) -> None:
    shell.user_ns["name"] = "hello"
    assert shell.run_cell("%docker build -q -t {name}:$name -f - .\n").success is False  # an empty Dockerfile
    assert shell.run_cell("%%docker build -q -t {name}:$name -f - .\nFROM scratch\nENV A=1\n").success
    assert shell.run_cell("%docker images --format '{{.Repository}}:{{.Tag}}'").success
    assert capsys.readouterr().out.endswith("hello:hello\n")


PUSH = """\
%load_ext dockersim
%docker build -q -t alice/hello -f Dockerfile .
%docker login -u alice -p secret
%docker push --show-http alice/hello
%docker registry stop
"""


def test_the_requests_of_a_push_are_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKERSIM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (tmp_path / "Dockerfile").write_text("FROM scratch\nWORKDIR /app\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PUSH)])  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output["data"] for output in notebook.cells[0].outputs if output.output_type == "display_data"]
    assert len(shown) == 1
    table, plain = shown[0]["text/html"], shown[0]["text/plain"]
    assert table.count("<tr>") == 10 and '<th scope="col"' in table and "<caption" in table
    assert "put the manifest under its name" in table and "Why PUT, to " in table
    assert re.search(r"<li><strong>sent</strong> \d+B: 1 layer</li>", table)
    assert plain.startswith("METHOD") and "secret" not in table + plain


def test_a_notebook_that_a_program_runs_is_asked_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKERSIM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    cells = [
        nbformat.v4.new_code_cell(code)  # type: ignore[no-untyped-call]
        for code in ("%load_ext dockersim\n%docker image prune\n", "%docker login\n")
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    try:
        NotebookClient(notebook, timeout=120, allow_errors=True).execute()
    finally:
        stop(tmp_path / "home/registry")
    pruned, login = ("".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells)
    assert "nobody is there to confirm; use --force\n" in pruned and "Traceback" not in str(notebook)
    assert "Cannot perform an interactive login from a non TTY device; give --username" in login


def test_the_requests_of_a_transfer_are_shown_and_printed(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "home")
    engine.build(".", text="FROM scratch\nWORKDIR /app\n", tags=("alice/app",)).finish()
    try:
        engine.shipping.login("", "alice", "secret")
        first = engine.shipping.push("alice/app", lambda event: None)
        second = requests_of(engine.shipping.push("alice/app", lambda event: None))
    finally:
        stop(tmp_path / "home/registry")
    assert len(requests_of(first).requests) > len(second.requests)
    assert "not sent" in str(second) and "1 layer that was there already" in second._repr_html_()
    assert second._repr_html_().count("<details>") == 1
