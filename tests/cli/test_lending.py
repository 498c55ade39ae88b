"""--secret and --ssh as buildx reads them (util/buildflags)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dockersim.cli.lending import find_agents, read_secrets
from dockersim.errors import DockersimError

ENVIRONMENT = {"TOKEN": "from-env", "tok": "by-id"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that holds a secret."""
    place = tmp_path / "a,secret"
    place.write_bytes(b"\x00from-file\n")
    return place


def test_a_secret_comes_from_a_file_or_a_variable(file: Path) -> None:
    words = [
        f'id=one,"src={file}"',
        f'"source={file}",id=two',
        "id=three,env=TOKEN",
        "id=four,type=env,src=TOKEN",
        "id=tok",
    ]
    assert read_secrets(words, ENVIRONMENT) == {
        "one": b"\x00from-file\n",
        "two": b"\x00from-file\n",
        "three": b"from-env",
        "four": b"from-env",
        "tok": b"by-id",
    }


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("src=/etc/hostname", "secret missing ID"),
        ("id", "must be a key=value pair"),
        ("id=a,colour=red", "unexpected key 'colour'"),
        ("id=a,src=/no/such/file", "secret a: /no/such/file cannot be read: No such file"),
        ("id=a,src=/dev/zero", "secret a too big"),
        ('id=a,b"c', "failed to parse csv"),
    ],
)
def test_what_is_no_secret_is_told(word: str, said: str) -> None:
    with pytest.raises(DockersimError) as caught:
        read_secrets([word], {})
    assert said in str(caught.value)


def test_an_agent_is_named_or_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind("agent")
        assert find_agents(["default", "mine=agent"], {"SSH_AUTH_SOCK": "agent"}) == {
            "default": "agent",
            "mine": "agent",
        }
    for words, said in ((["default"], "invalid empty ssh agent socket"), (["a=nothing"], "is not the socket")):
        with pytest.raises(DockersimError, match=said):
            find_agents(words, {})
