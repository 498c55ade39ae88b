"""``dockersim plan`` names what a build then does, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .conftest import Run

Ok = Callable[..., str]


def words(table: str) -> dict[str, str]:
    """The column WOULD BE by the column LINE."""
    lines = table.split("\n\n")[0].splitlines()
    at = lines[0].index("WOULD BE")
    return {line.split()[0]: line[at:].split()[0] for line in lines[1:]}


def test_a_plan_follows_the_cache(ok: Ok, root: Path, app: Path) -> None:
    assert words(ok("plan", app)) == {"1": "-", "2": "RUN", "3": "RUN", "4": "-"}
    assert not root.exists()
    ok("build", "-q", app)
    said = ok("plan", app)
    assert words(said) == {"1": "-", "2": "CACHED", "3": "CACHED", "4": "-"}
    assert said.rstrip().endswith("Nothing would be run: 2 steps would come from the cache.")
    (app / "app.py").write_text("print('other')\n")
    said = ok("plan", app)
    assert words(said) == {"1": "-", "2": "CACHED", "3": "RUN", "4": "-"}
    assert "app.py changed" in said and "1 step would be run (line 3), 1 would come from the cache." in said


def test_why_shows_what_a_key_is_made_of(ok: Ok, app: Path) -> None:
    assert "input        app.py file" in ok("plan", "--why", app)


def test_a_step_that_must_fail_is_told(run: Run, app: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch\nCOPY nothere /\n")
    result = run("plan", app)
    assert result.exit_code == 1
    assert words(result.stdout)["2"] == "ERROR"
    assert result.stderr.startswith("ERROR: Dockerfile:2: ")


def test_named_contexts_are_given_with_an_option(run: Run, app: Path, tmp_path: Path) -> None:
    (tmp_path / "named").mkdir()
    (tmp_path / "named/file").write_text("named\n")
    (app / "Dockerfile").write_text("FROM scratch\nCOPY --from=src file /\n")
    words = ("--build-context", f"src={tmp_path / 'named'}", app)
    assert "never built before" in run("plan", "--why", *words).stdout
    assert run("build", *words).exit_code == 0
    assert "CACHED" in run("plan", *words).stdout
    for command in ("build", "plan"):
        bad = run(command, "--build-context", "src", app)
        assert bad.exit_code == 1 and "invalid context value: src, expected key=value" in bad.stderr
        bad = run(command, "--build-context", "src=/nope", app)
        assert bad.exit_code == 1 and "failed to get build context src: stat /nope" in bad.stderr
