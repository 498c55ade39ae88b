"""The stepper widget: a build in a notebook, one step at a time, by mouse and keyboard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import anywidget
import traitlets

from dockersim.engine.build import Build
from dockersim.errors import Cancelled, DockersimError
from dockersim.jupyter.front_end import SCRIPT, STYLE
from dockersim.jupyter.wire import answer, light_document
from dockersim.solver import Event, OutputWritten, StepFinished, StepStarted

_PAUSE = 0.05
"""Seconds for which output is gathered before it is sent: a message for each line would drown the browser."""


class Stepper(anywidget.AnyWidget):
    """Shows a build and drives it: next, back, run to a line, finish, stop.

    Steps are taken in a thread of their own, so that the kernel stays free: output streams in, Stop works, and other
    cells can be run. What was taken with ``build.next()`` in a cell is shown too.
    """

    _esm = SCRIPT
    _css = STYLE

    trace = traitlets.Dict().tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    running = traitlets.Int(0).tag(sync=True)
    notice = traitlets.Unicode("").tag(sync=True)

    _commands: ClassVar[tuple[str, ...]] = ("prepare", "next", "back", "run_to", "finish")

    def __init__(self, build: Build, **traits: Any) -> None:
        super().__init__(**traits)
        self.build = build
        self._worker: threading.Thread | None = None
        self._begun = 0  # the step that was started and is not finished: running, or stopped
        self._stream = _Stream(self.send)
        self.refresh()
        self.on_msg(self._receive)
        build.listen(self._hear)

    def __repr__(self) -> str:
        return f"Stepper(step {self.position} of {len(self.trace['steps']) or '?'})"

    def refresh(self) -> None:
        """Show the build as it is now."""
        step = self.build.step
        with self.hold_sync():
            self.trace = light_document(self.build)
            self.position = step.number if step else 0

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing is running; False if that takes longer than ``seconds``."""
        if self._worker is not None:
            self._worker.join(seconds)
        return self._worker is None or not self._worker.is_alive()

    def stop(self) -> None:
        """Stop the command that is running, if one is; the steps before it are kept."""
        if self.running:
            self.build.cancel()

    # ------------------------------------------------------------ messages

    def _receive(self, _: Any, message: dict[str, Any], buffers: Any) -> None:
        if "ask" in message:
            self.send({"answer": message.get("id"), **answer(self.build, message)})
        elif message.get("do") == "stop":
            self.stop()
        elif message.get("do") in self._commands:
            self._begin(message)

    def _begin(self, message: dict[str, Any]) -> None:
        """Carry a command out in a thread, unless a step is running.

        The browser sees the end of a step a moment before its thread has ended; a key pressed in that moment counts.
        """
        if self.running:
            return
        self.notice = "" if self.build.plan else "Reading the Dockerfile and looking for the base images …"
        arguments = (self._worker, self._action(message))
        self._worker = threading.Thread(target=self._work, args=arguments, name="stepper", daemon=True)
        self._worker.start()

    def _action(self, message: dict[str, Any]) -> Callable[[], object]:
        build, taken = self.build, self.build.steps
        match message["do"]:
            case "prepare":
                return build.prepare
            case "back":
                return build.back
            case "next":
                return self._going_on(build.next, takes_a_step=self.position == len(taken))
            case "finish":
                return self._going_on(build.finish, takes_a_step=True)
        line = int(message.get("line") or 1)
        is_new = not any(line in step.at.lines for step in taken)
        return self._going_on(lambda: build.run_to(line), takes_a_step=is_new)

    def _going_on(self, action: Callable[[], object], *, takes_a_step: bool) -> Callable[[], object]:
        """Show the step that was stopped as running again: it is taken up, and not announced a second time."""

        def go_on() -> None:
            if takes_a_step:
                self.running = self._begun
            action()

        return go_on

    def _work(self, before: threading.Thread | None, action: Callable[[], object]) -> None:
        if before is not None:
            before.join()
        notice = ""
        try:
            action()
        except Cancelled:
            notice = "Stopped. The steps before this one are kept; Next runs it again."
        except DockersimError as error:
            step = self.build.step
            # The failed step itself tells its error; what comes before any step is told here.
            notice = "" if step is not None and step.failed else str(error)
        finally:
            self._stream.flush()
            with self.hold_sync():
                self.running, self.notice = 0, notice
                self.refresh()

    # ------------------------------------------------------------ events

    def _hear(self, event: Event) -> None:
        """Take in what happens in the build; called in the thread that drives it."""
        match event:
            case StepStarted(step):
                self._stream.flush()
                self._begun = self.running = step.number
            case OutputWritten(step, _, text):
                self._stream.write(step.number, text)
            case StepFinished():
                self._stream.flush()
                self._show_finished(event)
            case _:
                pass

    def _show_finished(self, event: StepFinished) -> None:
        """Show a step that has just been finished; the build stands on it once the event has been told."""
        self._begun = 0
        with self.hold_sync():
            self.running = 0
            self.trace = light_document(self.build)
            self.position = event.step.number


class _Stream:
    """Gathers output for a moment, then sends it in one message."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._step = 0
        self._pieces: list[str] = []
        self._timer: threading.Timer | None = None

    def write(self, step: int, text: str) -> None:
        """Take in a piece of output of ``step``."""
        with self._lock:
            self._step = step
            self._pieces.append(text)
            if self._timer is None:
                self._timer = threading.Timer(_PAUSE, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Send what has been gathered."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            text, self._pieces, self._timer = "".join(self._pieces), [], None
        if text:
            self._send({"output": text, "step": self._step})
