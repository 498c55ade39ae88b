"""The program ``dockersim``; ``python -m dockersim.cli`` is the same."""

from __future__ import annotations

import atexit
import os
import sys

from dockersim.cli.main import main


def program() -> None:
    """Run the command line, and end the process without taking the interpreter apart first.

    That would take a seventh of a fully cached build, to free what ends with the process anyway.
    """
    try:
        main(prog_name="dockersim")
    except SystemExit as ended:
        atexit._run_exitfuncs()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            raise ended from None  # nobody reads any more: Python's own end knows what to say of it
        os._exit(ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1)


if __name__ == "__main__":
    program()
