"""The released suite, 1.1.1: four workflows, in which one request leads to the next.

Its names are those of the recorded suite. Five of its 79 checks ask for another environment than this: they take over
what somebody else has pushed, or say what ought to happen where the one before them went otherwise.
"""

from __future__ import annotations

import httpx

from tests.registry.conformance.released.discovery import discover
from tests.registry.conformance.released.ground import Ground
from tests.registry.conformance.released.management import manage
from tests.registry.conformance.released.pull import pull
from tests.registry.conformance.released.push import push
from tests.registry.conformance.walk import Results


def released(http: httpx.Client) -> Results:
    """Try the whole suite at one registry."""
    ground = Ground(http)
    for workflow in (pull, push, discover, manage):
        workflow(ground)
    return ground.results
