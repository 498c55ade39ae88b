"""The build checks on the command line: --check, the summary below a build, ``# check=``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run, environment

Ok = Callable[..., str]

GOOD = "FROM scratch\nCOPY app.py /\n"
POOR = "FROM scratch as base\nCOPY app.py /\nCMD echo hi\n"
RULES = ["FromAsCasing", "JSONArgsRecommended"]


@pytest.fixture
def write(app: Path) -> Callable[[str], Path]:
    """Write the Dockerfile of the context, and give the context."""

    def call(text: str) -> Path:
        (app / "Dockerfile").write_text(text)
        return app

    return call


Write = Callable[[str], Path]


@pytest.mark.parametrize("words", [("--check",), ("--call=check",), ("--call", "check")])
def test_check_finds_and_does_not_build(run: Run, write: Write, root: Path, words: tuple[str, ...]) -> None:
    result = run("build", *words, write(POOR))
    assert result.exit_code == 1
    assert result.stdout.startswith("Check complete, 2 warnings have been found!\n\nWARNING: FromAsCasing - https://")
    assert "   3 | >>> CMD echo hi\n" in result.stdout
    assert result.stderr == ""
    assert not root.exists()


def test_check_is_content_with_a_good_dockerfile(run: Run, write: Write) -> None:
    result = run("build", "--check", write(GOOD))
    assert (result.exit_code, result.output) == (0, "Check complete, no warnings found.\n")


def test_check_tells_a_mistake_after_what_it_found(run: Run, write: Write) -> None:
    result = run("build", "--check", write("FROM scratch as base\nFORM x\n"))
    assert result.exit_code == 1
    assert "1 warning has been found!" in result.stdout
    assert result.stderr.startswith(
        "\nERROR: Dockerfile:2: unknown instruction: FORM; did you mean FROM?\nDockerfile:2\n"
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("FROM scratch\nCOPY --from=late /a /\nFROM scratch AS late\n", 2, 'cannot copy from stage "late"'),
        ("FROM scratch\nCOPY --from=7 /a /\n", 2, "invalid stage index 7"),
        ("FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\nCOPY --from=a / /\n", 4, "circular dependency"),
        ("FROM scratch\nADD --checksum=sha256:1 a b /\nFROM scratch\n", 2, "checksum can't be specified"),
        ("FROM scratch\nENV A=${B:?missing}\nFROM scratch\n", 2, 'failed to process "${B:?missing}": B: missing'),
        ("# check=error=true\nFROM scratch as a\nCOPY --from=7 /a /\n", 3, "invalid stage index 7"),
    ],
)
def test_check_tells_what_only_a_plan_shows(
    run: Run, write: Write, root: Path, text: str, line: int, message: str
) -> None:
    """In every stage, as BuildKit's lint plans all of them (dockerfile2llb, ``DockerfileLint``)."""
    result = run("build", "--check", write(text))
    assert result.exit_code == 1
    assert f"ERROR: Dockerfile:{line}: {message}" in result.stderr
    assert not root.exists()


def test_check_needs_no_image_and_plans_only_what_a_target_needs(run: Run, write: Write) -> None:
    app = write(
        "FROM nowhere/image AS good\nRUN true\nCOPY --from=other/image /a /b\nFROM good\nADD --checksum=x a b /\n"
    )
    assert run("build", "--check", "--target", "good", app).exit_code == 0
    assert run("build", "--check", app).exit_code == 1


def test_check_looks_at_all_stages_or_those_of_the_target(run: Run, write: Write) -> None:
    app = write("FROM scratch AS one\nENV A b\nFROM scratch AS two\nENV C d\n")
    assert "2 warnings" in run("build", "--check", app).stdout
    assert "Dockerfile:2" in run("build", "--check", "--target", "one", app).stdout
    assert "1 warning " in run("build", "--check", "--target", "one", app).stdout


def test_check_knows_the_ignore_file_and_the_build_args(run: Run, write: Write) -> None:
    app = write("ARG BASE\nFROM ${BASE}\nCOPY .dockerignore /\n")
    said = run("build", "--check", "--build-arg", "BASE=scratch", app).stdout
    assert "WARNING: CopyIgnoredFile - " in said and "WARNING: InvalidDefaultArgInFrom - " in said


def test_check_knows_the_variables_of_an_image_that_is_here(ok: Ok, run: Run, write: Write) -> None:
    ok("build", "-q", "-t", "mine", "-", stdin="FROM scratch\nENV GREETING=hello\n")
    app = write("FROM mine\nENV SAID=$GREETING OTHER=$GREETINGS\n")
    said = run("build", "--check", app).stdout
    assert "1 warning " in said and "'$GREETINGS' (did you mean $GREETING?)" in said
    built = run("build", app).stderr
    assert built.count("UndefinedVar") == 1 and "'$GREETINGS'" in built


