"""What `docker run` is asked, without running it: ENTRYPOINT and CMD, ports, names, addresses."""

from __future__ import annotations

import pytest

from dockersim.containers import Publish
from dockersim.containers.creating import free_address
from dockersim.containers.naming import new_id, random_name, valid_name
from dockersim.containers.options import command_line, environment
from dockersim.containers.ports import read_published
from dockersim.containers.signals import signal_number
from dockersim.errors import ContainerError
from dockersim.oci import ContainerConfig

SHELL_ENTRY, EXEC_ENTRY = ("/bin/sh", "-c", "exec_entry p1_entry"), ("exec_entry", "p1_entry")
SHELL_CMD, EXEC_CMD = ("/bin/sh", "-c", "exec_cmd p1_cmd"), ("exec_cmd", "p1_cmd")


# The table of the Dockerfile reference, "Understand how CMD and ENTRYPOINT interact". Of a shell-form ENTRYPOINT it
# says that CMD is ignored: the shell gets it as arguments, and does not look at them.
@pytest.mark.parametrize("entrypoint", [(), SHELL_ENTRY, EXEC_ENTRY], ids=["no-entry", "shell-entry", "exec-entry"])
@pytest.mark.parametrize("cmd", [(), EXEC_CMD, SHELL_CMD], ids=["no-cmd", "exec-cmd", "shell-cmd"])
def test_entrypoint_and_cmd(entrypoint: tuple[str, ...], cmd: tuple[str, ...]) -> None:
    config = ContainerConfig(entrypoint=entrypoint, cmd=cmd)
    if not entrypoint and not cmd:
        with pytest.raises(ContainerError, match="no command specified"):
            command_line(config, None, ())
    else:
        assert command_line(config, None, ()) == entrypoint + cmd
    assert command_line(config, None, ("a", "b")) == (*entrypoint, "a", "b")
    assert command_line(config, "/bin/other", ()) == ("/bin/other",)
    assert command_line(config, "/bin/other", ("a",)) == ("/bin/other", "a")
    assert command_line(config, "", ("a",)) == ("a",)
    with pytest.raises(ContainerError, match="no command specified"):
        command_line(config, "", ())


@pytest.mark.parametrize(
    ("text", "ip", "host", "container"),
    [
        ("5000", "127.0.0.1", 0, 5000),
        ("8080:5000", "127.0.0.1", 8080, 5000),
        ("8080:5000/tcp", "127.0.0.1", 8080, 5000),
        ("0.0.0.0:8080:5000", "0.0.0.0", 8080, 5000),
        ("127.0.0.1::5000", "127.0.0.1", 0, 5000),
        ("[::1]:8080:5000", "::1", 8080, 5000),
    ],
)
def test_publish(text: str, ip: str, host: int, container: int) -> None:
    read = Publish.parse(text)
    assert read == Publish(ip, host, container)
    assert Publish.parse(f"{read.address}:{container}".replace(":0:", "::")) == read


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("8080:5000", ["127.0.0.1:8080->5000/tcp"]),
        ("8000-8002:80-82/TCP", [f"127.0.0.1:{8000 + number}->{80 + number}/tcp" for number in range(3)]),
        ("[::1]:8000-8001:80-81", ["[::1]:8000->80/tcp", "[::1]:8001->81/tcp"]),
        ("80-81", ["127.0.0.1:0->80/tcp", "127.0.0.1:0->81/tcp"]),
        ("0.0.0.0::80-81", ["0.0.0.0:0->80/tcp", "0.0.0.0:0->81/tcp"]),
        ("80-80", ["127.0.0.1:0->80/tcp"]),
    ],
)
def test_ranges_are_published(text: str, shown: list[str]) -> None:
    assert [str(one) for one in read_published(text)] == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("80-81:8000-8003", "invalid ranges specified for container and host Ports: 8000-8003 and 80-81"),
        ("8000-8003:80", "invalid hostPort: 8000-8003"),
        ("81-80", "invalid containerPort: 81-80"),
        ("1-60000:1-60000", "invalid containerPort: 1-60000"),
        ("80-", "invalid containerPort: 80-"),
        ("-80", "invalid containerPort: -80"),
        ("53-54/udp", "invalid proto: udp"),
    ],
)
def test_ranges_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ContainerError, match=message):
        read_published(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web", "invalid containerPort: web"),
        ("80:web", "invalid containerPort: web"),
        ("web:80", "invalid hostPort: web"),
        ("70000:80", "invalid hostPort: 70000"),
        ("0", "invalid containerPort: 0"),
        ("53:53/udp", "invalid proto: udp"),
        ("", "invalid containerPort: "),
        ("٣:80", "invalid hostPort: ٣"),
    ],
)
def test_publish_refuses(text: str, message: str) -> None:
    with pytest.raises(ContainerError, match=message):
        Publish.parse(text)


def test_environment_of_later_wins() -> None:
    assert environment(["A=1", "B=x=y", "A=2", "C=", "B"]) == {"A": "2", "C": ""}
    with pytest.raises(ContainerError):
        environment(["=x"])


def test_names_and_ids() -> None:
    assert all(valid_name(random_name()) for _ in range(100))
    assert len(new_id()) == 64
    assert not any(valid_name(name) for name in ("", "a", "-web", "we b", "web/1", "../x"))


def test_addresses_are_not_given_twice() -> None:
    taken: list[str] = []
    for _ in range(300):
        taken.append(free_address(taken))
    assert len(set(taken)) == 300
    assert taken[0] == "172.17.0.2/16"


@pytest.mark.parametrize("text", ["nosuch", "0", "65", "", "SIGSIG"])
def test_no_signal(text: str) -> None:
    with pytest.raises(ContainerError, match="invalid signal"):
        signal_number(text)
