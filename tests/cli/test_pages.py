"""Where a published port is seen, told from the environment of the machines that learners are on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from dockersim.cli.pages import PROXY, find_page

from .conftest import start

HUB = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
PUBLIC = {**HUB, "JUPYTERHUB_PUBLIC_URL": "https://hub.example.org/"}
IMAGE = "dockersim/starter:shell"
CODESPACE = {"CODESPACE_NAME": "ada-abc", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev"}


@pytest.mark.parametrize(
    "where,address",
    [
        ({}, None),
        ({"JUPYTER_SERVER_URL": "http://localhost:8888/"}, None),
        ({"JPY_PARENT_PID": "1"}, None),
        ({"JPY_PARENT_PID": "../1"}, None),
        ({"JUPYTER_SERVER_URL": "http://localhost:8888/lab/"}, "/lab/proxy/8080/"),
        (HUB, "/user/ada/proxy/8080/"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada"}, "/user/ada/proxy/8080/"),
        (PUBLIC, "https://hub.example.org/user/ada/proxy/8080/"),
        ({**CODESPACE, "JUPYTER_SERVER_URL": "http://localhost:8888/"}, "https://ada-abc-8080.app.github.dev/"),
        ({"CODESPACE_NAME": "ada-abc"}, "https://ada-abc-8080.app.github.dev/"),
        ({"COLAB_RELEASE_TAG": "release-colab_20261120"}, ""),
    ],
)
def test_the_address_of_a_published_port(where: Mapping[str, str], address: str | None) -> None:
    page = find_page(8080, where)
    assert (page.address if page else None) == address


def test_a_kernel_finds_the_server_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "jpserver-77.json").write_text(json.dumps({"url": "http://localhost:8888/class/"}))
    (tmp_path / "jpserver-78.json").write_text("[]")
    page = find_page(8080, {"JPY_PARENT_PID": "77"})
    assert page is not None and page.address == "/class/proxy/8080/"
    assert find_page(8080, {"JPY_PARENT_PID": "78"}) is None


def test_a_missing_extension_is_told_with_what_to_do() -> None:
    page = find_page(8080, HUB)
    assert page is not None
    if find_spec(PROXY):
        assert page.needs == ""
    else:
        assert "pip install jupyter-server-proxy" in page.needs and "\n" not in str(page)


def test_colab_is_told_a_call_for_a_cell() -> None:
    assert "serve_kernel_port_as_iframe(8080)" in str(find_page(8080, {"COLAB_RELEASE_TAG": "x"}))


def test_on_a_hub_run_tells_the_address_and_keeps_its_output(shell_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script reads stays as docker prints it: the container's id, or what its command writes."""
    for name, value in HUB.items():
        monkeypatch.setenv(name, value)
    try:
        id, said = ran(shell_root, "-d", "--name", "seen", "-p", "80", IMAGE, "sleep", "100")
        process = start(shell_root, "ps", "--filter", "name=seen", "--format", "{{.Ports}}")
        port = process.communicate(timeout=60)[0].partition("->")[0].rpartition(":")[2]
        assert len(id.strip()) == 64
        assert said.startswith(f"dockersim: port {port} is shown at /user/ada/proxy/{port}/") and port.isdigit()
    finally:
        start(shell_root, "rm", "-f", "seen").wait(60)
    out, said = ran(shell_root, "--rm", "-p", f"{port}:80", IMAGE, "echo", "-n", "hello")
    assert out == "hello" and said.startswith(f"dockersim: port {port} is shown at ")


def ran(root: Path, *words: str) -> tuple[str, str]:
    """Run a container; give its standard output and what was said on the other one."""
    process = start(root, "run", *words)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return out, said
