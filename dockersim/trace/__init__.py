"""A recorded build as one JSON document, ``dockersim.trace/v1``.

A trace holds all that a build told: per step the instruction, the cache's decision with its fields, the diff with
before and after, sizes, config, output. It also holds every outcome the solver was sent, so that the very same build
can be replayed step by step on a machine that can run nothing. BuildKit has no such document; the nearest thing is
``--progress=rawjson`` and the records of ``docker buildx history export``.

A trace is passed on, to a class, say. So it leaves out what stands before the ``@`` of web addresses, as BuildKit's
provenance does; build arguments stand in it as they were given, and so does all that a command printed.

The law of this package: plain JSON in and out, nothing is looked up, and what was written can be read back.

>>> read('{"schema": "something else"}')
Traceback (most recent call last):
    ...
dockersim.errors.ContentError: not a dockersim trace: its schema is 'something else', not 'dockersim.trace/v1'
"""

from __future__ import annotations

from dockersim.trace.document import SCHEMA, StepTrace, Trace, build_document, read
from dockersim.trace.rows import change_from_row, change_to_row, step_document

__all__ = [
    "SCHEMA",
    "StepTrace",
    "Trace",
    "build_document",
    "change_from_row",
    "change_to_row",
    "read",
    "step_document",
]
