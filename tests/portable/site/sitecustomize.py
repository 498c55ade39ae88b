"""Let a process pretend from its start, if its environment says so."""

import os

if os.environ.get("DOCKERSIM_PRETEND"):
    from tests.portable.pretend import pretend

    pretend(os.environ["DOCKERSIM_PRETEND"])
