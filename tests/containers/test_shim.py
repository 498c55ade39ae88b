"""The shim: containers outlive who started them, and end with who watches over them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dockersim.containers import Options
from dockersim.containers.containers import Containers
from dockersim.errors import ContainerError

from .conftest import World, gone

PROJECT = Path(__file__).parents[2]


def command(world: World, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, as a command of the command line is one."""
    program = (
        "from dockersim import Engine\nfrom dockersim.containers import *\n"
        f"engine = Engine({str(world.engine.root)!r}, sandbox={world.rung!r}, environment={{}})\n{code}"
    )
    env = {**os.environ, "PYTHONPATH": f"{PROJECT}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=env)


def test_it_outlives_who_started_it(world: World) -> None:
    script = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done"
    ran = command(world, f"print(engine.containers.run(Options('busybox', ('sh', '-c', {script!r}))).id)")
    assert ran.returncode == 0, ran.stderr
    name = ran.stdout.strip()
    assert world.containers.get(name).state.running
    assert "5\n" in world.logged(name, "5\n")
    world.containers.kill(name)
    assert world.containers.get(name).state.exit_code == 137


def test_who_was_attached_is_killed(world: World) -> None:
    """The output has nowhere to go then; the container goes on, as in docker."""
    script = "while ! [ -e /go ]; do echo waiting; sleep 0.05; done; exit 6"
    code = (
        "import os, signal\n"
        "def output(stream, data): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"engine.containers.run_attached(Options('busybox', ('sh', '-c', {script!r})), Console(output))"
    )
    ran = command(world, code)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    (container,) = world.containers.list()
    assert world.exec(container.id, "touch /go") == 0
    assert world.containers.wait(container.id, 10) == 6


def test_shim_is_killed(world: World) -> None:
    name = world.start("sleep 1000 & sleep 2000")
    state = world.containers.get(name).state
    os.kill(state.shim, signal.SIGKILL)
    assert gone(state.shim)
    assert gone(state.pid)
    ended = world.containers.get(name).state
    assert (ended.status, ended.exit_code) == ("exited", 137)
    assert ended.finished
    assert world.containers.list() == ()
    assert world.containers.get(name).state == ended
    world.containers.start(name)
    assert world.containers.get(name).state.running


def test_shim_of_a_container_to_be_removed_is_killed(best: World) -> None:
    name = best.start("sleep 1000", remove=True)
    shim = best.containers.get(name).state.shim
    os.kill(shim, signal.SIGKILL)
    assert gone(shim)
    assert best.containers.list(all=True) == ()
    assert best.folders() == []


def test_who_makes_a_container_is_killed(best: World) -> None:
    """What is half made is swept by the next one who makes a container, and never shown."""
    code = (
        "import os, signal\n"
        "from dockersim.containers.store import ContainerStore\n"
        "store = engine.containers._store\n"
        "folder, lock = store.make_folder('f' * 64)\n"
        "os.mkdir(folder.at('upper')); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert command(best, code).returncode == -signal.SIGKILL
    assert best.folders() == ["f" * 64]
    assert best.containers.list(all=True) == ()
    best.containers.create(Options("busybox", ("true",)))
    assert len(best.folders()) == 1
    assert best.folders() != ["f" * 64]


def test_folder_is_deleted_by_hand(best: World) -> None:
    container = best.containers.create(Options("busybox", ("true",), name="web"))
    subprocess.run(["rm", "-rf", str(best.engine.root / "containers" / container.id)], check=True)
    assert best.containers.list(all=True) == ()
    best.containers.create(Options("busybox", ("true",), name="web"))


def test_two_want_the_same_name(best: World) -> None:
    outcomes: list[str] = []

    def create() -> None:
        mine = Containers(best.engine.store, best.containers._find_account)
        try:
            outcomes.append(mine.create(Options("busybox", ("true",), name="web")).id)
        except ContainerError as error:
            outcomes.append(error.message.partition(".")[0])

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("Conflict") == 3
    assert len(best.folders()) == 1


def test_two_start_one(best: World) -> None:
    name = best.containers.create(Options("busybox", ("sleep", "1000"))).id
    env = {**os.environ, "PYTHONPATH": f"{PROJECT}:{os.environ.get('PYTHONPATH', '')}"}
    engine = f"Engine({str(best.engine.root)!r}, sandbox={best.rung!r}, environment={{}})"
    program = f"from dockersim import Engine\n{engine}.containers.start({name!r})"
    codes = [subprocess.Popen([sys.executable, "-c", program], env=env, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert 0 in [process.wait() for process in codes]
    assert len(best.containers.list()) == 1


def test_learners_directory_has_modules_of_the_same_names(
    best: World, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file json.py or socket.py where the learner stands must not get into the shim."""
    for name in ("json", "socket", "select", "dockersim"):
        (place / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("PYTHONPATH", str(place))
    assert best.sh("echo fine") == 0
    assert best.stdout == b"fine\n"


def test_layers_are_roots_for_a_sweep(best: World) -> None:
    best.containers.create(Options("busybox", ("true",)))
    assert best.containers.layers() == set(best.engine.store.images.get("busybox").config.diff_ids)
