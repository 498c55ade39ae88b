"""A Git server over ssh: Debian's sshd on loopback, and an agent with the key it lets in; all made by the test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")

needs_sshd = pytest.mark.skipif(
    _SSHD is None or shutil.which("ssh-agent") is None,
    reason="not installed: sshd, ssh-agent (apt-get install openssh-server openssh-client)",
)

_CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*
"""


@dataclass
class SshServer:
    """Where it listens, who may come in, and the socket of the agent that holds the key."""

    port: int
    user: str
    agent: Path
    log: Path

    def url(self, folder: Path) -> str:
        """Give the address of a repository on this disk."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{folder}"


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run sshd as the user that we are, with keys of its own below ``folder``, and an agent."""
    folder.mkdir(parents=True)
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized")
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder))
    if os.geteuid() == 0:  # root's sshd wants it; Debian's service makes it when it starts
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server = SshServer(port, getpass.getuser(), folder / "agent", folder / "log")
    daemon = [str(_SSHD), "-D", "-f", str(folder / "config"), "-E", str(server.log)]
    keeper = ["ssh-agent", "-D", "-a", str(server.agent)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(daemon) as sshd, subprocess.Popen(keeper, stdout=quiet) as agent:
        try:
            _wait(server)
            environment = {**os.environ, "SSH_AUTH_SOCK": str(server.agent)}
            subprocess.run(["ssh-add", "-q", folder / "key"], env=environment, check=True)
            yield server
        finally:
            sshd.terminate()
            agent.terminate()


def _wait(server: SshServer) -> None:
    until = time.monotonic() + 10
    while not (server.agent.is_socket() and _answers(server.port)):
        assert time.monotonic() < until, server.log.read_text() if server.log.exists() else "sshd does not answer"
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
