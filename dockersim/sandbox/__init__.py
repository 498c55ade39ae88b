"""The sandbox: run one program in a root file system that is not the machine's own.

A container is an ordinary process that sees other files, other processes and another name of the machine than its
neighbours. BuildKit has runc do this (opencontainers/runc, ``libcontainer``); here it is a small process of our own
(``inside``) that enters namespaces, mounts the image as its root, gives up what a container may not do, and becomes the
command. Where a machine does not allow that, a lower rung of the ladder does what can be done:

    contract    what is asked and answered, the same on every rung
    ladder      the rungs, and how to stand on one
    probe       tries which of them work here; ``reasons`` and ``deviations`` put the answer in words
    runner      the rungs that can execute; ``launch`` and ``pump`` start the small process and speak with it
    nothing     the rung that can't
    passthrough what a RUN gets from the host: proxies, a private CA
    etc         /etc/hosts, /etc/resolv.conf

The law of the package: after a process has ended, however it ended, nothing of it is left but what it wrote into its
root; and nothing that an image contains can make us write or mount outside of that root.

>>> ProcessSpec(("sh", "-c", "id"), mounts=(TmpfsMount("/tmp"),)).network
'host'
"""

from dockersim.sandbox.contract import (
    BindMount,
    Dialer,
    DirectoryRoot,
    Exit,
    Inhabitant,
    OutputSink,
    OverlayRoot,
    ProcessSpec,
    ProgramNotFound,
    Recorded,
    RootFilesystem,
    Rung,
    RungName,
    Running,
    Sandbox,
    Stdio,
    Stream,
    TmpfsMount,
)
from dockersim.sandbox.ladder import ORDER, best, choose, known_rungs, stand_on
from dockersim.sandbox.nothing import check_can_run
from dockersim.sandbox.passthrough import Passthrough, host_environment

__all__ = [
    "ORDER",
    "BindMount",
    "Dialer",
    "DirectoryRoot",
    "Exit",
    "Inhabitant",
    "OutputSink",
    "OverlayRoot",
    "Passthrough",
    "ProcessSpec",
    "ProgramNotFound",
    "Recorded",
    "RootFilesystem",
    "Rung",
    "RungName",
    "Running",
    "Sandbox",
    "Stdio",
    "Stream",
    "TmpfsMount",
    "best",
    "check_can_run",
    "choose",
    "host_environment",
    "known_rungs",
    "stand_on",
]
