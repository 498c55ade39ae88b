"""The program ``dockersim``; ``python -m dockersim.cli`` is the same."""

from __future__ import annotations

import signal

_ON_INTERRUPT = signal.getsignal(signal.SIGINT)
if _ON_INTERRUPT is signal.default_int_handler:  # else whoever started us wants it to be ignored
    # Nothing has been begun while we are still being imported: a Ctrl-C ends us, and Python need not tell where.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import atexit  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

from dockersim.cli.main import main  # noqa: E402


def program() -> None:
    """Run the command line, and end the process without taking the interpreter apart first.

    That would take a seventh of a fully cached build, to free what ends with the process anyway.
    """
    open_what_is_closed()
    try:
        signal.signal(signal.SIGINT, _ON_INTERRUPT)
        main(prog_name="dockersim")
    except SystemExit as ended:
        atexit._run_exitfuncs()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            raise ended from None  # nobody reads any more: Python's own end knows what to say of it
        os._exit(ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1)


def open_what_is_closed() -> None:
    """Have /dev/null for each of the three streams that the caller has closed (``dockersim images >&-``).

    Else the next file that is opened, which may be the database, would be what is printed to.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            os.set_inheritable(number, True)  # what we start would else have the same fault
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115  # it lives as long as we do


if __name__ == "__main__":
    program()
