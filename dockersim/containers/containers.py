"""Containers: create, start, look at, stop, remove."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from dockersim.containers.console import Console, Conversation
from dockersim.containers.creating import describe
from dockersim.containers.entering import ExecOptions, execute
from dockersim.containers.log import LogLine, read_log
from dockersim.containers.naming import random_name
from dockersim.containers.options import Options
from dockersim.containers.parts import FindAccount, Parts
from dockersim.containers.pipes import Pipes
from dockersim.containers.record import Container, Record
from dockersim.containers.request import Request
from dockersim.containers.rootfs import find_root, make_root
from dockersim.containers.signals import send, signal_number, wait_for_process
from dockersim.containers.spawn import CommandFailed, Shim, spawn
from dockersim.containers.store import ContainerStore, NoSuchContainer
from dockersim.digest import DiffID
from dockersim.errors import ContainerError, DockersimError
from dockersim.filesystem import content_bytes
from dockersim.sandbox.contract import ProcessSpec, Sandbox, Stdio
from dockersim.sandbox.nothing import check_can_run

if TYPE_CHECKING:
    from dockersim.containers.changes import ContainerFiles

STOP_SECONDS = 10.0
"""How long docker stop waits before it kills."""

_KILL_SECONDS = 10.0


class Containers:
    """The containers of one root. Several processes may use one at once; nothing is kept in memory."""

    def __init__(self, parts: Parts, find_account: FindAccount) -> None:
        self._parts = parts
        self._find_account = find_account
        self._store = ContainerStore(parts.root, parts.database)

    # ------------------------------------------------------------ docker run

    def run(self, options: Options) -> Container:
        """Create a container and start it in the background (`docker run -d`).

        Raises ImageNotFound; StartFailed with docker's exit code; ContainerError. A container whose command is not
        found stays, as in docker; one whose port is taken does not.
        """
        container = self.create(options)
        with self._removed_if_useless(container.record):
            self.start(container.id)
        return self._look(container.record) or container

    def run_attached(self, options: Options, console: Console) -> int:
        """Create a container, run it in the foreground and return its exit code (`docker run`).

        Ctrl-C sends it SIGINT; after the third KeyboardInterrupt is raised and the container goes on.
        """
        container = self.create(options)
        with self._removed_if_useless(container.record):
            return self.start_attached(container.id, console)

    def create(self, options: Options) -> Container:
        """Make a container that does not run yet: its record, and the place for what it will change."""
        image = self._parts.images.get(options.image)
        if options.name:
            self._store.check_name(options.name)
        taken = [record.address for record in self._store.all()]
        record = describe(image, options, options.name or self._free_name(), taken)
        rung = self._parts.sandbox.rung
        check_can_run(rung, record.argv)
        folder, lock = self._store.make_folder(record.id)
        try:
            make_root(folder, image.config.diff_ids, self._parts.layers, overlay=rung.overlay)
            self._store.add(record)
        except BaseException:
            self._store.remove(record)
            raise
        finally:
            os.close(lock)
        return self.get(record.id)

    def start(self, name: str) -> Container:
        """Start a container in the background; nothing happens if it runs already."""
        container = self.get(name)
        if not container.state.running:
            nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._spawn(container.record, Stdio(nothing, nothing, nothing), None).close()
            finally:
                os.close(nothing)
        return container

    def start_attached(self, name: str, console: Console) -> int:
        """Start a container, stay attached to it, and return its exit code."""
        container = self.get(name)
        if container.state.running:
            raise ContainerError(f"container {container.id} runs already")
        record = container.record
        with Pipes(feeds=record.interactive and not record.terminal) as pipes:
            shim = self._spawn(record, pipes.theirs, console)
            try:
                pipes.hand_over()
                target = shim.terminal if record.terminal else pipes.target
                Conversation(
                    console, pipes.outputs, target if record.interactive else None, shim.channel.fileno(),
                    lambda: self._signal(record, 2), terminal=record.terminal, close_target=pipes.close,
                ).hold()  # fmt: skip
                return shim.exit_code()
            finally:
                shim.close()

    def _spawn(self, record: Record, stdio: Stdio, console: Console | None) -> Shim:
        folder = self._store.folder(record.id)
        sandbox = self._parts.sandbox
        request = Request(
            sandbox.rung,
            self._parts.root.absolute() / "sandbox",
            find_root(folder, [DiffID(layer) for layer in record.layers], self._parts.snapshots),
            self._process(record, sandbox),
            record.publish,
            attached=console is not None,
            keep_stdin=record.interactive and console is None,
            remove=record.remove,
            size=console.size() if console is not None else None,
        )
        request.save(folder)
        return spawn(folder, stdio)

    def _process(self, record: Record, sandbox: Sandbox) -> ProcessSpec:
        """Describe the container's first process for this rung."""
        who = self._find_account(record.layers, record.user)
        isolated = sandbox.rung.name in ("namespaces", "userns")
        # Deviation: a container reaches nothing but itself, unless it is run with --network host or the sandbox has no
        # network namespaces; docker lets it reach the internet through a bridge, which takes root to make.
        return ProcessSpec(
            record.argv,
            {"HOME": who.home, **record.env},
            record.directory,
            who.uid,
            who.gid,
            who.groups,
            record.hostname,
            _network(record.network, isolated=isolated),
            record.address if isolated else "",
            etc_hostname=True,
            terminal=record.terminal,
        )

    # ------------------------------------------------------------ looking

    def list(self, *, all: bool = False) -> tuple[Container, ...]:
        """Give the containers that run, or all there are; latest first."""
        found = [container for record in self._store.all() if (container := self._look(record)) is not None]
        return tuple(container for container in found if all or container.state.running)

    def get(self, name: str) -> Container:
        """Find a container by name, id or the beginning of an id. Raises NoSuchContainer."""
        container = self._look(self._store.find(name))
        if container is None:
            raise NoSuchContainer(f"No such container: {name}")
        return container

    def logs(self, name: str, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """Give what it wrote, the last ``tail`` lines of it; then, to ``follow``, what it writes until it ends."""
        record = self._store.find(name)
        folder = self._store.folder(record.id)
        return read_log(folder.at("log.json"), tail=tail, lives=(lambda: folder.state().running) if follow else None)

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what ``docker inspect`` prints of it."""
        from dockersim.containers.inspection import inspect

        container = self.get(name)
        return inspect(container, self._store.folder(container.id).at("log.json"))

    def files(self, name: str) -> ContainerFiles:
        """Give its files as they are now: what it changed, and what there is in all."""
        from dockersim.containers.changes import ContainerFiles

        record = self.get(name).record
        return ContainerFiles(self._store.folder(record.id), [DiffID(one) for one in record.layers], self._parts.layers)

    def size(self, container: Container) -> int:
        """Count the bytes of the files that it has changed (docker's SizeRw)."""
        return content_bytes(self.files(container.id).layer)

    def _look(self, record: Record) -> Container | None:
        """Look how it is with a container; one that was to be removed at its end is removed if that was not done."""
        state = self._store.folder(record.id).state()
        if state.status == "exited" and record.remove:
            self._store.remove(record)
            return None
        return Container(record, state)

    # ------------------------------------------------------------ ending

    def wait(self, name: str, timeout: float | None = None) -> int | None:
        """Wait until it has ended and return its exit code; None if ``timeout`` seconds have passed before."""
        record = self._store.find(name)
        folder = self._store.folder(record.id)
        state = folder.state()
        if state.running and not wait_for_process(state.shim, state.shim_started, timeout):
            return None
        return folder.state().exit_code

    def stop(self, name: str, timeout: float = STOP_SECONDS) -> None:
        """Ask it to end with its stop signal, and after ``timeout`` seconds make it. Repeatable."""
        container = self.get(name)
        if not container.state.running:
            return
        send(container.state, signal_number(container.record.stop_signal))
        if not wait_for_process(container.state.shim, container.state.shim_started, timeout):
            send(container.state, signal_number("KILL"))
            wait_for_process(container.state.shim, container.state.shim_started, _KILL_SECONDS)

    def kill(self, name: str, signal: str = "KILL") -> None:
        """Send its first process a signal. Raises ContainerError if it does not run."""
        container, number = self.get(name), signal_number(signal)
        if not container.state.running:
            raise ContainerError(f"cannot kill container: {name}: container {container.id} is not running")
        send(container.state, number)
        if number == signal_number("KILL"):
            wait_for_process(container.state.shim, container.state.shim_started, _KILL_SECONDS)

    def remove(self, name: str, *, force: bool = False) -> None:
        """Delete it with all it wrote; by ``force`` also while it runs."""
        container = self.get(name)
        if container.state.running:
            if not force:
                raise ContainerError(
                    f'cannot remove container "/{container.name}": container is running: '
                    "stop the container before removing or force remove"
                )
            self.kill(container.id)
        self._store.remove(container.record)

    # ------------------------------------------------------------ docker exec

    def exec(self, name: str, options: ExecOptions, console: Console) -> int:
        """Run a further command in a running container, in the foreground; return its exit code."""
        container = self.get(name)
        if not container.state.running:
            raise ContainerError(f"container {container.id} is not running")
        record = container.record
        # Deviation: a user given to exec is looked up in the image, not in what the container made of /etc/passwd.
        who = self._find_account(record.layers, record.user if options.user is None else options.user)
        request = Request.load(self._store.folder(record.id))
        process = replace(request.process, uid=who.uid, gid=who.gid, groups=who.groups)
        return execute(
            request, replace(process, env={"HOME": who.home, **record.env}), container.state, options, console
        )

    # ------------------------------------------------------------ for the garbage collector

    def layers(self) -> set[DiffID]:
        """Name the layers that containers stand on: roots for a sweep."""
        return {DiffID(layer) for record in self._store.all() for layer in record.layers}

    # ------------------------------------------------------------ within

    def _signal(self, record: Record, number: int) -> None:
        send(self._store.folder(record.id).state(), number)

    def _free_name(self) -> str:
        taken = {record.name for record in self._store.all()}
        for _ in range(20):
            if (name := random_name()) not in taken:
                return name
        return f"{random_name()}{secrets.randbelow(1000)}"

    @contextmanager
    def _removed_if_useless(self, record: Record) -> Iterator[None]:
        """Remove a new container that could not be started; only a wrong command is worth keeping, as in docker."""
        try:
            yield
        except DockersimError as error:
            if record.remove or not isinstance(error, CommandFailed):
                self._store.remove(record)
            raise


def _network(asked: str, *, isolated: bool) -> Literal["host", "none", "container"]:
    if asked == "host" or not isolated:
        return "host"
    return "none" if asked == "none" else "container"
