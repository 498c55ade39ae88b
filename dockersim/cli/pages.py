"""Where a learner's browser finds a published port, when that browser runs on another machine than the container.

Docker says nothing of it: its user sits at the machine. On JupyterHub, Binder, Codespaces and Colab ``localhost`` is
the learner's own laptop and the container is elsewhere; the address leads through what shows the learner this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

PROXY: Final = "jupyter_server_proxy"
"""The extension of the Jupyter server that leads ``proxy/PORT/`` to a port of its machine."""

_INSTALL: Final = "pip install jupyter-server-proxy, then restart the Jupyter server (on JupyterHub: stop and start it)"


class Page(Struct, frozen=True):
    """Where a published port is seen: ``address`` is a URL, or a path at the host that shows the learner Jupyter.

    ``needs`` says what is missing for it, and what to do; empty for nothing. Without an address only Colab's front end
    can tell it, in a cell.
    """

    port: int
    address: str = ""
    needs: str = ""

    def __str__(self) -> str:
        parts = [f"port {self.port} is shown at {self.address}"] if self.address else []
        return "; ".join([*parts, *([self.needs] if self.needs else [])])


def find_page(port: int, environment: Mapping[str, str]) -> Page | None:
    """Tell where a browser finds ``port`` of this machine; None where it is simply ``http://localhost:PORT``."""
    if environment.get("COLAB_RELEASE_TAG"):
        return Page(port, needs=f"in a cell, google.colab.output.serve_kernel_port_as_iframe({port}) shows port {port}")
    if environment.get("CODESPACE_NAME"):
        domain = environment.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN") or "app.github.dev"
        return Page(port, f"https://{environment['CODESPACE_NAME']}-{port}.{domain}/")
    below = _jupyter(environment)
    if not below:
        return None
    return Page(port, urljoin(below, f"proxy/{port}/"), "" if find_spec(PROXY) else _missing())


def _missing() -> str:
    return f"for that the Jupyter server needs jupyter-server-proxy, which is not installed here: {_INSTALL}"


def _jupyter(environment: Mapping[str, str]) -> str:
    """Find what the addresses of this Jupyter server begin with; "" if there is none, or it is the learner's own.

    JupyterHub tells every server's processes (``Spawner.get_env``). A server by itself tells its terminals; for its
    kernels it leaves a file. One with a base URL has it because something stands in front of it.
    """
    prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX")
    if prefix:
        return _folder(urljoin(environment.get("JUPYTERHUB_PUBLIC_URL", ""), prefix))
    own = urlsplit(environment.get("JUPYTER_SERVER_URL") or _left_by(environment.get("JPY_PARENT_PID", ""))).path
    return _folder(own) if own.strip("/") else ""


def _folder(address: str) -> str:
    return address.rstrip("/") + "/"


def _left_by(server: str) -> str:
    """Read the address of the Jupyter server with this process id, as it wrote it into its runtime directory."""
    if not server.isdigit():
        return ""
    from jupyter_core.paths import jupyter_runtime_dir  # only where a kernel asks; it is there, as Jupyter is

    try:
        said = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{server}.json").read_bytes())
    except (OSError, ValueError):  # a kernel that no server started: nbclient's, VS Code's
        return ""
    return str(said.get("url", "")) if isinstance(said, dict) else ""
