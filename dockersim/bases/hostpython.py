"""Which Python stands behind this one, and where its parts are.

dockersim mostly runs in a virtual environment, which holds no Python but only a link to one. That one is
asked itself: it alone knows where it was installed, be it Debian's, pyenv's, conda's, uv's or one built by
hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from msgspec import Struct

from dockersim.errors import ImageError

SYSTEM_PREFIXES = ("/usr", "/usr/local")
HOME = "/usr/local"
"""Where a Python goes in the image that stands outside the system on the host: where python:3 on Docker Hub has it."""

_QUESTION = """
import json, ssl, sys, sysconfig
paths = sysconfig.get_paths()
verify = ssl.get_default_verify_paths()
print(json.dumps({
    "program": sys.executable, "prefix": sys.prefix, "version": sysconfig.get_python_version(),
    "stdlib": sorted({paths["stdlib"], paths["platstdlib"]}), "site": paths["purelib"],
    "scripts": paths["scripts"], "certificates": verify.openssl_cafile,
}))
"""


class HostPython(Struct, frozen=True):
    """A Python of the host. All are paths of the host; ``stdlib`` are one or two directories (Fedora has
    lib64).

    ``site`` is where pip installs to, ``certificates`` where its OpenSSL looks for the bundle of authorities.
    """

    program: str
    prefix: str
    version: str
    stdlib: tuple[str, ...]
    site: str
    scripts: str
    certificates: str

    def inside(self, path: str) -> str:
        """Return where ``path``, a part of this Python, goes in the image.

        >>> mine = HostPython("/x/bin/python3.12", "/x", "3.12", ("/x/lib/python3.12",), "", "", "")
        >>> mine.inside("/x/lib/python3.12/os.py")
        '/usr/local/lib/python3.12/os.py'
        """
        return self.moved(path) or path

    def moved(self, path: str) -> str | None:
        """Return where ``path`` goes if it does not stay where it stands, else None."""
        if self.prefix in SYSTEM_PREFIXES or not path.startswith(self.prefix + "/"):
            return None
        return HOME + path[len(self.prefix) :]


def ask(program: str = "") -> HostPython:
    """Ask ``program``, or else the Python behind this one; raise ImageError if it does not answer."""
    program = program or getattr(sys, "_base_executable", None) or sys.executable
    try:
        # -I: the learner's PYTHONPATH and user site are no part of the Python that we collect.
        answer = subprocess.run([program, "-I", "-c", _QUESTION], capture_output=True, check=True, text=True)
        said = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise ImageError(
            f"the Python behind this one, {program}, does not tell where its files are: {error}"
        ) from error
    return HostPython(
        program=os.path.realpath(said["program"]),
        prefix=os.path.normpath(said["prefix"]),
        version=said["version"],
        stdlib=tuple(said["stdlib"]),
        site=said["site"],
        scripts=said["scripts"],
        certificates=said["certificates"],
    )