def test_the_dockerfile_to_check_may_come_through_stdin(run: Run, app: Path) -> None:
    assert "1 warning has" in run("build", "--check", "-f", "-", app, stdin="FROM scratch as a\n").stdout
    assert "1 warning has" in run("build", "--check", "-", stdin="FROM scratch as a\n").stdout


@pytest.mark.parametrize("method", ["outline", "targets", "nonsense"])
def test_other_methods_are_refused_in_one_line(run: Run, app: Path, method: str) -> None:
    result = run("build", f"--call={method}", app)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith(f"--call={method} is not supported; ")


def test_a_build_tells_below_what_the_checks_found(run: Run, write: Write) -> None:
    for _ in range(2):  # also where every step is cached
        result = run("build", write(POOR))
        assert result.exit_code == 0
        assert result.stderr.splitlines()[-4:] == [
            "",
            " 2 warnings found (use docker --debug to expand):",
            " - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
            " - JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS"
            " signals (line 3)",
        ]
    assert "CACHED" in result.stderr
    assert "warning" not in run("build", write(GOOD)).output


def test_debug_expands_what_was_found(run: Run, write: Write) -> None:
    said = run("--debug", "build", write(POOR)).stderr
    assert " 2 warnings found:\n" in said
    assert "More info: https://docs.docker.com/go/dockerfile/rule/from-as-casing/\n" in said
    assert "   1 | >>> FROM scratch as base\n" in said


def test_a_failing_build_tells_them_before_its_error(run: Run, write: Write) -> None:
    result = run("build", write("FROM scratch as base\nCOPY nothere /\n"))
    assert result.exit_code == 1
    said = result.stderr.index(" 1 warning found"), result.stderr.index("ERROR: failed to solve: Dockerfile:2")
    assert said == tuple(sorted(said))


def test_quiet_and_json_tell_nothing_else(run: Run, write: Write) -> None:
    app = write(POOR)
    quiet = run("build", "-q", app)
    assert quiet.output.count("\n") == 1 and quiet.output.startswith("sha256:")
    events = run("build", "--progress", "json", app)
    assert all(json.loads(line) for line in events.stdout.splitlines()) and events.stderr == ""


def test_error_true_stops_the_build_before_anything_runs(run: Run, write: Write, tmp_path: Path) -> None:
    app = write(f"# check=error=true\n{POOR}")
    result = run("build", "--trace", tmp_path / "t.json", app)
    assert result.exit_code == 1
    error = "ERROR: failed to solve: lint violation found for rules: FromAsCasing, JSONArgsRecommended; "
    assert result.stderr.splitlines()[-1].startswith(error)
    document = json.loads((tmp_path / "t.json").read_text())
    assert [step["state"] for step in document["steps"]] == ["not-run"] * 3
    assert [row["rule"] for row in document["findings"]] == RULES
    assert run("build", write(f"# check=error=true\n{GOOD}")).exit_code == 0


def test_the_build_argument_goes_before_the_directive(run: Run, write: Write) -> None:
    argument = ("--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true")
    assert run("build", *argument, write(POOR)).exit_code == 1
    lenient = ("--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all")
    result = run("build", *lenient, write(f"# check=error=true\n{POOR}"))
    assert result.exit_code == 0 and "warning" not in result.stderr


def test_skip_skips(run: Run, write: Write) -> None:
    app = write(f"# check=skip=FromAsCasing\n{POOR}")
    assert " 1 warning found" in run("build", app).stderr
    assert "warning" not in run("build", write(f"# check=skip=all;error=true\n{POOR}")).stderr


def test_wrong_options_stop_the_build(run: Run, write: Write) -> None:
    result = run("build", write(f"# check=nope=1\n{GOOD}"))
    assert result.exit_code == 1
    assert 'ERROR: failed to solve: failed to parse check options: invalid check option "nope"; ' in result.stderr


def test_a_quiet_cached_build_does_not_import_the_checks(root: Path, write: Write) -> None:
    app = write(GOOD)
    program = (
        "import sys\nfrom dockersim.cli.main import main\n"
        f"assert main.main(['build', '-q', {str(app)!r}], standalone_mode=False) == 0\n"
        "print(*sorted(name for name in sys.modules if name.startswith('dockersim.dockerfile.check')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(root), capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[1] == ""
