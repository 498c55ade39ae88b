"""The options that build, plan and step share: what is typed reaches the build."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run


def test_an_emptied_root_is_filled_from_a_cache(
    run: Run, ok: Callable[..., str], app: Path, root: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    result = run("build", "--cache-to", f"type=local,dest={cache},mode=max", app)
    assert result.exit_code == 0 and "exporting cache to client directory" in result.stderr
    shutil.rmtree(root)
    source = ("--cache-from", f"type=local,src={cache}")
    planned = run("plan", *source, app)
    assert planned.stdout.rstrip().endswith("Nothing would be run: 2 steps would come from the cache.")
    assert planned.stderr == f"importing cache manifest from local:{cache}: 2 steps, 2 layers\n"
    assert not root.exists()
    stepped = run("step", *source, app, stdin="n\nn\nn\nc\nq\n")
    assert f"found in the imported cache local:{cache}" in stepped.stdout
    assert run("build", app).stderr.count("CACHED") == 2


def test_a_stage_that_is_not_to_be_cached_is_run(run: Run, ok: Callable[..., str], app: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch AS one\nCOPY app.py /\nFROM scratch\nCOPY --from=one app.py /other\n")
    ok("build", "-q", app)
    assert "--no-cache-filter=one: every step of this stage is run" in ok("plan", "--no-cache-filter", "one,two", app)
    assert run("build", "--no-cache-filter", "one", app).stderr.count("CACHED") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--add-host", "db"), "ERROR: invalid host db; write it as --add-host HOST:IP"),
        (("--network", "mine"), 'ERROR: network mode "mine" not supported by buildkit; use default, none or host'),
        (("--cache-from", "type=gha"), "ERROR: unknown cache importer: gha; use type=local or type=registry"),
    ],
)
@pytest.mark.parametrize("command", ["build", "plan", "step"])
def test_what_cannot_be_done_is_one_line(run: Run, app: Path, command: str, words: tuple[str, str], said: str) -> None:
    result = run(command, *words, app)
    assert result.exit_code == 1 and result.stderr == f"{said}\n"


@pytest.mark.parametrize("command", ["build", "plan", "step"])
def test_an_agent_that_is_none_is_refused_before_anything_is_done(run: Run, app: Path, command: str) -> None:
    result = run(command, "--ssh", "a=nothing", app)
    assert result.exit_code == 1
    assert result.stderr == "nothing is not the socket of an ssh agent; add the key to an agent: ssh-add FILE\n"


def test_a_secret_is_lent_to_a_build_that_is_stepped_through(run: Run, app: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch\nCOPY app.py /\n")
    stepped = run("step", "--secret", f"id=key,src={app / 'app.py'}", app, stdin="n\nn\nq\n")
    assert stepped.exit_code == 0
    assert run("step", "--secret", "id=key,src=missing", app).stderr.startswith("secret key: missing cannot be read")


def test_a_cache_that_cannot_be_written_ends_the_build(run: Run, app: Path) -> None:
    result = run("build", "--cache-to", "type=registry,ref=127.0.0.1:9/a/b", app)
    assert result.exit_code == 1
    assert result.stderr.endswith("cannot reach 127.0.0.1:9: connection refused; check the name and your connection\n")
