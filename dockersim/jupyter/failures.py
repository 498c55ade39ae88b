"""Errors in a notebook: one clean line instead of a traceback, for every error that is meant for a learner."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from dockersim.errors import DockersimError


class CommandFailed(DockersimError):
    """A ``%docker`` command ended with ``exit_code``, which is not 0; it has told why itself."""

    def __init__(self, command: str, exit_code: int) -> None:
        super().__init__(f"{command}: exit code {exit_code}")
        self.exit_code = exit_code


def show_error(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> list[str]:
    """Print the error's line, as IPython's custom exception handlers do; the cell still counts as failed."""
    print(error, file=sys.stderr)
    return [str(error)]


def install(shell: Any) -> None:
    """Have ``shell`` show the errors of dockersim as one line."""
    shell.set_custom_exc((DockersimError,), show_error)
