"""Snapshots: root file systems laid out from layers, for a process to run in and change.

A layer is a tar; a process needs files. A snapshotter lays layers out on disk, hands them to the sandbox as mounts
(it never mounts anything itself), and afterwards tells what the process changed, as the entries of a new layer.
``overlay`` stacks layers with overlayfs; ``copy`` moves one plain directory from step to step where there is no
overlayfs. ``layout`` and ``disk`` make files from entries, ``scan`` reads them back, and ``ledger`` and ``moved``
know the owners that an ordinary user's disk cannot hold.

The real thing: containerd's core/snapshots (the contract) and plugins/snapshots/overlay; docker's overlay2. The law
of the package: what ``prepare`` shows is what the layers say, and the layers with ``changes`` on top are what stands
in the directory. What is on disk here is a cache, and may be deleted at any time.

>>> SnapshotKey("build-1-step-2")
'build-1-step-2'
"""

from dockersim.snapshots.contract import Changes, LayerSource, SnapshotKey, Snapshotter
from dockersim.snapshots.copy import CopySnapshotter
from dockersim.snapshots.ledger import Ledger
from dockersim.snapshots.overlay import OverlaySnapshotter

__all__ = ["Changes", "CopySnapshotter", "LayerSource", "Ledger", "OverlaySnapshotter", "SnapshotKey", "Snapshotter"]
