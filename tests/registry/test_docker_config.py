"""docker's logins: its config.json, and real helper programs."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from dockersim.registry import Credentials, DockerConfig
from dockersim.registry.client.endpoint import HUB_KEY

ALICE = Credentials("alice", "wonderland")
AUTH = base64.b64encode(b"alice:wonderland").decode()


def config(folder: Path, document: object) -> DockerConfig:
    (folder / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))
    found = DockerConfig.of({"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"})
    assert found is not None
    return found


def helper(folder: Path, name: str, body: str) -> None:
    """Write a helper; it notes what it was run with."""
    program = folder / f"docker-credential-{name}"
    program.write_text(f'#!/bin/sh\nread server\necho "$1 $server" >> {folder}/asked\n{body}\n')
    program.chmod(0o755)


@pytest.mark.parametrize(
    "auths,found",
    [
        ({"ghcr.io": {"auth": AUTH}}, ALICE),
        ({"https://ghcr.io": {"auth": AUTH}}, ALICE),
        ({"https://ghcr.io/v1/": {"auth": AUTH}}, ALICE),
        ({"ghcr.io": {"identitytoken": "t"}}, Credentials("", "", "t")),
        ({"ghcr.io": {"auth": "YWxpY2U6AA==", "identitytoken": "t"}}, Credentials("alice", "", "t")),
        ({"other": {"auth": AUTH}}, None),
        ({"ghcr.io": {}}, None),
        ({"ghcr.io": {"auth": "%%%"}}, None),
        ({"ghcr.io": {"auth": "é"}}, None),
        ({"ghcr.io": {"auth": 7}}, None),
        ({"ghcr.io": []}, None),
        ([], None),
        (None, None),
    ],
)  # fmt: skip
def test_plain_logins(tmp_path: Path, auths: object, found: Credentials | None) -> None:
    assert config(tmp_path, {"auths": auths}).load("ghcr.io") == found


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "[" * 100_000], ids=["empty", "cut", "list", "text", "deep"])
def test_a_file_that_is_none_is_passed_over(tmp_path: Path, text: str) -> None:
    assert config(tmp_path, text).load("ghcr.io") is None


def test_no_file_and_no_home_are_no_login(tmp_path: Path) -> None:
    assert DockerConfig.of({}) is None
    found = DockerConfig.of({"HOME": str(tmp_path)})
    assert found is not None and found.load("ghcr.io") is None


def test_a_helper_is_asked_with_the_server_on_stdin(tmp_path: Path) -> None:
    helper(tmp_path, "gh", """echo '{"ServerURL":"ghcr.io","Username":"alice","Secret":"wonderland"}'""")
    helper(tmp_path, "all", """echo '{"Username":"<token>","Secret":"t"}'""")
    logins = config(tmp_path, {"credHelpers": {"ghcr.io": "gh"}, "credsStore": "all", "auths": {}})
    assert logins.load("ghcr.io") == ALICE
    assert logins.load(HUB_KEY) == Credentials("", "", "t")
    assert (tmp_path / "asked").read_text().splitlines() == ["get ghcr.io", f"get {HUB_KEY}"]


@pytest.mark.parametrize(
    "body",
    [
        "echo 'credentials not found in native keychain'; exit 1",
        "echo wonderland >&2; exit 3",
        "echo no json",
        "echo '[]'",
        """echo '{"Username":"alice"}'""",
        """echo '{"Username":"alice","Secret":""}'""",
        "kill -9 $$",
    ],
)
def test_a_helper_that_fails_is_passed_over_without_a_word(
    tmp_path: Path, body: str, capfd: pytest.CaptureFixture[str]
) -> None:
    helper(tmp_path, "bad", body)
    assert config(tmp_path, {"credsStore": "bad"}).load("ghcr.io") is None
    assert config(tmp_path, {"credsStore": "bad", "auths": {"ghcr.io": {"auth": AUTH}}}).load("ghcr.io") == ALICE
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["nowhere", "../../bin/sh", "x/y", "", 7])
def test_a_helper_that_is_not_there_is_passed_over(tmp_path: Path, name: object) -> None:
    assert config(tmp_path, {"credsStore": name, "auths": {"ghcr.io": {"auth": AUTH}}}).load("ghcr.io") == ALICE
