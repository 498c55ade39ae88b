"""``python -m dockersim.registry``: the practice registry as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dockersim.errors import DockersimError, RegistryError
from dockersim.registry.server.service import LOOPBACK, OTHER_SERVES, RootIsServed, serve


def main() -> int:
    """Serve until stopped; return the exit code."""
    parser = argparse.ArgumentParser(prog="dockersim registry serve")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--or-any-port", action="store_true", help="take another port if this one is taken")
    parser.add_argument("--open-to-network", action="store_true", help="let other machines register users")
    given = parser.parse_args()
    ports = [given.port, 0] if given.or_any_port and given.port else [given.port]
    try:
        _serve(given, ports)
    except RootIsServed as error:
        print(error, file=sys.stderr)
        return OTHER_SERVES
    except DockersimError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(given: argparse.Namespace, ports: list[int]) -> None:
    for port in ports:
        try:
            serve(given.root, given.host, port, open_to_network=given.open_to_network)
            return
        except RegistryError:
            if port == ports[-1]:
                raise


if __name__ == "__main__":
    sys.exit(main())
