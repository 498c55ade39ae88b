"""Containers on every rung: run, look, stop, remove."""

from __future__ import annotations

import time

import pytest

from dockersim.containers import CommandFailed, ExecOptions, NoSuchContainer, Options
from dockersim.errors import ContainerError, DockersimError, ImageNotFound

from .conftest import World


def test_foreground(world: World) -> None:
    code = world.sh("echo out; echo err >&2; exit 7")
    assert (code, world.stdout, world.stderr) == (7, b"out\n", b"err\n")
    (container,) = world.containers.list(all=True)
    assert container.state.status == "exited"
    assert container.state.exit_code == 7
    assert container.state.finished > container.state.started > container.record.created
    assert {line.stream: line.text for line in world.containers.logs(container.id)} == {
        "stdout": "out\n",
        "stderr": "err\n",
    }
    assert world.containers.list() == ()


def test_all_output_arrives(world: World) -> None:
    assert world.sh("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done") == 0
    assert world.stdout == b"".join(b"line %d\n" % number for number in range(2000))
    assert world.logged(world.containers.list(all=True)[0].id).count("\n") == 2000


def test_what_it_is_given(world: World) -> None:
    build = world.engine.build(
        world.engine.root,
        text='FROM busybox\nENV A=image B=image\nWORKDIR /srv\nENTRYPOINT ["sh", "-c"]\nCMD ["echo default"]\n',
        tags=["given"],
    )
    build.finish()
    world.containers.run_attached(Options("given"), world.console())
    assert world.stdout == b"default\n"
    script = "echo $A $B $C $HOME; pwd; id -u; id -g; hostname"
    asked = Options("given", (script,), env=("A=run", "C=run"), user="12:34", hostname="box")
    world.containers.run_attached(asked, world.console())
    *words, hostname = world.stdout.decode().split()
    assert words == ["run", "image", "run", "/", "/srv", "12", "34"]
    assert hostname == "box" or not world.isolated
    world.containers.run_attached(Options("given", ("-c", "pwd"), entrypoint="sh", directory="/tmp"), world.console())
    assert world.stdout == b"/tmp\n"


def test_two_of_one_image_keep_their_own_changes(world: World) -> None:
    script = "echo {0} > /note; rm /bin/ls; touch /ready; exec sleep 1000"
    first, second = world.start(script.format("first")), world.start(script.format("second"))
    for name, note in ((first, b"first\n"), (second, b"second\n")):
        assert world.exec(name, "while ! [ -e /ready ]; do sleep 0.01; done; cat /note; ! [ -e /bin/ls ]") == 0
        assert world.stdout == note
    assert world.sh("ls /note") == 1


def test_changes_outlast_a_stop_and_start(world: World) -> None:
    name = world.containers.create(Options("busybox", ("sh", "-c", "echo again >> /note; cat /note"))).id
    assert world.containers.get(name).state.status == "created"
    for lines in (1, 2):
        assert world.containers.start_attached(name, world.console()) == 0
        assert world.stdout == b"again\n" * lines


def test_exec_sees_files_and_processes(world: World) -> None:
    name = world.start("echo here > /note; exec sleep 4321", env=("WORD=hello",))
    assert world.exec(name, "until [ -e /note ]; do sleep 0.01; done; cat /note; echo $WORD $MORE; exit 9",
                      env=("MORE=more",)) == 9  # fmt: skip
    assert world.stdout == b"here\nhello more\n"
    assert world.exec(name, "ps | grep -q '[s]leep 4321'") == 0
    if world.isolated:
        world.exec(name, "cat /proc/1/cmdline")
        assert world.stdout == b"sleep\x004321\x00"
    with pytest.raises(CommandFailed, match="executable file not found") as caught:
        world.containers.exec(name, ExecOptions(("nosuch",)), world.console())
    assert caught.value.exit_code == 127
    world.containers.stop(name, 0)
    with pytest.raises(ContainerError, match=f"container {name} is not running"):
        world.exec(name, "true")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done", 0),
        ("trap 'echo bye; kill -9 $$' TERM; trap '' INT; echo ready; while :; do sleep 0.02; done", 137),
    ],
    ids=["heeds-it", "kills-itself"],
)
def test_stop(world: World, script: str, code: int) -> None:
    if world.isolated and code == 137:
        script = script.replace("kill -9 $$", "exit 137")  # process 1 cannot kill itself
    name = world.start(script)
    assert "ready" in world.logged(name, "ready")
    begun = time.monotonic()
    world.containers.stop(name)
    assert time.monotonic() - begun < 5
    assert world.containers.get(name).state.exit_code == code
    world.containers.stop(name)


