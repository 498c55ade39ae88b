"""What a RUN gets from the host for its own use only: the proxies, and the certificates of a private authority.

Behind a company's proxy pip and curl fail without these. They are no part of the image: not in its config, history,
cache key or layer, as Docker treats its proxy arguments (moby/buildkit, ``solver/llbsolver/ops/exec.go``, ProxyEnv).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from dockersim.sandbox.contract import BindMount

CERTIFICATES = "/run/dockersim/ca.pem"
"""Where a RUN sees the host's bundle of certificates."""

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_BUNDLES = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
)  # fmt: skip


class Passthrough(Struct, frozen=True):
    """Variables to set and files to show, for one process; ``because`` says it in words, empty for nothing."""

    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[BindMount, ...] = ()
    because: str = ""


def host_environment(env: Mapping[str, str]) -> Passthrough:
    """Choose from the host's environment what a RUN needs to reach the network as the host does.

    A variable that names a bundle gets ``CERTIFICATES`` as its value inside, where the first readable one is shown.
    """
    proxies = _proxies(env)
    bundle = next((Path(env[name]) for name in _BUNDLES if env.get(name) and Path(env[name]).is_file()), None)
    names = [name for name in _BUNDLES if env.get(name)] if bundle else []
    mounts = (BindMount(bundle, CERTIFICATES),) if bundle else ()
    variables = tuple(proxies.items()) + tuple((name, CERTIFICATES) for name in names)
    return Passthrough(variables, mounts, _say(proxies, names))


def _proxies(env: Mapping[str, str]) -> dict[str, str]:
    """Give each proxy variable in both spellings, as Docker does: programs disagree about which one counts."""
    found = {}
    for name in _PROXIES:
        value = env.get(name) or env.get(name.lower())
        if value:
            found[name] = found[name.lower()] = value
    return found


def _say(proxies: Mapping[str, str], bundles: list[str]) -> str:
    what = [*(["the host's proxies"] if proxies else []), *(["the host's certificates"] if bundles else [])]
    return f"for this command only: {' and '.join(what)}" if what else ""
