"""`docker exec`: a further process beside the container's own, in the foreground."""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from dockersim.containers.console import Console, Conversation, resize
from dockersim.containers.options import environment
from dockersim.containers.pipes import Pipes
from dockersim.containers.record import State
from dockersim.containers.request import Request
from dockersim.containers.spawn import CommandFailed
from dockersim.errors import ContainerError
from dockersim.sandbox.contract import Inhabitant, ProcessSpec, ProgramNotFound, Running
from dockersim.sandbox.ladder import stand_on

_RUNC = "OCI runtime exec failed: exec failed: unable to start container process"


class ExecOptions(Struct, frozen=True):
    """One `docker exec`; what is None is as in the container. ``env`` are ``NAME=value``."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str | None = None
    directory: str | None = None
    interactive: bool = False
    terminal: bool = False


def execute(request: Request, base: ProcessSpec, state: State, options: ExecOptions, console: Console) -> int:
    """Run it to its end and return its exit code.

    ``base`` is who runs it and with what environment. It stands on the rung that the container was started on. Raises
    CommandFailed if there is no such program.
    """
    # Deviation: with proot or chroot, which have no pid namespaces, a command of docker exec outlives its container.
    process = _process(base, options)
    sandbox = stand_on(request.rung, request.scratch)
    with Pipes(feeds=options.interactive and not options.terminal) as pipes:
        beside = Inhabitant(state.pid, state.pid_started)
        running = _started(lambda: sandbox.enter(request.root, beside, process, pipes.theirs))
        pipes.hand_over()
        try:
            _converse(running, pipes, options, console)
            ended = running.wait()
            assert ended is not None
            return ended.code
        finally:
            running.kill(9)
            running.wait()
            if running.terminal is not None:
                os.close(running.terminal)


def _process(base: ProcessSpec, options: ExecOptions) -> ProcessSpec:
    if not options.argv:
        raise ContainerError("no command specified", hint="give one after the container's name")
    if options.directory is not None and not options.directory.startswith("/"):
        raise ContainerError(f"{_RUNC}: Cwd must be an absolute path")
    pairs = [f"{name}={value}" for name, value in base.env.items()]
    env = environment([*pairs, *(["TERM=xterm"] if options.terminal else []), *options.env])
    directory = options.directory or base.cwd
    return replace(base, argv=options.argv, env=env, cwd=directory, terminal=options.terminal)


def _started(start: Callable[[], Running]) -> Running:
    try:
        return start()
    except ProgramNotFound as error:
        raise CommandFailed(f"{_RUNC}: {error.message}: unknown", error.exit_code) from error


def _converse(running: Running, pipes: Pipes, options: ExecOptions, console: Console) -> None:
    outputs, target = pipes.outputs, pipes.target
    if running.terminal is not None:
        outputs, target = {running.terminal: "stdout"}, running.terminal
        if (size := console.size()) is not None:
            resize(running.terminal, size)
    Conversation(
        console, outputs, target if options.interactive else None, running.fileno(), lambda: running.kill(2),
        terminal=options.terminal, close_target=pipes.close,
    ).hold()  # fmt: skip
