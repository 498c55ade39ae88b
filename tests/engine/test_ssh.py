"""Git over ssh from a real server: contexts and ADD, with the agent that --ssh lends, and without it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.errors import BuildError
from tests.engine.git_server import Repository, needs_git
from tests.engine.ssh_server import SshServer, needs_sshd, ssh_server

pytestmark = [needs_git, needs_sshd, pytest.mark.peer]


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("ssh") / "server") as server:
        yield server


@pytest.fixture
def address(ssh: SshServer, tmp_path: Path) -> str:
    """A repository on this disk, as the server gives it out."""
    repository = Repository(tmp_path / "app.git", "")
    repository.folder.mkdir()
    repository.git("init", "--quiet")
    repository.commit(readme="over ssh\n", Dockerfile="FROM scratch\nCOPY readme /\n")
    return ssh.url(repository.folder)


def test_an_add_takes_a_repository_with_the_agent_that_is_lent(
    engine: Engine, context: Path, ssh: SshServer, address: str
) -> None:
    build = engine.build(context, text=f"FROM scratch\nADD {address} /src\n", agents={"default": ssh.agent})
    build.finish()
    assert build.step is not None and build.step.files.text("/src/readme") == "over ssh\n"
    known = (engine.root / "repositories" / "known_hosts").read_text()
    assert known.startswith(f"[127.0.0.1]:{ssh.port} ssh-")


def test_a_repository_is_the_context_of_a_build_with_ssh_default(tmp_path: Path, ssh: SshServer, address: str) -> None:
    environment = {**os.environ, "DOCKERSIM_HOME": str(tmp_path / "home"), "SSH_AUTH_SOCK": str(ssh.agent)}
    command = [sys.executable, "-m", "dockersim.cli", "build", "-t", "app", "--ssh", "default", f"{address}#main"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"[internal] load git source {address}#main" in done.stderr, done.stderr
    (layer,) = Engine(tmp_path / "home").store.images.get("app").config.diff_ids
    assert Engine(tmp_path / "home").files((layer,)).text("/readme") == "over ssh\n"


def test_without_an_agent_nobody_is_let_in(engine: Engine, context: Path, ssh: SshServer, address: str) -> None:
    text = f"FROM scratch\nADD {address} /src\n"
    with pytest.raises(BuildError, match=r"failed to fetch remote ssh://.*: .*Permission denied \(publickey"):
        engine.build(context, text=text).finish()
    with pytest.raises(BuildError, match="Permission denied"):
        engine.build(context, text=text, agents={"other": ssh.agent}).finish()


def test_a_server_that_is_another_one_than_before_is_refused(
    engine: Engine, context: Path, ssh: SshServer, address: str
) -> None:
    known = engine.root / "repositories" / "known_hosts"
    known.parent.mkdir(parents=True)
    known.write_text(f"[127.0.0.1]:{ssh.port} {(ssh.log.parent / 'key.pub').read_text()}")
    with pytest.raises(BuildError, match="Host key verification failed"):
        engine.build(context, text=f"FROM scratch\nADD {address} /src\n", agents={"default": ssh.agent}).finish()
