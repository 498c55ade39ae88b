"""Find the program of a command inside the root file system, and become it."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import os


class CannotExecute(Exception):
    """The program is missing or is none; ``args[0]`` is what runc says about it, ``args[1]`` the shell's exit code."""


def begin_session(*, terminal: bool) -> None:
    """Be as a command is begun: signals at their default, in a session of its own, with a terminal if asked."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)  # Python ignores these two, and exec hands that down
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    os.setsid()
    if terminal:
        from .terminal import take_terminal  # brings ``socket``, which most commands don't need

        take_terminal()


def find_program(name: str, path: str) -> str:
    """Look ``name`` up in ``path`` as runc does (Go's ``exec.LookPath``)."""
    if "/" in name:
        _check_program(name, name)
        return name
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise CannotExecute(f'exec: "{name}": executable file not found in $PATH', 127)


def _check_program(name: str, path: str) -> None:
    try:
        is_directory = os.path.isdir(path)
        os.stat(path)
    except OSError as error:
        code = 127 if error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
        raise CannotExecute(f'exec: "{name}": stat {path}: {_words(error)}', code) from error
    if is_directory:
        raise CannotExecute(f'exec: "{name}": is a directory', 126)
    if not os.access(path, os.X_OK):
        raise CannotExecute(f'exec: "{name}": permission denied', 126)


def become(argv: list[str], env: dict[str, str]) -> None:
    """Replace this process by ``argv`` with exactly ``env``. Raises CannotExecute; does not return.

    A program that is there but can't be executed (its interpreter is missing, it is for another machine) counts as
    started for runc: it ends with code 255 and a word on stderr.
    """
    program = find_program(argv[0], env.get("PATH", ""))
    try:
        os.execve(program, argv, env)
    except OSError as error:
        os.write(2, f"exec {program}: {_words(error)}\n".encode())
        os._exit(255)


def _words(error: OSError) -> str:
    """Say it as Go does: the C library's words in lower case."""
    return (error.strerror or str(error)).lower()
