"""apt-get and pip at work in a RUN: as root, as an ordinary user, and with proot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.bases.test_debian import bookworm
from tests.proofs.installed import ORDINARY_USER, Installed, as_ordinary_user, as_root

__all__ = ["bookworm"]

PLACES = {
    "root": (as_root, ""),
    "root with proot": (as_root, "proot"),
    "ordinary user": (as_ordinary_user, ""),
    "ordinary user with proot": (as_ordinary_user, "proot"),
}

APT = """\
FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends hello && rm -rf /var/lib/apt/lists/*
RUN hello --greeting "installed by apt"
"""

PIP = """\
FROM dockersim/starter:python
WORKDIR /app
COPY requirements.txt .
RUN --network=none pip3 install -r requirements.txt
RUN python3 -c "import flask; print('flask', 'is here')"
"""

pytestmark = [pytest.mark.slow]


@pytest.fixture(params=PLACES)
def installed(request: pytest.FixtureRequest, place: Path) -> Installed:
    """Everybody who installs something; they are given the host's proxy and certificates, as a shell would."""
    make, rung = PLACES[request.param]
    ours = make(place, rung)
    ours.extra |= {name: text for name, text in os.environ.items() if name.lower().endswith(("_proxy", "_cert_file"))}
    ours.extra |= {name: os.environ[name] for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE") if name in os.environ}
    return ours


def context_with(place: Path, **texts: str) -> Path:
    """Make a context that the ordinary user may read."""
    folder = place / "context"
    folder.mkdir()
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    subprocess.run(["chown", "-R", str(ORDINARY_USER), str(folder)], check=True)
    return folder


@pytest.mark.peer
def test_apt_get_install(installed: Installed, place: Path, bookworm: Path) -> None:
    installed("import", bookworm, "debian:bookworm")
    output = installed("build", "-t", "with-hello", context_with(place, Dockerfile=APT))
    assert "installed by apt" in output
    again = installed("build", "-t", "with-hello", place / "context")
    assert again.count("CACHED") == 2


def test_pip_install_in_the_starter_without_a_network(installed: Installed, place: Path) -> None:
    context = context_with(place, Dockerfile=PIP, requirements__txt="flask\n")
    assert "flask is here" in installed("build", "-t", "with-flask", context)
