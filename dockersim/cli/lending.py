"""``--secret`` and ``--ssh``: what a build lends to its commands for the time they run.

buildx reads them in util/buildflags and hands them on by session/secrets and session/sshforward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dockersim.dockerfile.mounts import csv_fields
from dockersim.errors import ContextError

_MOST = 500 << 10
"""BuildKit, session/secrets: MaxSecretSize."""


def read_secrets(words: Iterable[str], environment: Mapping[str, str]) -> dict[str, bytes]:
    """Read each ``id=NAME[,src=FILE|,env=VARIABLE]``; NAME alone is a variable if there is one, else a file.

    Raises ContextError for what is not written so, or cannot be read.
    """
    return dict(_secret(word, environment) for word in words)


def _secret(word: str, environment: Mapping[str, str]) -> tuple[str, bytes]:
    fields = _fields(word)
    name = fields.get("id", "")
    if not name:
        raise ContextError(f"secret missing ID: {word!r}", hint="write --secret id=NAME,src=FILE")
    variable = fields.get("env", "")
    file = fields.get("src", fields.get("source", ""))
    if fields.get("type") == "env" and not variable:
        variable, file = file or name, ""
    if not variable and not file:
        variable, file = (name, "") if name in environment else ("", name)
    if variable:
        return name, environment.get(variable, "").encode("utf-8", "surrogateescape")
    return name, _read(name, Path(file))


def _fields(word: str) -> dict[str, str]:
    fields = {}
    for field in csv_fields(word, "secret"):
        key, equals, value = field.partition("=")
        if not equals:
            raise ContextError(f"invalid field {field!r} must be a key=value pair")
        if key.lower() not in ("id", "src", "source", "env", "type"):
            raise ContextError(f"unexpected key {key!r} in {field!r}")
        fields[key.lower()] = value
    return fields


def _read(name: str, file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST + 1)
    except OSError as error:
        raise ContextError(f"secret {name}: {file} cannot be read: {error.strerror}") from error
    if len(content) > _MOST:
        raise ContextError(f"secret {name} too big. max size 500KB")
    return content


def find_agents(words: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Read each ``default|NAME[=SOCKET]``; without a socket it is the one of SSH_AUTH_SOCK."""
    return dict(_agent(word, environment) for word in words)


def _agent(word: str, environment: Mapping[str, str]) -> tuple[str, str]:
    name, _, socket = word.partition("=")
    socket = socket or environment.get("SSH_AUTH_SOCK", "")
    if not socket:
        hint = "start one: eval $(ssh-agent) && ssh-add"
        raise ContextError("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set", hint=hint)
    # Deviation: buildx can also hand on key files; here the learner's own agent holds the keys.
    if not Path(socket).is_socket():
        raise ContextError(f"{socket} is not the socket of an ssh agent", hint="add the key to an agent: ssh-add FILE")
    return name or "default", socket
