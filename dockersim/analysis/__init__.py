"""What a trace tells: where the bytes of an image are, which of them are wasted, and the life of one path; and what a
build context tells before anything is built.

dive (wagoodman/dive) made this way of looking at images known; here it reads a trace, so it works for a build that
was replayed as well. The law of this package: it only counts, it never looks anything up.

    wasted, biography    the layers of a build
    context, cautions    the X-ray of a context: what is sent, why, what for, and what should not be

>>> from dockersim.filesystem import Change, Entry, Kind, What
>>> big = Entry("tmp/big", Kind.FILE, size=100)
>>> steps = [(2, (Change("tmp/big", What.ADDED, None, big),)), (3, (Change("tmp/big", What.DELETED, big, None),))]
>>> wasted(steps)
(Waste(path='tmp/big', size=100, written=2, hidden=3),)
>>> [event.words() for event in biography(steps, "tmp/big")]
['step 2: added, 100 bytes', 'step 3: deleted; its 100 bytes stay in the layer of an earlier step']
"""

from __future__ import annotations

from dockersim.analysis.biography import LifeEvent, biography
from dockersim.analysis.cautions import Caution, cautions
from dockersim.analysis.context import ContextFile, ContextXray, Missing, Total, Use
from dockersim.analysis.wasted import Step, Waste, wasted

__all__ = [
    "Caution",
    "ContextFile",
    "ContextXray",
    "LifeEvent",
    "Missing",
    "Step",
    "Total",
    "Use",
    "Waste",
    "biography",
    "cautions",
    "wasted",
]
