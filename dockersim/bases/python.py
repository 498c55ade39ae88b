"""``dockersim/starter:python``: this very Python with pip, on top of the shell."""

from __future__ import annotations

import fnmatch
import os
import re
import stat

from dockersim.bases.hostpython import HostPython
from dockersim.bases.libraries import LibrarySearch
from dockersim.bases.pieces import FileSet
from dockersim.bases.wheels import closure, installed_files, wheel

WHEELS = "/usr/share/dockersim/wheels"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
AUTHORITIES = "pip/_vendor/certifi/cacert.pem"
"""Mozilla's list of certificate authorities, as pip brings it. Not the host's own list, which may hold a company's
private authority: that has no place in an image. (certifi's gets such additions too; pip's is checked by its hash.)"""

OFFERED = "flask"
"""What pip can install inside without a network; the package and all that it needs."""

# For the development of Python, for a screen, or installed packages; official images leave the tests out too.
LEFT_OUT = """
test tests idlelib ensurepip turtledemo tkinter turtle.py lib2to3 __pycache__ site-packages dist-packages
_tkinter.* nis.* _dbm.* ossaudiodev.* _test* _ctypes_test* _xxtest* xxlimited* xxsubtype*
config-* *.exe *.a *.pyc *.pth EXTERNALLY-MANAGED
"""

_LEFT_OUT = re.compile("|".join(map(fnmatch.translate, LEFT_OUT.split())))

PIP_CONF = f"""\
# pip in this image installs from the wheels in {WHEELS}, which dockersim made from
# the packages installed beside it. So it needs no network, and knows no other packages.
# To install from PyPI instead, write in your Dockerfile:  ENV PIP_CONFIG_FILE=/dev/null
[global]
no-index = true
find-links = {WHEELS}
disable-pip-version-check = true
"""

# pip's own words, "from versions: none", do not tell that nobody was asked.
_PIP = """\
#!{python}
import os
import sys
from pip._internal.cli.main import main
code = main()
offline = os.environ.get("PIP_CONFIG_FILE") != "/dev/null" and os.path.isdir("{wheels}")
if code and offline and "install" in sys.argv:
    known = ", ".join(sorted(name.split("-")[0] for name in os.listdir("{wheels}")))
    print("pip asks no network in this image; it has " + known + ". "
          "For PyPI, write ENV PIP_CONFIG_FILE=/dev/null into the Dockerfile.", file=sys.stderr)
sys.exit(code)
"""


def collect_python(python: HostPython, below: FileSet, search: LibrarySearch) -> FileSet:
    """Collect the files that ``python`` needs on top of ``below``, which has the shell."""
    files = FileSet()
    files.update(below)
    program = python.inside(python.program)
    _place(files, python, python.program)
    for name in ("python3", "python"):
        link = f"{os.path.dirname(program)}/{name}"
        if link != program:
            files.link(link, os.path.basename(program))
    for directory in python.stdlib:
        _tree(files, python, directory)
    search.complete(files, python.moved)
    _pip(files, python, program)
    return files.minus(below)


def _place(files: FileSet, python: HostPython, path: str) -> None:
    if python.moved(path) is None:
        files.host(path)
    else:
        files.copy(path, python.inside(path))


def _tree(files: FileSet, python: HostPython, directory: str) -> None:
    """Add a directory of the standard library; a link in it (Debian has a few into /etc) as what it leads to."""
    with os.scandir(directory) as found:
        entries = sorted((entry for entry in found if not _LEFT_OUT.match(entry.name)), key=lambda entry: entry.name)
    for entry in entries:
        try:
            mode = entry.stat().st_mode
        except FileNotFoundError:  # a link that leads nowhere is of no use inside either
            continue
        if stat.S_ISDIR(mode):
            _tree(files, python, entry.path)
        elif stat.S_ISREG(mode):
            files.copy(entry.path, python.inside(entry.path))


def _pip(files: FileSet, python: HostPython, program: str) -> None:
    site, scripts = python.inside(python.site), python.inside(python.scripts)
    for file in installed_files("pip"):
        files.data(f"{site}/{file.path}", file.data, 0o755 if file.executable else 0o644)
        if file.path == AUTHORITIES:
            _certificates(files, python, file.data)
    for name in ("pip", "pip3", f"pip{python.version}"):
        files.text(f"{scripts}/{name}", _PIP.format(python=program, wheels=WHEELS), 0o755)
    files.text("/etc/pip.conf", PIP_CONF)
    for package in closure(OFFERED):
        name, data = wheel(package)
        files.data(f"{WHEELS}/{name}", data)


def _certificates(files: FileSet, python: HostPython, bundle: bytes) -> None:
    files.data(CERTIFICATES, bundle)
    if python.certificates and python.certificates != CERTIFICATES:
        files.link(python.inside(python.certificates), CERTIFICATES)
