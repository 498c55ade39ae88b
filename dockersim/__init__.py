"""dockersim: build real container images one instruction at a time, look into every step, push, pull and run them.

Everything here is real, and nothing needs Docker. The packages are the chapters of how an image is built; read their
docstrings in this order:

    oci          the documents that describe an image, and the names people call it
    dockerfile   from the text of a Dockerfile to instructions
    filesystem   layers as trees, the differ, the tar of a layer
    content      blobs by digest, on disk
    images       names for images, archives of them
    snapshots    layers laid out as root file systems
    sandbox      one process in a root file system
    solver       from a Dockerfile to steps, with cache keys and reasons
    trace        a build as one document
    bases        where FROM gets its image
    registry     push and pull, and a registry to practise with
    containers   a process that outlives the command that started it
    engine       all of it put together
    views, jupyter, cli   what a person sees and touches

>>> import tempfile
>>> build = Engine(tempfile.mkdtemp()).build(".", text="FROM scratch\\nENV GREETING=hello")
>>> [(step.line, step.keyword) for step in build]
[(1, 'FROM'), (2, 'ENV')]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockersim.engine import Build, Engine, Step, replay
    from dockersim.errors import DockersimError
    from dockersim.jupyter import Stepper

__version__ = "0.1.0"

__all__ = ["Build", "DockersimError", "Engine", "Step", "Stepper", "__version__", "load_ipython_extension", "replay"]

_HOMES = {
    "Build": "engine",
    "Engine": "engine",
    "Step": "engine",
    "replay": "engine",
    "DockersimError": "errors",
    "Stepper": "jupyter",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command line needs few of them at a time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dockersim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"dockersim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(ipython: Any) -> None:
    """Give a notebook ``%docker``, ``%%dockerfile`` and errors without tracebacks (``%load_ext dockersim``)."""
    from dockersim.jupyter import load_ipython_extension as load

    load(ipython)
