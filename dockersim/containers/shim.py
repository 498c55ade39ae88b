"""The shim: a small process that stays with a container for its whole life.

The command that started the container ends; somebody must hold the container's output and its published ports, wait
for its end and keep the exit code. In docker that is containerd-shim (one a container) with dockerd; here it is this
program. It is started afresh, imports little, and outlives everybody. If it is killed, the container dies with it.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys

from msgspec.structs import replace

from dockersim.containers.forward import Forwarder, PortTaken
from dockersim.containers.life import Folder, now
from dockersim.containers.log import LogWriter
from dockersim.containers.record import State
from dockersim.containers.request import Request
from dockersim.errors import SandboxError
from dockersim.printable import shortened
from dockersim.sandbox.contract import Exit, ProgramNotFound, Running, Sandbox, Stdio, Stream
from dockersim.sandbox.inside.wire import start_time
from dockersim.sandbox.ladder import stand_on

REPORT, STDIN, STDOUT, STDERR = 3, 4, 5, 6
"""Its descriptors, besides the usual three: where it says how it goes, and the three that it passes on."""

_PIECE = 65536
_DRAIN_MILLISECONDS = 1000  # how long to wait for the rest of the output of a container that has ended


def main() -> None:
    """Be the shim of the container whose folder is the first argument; return in the starter at once."""
    if os.fork():
        os._exit(0)  # the starter collects this one; the shim is nobody's child, and leaves nobody a zombie
    for descriptor in (REPORT, STDIN, STDOUT, STDERR):
        os.set_inheritable(descriptor, False)
    Shim(Folder(sys.argv[1])).live()
    os._exit(0)  # threads that carry connections may be waiting for ever


class Shim:
    """The life of one container, from before its start to after its end."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._channel = socket.socket(fileno=REPORT)
        self._passed_on: dict[Stream, int] = {}

    def live(self) -> None:
        """Start the container, stay with it, and write down how it ended."""
        lock = self._folder.hold()
        if lock is None:
            self._fail("busy", "another command is at work on this container", 125)
            return
        request = Request.load(self._folder)
        if request.attached:
            self._passed_on = {"stdout": STDOUT, "stderr": STDERR}
        sandbox = stand_on(request.rung, request.scratch)
        forwarder, log = Forwarder(), LogWriter(self._folder.at("log.json"))
        try:
            ports = forwarder.bind(request.publish, direct=request.process.network == "host")
            running, outputs = self._start(sandbox, request)
        except PortTaken as error:
            self._fail("port", error.message, 125)
        except ProgramNotFound as error:
            self._fail("program", error.message, error.exit_code)
        except SandboxError as error:
            self._fail("sandbox", str(error), 125)
        else:
            state = self._begun(running, replace(State(), ports=ports))
            forwarder.serve(lambda: sandbox.dial(running.inhabitant), request.process.address.partition("/")[0])
            self._ended(state, self._watch(running, outputs, log), remove=request.remove)

    # ------------------------------------------------------------ begin

    def _start(self, sandbox: Sandbox, request: Request) -> tuple[Running, dict[int, Stream]]:
        """Start the process; return it and where its output comes from."""
        kept: list[int] = []
        if request.process.terminal:
            running = sandbox.start(request.root, request.process, Stdio(STDIN, STDIN, STDIN))
            assert running.terminal is not None
            if request.size:
                _resize(running.terminal, request.size)
            return running, {running.terminal: "stdout"}
        stdin = STDIN
        if request.keep_stdin:
            stdin, writer = os.pipe()
            kept.append(writer)  # never closed by us: the container shall see no end of its input
        out, theirs_out = os.pipe()
        err, theirs_err = os.pipe()
        try:
            running = sandbox.start(request.root, request.process, Stdio(stdin, theirs_out, theirs_err))
        finally:
            for descriptor in {theirs_out, theirs_err, STDIN, stdin}:
                os.close(descriptor)
        return running, {out: "stdout", err: "stderr"}

    def _begun(self, running: Running, state: State) -> State:
        who, me, runner = running.inhabitant, os.getpid(), _only_child()
        state = replace(
            state, status="running", pid=who.pid, pid_started=who.started, runner=runner,
            runner_started=start_time(runner), shim=me, shim_started=start_time(me), started=now(),
        )  # fmt: skip
        self._folder.write("state.json", state.to_json())
        terminal = [] if running.terminal is None else [running.terminal]
        self._say({"started": True}, terminal)
        return state

    # ------------------------------------------------------------ watch

    def _watch(self, running: Running, outputs: dict[int, Stream], log: LogWriter) -> Exit:
        """Take the output in until the process has ended and all has been read."""
        poll = select.poll()
        for descriptor in (*outputs, running.fileno()):
            poll.register(descriptor, select.POLLIN)
        ended: Exit | None = None
        while outputs or ended is None:
            ready = poll.poll(None if ended is None else _DRAIN_MILLISECONDS)
            if not ready:
                break
            for descriptor, _ in ready:
                if descriptor in outputs:
                    if not self._take(descriptor, outputs[descriptor], log):
                        poll.unregister(descriptor)
                        del outputs[descriptor]
                elif ended is None:
                    poll.unregister(descriptor)
                    ended = _wait(running)
        assert ended is not None
        return ended

    def _take(self, descriptor: int, stream: Stream, log: LogWriter) -> bool:
        """Read one piece, log it and pass it on; False at the end."""
        try:
            piece = os.read(descriptor, _PIECE)
        except OSError:  # a terminal whose last user is gone gives EIO
            piece = b""
        log.add(stream, piece)
        if piece and stream in self._passed_on:
            self._pass_on(stream, piece)
        return bool(piece)

    def _pass_on(self, stream: Stream, piece: bytes) -> None:
        todo = memoryview(piece)
        try:
            while todo:
                todo = todo[os.write(self._passed_on[stream], todo) :]
        except OSError:  # the one who listened has gone; the container goes on
            del self._passed_on[stream]

    # ------------------------------------------------------------ end

    def _ended(self, state: State, ended: Exit, *, remove: bool) -> None:
        state = state.ended(ended.code, now())
        self._folder.write("state.json", state.to_json())
        if remove:
            self._folder.bury()
        self._say({"exited": ended.code})

    def _fail(self, reason: str, message: str, code: int) -> None:
        """Tell why it does not start; a container that could not start stays as it was created."""
        if reason != "busy":
            self._folder.write("state.json", State(exit_code=code, error=message).to_json())
        self._say({"failed": reason, "message": shortened(message), "code": code})  # it has to fit into one message

    def _say(self, message: dict[str, object], descriptors: list[int] | None = None) -> None:
        try:
            socket.send_fds(self._channel, [json.dumps(message).encode()], descriptors or [])
        except OSError:  # nobody listens any more
            pass


def _only_child() -> int:
    """Give the one process that this one has started: the sandbox's runner (proc(5), CONFIG_PROC_CHILDREN)."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        children = file.read().split()
    return int(children[0]) if children else 0


def _wait(running: Running) -> Exit:
    try:
        ended = running.wait()
    except SandboxError:  # who watched it for us was killed, and so it was
        return Exit(137, 0.0)
    assert ended is not None
    return ended


def _resize(terminal: int, size: tuple[int, int]) -> None:
    import termios

    termios.tcsetwinsize(terminal, size)


if __name__ == "__main__":
    main()
