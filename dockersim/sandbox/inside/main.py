"""Read what is asked, and do it; the entry of the runner."""

from __future__ import annotations

import os

from . import wire
from .rootfs import CannotPrepare
from .supervise import CONTROL, REPORT, SOCKET, report

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Serve one request, then exit. All news goes through the report pipe; the exit code says nothing."""
    os.closerange(SOCKET + 1, 1 << 16)  # what the starter's own starter forgot to close: not for the command
    for descriptor in (CONTROL, REPORT, SOCKET):
        os.set_inheritable(descriptor, False)
    spec = wire.receive(CONTROL)
    if spec is None:
        return
    try:
        _serve(spec)
    except CannotPrepare as error:
        report(("failed", error.args[0]))
    except OSError as error:
        report(("failed", error.strerror or str(error)))


def _serve(spec: dict[str, Any]) -> None:
    if spec["mode"] == "start":
        from . import namespaces

        namespaces.start(spec)
    elif spec["mode"] == "enter":
        from . import namespaces

        namespaces.enter(spec)
    elif spec["mode"] == "dial":
        from . import dial

        dial.serve(spec)
    elif spec["mode"] == "chroot":
        from . import chroot

        chroot.start(spec)
    else:
        from . import tracing

        tracing.start(spec)
