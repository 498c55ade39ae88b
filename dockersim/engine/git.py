"""The ``git`` program, called so that a stranger's repository can do nothing but be read.

BuildKit does this in util/gitutil/git_cli.go: no configuration of this machine, no questions asked, and no protocol
but the four of the network, for submodules neither.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dockersim.dockerfile.gitreference import SCHEMES
from dockersim.dockerfile.passwords import without_password
from dockersim.engine.fetching import Fetching
from dockersim.errors import BuildError

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_HERE: Final = "localhost,127.0.0.1,::1"
_BUNDLES: Final = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_SETTINGS: Final = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "gc.auto=0",
    "core.logAllRefUpdates=false",  # a log would tell where a submodule was cloned from, password and all
    "init.defaultBranch=master",
    "advice.detachedHead=false",
    "http.lowSpeedLimit=1",  # a server that falls silent does not hold a build up for ever
    "http.lowSpeedTime=60",
)
_SSH_FAILED: Final = "fatal: Could not read from remote repository."
_STANDARD_UMASK: Final = 0o022
"""What a checkout's modes are made with, whatever the learner's umask is (BuildKit, ``runWithStandardUmask``)."""


class GitFailed(BuildError):
    """A call of git ended badly; the message is its own last word."""


class Git:
    """Calls git. ``environment`` is the host's; ``known_hosts`` remembers ssh servers, ``agent`` holds ssh keys."""

    def __init__(
        self, environment: Mapping[str, str], known_hosts: Path, fetching: Fetching, agent: Path | None = None
    ) -> None:
        self._fetching = fetching
        self._environment = environment
        self._known_hosts = known_hosts
        self._agent = agent

    def begin(self) -> None:
        """Begin a fetch: the calls that follow are ended by one ``Fetching.cancel``."""
        self._fetching.begin()

    def ask(self, remote: str, *words: str) -> str:
        """Call git for something that it asks ``remote`` for, and return what it prints. Raises GitFailed."""
        return self._call(words, remote, None)

    def work(self, git_dir: Path, work_tree: Path, remote: str, *words: str) -> str:
        """Call git in a repository whose files lie in ``work_tree``. Raises GitFailed."""
        return self._call((f"--git-dir={git_dir}", f"--work-tree={work_tree}", *words), remote, work_tree)

    def _call(self, words: tuple[str, ...], remote: str, directory: Path | None) -> str:
        path = self._environment.get("PATH", os.defpath)
        program = shutil.which("git", path=path)
        if program is None:
            raise BuildError(f"{without_password(remote)} cannot be fetched: there is no git here", hint="install git")
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        done = self._fetching.run(
            [program, *settings, *words], directory=directory, variables=self._variables(path), umask=_STANDARD_UMASK
        )
        if done.returncode:
            raise GitFailed(without_password(_last_word(done.stderr)))
        return done.stdout

    def _variables(self, path: str) -> dict[str, str]:
        known = shlex.quote(f'UserKnownHostsFile="{self._known_hosts}"')
        ssh = (
            f"ssh -F {os.devnull} -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=accept-new -o {known}"
        )
        variables = {
            "PATH": path,
            "HOME": os.devnull,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
            "GIT_SSH_COMMAND": ssh,
        }
        if self._agent is not None:
            variables["SSH_AUTH_SOCK"] = str(self._agent)
        if bundle := next((self._environment[name] for name in _BUNDLES if self._environment.get(name)), ""):
            variables["GIT_SSL_CAINFO"] = bundle
        return variables | self._proxies()

    def _proxies(self) -> dict[str, str]:
        """Give the host's proxies, which are for the world outside."""
        names = [spelt for name in _PROXIES for spelt in (name, name.lower())]
        given = {name: self._environment[name] for name in names if name in self._environment}
        without = {name: f"{given[name]},{_HERE}" if given.get(name) else _HERE for name in ("NO_PROXY", "no_proxy")}
        return given | without


def _last_word(stderr: str) -> str:
    """Choose the line that says why: the first that calls itself an error, else the last one."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if _SSH_FAILED in lines[1:]:
        return lines[lines.index(_SSH_FAILED) - 1]  # what ssh itself has said
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "no reason")
