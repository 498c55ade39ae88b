"""``dockersim step``, driven as by a learner: a line for each command."""

from __future__ import annotations

from pathlib import Path

from .conftest import Run


def test_a_walk_forwards_backwards_and_around(run: Run, app: Path) -> None:
    keys = [
        "f",
        "n",
        "b",
        "r 3",
        "d",
        "c",
        "f /app",
        "f /app/app.py",
        "i",
        "o",
        "d 1",
        "w",
        "r 4",
        "i",
        "n",
        "bogus",
        "h",
        "q",
    ]
    result = run("step", "-t", "walked", app, stdin="\n".join(keys) + "\n")
    assert result.exit_code == 0, result.output
    said = result.stdout
    assert said.startswith(
        "Dockerfile: 4 steps. n takes the first one, h lists the commands.\n[step 0/4] f\nno step is taken yet"
    )
    assert "This is the first step; nothing lies before it." in said
    assert "Step 3/4, Dockerfile:3: COPY . /app\n  DONE; layer 21B, image so far 21B\n  never built before\n" in said
    assert "A /app/app.py  -rw-r--r-- 0:0 15B\n" in said
    assert "[step 3/4, line 3] f /app/app.py\n-rw-r--r-- 0:0 15B\nprint('hello')\n" in said
    assert "MISS: never built before" in said
    assert "COPY runs no command." in said
    assert ">    done   3 | COPY . /app" in said
    assert '+ Entrypoint ["python3", "app.py"]' in said
    assert "This was the last step" in said and "The image is sha256:" in said
    assert "There is no command bogus" in said
    assert "walked" in run("images").stdout


def test_a_failing_step_can_be_entered(shell: Run, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM dockersim/starter:shell\nRUN echo left > /left; echo said; exit 7\n")
    result = shell(
        "step", tmp_path, stdin="n\nn\nn\no\nf /left\ns cat /left && echo more > /made; ls /made\nf /made\ns\n"
    )
    assert result.exit_code == 1
    assert "  ERROR in " in result.stdout and "The build failed here: " in result.stdout
    assert "said\nexit code 7" in result.stdout
    assert "[step 2/2, line 2] s cat /left && echo more > /made; ls /made\nleft\n/made\n" in result.stdout
    assert "/made: No such file or directory" in result.stdout
    assert "A shell needs a terminal" in result.stdout


def test_a_step_tells_what_the_build_checks_found_in_it(run: Run, app: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch\nWORKDIR /app\nCMD echo hi\n")
    said = run("step", app, stdin="n\nn\nn\n").stdout
    assert said.count("WARNING") == 1
    assert "  WARNING JSONArgsRecommended: " in said.partition("Step 3/3")[2]


def test_what_cannot_begin_is_told_as_build_tells_it(run: Run, app: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch\nCOYP . /\n")
    result = run("step", app)
    assert result.exit_code == 1
    assert result.stderr.rstrip().endswith(
        "ERROR: failed to solve: Dockerfile:2: unknown instruction: COYP; did you mean COPY?"
    )
