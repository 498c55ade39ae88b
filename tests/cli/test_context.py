"""``dockersim context``: the table, the formats, the warnings."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from .conftest import Run

Ok = Callable[..., str]


def rows(table: str) -> dict[str, list[str]]:
    """The cells of each row by the name of the file; cells are two spaces apart at least."""
    lines = table.split("\n\n")[0].splitlines()[1:]
    return {cells[0]: cells[1:] for line in lines if (cells := [cell.strip() for cell in line.split("  ") if cell])}


def test_every_file_is_listed_with_what_decided_and_what_uses_it(ok: Ok, app: Path, root: Path) -> None:
    said = ok("context", app)
    assert said.splitlines()[0].split("  ")[0] == "FILE"
    assert rows(said) == {
        ".dockerignore": ["26B", "no", ".dockerignore:2 .dockerignore", "-"],
        "Dockerfile": ["71B", "no", ".dockerignore:1 Dockerfile*", "-"],
        "app.py": ["15B", "yes", "-", "COPY line 3"],
        "requirements.txt": ["6B", "yes", "-", "COPY line 3"],
    }
    assert "4 files, 118B: 2 (21B) sent, 2 (97B) left out." in said
    assert "Instructions use 2 (21B)" in said
    assert not root.exists()


def test_a_folder_that_is_left_out_is_one_row_unless_all_is_asked_for(ok: Ok, app: Path) -> None:
    (app / "node_modules" / "deep").mkdir(parents=True)
    for name in ("a.js", "deep/b.js"):
        (app / "node_modules" / name).write_text("x" * 100)
    (app / ".dockerignore").write_text("node_modules\n")
    assert rows(ok("context", app))["node_modules/ (2 files)"] == ["200B", "no", ".dockerignore:1 node_modules", "-"]
    everything = rows(ok("context", "--all", app))
    assert everything["node_modules/deep/b.js"] == ["100B", "no", ".dockerignore:1 node_modules", "-"]
    assert not [name for name in everything if "files)" in name]


def test_it_warns_of_what_should_not_be_sent(run: Run, app: Path) -> None:
    (app / ".git").mkdir()
    (app / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (app / ".env").write_text("TOKEN=x\n")
    with (app / "big.bin").open("wb") as file:
        file.truncate(60_000_000)
    result = run("context", app)
    assert result.exit_code == 0
    warnings = result.stderr.splitlines()
    assert [line.split(" is sent")[0] for line in warnings] == [
        "WARNING: .env",
        "WARNING: .git/",
        "WARNING: big.bin",
    ]
    assert "COPY line 3 takes it along; to leave it out write .env into .dockerignore" in warnings[0]
    with (app / ".dockerignore").open("a") as ignore:
        ignore.write("\n.git/\n.env\nbig.bin\n")
    assert run("context", app).stderr == ""


def test_it_names_the_line_that_hides_a_source(run: Run, app: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch\nCOPY .dockerignore nothere /\n")
    said = run("context", app).stderr.splitlines()
    assert said[0].endswith('"/.dockerignore": not found; .dockerignore:2 .dockerignore leaves it out')
    assert said[1].endswith('line 2 (COPY): failed to compute cache key: "/nothere": not found')


def test_without_a_dockerfile_it_lists_and_says_what_it_does_not_know(run: Run, app: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch\nCOPPY . /\n")
    wrong = run("context", app)
    (app / "Dockerfile").unlink()
    missing = run("context", app)
    for result, why in ((wrong, "unknown instruction: COPPY"), (missing, "failed to read dockerfile: open Dockerfile")):
        assert result.exit_code == 0
        assert rows(result.stdout)["app.py"] == ["15B", "yes", "-", "?"]
        assert "Instructions use" not in result.stdout
        assert result.stderr.startswith("NOTE: which instruction uses which file is not known: ")
        assert why in result.stderr and result.stderr.count("\n") == 1


def test_json_and_templates_are_for_programs(ok: Ok, app: Path) -> None:
    found = {row["Path"]: row for row in map(json.loads, ok("context", "--format", "json", app).splitlines())}
    assert found["Dockerfile"]["Sent"] is False and found["Dockerfile"]["Line"] == 1
    assert found["app.py"]["Size"] == 15
    assert found["app.py"]["Uses"] == [{"Line": 3, "Instruction": "COPY"}]
    assert ok("context", "--format", "{{.Path}} {{.Pattern}}", app).splitlines()[1] == "Dockerfile Dockerfile*"


def test_an_empty_context_has_no_rows(ok: Ok, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert "0 files, 0B: 0 (0B) sent, 0 (0B) left out." in ok("context", folder)
    assert ok("context", "--format", "json", folder) == ""


def test_a_name_cannot_give_orders_to_the_terminal(run: Run, app: Path) -> None:
    (app / "a\x1b[2Jb\nc.env").write_text("")
    result = run("context", app)
    assert "\x1b" not in result.output
    assert "a\\x1b[2Jb\\nc.env" in result.stdout and "a\\x1b[2Jb\\nc.env" in result.stderr


def test_a_context_may_come_as_an_archive(ok: Ok, app: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(app, ".")
    assert rows(ok("context", "-", stdin=packed.getvalue()))["app.py"][-1] == "COPY line 3"


def test_bad_input_is_one_clear_line(run: Run, app: Path) -> None:
    (app / ".dockerignore").write_text("ok\n!\n")
    for words, said in ((("context", app), ".dockerignore:2: "), (("context", app / "nope"), "not found")):
        result = run(*words)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert said in result.stderr
