"""dockersim in a notebook: magics, the stepper widget, drawings.

``%load_ext dockersim`` brings ``%docker COMMAND`` (every command of the command line), ``%%dockerfile`` (build the
text of a cell), and errors of one line. ``Stepper(build)`` shows a build and drives it, ``draw(build)`` draws it, and
``page_of(build)`` writes it as a page that plays without a kernel. ``requests_of(pushed)`` shows what a push asked of a
registry, and why. ``scratch()`` gives a lesson a root and a folder of its own. Docker has nothing of the kind; what the
stepper shows is the trace document.

The law of this package: it shows and asks, it decides nothing. All it shows is in the trace, or is asked of a step.

>>> from dockersim.jupyter.arguments import parse_cell
>>> cell = parse_cell("-t my-flask-app --build-arg V=1 app")
>>> cell.options["tags"], cell.options["build_args"], cell.path
(('my-flask-app',), {'V': '1'}, 'app')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockersim.jupyter.drawing import Drawing, draw
    from dockersim.jupyter.front_end import page_of
    from dockersim.jupyter.lesson import Scratch, scratch
    from dockersim.jupyter.pages import requests_of
    from dockersim.jupyter.stepper import Stepper

__all__ = [
    "Drawing",
    "Scratch",
    "Stepper",
    "draw",
    "load_ipython_extension",
    "page_of",
    "requests_of",
    "scratch",
]

_HOMES = {
    "Drawing": "dockersim.jupyter.drawing",
    "Scratch": "dockersim.jupyter.lesson",
    "Stepper": "dockersim.jupyter.stepper",
    "draw": "dockersim.jupyter.drawing",
    "page_of": "dockersim.jupyter.front_end",
    "requests_of": "dockersim.jupyter.pages",
    "scratch": "dockersim.jupyter.lesson",
}


def load_ipython_extension(shell: Any) -> None:
    """Answer ``%load_ext dockersim``: register the magics and the display of errors."""
    from dockersim.jupyter.failures import install
    from dockersim.jupyter.magics import DockerMagics, run_command

    shell.register_magics(DockerMagics(shell, run_command))
    install(shell)


def __getattr__(name: str) -> Any:
    """Import what is asked for only now: the widget's libraries take a second, and the command line needs none."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
