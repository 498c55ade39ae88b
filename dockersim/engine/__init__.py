"""The engine: where the parts are put together, and the three drivers that pump the solver.

``execute`` does what the solver asks: it digests the context, looks the cache up, copies, runs, commits layers.
``predict`` only looks. ``replay`` reads a recording. All three give the same ``Build``, which is driven one step at
a time, and whose steps can be looked into. The real thing is buildkitd with ``docker build`` in front of it.

The law of this package: it alone knows all the others; they know nothing of it.

>>> import tempfile
>>> folder = tempfile.mkdtemp()
>>> engine = Engine(folder + "/root")
>>> build = engine.build(folder, text="FROM scratch\\nCOPY <<motd /etc/\\nhello\\nmotd\\n")
>>> [step.keyword for step in build]
['FROM', 'COPY']
>>> build.step.files.text("/etc/motd")
'hello\\n'
>>> build.back().keyword, build.step.files.exists("/etc/motd")
('FROM', False)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dockersim.engine.build import Build
from dockersim.engine.engine import Engine
from dockersim.engine.files import Files, NoSuchPath, RunResult
from dockersim.engine.step import Step

if TYPE_CHECKING:
    from dockersim.engine.replaying import replay

__all__ = ["Build", "Engine", "Files", "NoSuchPath", "RunResult", "Step", "replay"]


def __getattr__(name: str) -> Any:
    """Import ``replay`` when it is asked for: a build has no need to read traces."""
    if name != "replay":
        raise AttributeError(f"module 'dockersim.engine' has no attribute {name!r}")
    from dockersim.engine.replaying import replay

    return replay