def test_stop_of_who_does_not_heed(world: World) -> None:
    name = world.start("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    world.logged(name, "ready")
    begun = time.monotonic()
    world.containers.stop(name, 0.4)
    assert time.monotonic() - begun >= 0.4
    assert world.containers.get(name).state.exit_code == 137


def test_terminated_is_143(world: World) -> None:
    """Who has SIGTERM's default ends with 143; as process 1 it ignores it, so there a shell stands before it.

    That shell's child says that it is ready: before it is itself, a signal would end in the shell's trap.
    """
    name = world.start("echo ready; sleep 1000 & wait" if not world.isolated else
                       "trap 'kill $!' TERM; sh -c 'echo ready; exec sleep 1000' & wait; wait $!")  # fmt: skip
    world.logged(name, "ready")
    world.containers.kill(name, "TERM")
    assert world.containers.wait(name, 10) == 143


def test_image_says_the_stop_signal(world: World) -> None:
    text = 'FROM busybox\nSTOPSIGNAL SIGUSR1\nCMD trap "exit 5" USR1; echo ready; while :; do sleep 0.02; done\n'
    world.engine.build(world.engine.root, text=text, tags=["polite"]).finish()
    name = world.containers.run(Options("polite")).id
    world.logged(name, "ready")
    world.containers.stop(name)
    assert world.containers.get(name).state.exit_code == 5


def test_removed_at_its_end(world: World) -> None:
    assert world.sh("exit 3", remove=True) == 3
    assert world.folders() == []
    assert world.containers.list(all=True) == ()
    name = world.start("exit 0", remove=True)
    with pytest.raises(NoSuchContainer):
        for _ in range(500):
            world.containers.get(name)
            time.sleep(0.01)
    deadline = time.monotonic() + 10
    while world.folders() and time.monotonic() < deadline:
        time.sleep(0.01)  # it has another name first, and goes while nobody can find it any more
    assert world.folders() == []


@pytest.mark.parametrize(("program", "code"), [("nosuch", 127), ("/etc/passwd", 126)])
def test_command_that_cannot_be(world: World, program: str, code: int) -> None:
    with pytest.raises(CommandFailed) as caught:
        world.containers.run(Options("busybox", (program,), name="wrong"))
    assert caught.value.exit_code == code
    assert world.containers.get("wrong").state.status == "created"
    with pytest.raises(CommandFailed):
        world.containers.run_attached(Options("busybox", (program,), remove=True), world.console())
    assert len(world.folders()) == 1


def test_remove(world: World) -> None:
    name = world.start("sleep 1000", name="web")
    with pytest.raises(ContainerError, match='cannot remove container "/web": container is running'):
        world.containers.remove(name)
    world.containers.remove("web", force=True)
    assert world.folders() == []
    with pytest.raises(NoSuchContainer, match="No such container: web"):
        world.containers.get("web")


def test_names_and_prefixes(best: World) -> None:
    containers = best.containers
    one = containers.create(Options("busybox", ("true",), name="web"))
    two = containers.create(Options("busybox", ("true",)))
    assert containers.get("web").id == containers.get("/web").id == containers.get(one.id[:12]).id == one.id
    assert two.name != "web"
    assert "_" in two.name
    with pytest.raises(
        ContainerError, match=f'Conflict. The container name "/web" is already in use by container "{one.id}"'
    ):
        containers.create(Options("busybox", ("true",), name="web"))
    with pytest.raises(ContainerError, match="Invalid container name"):
        containers.create(Options("busybox", ("true",), name="../web"))
    with pytest.raises(ImageNotFound):
        containers.create(Options("nosuch"))
    with pytest.raises(DockersimError, match="unable to find user ghost"):
        containers.run(Options("busybox", ("true",), user="ghost"))
    with pytest.raises(ContainerError, match="no command specified"):
        containers.create(Options("busybox", entrypoint=""))
    assert len(best.folders()) == 2
    with pytest.raises(NoSuchContainer):
        containers.get("")


def test_inspect(best: World) -> None:
    name = best.start("sleep 1000", name="web", labels={"a": "b"})
    document = best.containers.inspect("web")
    assert document["Id"] == name
    assert document["Name"] == "/web"
    assert document["State"]["Running"] is True
    assert document["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert document["Config"]["Cmd"] == ["sh", "-c", "sleep 1000"]
    assert document["Config"]["Hostname"] == name[:12]
    assert document["Config"]["Labels"] == {"a": "b"}
    assert document["Path"] == "sh"


def test_logs_are_followed_to_the_end(world: World) -> None:
    name = world.start("echo one; while ! [ -e /go ]; do sleep 0.02; done; echo two; exit 0")
    lines = world.containers.logs(name, follow=True)
    assert next(lines).text == "one\n"
    # The container may end, and take the touch with it, before that has said that it is done.
    assert world.exec(name, "touch /go") in (0, 137)
    assert [line.text for line in lines] == ["two\n"]
