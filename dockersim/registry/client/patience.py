"""When to ask again, and after how long: for what passes, and never for a no."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from dockersim.errors import RegistryError
from dockersim.registry.client.refusals import Interrupted, TooManyRequests

ATTEMPTS: Final = 4
BACK_OFF: Final = 0.5
"""Seconds before the second attempt; doubled before each further one."""

LONGEST_WAIT: Final = 10
"""Seconds that are waited when a registry says how long; a learner should hear of anything longer."""

Pause = Callable[[float], None]
"""Waits for so many seconds."""


class Patience:
    """The patience for one piece of work. ``renew`` it when the work got on."""

    def __init__(self, pause: Pause = time.sleep) -> None:
        self._pause = pause
        self._failures = 0

    def renew(self) -> None:
        """Begin to count anew."""
        self._failures = 0

    def bear(self, error: RegistryError) -> None:
        """Wait before the next attempt; raise ``error`` if there is none to be made."""
        self._failures += 1
        if self._failures >= ATTEMPTS:
            raise error
        if isinstance(error, TooManyRequests) and 0 < error.retry_after <= LONGEST_WAIT:
            self._pause(error.retry_after)
        elif isinstance(error, Interrupted):
            self._pause(BACK_OFF * 2 ** (self._failures - 1))
        else:
            raise error
