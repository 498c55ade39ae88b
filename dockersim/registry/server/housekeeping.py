"""What a registry that runs for days does by itself: give up dead uploads, delete what nothing names any more.

zot does so too, with the same hour of grace (its ``gcDelay`` and ``gcInterval``). distribution has a command for it,
``garbage-collect``, beside which nobody must push; ours may also be given while the registry serves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dockersim.content.disk import told_plainly
from dockersim.registry.plans import LATER
from dockersim.registry.server.repositories import RegistryStore

INTERVAL_SECONDS: Final = 3600

ABANDONED_SECONDS: Final = 7 * 24 * 3600
"""An upload that nobody has touched for a week is given up (distribution's ``uploadpurging`` default)."""


def tidy(store: RegistryStore, now: float) -> int:
    """Do the housework once; return how many bytes that freed."""
    freed = store.expire_uploads(now - ABANDONED_SECONDS)
    return freed + sum(store.collect(now - LATER).values())


def find_untagged(root: Path, now: float, *, spare_young: bool = True) -> list[tuple[str, str]]:
    """Find in a registry's directory the manifests that no tag leads to: repository and digest.

    What has come within the hour may be waiting for its tag or index: ``spare_young`` leaves it out.
    """
    return RegistryStore(root).untagged(now - LATER if spare_young else now)


def remove_untagged(root: Path, listed: list[tuple[str, str]], now: float, *, spare_young: bool = True) -> None:
    """Remove what was found, and nothing that lost its tag since. May be done while the registry serves."""
    with told_plainly("remove manifests from", root):
        RegistryStore(root).remove_untagged(set(listed), now - LATER if spare_young else now)


@contextmanager
def keeping_house(store: RegistryStore, interval: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Tidy at the start and then at every interval, in a thread, until the block ends."""
    over = threading.Event()
    thread = threading.Thread(target=_keep_house, args=(store, interval, over), name="housekeeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)


def _keep_house(store: RegistryStore, interval: float, over: threading.Event) -> None:
    while True:
        try:
            tidy(store, time.time())
        except OSError:  # such as a disk that was made read-only: it may be another in an hour
            pass
        if over.wait(interval):
            return
