"""Ctrl-C during every single system call of an action, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_SYSTEM_CALLS = ("posix", "fcntl", "_io")
"""Modules whose functions ask the kernel; there a process is when a Ctrl-C arrives, almost always."""


def at_every_call(action: Callable[[], object]) -> Iterator[str]:
    """Run ``action`` again and again, with a KeyboardInterrupt when its first system call returns, its second, ...

    Yields the name of the function after each run that was interrupted; ends with the first run that was not.
    """
    number = 0
    while name := _interrupted(action, number):
        yield f"{name}, call {number}"
        number += 1


def _interrupted(action: Callable[[], object], number: int) -> str:
    left = number
    where = ""

    def profile(frame: FrameType, event: str, function: Any) -> None:
        nonlocal left, where
        if event == "c_return" and not where and _asks_the_kernel(function):
            left -= 1
            if left < 0:
                where = function.__name__
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        action()
    except KeyboardInterrupt:
        return where
    finally:
        sys.setprofile(None)
    return ""


def _asks_the_kernel(function: Any) -> bool:
    module = function.__module__ or type(function.__self__).__module__
    # Closing takes no time, and what has been closed cannot be told from what has not: shutil would close it again.
    return module in _SYSTEM_CALLS and function.__name__ != "close"
