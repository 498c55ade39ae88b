"""A shell inside a step: the learner's own terminal, in a throw-away copy of the step's file system."""

from __future__ import annotations

from typing import Final

import click
from msgspec.structs import replace

from dockersim.engine import Engine, Step
from dockersim.engine.running import process_of, try_out
from dockersim.errors import SandboxError
from dockersim.solver import RunOp

_SHELLS: Final = ("/bin/bash", "/bin/sh")


def enter(engine: Engine, step: Step) -> None:
    """Run a shell on this terminal until it is left; nothing of what it changes is kept.

    Raises SandboxError if the step's file system has no shell.
    """
    shell = next((one for one in _SHELLS if step.files.exists(one)), None)
    if shell is None:
        raise SandboxError("the file system has no shell yet", hint="f lists its files")
    container = step.config.config
    environment = tuple((name, value) for name, _, value in (pair.partition("=") for pair in container.env))
    op = RunOp((shell,), environment, container.user, container.working_dir or "/")
    process = replace(process_of(op, step.files, engine.host), terminal=True)
    try_out(
        engine.store.snapshots,
        engine.store.sandbox,
        tuple(step.event.layers),
        process,
        lambda _, data: click.echo(data, nl=False),
    )
