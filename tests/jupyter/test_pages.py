"""A published port, seen from where the learner's browser is: through a real Jupyter server that has a base URL."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from msgspec import Struct

from dockersim.cli.lessons import lessons_folder
from dockersim.cli.pages import Page
from dockersim.jupyter.pages import link_to
from dockersim.registry import ensure_running, page_key, stop

from ..registry.page.shop import BASE as BASE_LAYER
from ..registry.page.shop import Shop

BASE = "/user/ada/"
TOKEN = secrets.token_hex(16)
RUN = "%load_ext dockersim\n%docker build -q -f Dockerfile.starter .\n%docker run -d --name web -p {port}:5000 app"


class Server(Struct, frozen=True):
    """A Jupyter server as JupyterHub starts it: with a base URL and with jupyter-server-proxy."""

    port: int
    runtime: Path

    def ask(self, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Authorization": f"token {TOKEN}"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def patiently(ask: Any) -> bytes:
    """Ask until there is an answer, for a minute at most."""
    until = time.monotonic() + 60
    while True:
        try:
            return bytes(ask())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("jupyter_server_proxy")
    port = free_port()
    options = [f"--ServerApp.port={port}", f"--ServerApp.base_url={BASE}", f"--IdentityProvider.token={TOKEN}",
               "--ServerApp.jpserver_extensions={'jupyter_server_proxy': True}", "--ServerApp.port_retries=0",
               "--ServerApp.ip=127.0.0.1", "--ServerApp.allow_remote_access=True", "--no-browser",
               "--allow-root"]  # fmt: skip
    hidden = ("JUPYTERHUB_", "JUPYTER_SERVER_", "JPY_", "COLAB_", "CODESPACE", "DOCKERSIM_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
                    "IPYTHONDIR": str(tmp_path / "ipython"), "DOCKERSIM_HOME": str(tmp_path / "root"),
                    "PYTHONPATH": str(Path(__file__).parents[2])}  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options], cwd=lessons_folder() / "flask-app", env=environment,
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        found = Server(port, tmp_path / "runtime")
        patiently(lambda: found.ask(f"{BASE}api/status"))
        yield found
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def kernel(server: Server) -> Iterator[BlockingKernelClient]:
    """A kernel that the server started."""
    number = json.loads(server.ask(f"{BASE}api/kernels", b"{}"))["id"]
    client = BlockingKernelClient(connection_file=str(server.runtime / f"kernel-{number}.json"))
    client.load_connection_file()
    client.start_channels(hb=False)  # on a busy machine a heartbeat is late, and no sign of death
    client.wait_for_ready(timeout=60)
    yield client
    run(client, "%docker rm -f web")
    client.stop_channels()


def run(client: BlockingKernelClient, code: str) -> list[dict[str, Any]]:
    """Run a cell and return its outputs."""
    outputs: list[dict[str, Any]] = []
    client.execute_interactive(code, timeout=120, output_hook=lambda message: outputs.append(message["content"]))
    return outputs


@pytest.mark.slow
def test_a_published_page_is_reached_by_the_link_below_the_cell(server: Server, kernel: BlockingKernelClient) -> None:
    port = free_port()
    outputs = run(kernel, RUN.format(port=port).replace("build -q", "build -q -t app"))
    links = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(links) == 1, outputs
    found = re.search(r'href="([^"]+)"', links[0])
    assert found is not None and found[1] == f"{BASE}proxy/{port}/"
    assert patiently(lambda: server.ask(found[1])) == b"Hello from a container!\n"


@pytest.mark.slow
def test_the_registrys_page_is_live_behind_the_proxy_and_deletes(server: Server, browser: Any, tmp_path: Path) -> None:
    """As on Binder: the browser calls the machine by the hub's name, and the page lies below a prefix."""
    registry = ensure_running(tmp_path / "registry")
    context = browser.new_context()
    try:
        shop = Shop(httpx.Client(base_url=registry.url, trust_env=False))
        hub = f"http://hub.example.org:{server.port}{BASE}"
        page = context.new_page()
        page.goto(f"{hub}api/status?token={TOKEN}")
        below = f"{hub}proxy/{registry.port}/"
        assert page.goto(below).status == 403
        assert page.goto(f"{below}?key={page_key(tmp_path / 'registry')}").status == 200
        page.wait_for_url(below)
        page.locator("#log-status", has_text="Live.").wait_for()
        shop.image("alice/app", "v1", BASE_LAYER)
        page.locator("#log-rows tr", has_text="PUT /v2/alice/app/manifests/v1").wait_for()
        page.get_by_role("link", name="v1", exact=True).click()
        page.get_by_role("link", name="Delete the tag v1").click()
        page.get_by_role("button", name="Delete the tag v1").click()
        page.get_by_text("The tag is gone").wait_for()
        assert shop.http.head("/v2/alice/app/manifests/v1").status_code == 404
    finally:
        context.close()
        stop(tmp_path / "registry")


def test_in_a_terminal_of_jupyter_the_address_is_printed() -> None:
    assert str(Page(8080, "/user/ada/proxy/8080/")) == "port 8080 is shown at /user/ada/proxy/8080/"


def test_what_is_missing_is_said_below_the_link() -> None:
    shown = link_to(Page(8080, "/a&b/proxy/8080/", needs="for that <something> is needed"))
    assert shown.startswith('<a href="/a&amp;b/proxy/8080/" target="_blank"')
    assert shown.endswith("For that &lt;something&gt; is needed")


def test_in_colab_the_front_end_fills_in_the_address(browser: Any) -> None:
    """The page plays Colab's output frame, which cannot be had here; the script is what runs there."""
    colab = "<script>window.google = {colab: {kernel: {proxyPort: async port => `https://x-${port}.test/`}}}</script>"
    page = browser.new_page()
    page.set_content(colab + link_to(Page(8080)) + link_to(Page(9090)))
    assert page.eval_on_selector_all("a", "links => links.map(a => a.href)") == [
        "https://x-8080.test/", "https://x-9090.test/",
    ]  # fmt: skip
    page.close()
