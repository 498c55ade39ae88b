"""The acts about images: write, build, look inside, build again; break and repair."""

from __future__ import annotations

from dockersim.cli.demo.stage import NotShown, Stage
from dockersim.engine import Build, Step
from dockersim.views.steps import step_table
from dockersim.views.units import human_size

_GREETING = "Hello from a container!"
NEW_GREETING = "Hello again, from an edited container!"


def lay_out(stage: Stage, dockerfile: str) -> None:
    """Put the app on the table."""
    story = stage.story
    story.act("The app and its Dockerfile")
    story.say("A Flask application: one file of Python, one list of what it needs, and the Dockerfile of the tutorial.")
    if dockerfile != "Dockerfile":
        (stage.app / dockerfile).replace(stage.app / "Dockerfile")
    else:
        (stage.app / "Dockerfile.starter").unlink()
    for name in ("app.py", "requirements.txt", "Dockerfile"):
        story.command(f"cat {name}")
        story.show((stage.app / name).read_text(encoding="utf-8"))


def build(stage: Stage) -> Build:
    """Build the image for the first time."""
    stage.story.act("Build the image")
    stage.story.say(
        "Every instruction is a step. RUN really runs its command, in a sandbox, on what the steps before left."
    )
    built = stage.build()
    _show_steps(stage, built)
    ran = [step for step in built.steps if step.cached is False]
    stage.check(built.ok and len(ran) >= 4, f"{len(ran)} steps were executed, none came from the cache")
    rungs = {step.fidelity[0] for step in ran if step.keyword == "RUN"}
    stage.check(rungs != {""}, f"RUN was executed on the rung: {', '.join(sorted(rungs))}")
    return built


def break_and_repair(stage: Stage) -> Build:
    """Build the tutorial's Dockerfile to the word: pip refuses in step 5; repair it, and see steps 1 to 4 CACHED."""
    story = stage.story
    story.act("Build the tutorial's Dockerfile, to the word")
    story.say(
        "If Docker Hub cannot be reached, ubuntu:latest is answered by a STAND-IN: Debian, made from its packages.",
        "--yes-stand-in agrees to that. apt-get and pip really run, so this takes a few minutes.",
    )
    broken = stage.build(expect=1, stand_in=True)
    _show_steps(stage, broken)
    failed = broken.steps[-1]
    stage.check(failed.failed and failed.line == 14, "the build failed at step 5 (line 14), RUN pip3 install")
    stage.check(
        "externally-managed-environment" in failed.output, "with pip's own message: externally-managed-environment"
    )
    story.act("Repair it")
    story.say(
        "Debian and Ubuntu keep pip away from the system's Python (PEP 668).",
        "In a container that is ours alone we may insist.",
    )
    _replace(stage, "Dockerfile", "RUN pip3 install -r", "RUN pip3 install --break-system-packages -r")
    story.command("sed -i 's/pip3 install/pip3 install --break-system-packages/' Dockerfile")
    repaired = stage.build(stand_in=True)
    _show_steps(stage, repaired)
    cached = [step.line for step in repaired.steps if step.cached]
    stage.check(repaired.ok and cached == [5, 8, 11], "steps 1 to 4 were kept: RUN, WORKDIR and COPY are CACHED")
    stage.check(_at(repaired, 14).cached is False, "step 5 ran, and this time it succeeded")
    return repaired


def look_inside(stage: Stage, built: Build) -> None:
    """Enter steps of the build."""
    story = stage.story
    story.act("Look into the steps")
    story.say("The file system after every step is kept. Here we walk to COPY, then to pip, and ask what they changed.")
    stage.run(
        "dockersim step .    # r 11, d, f /app/app.py, r 14, s ..., q", "step", ".",
        stdin="r 11\nd\nf /app/requirements.txt\nr 14\ns python3 -c 'import flask; print(flask.__file__)'\nq\n",
    )  # fmt: skip
    copied = _at(built, 11).diff()
    paths = sorted(change.path for change in copied)
    stage.check(
        {"app/app.py", "app/requirements.txt"} <= set(paths), f"COPY added {len(paths)} paths: {', '.join(paths)}"
    )
    pip = _at(built, 14)
    stage.check(len(pip.diff()) > 100, f"pip added {len(pip.diff())} paths, {human_size(pip.added)}")


def touch(stage: Stage) -> None:
    """Give app.py a new time: nothing is built again."""
    story = stage.story
    story.act("Build again: touch app.py")
    story.say("A cache key is made of content, never of time stamps.")
    story.command("touch app.py")
    (stage.app / "app.py").touch()
    again = stage.build()
    wrong = [step.line for step in again.steps if step.cached is False]
    stage.check(again.ok and not wrong, f"all {sum(step.cached is True for step in again.steps)} steps are CACHED")


def edit(stage: Stage) -> None:
    """Change app.py: COPY misses, and whatever stands on it."""
    story = stage.story
    story.act("Build again: edit app.py")
    _replace(stage, "app.py", _GREETING, NEW_GREETING)
    story.command(f"sed -i 's/{_GREETING}/{NEW_GREETING}/' app.py")
    story.say("What would be built again? plan tells without building.")
    planned = stage.engine().plan(stage.app)
    planned.finish()
    stage.run("dockersim plan .", "plan", ".")
    would = [step.line for step in planned.steps if step.state.value == "not-run"]
    built = stage.build()
    _show_steps(stage, built)
    did = [step.line for step in built.steps if step.cached is False]
    stage.check(did == would == [11, 14], f"plan named exactly the steps that ran: lines {', '.join(map(str, did))}")
    because = _at(built, 11).cache.because
    stage.check("app.py" in because, f"COPY missed because {because}")
    stage.check(_at(built, 5).cached is True, "the steps before COPY are CACHED")


def list_images(stage: Stage) -> None:
    """Show what there is now."""
    story = stage.story
    story.act("Images and their history")
    stage.run("dockersim images", "images")
    stage.run("dockersim history my-flask-app", "history", "my-flask-app")
    image = stage.engine().store.images.get("my-flask-app")
    stage.check(
        len(image.config.diff_ids) >= 4,
        f"my-flask-app has {len(image.config.diff_ids)} layers, {human_size(image.size)}",
    )


# ---------------------------------------------------------------- pieces


def _show_steps(stage: Stage, built: Build) -> None:
    unreached = built.plan.steps[len(built.steps) :] if built.plan else ()
    stage.story.say("")
    stage.story.show(step_table((step.event for step in built.steps), unreached, instruction_width=38, why_width=50))


def _at(built: Build, line: int) -> Step:
    for step in built.steps:
        if step.line == line:
            return step
    raise NotShown(f"the build has no step in line {line}")


def _replace(stage: Stage, name: str, before: str, after: str) -> None:
    """Edit a file of the app, as the ``sed`` that is shown would."""
    file = stage.app / name
    text = file.read_text(encoding="utf-8")
    if before not in text:
        raise NotShown(f"{name} does not say {before!r} any more")
    file.write_text(text.replace(before, after), encoding="utf-8")
